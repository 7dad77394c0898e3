"""The addresses of the pages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Annotated, Any, cast
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute

from features.agreement import BOUGHT_AGAIN, Agreement
from features.errors import RowError, StoreError, UnknownError
from serving.authorisation import public, signed_in
from serving.keys import KeyRing
from serving.language import Language, preferred
from serving.pages import account, assets
from serving.pages.attribution import attribution_page, step
from serving.pages.attribution_words import COLUMNS
from serving.pages.course import course, weeks
from serving.pages.listing import SORTS, listing, query, strongest
from serving.pages.model import model_page
from serving.pages.render import HEADERS, render
from serving.pages.session import COOKIE, HOURS
from serving.pages.site import Site
from serving.pages.words import words
from serving.problems import RequestError
from serving.profile import facts, timeline

LANGUAGE_COOKIE = "smarketing_language"
HOME = "/accounts"
FORMS = frozenset({"/sign-in", "/sign-out"})
"""Paths that take a form."""


_YEAR_SECONDS = 365 * 86_400
_HAPPENED = 25
"""Entries of the timeline on one page."""


class Page(APIRoute):
    """A route whose errors are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with errors that a reader can meet turned into words."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestError as error:
                if error.status != 401:
                    return _error(request, error.status)
                return _to_sign_in(request)
            except (UnknownError, RowError, RequestValidationError):
                return _error(request, 404)
            except StoreError:
                return _error(request, 503)

        return answer


def router() -> APIRouter:
    """Return the routes of the pages; the OpenAPI document does not describe them."""
    routes = APIRouter(route_class=Page, include_in_schema=False)
    shown: dict[str, Callable[..., Response]] = {
        "/": _home,
        "/accounts": _accounts,
        "/accounts/{account_id:path}": _account,
        "/model": _model,
        "/attribution": _attribution,
    }
    for path, handle in shown.items():
        routes.add_api_route(path, handle, methods=["GET"], dependencies=[signed_in()])
    routes.add_api_route("/sign-in", _ask, methods=["GET"], dependencies=[public()])
    routes.add_api_route("/sign-in", _sign_in, methods=["POST"], dependencies=[public()])
    routes.add_api_route("/sign-out", _sign_out, methods=["POST"], dependencies=[public()])
    routes.add_api_route(assets.PREFIX + "{name:path}", _static, methods=["GET"], dependencies=[public()])
    return routes


def _site(request: Request) -> Site:
    found: Site = request.state.site
    return found


TheSite = Annotated[Site, Depends(_site)]
Text = Annotated[str, Query(max_length=200)]


def _home() -> Response:
    return RedirectResponse(HOME, 303)


def _accounts(
    request: Request,
    site: TheSite,
    goal: Text = "",
    sort: Text = "",
    grade: Text = "",
    stage: Text = "",
    q: Text = "",
    page: int = 1,
) -> Response:
    asked_of = site.goal(goal)
    board = site.boards.of(asked_of.name)
    asked = query(asked_of.name, sort or "-score", grade, stage, q, page)
    stages = site.agreement.stages.order
    return _page(
        request,
        "accounts.html",
        {
            "goal": asked_of,
            "goals": _goals(site.agreement),
            "asked": asked,
            "sorts": tuple(SORTS),
            "stages": [one for one in stages if one in asked_of.from_],
            "board": board,
            "has_model": site.champions.of(asked_of.name) is not None,
            "listing": None if board is None else listing(board.table, asked, stages),
            "strongest": strongest,
        },
    )


def _account(
    request: Request, site: TheSite, account_id: str, goal: Text = "", show: Text = "",
    cursor: Annotated[str | None, Query(max_length=3000)] = None,
) -> Response:  # fmt: skip
    spoken = words(_language(request))
    asked_of = site.goal(goal)
    scored = site.scores.give(account_id, asked_of.name)
    tables = site.ledger.account_tables(account_id)
    explained, told = scored.explained, scored.explained or scored.points
    drawn = None
    if show == "course" and explained is not None:
        drawn = course(scored, site.scores.likelihoods(scored, weeks(scored.as_of)))
    return _page(
        request,
        "account.html",
        {
            "goal": asked_of,
            "goals": _goals(site.agreement),
            "scored": scored,
            "explained": explained,
            "standing": account.standing(scored, facts(tables, account_id, scored.as_of), spoken),
            "meaning": None if explained is None else spoken.odds(explained.probability, asked_of),
            "up": account.reasons([] if told is None else told.up, spoken),
            "down": account.reasons([] if told is None else told.down, spoken),
            "way": None if explained is None else account.way(explained, spoken),
            "course": None if drawn is None else account.over_time(drawn, scored.as_of, spoken),
            "group": account.group(tables, scored.as_of, site.agreement, spoken),
            "happened": account.happened(timeline(tables, scored.as_of, cursor, _HAPPENED), site.agreement, spoken),
            "address": lambda **more: f"{request.url.path}?{urlencode({'goal': asked_of.name} | more)}",
        },
    )


def _model(request: Request, site: TheSite, goal: Text = "") -> Response:
    asked_of = site.goal(goal)
    champion = site.champions.of(asked_of.name)
    found = None if champion is None else model_page(champion, words(_language(request)))
    return _page(request, "model.html", {"goal": asked_of, "goals": _goals(site.agreement), "model": found})


def _attribution(request: Request, site: TheSite, transition: Text = "", by: Text = "channel") -> Response:
    spoken = words(_language(request))
    asked = site.attributions.asked(transition or None, by)
    answer = site.attributions.of(asked)
    steps = (*site.agreement.stages.order[1:], *BOUGHT_AGAIN)
    return _page(
        request,
        "attribution.html",
        {
            "layout": "base.html",
            "asked": asked,
            "steps": [(code, step(code, spoken)) for code in steps],
            "columns": [(code, spoken.named(COLUMNS, code)) for code in COLUMNS if code != "team"],
            "step": step(asked.transition, spoken),
            "by": spoken.named(COLUMNS, asked.by),
            "again": f"{request.url.path}?{request.url.query}",
            "shown": None if answer is None else attribution_page(answer.document, spoken),
        },
    )


def _ask(request: Request, site: TheSite, ticket: Text = "", next: Text = HOME) -> Response:
    if ticket and (token := site.sessions.redeem(ticket)):
        return _signed_in(request, site, token, next)
    if request.headers.get("sec-fetch-site") == "cross-site":
        # Who comes from another site comes without the cookie; from here it is sent along.
        return _page(request, "onward.html", {"onward": _local(next)})
    return _page(request, "sign_in.html", {"next": _local(next), "is_wrong": bool(ticket)})


async def _sign_in(request: Request, site: TheSite) -> Response:
    _refuse_other_sites(request)
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    given, onward = form.get("key", [""])[0].strip(), form.get("next", [HOME])[0]
    keys: KeyRing = request.state.keys
    key = keys.find(given)
    token = None if key is None else site.sessions.open(key)
    if token is None:
        return _page(request, "sign_in.html", {"next": _local(onward), "is_wrong": True}, status=401)
    return _signed_in(request, site, token, onward)


def _sign_out(request: Request, site: TheSite) -> Response:
    _refuse_other_sites(request)
    site.sessions.close(request.cookies.get(COOKIE))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _static(request: Request, name: str) -> Response:
    found = assets.assets().get(name)
    if found is None:
        raise UnknownError("There is no such file.")
    headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, 200, headers | {"content-encoding": "gzip"}, found.media_type)
    return Response(found.content, 200, headers, found.media_type)


def _page(request: Request, template: str, values: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
    language = _language(request)
    shared = {
        "here": request.url.path,
        "languages": {
            code: f"{request.url.path}?{urlencode({**request.query_params, 'lang': code})}" for code in _LANGUAGES
        },
        "is_signed_in": getattr(request.state, "session", None) is not None,
    }
    answer = HTMLResponse(render(template, language, shared | dict(values)), status, dict(HEADERS))
    if request.query_params.get("lang") in _LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR_SECONDS, samesite="lax")
    return answer


_LANGUAGES = MappingProxyType({"en": "English", "zh": "中文"})


def _language(request: Request) -> Language:
    for asked in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if asked in _LANGUAGES:
            return cast(Language, asked)
    return preferred(request.headers.get("accept-language", ""))


def _error(request: Request, status: int) -> Response:
    return _page(request, "error.html", {"status": status}, status=status)


def _to_sign_in(request: Request) -> Response:
    onward = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = f"/sign-in?{urlencode({'next': onward})}"
    if "hx-request" in request.headers:
        # A part of a page can not show a form: the whole page goes there.
        return Response(status_code=204, headers={"hx-redirect": address})
    return RedirectResponse(address, 303)


def _signed_in(request: Request, site: Site, token: str, onward: str) -> Response:
    # Whatever page comes first, the table will be wanted: it is read or made meanwhile.
    site.boards.of(site.goal("").name)
    answer = RedirectResponse(_local(onward), 303)
    is_secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, token, max_age=HOURS * 3600, httponly=True, samesite="strict", secure=is_secure)
    return answer


def _local(address: str) -> str:
    """Return an address of our own; anything else becomes the first page."""
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_ours else HOME


def _refuse_other_sites(request: Request) -> None:
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise RequestError(403, "A form of another site is not accepted.")


def _goals(agreement: Agreement) -> list[Any]:
    return list(agreement.goals.values())
