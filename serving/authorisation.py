"""Who may do what: every route states its rule, and a test walks the routes to see that it does."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.keys import SCOPES, ApiKey
from serving.pages.session import COOKIE, SCOPE
from serving.problems import RequestError, problem

_PROTECTED = "/v1/"


class Authentication:
    """ASGI middleware that finds the caller of everything under ``/v1/`` before the body is read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"].startswith(_PROTECTED):
            caller = self._caller(scope)
            if caller is None:
                refusal = RequestError(
                    401,
                    "Send a valid API key in the header Authorization: Bearer KEY.",
                    headers={"www-authenticate": "Bearer", "connection": "close"},
                )
                await problem(scope, refusal)(scope, receive, send)
                return
            scope["state"]["caller"] = caller
        await self.app(scope, receive, send)

    def _caller(self, scope: Scope) -> ApiKey | None:
        scheme, _, presented = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not presented:
            return None
        found: ApiKey | None = scope["state"]["keys"].find(presented.strip())
        return found


_BEARER = HTTPBearer(scheme_name="apiKey", description="An API key", auto_error=False)


class Rule:
    """Who may call a route: anyone."""

    scope: str | None = None

    def __call__(self) -> None:
        """Let everyone pass."""


class ScopeRule(Rule):
    """Who may call a route: a key with a scope.

    Parameters
    ----------
    scope : str
    """

    def __init__(self, scope: str) -> None:
        self.scope = scope

    def __call__(self, request: Request, _documented: Annotated[object, Depends(_BEARER)]) -> None:  # type: ignore[override]
        """Refuse a caller whose key lacks the scope; `Authentication` has found the caller before."""
        if self.scope not in request.state.caller.scopes:
            raise RequestError(403, f"This needs a key with the scope {self.scope}.")


class SessionRule(Rule):
    """Who may call a route: a person with a session, opened by a key with the scope ``read``."""

    scope = SCOPE

    def __call__(self, request: Request) -> None:  # type: ignore[override]
        """Refuse who is not signed in; the pages turn that into the form."""
        session = request.state.site.sessions.find(request.cookies.get(COOKIE))
        if session is None:
            raise RequestError(401, "Sign in with an API key.")
        request.state.session = session


def public() -> Any:
    """Return the rule of a route that anyone may call."""
    return Depends(Rule())


def requires(scope: str) -> Any:
    """Return the rule of a route that needs a key with `scope`, one of `SCOPES`."""
    if scope not in SCOPES:
        raise ValueError(f"`scope` must be one of {', '.join(SCOPES)}. Got {scope!r} instead.")
    return Depends(ScopeRule(scope))


def signed_in() -> Any:
    """Return the rule of a page, for people who are signed in."""
    return Depends(SessionRule())
