"""`smarketing train`: from the ledger to a registered, verified champion."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.console import Console

if TYPE_CHECKING:
    from training.registry import Registered, Registry
    from training.run import Trained

_STEPS = 7


def train(
    ctx: typer.Context,
    goal: Annotated[str | None, typer.Option(help="Goal to train; the agreement's default goal unless given.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Training file: [snapshots], [split], [data], [lightgbm].")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="One setting over all files; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    cache: Annotated[
        Path | None,
        typer.Option(envvar="SMARKETING_CACHE", help="Folder of the models; beside the store unless given."),
    ] = None,
) -> None:
    """Train a goal's model, compare the ladder of models, and make the best one the champion."""
    console = Console.of(ctx)
    from features.ledger import Ledger
    from models.bundle import BundleCache
    from training.config import load_config
    from training.registry import Registry
    from training.run import train_on

    agreement, told = load_config(
        console.agreement_path, training=config, settings=settings or (), goal=goal, seed=seed
    )
    registry = Registry.beside(console.store)
    registry.check()
    with console.progress(f"Training {told.goal.name}", _STEPS) as advance:
        say = _teller(console, advance)
        say("reading the ledger")
        with Ledger.open(console.store) as ledger:
            tables = ledger.tables()
        trained = train_on(tables, agreement, told, say=say)
        say("checking the bundle in a process of its own")
        kept = BundleCache(cache or console.cache)
        registered = _publish(trained, told.flat(), registry, kept, say)
    result = trained.report.document() | {
        "model": registered.model,
        "version": f"{registered.version}.0",
        "run_id": registered.run_id,
        "bundle": registered.digest,
    }
    console.emit(result, f"{trained.report.text()}\n{_next(registered)}")


def _publish(
    trained: Trained, params: dict[str, Any], registry: Registry, cache: Any, say: Callable[[str], None]
) -> Registered:
    from concurrent.futures import ThreadPoolExecutor

    from features.ledger import now_micros
    from training.record import record_of

    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(1) as beside:
        folder = Path(scratch, "bundle")
        trained.save(folder, trained_at=now_micros())
        # The check runs in a child process: meanwhile this one imports MLflow.
        checking = beside.submit(cache.put, folder)
        record = record_of(trained, params)
        registry.prepare()
        digest = checking.result()
        say("writing to the registry")
        registered = registry.publish(record, folder, digest)
    cache.switch(registered.goal, digest, f"{registered.version}.0")
    return registered


def _teller(console: Console, advance: Callable[[int], None]) -> Callable[[str], None]:
    def say(message: str) -> None:
        advance(1)
        if not sys.stderr.isatty():
            console.say(f"{message} ...")

    return say


def _next(registered: Registered) -> str:
    return (
        f"Version {registered.version}.0 of {registered.model} is the champion.\n"
        "Next: smarketing serve, or mlflow ui for the record of the run."
    )
