"""`smarketing serve`: the HTTP service."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from features.console import Console


def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    cache: Annotated[
        Path | None,
        typer.Option(envvar="SMARKETING_CACHE", help="Folder of the models; beside the store unless given."),
    ] = None,
    refresh: Annotated[bool, typer.Option(help="Keep the cache filled from the registry, in a child process.")] = True,
) -> None:
    """Serve scores and take touches over HTTP, until interrupted. Needs no registry: it starts from its cache."""
    import os

    # One row at a time gains nothing from threads inside LightGBM, and two cores lose by them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    import uvicorn

    from serving.app import create_app
    from serving.refresher import Refresher
    from serving.settings import Settings

    console = Console.of(ctx)
    settings = Settings(store=console.store, agreement=console.agreement_path, cache=cache or console.cache)
    config = uvicorn.Config(
        create_app(settings), host=host, port=port, access_log=False, log_config=_LOGGING, server_header=False
    )
    arguments = ["--store", settings.store, "--cache", str(settings.cache)]
    console.say(f"Listening on http://{host}:{port}, documentation at http://{host}:{port}/docs")
    with Refresher(arguments) if refresh else nullcontext():
        uvicorn.Server(config).run()


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
