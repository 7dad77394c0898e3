"""`smarketing serve`: the HTTP service."""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from features.console import Console
from features.errors import AgreementError, StoreError


def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    cache: Annotated[
        Path | None,
        typer.Option(envvar="SMARKETING_CACHE", help="Folder of the models; beside the store unless given."),
    ] = None,
    refresh: Annotated[
        bool, typer.Option(help="Keep that folder filled from the registry, in a child process.")
    ] = True,
) -> None:
    """Take touches and answer with scores over HTTP, until interrupted. Starts from its folder of models alone."""
    # One row at a time gains nothing from threads inside LightGBM, and two cores lose by them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.meta_path.insert(0, _Absent("pandas", "sklearn"))
    sys.modules.setdefault("scipy.sparse", _SparseLater("scipy.sparse"))

    import secrets

    import uvicorn
    from pydantic import SecretStr, ValidationError

    from serving.app import check, create_app
    from serving.settings import Settings

    console = Console.of(ctx)
    # Who reads what this terminal says may read the pages; beyond this machine a key is asked for.
    ticket = secrets.token_urlsafe(18) if host in _LOOPBACK else None
    try:
        settings = Settings(
            store=console.store,
            agreement=console.agreement_path,
            cache=cache or console.cache,
            refresh=refresh,
            ticket=None if ticket is None else SecretStr(ticket),
        )
    except ValidationError as error:
        # Its name and what is allowed, never its value: it may be the key.
        wrong = error.errors(include_input=False)[0]
        name = "_".join(str(part) for part in wrong["loc"]).upper().removeprefix("SMARKETING_")
        raise AgreementError(f"`SMARKETING_{name}` can not be used: {wrong['msg']}.", hint="See docs/api.md.") from None
    check(settings)

    class Announced(uvicorn.Server):
        """A server that says where it listens once it does."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                bound = self.servers[0].sockets[0].getsockname()[1]
                address = f"http://{host}:{bound}"
                console.say(f"Listening on {address}, documentation at {address}/docs")
                opened = "/accounts" if ticket is None else f"/sign-in?ticket={ticket} (signed in; once)"
                console.say(f"Pages for people: {address}{opened}")

    server = Announced(
        uvicorn.Config(
            create_app(settings), host=host, port=port, access_log=False, log_config=_LOGGING, server_header=False
        )
    )
    # uvicorn raises the first again after an orderly end, and leaves with the second when it can not start.
    with contextlib.suppress(KeyboardInterrupt, SystemExit):
        server.run()
    if not server.started:
        raise StoreError(
            f"The service did not start on {host}:{port}; the reason stands above.",
            hint="name another port with --port; 0 takes a free one.",
        )


_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class _Absent(MetaPathFinder):
    """Makes packages look as if they were not installed.

    Arrow and LightGBM import pandas and scikit-learn where they are, for conversions that the service never makes:
    seconds of its start, and a hundred megabytes.
    """

    def __init__(self, *names: str) -> None:
        self._names = frozenset(names)

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse the packages; None leaves every other module to the finders that follow."""
        if fullname in self._names:
            raise ModuleNotFoundError(f"{fullname} is kept out of the service.", name=fullname)


class _SparseLater(ModuleType):
    """Stands for ``scipy.sparse`` until something of it is wanted.

    LightGBM imports it, half a second of the service's start, to recognise matrices that the service never makes: of
    these types there is no instance. Any other name loads the package itself.
    """

    spmatrix = type("spmatrix", (), {})
    csr_matrix = type("csr_matrix", (), {})
    csc_matrix = type("csc_matrix", (), {})

    def __getattr__(self, name: str) -> object:
        """Return what the package itself has under a name."""
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "loggers": {
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "smarketing": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}
