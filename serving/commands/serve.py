"""`smarketing serve`: the HTTP service."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Annotated

import typer

from features.console import Console
from features.errors import StoreError


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

    import uvicorn

    from serving.app import check, create_app
    from serving.settings import Settings

    console = Console.of(ctx)
    settings = Settings(
        store=console.store,
        agreement=console.agreement_path,
        cache=cache or console.cache,
        refresh=refresh,
    )
    check(settings)

    class Announced(uvicorn.Server):
        """A server that says where it listens once it does."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                bound = self.servers[0].sockets[0].getsockname()[1]
                console.say(f"Listening on http://{host}:{bound}, documentation at http://{host}:{bound}/docs")

    server = Announced(
        uvicorn.Config(
            create_app(settings), host=host, port=port, access_log=False, log_config=_LOGGING, server_header=False
        )
    )
    # uvicorn raises it again after an orderly end.
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise StoreError("The service did not start; the reason stands above.")


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
