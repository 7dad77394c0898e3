"""The application: routes, borders, and the parts that live as long as it does."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext, suppress
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware import Middleware

from features.agreement import Agreement
from features.catalogue import catalogue
from features.errors import SmarketingError
from features.intake.rows import RowParser
from features.ledger import Ledger, now_micros
from models.bundle_cache import BundleCache
from serving import problems
from serving.account_attribution import AccountAttribution
from serving.attribution import Attributions, attribute_command
from serving.authorisation import Authentication
from serving.board import Boards, score_all_command
from serving.border import Border
from serving.champion import Champions
from serving.dependencies import State
from serving.gate import Gate
from serving.intake import Intake
from serving.keys import KeyRing
from serving.pages import routes as pages
from serving.pages.render import warm
from serving.pages.session import Sessions
from serving.pages.site import Site
from serving.profile import Profiles
from serving.refresher import Refresher
from serving.routes import accounts, attribution, documentation, health, intake, scores
from serving.scorebook import Scorebook
from serving.scoring import Scoring
from serving.service import ScoreService
from serving.settings import Settings

_DESCRIPTION = (
    "Touches, deals and stages of accounts go in; how likely an account is to take its next step, and why, comes out. "
    "What has been accepted is in the very next answer."
)


def create_app(settings: Settings | None = None, *, clock: Callable[[], int] = now_micros) -> FastAPI:
    """Return the application; the store is opened when it starts, not before.

    Parameters
    ----------
    settings : Settings, optional
        Read from the environment unless given.
    clock : callable
        Gives the present moment in microseconds.
    """
    settings = Settings() if settings is None else settings
    # Attribution before accounts: the id of an account may hold slashes.
    groups = (intake, scores, attribution, accounts, health, documentation, pages)
    app = FastAPI(
        title="Smarketing",
        description=_DESCRIPTION,
        version=version("smarketing"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        routes=[route for group in groups for route in group.router().routes],
        middleware=[
            Middleware(Border),
            Middleware(Authentication),
            Middleware(Gate, max_bytes=settings.max_body_bytes, max_depth=settings.max_json_depth, forms=pages.FORMS),
        ],
        lifespan=_lifespan(settings, clock),
    )
    problems.install(app)
    return app


def check(settings: Settings) -> None:
    """Open what the service will open, and close it again.

    A start that fails inside the web server is told with a traceback; here it is one of our own errors.

    Raises
    ------
    AgreementError
        When the agreement can not be used.
    BundleError
        When the folder of models can not be used.
    StoreError
        When the store, or the file of API keys, can not be used.
    """
    catalogue(Agreement.load(settings.agreement))
    if settings.keys_file.exists() or settings.api_key is not None:
        _keys(settings, now_micros)
    with Ledger.open(settings.store) as ledger:
        ledger.email_key()
    # Last: it makes folders, where a store whose folder is missing must be refused.
    BundleCache(settings.cache)


def _keys(settings: Settings, clock: Callable[[], int]) -> tuple[KeyRing, str | None]:
    given = None if settings.api_key is None else settings.api_key.get_secret_value()
    return KeyRing.open(settings.keys_file, clock, given=given)


def _lifespan(settings: Settings, clock: Callable[[], int]) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        agreement = Agreement.load(settings.agreement)
        keys, made = _keys(settings, clock)
        if made is not None:
            print(f"API key (shown once): {made}", file=sys.stderr, flush=True)  # noqa: T201
        with Ledger.open(settings.store, clock=clock) as ledger, Scorebook(ledger, clock) as book, _refresher(settings):
            declared = catalogue(agreement)
            champions = Champions(BundleCache(settings.cache), agreement, declared)
            await asyncio.to_thread(champions.refresh)
            watching = asyncio.create_task(champions.watch(settings.watch_seconds))
            service = ScoreService(
                ledger, Scoring(agreement, declared), champions, book, clock, settings.cached_accounts
            )
            # Beside the first requests, not before them: it takes about as long as the whole start.
            warming = asyncio.create_task(asyncio.to_thread(_warm, service))
            try:
                with (
                    _boards(settings, ledger, champions, clock) as boards,
                    _attributions(settings, agreement, ledger) as attributions,
                ):
                    yield State(
                        settings=settings,
                        keys=keys,
                        champions=champions,
                        intake=Intake(ledger, RowParser(agreement, ledger.email_key())),
                        scores=service,
                        profiles=Profiles(ledger),
                        attributed=AccountAttribution(ledger, agreement, clock),
                        attributions=attributions,
                        site=Site(
                            agreement, ledger, service, champions, boards, attributions, _sessions(settings, clock)
                        ),
                    )
            finally:
                await warming
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching

    return lifespan


def _warm(service: ScoreService) -> None:
    try:
        service.warm()
        warm()
    except SmarketingError as error:
        # Whatever is wrong is told to the first request that meets it.
        logging.getLogger("smarketing.serving").warning("The first answers will be slow: %s", error)


def _refresher(settings: Settings) -> AbstractContextManager[object]:
    if not settings.refresh:
        return nullcontext()
    return Refresher(["--store", settings.store, "--cache", str(settings.cache)])


def _boards(settings: Settings, ledger: Ledger, champions: Champions, clock: Callable[[], int]) -> Boards:
    command = score_all_command(settings.store, settings.agreement, settings.cache)
    folder = settings.cache / "boards"
    return Boards(folder, command, champions, lambda: ledger.head().ledger_seq, clock, settings.board_seconds)


def _attributions(settings: Settings, agreement: Agreement, ledger: Ledger) -> Attributions:
    command = attribute_command(settings.store, settings.agreement)
    folder = settings.cache / "attributions"
    return Attributions(agreement, folder, command, lambda: ledger.head().ledger_seq, settings.attribution_seconds)


def _sessions(settings: Settings, clock: Callable[[], int]) -> Sessions:
    return Sessions(clock, None if settings.ticket is None else settings.ticket.get_secret_value())
