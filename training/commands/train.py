"""`smarketing train`: from the ledger to a registered, verified champion."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from features.console import Console

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
    # The matrices are small: threads that spin while they wait for one another cost more than they give. Both are read
    # when numpy and LightGBM are first imported, so they stand here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from features.ledger import Ledger, now_micros
    from models.bundle_cache import BundleCache
    from training.config import load_config
    from training.dataset import build_dataset
    from training.record import record_of
    from training.registry import Registry
    from training.run import train_on

    console = Console.of(ctx)
    agreement, told = load_config(
        console.agreement_path, training=config, settings=settings or (), goal=goal, seed=seed
    )
    registry = Registry.beside(console.store)
    registry.check()
    with console.progress(f"Training {told.goal.name}", _STEPS) as advance, ThreadPoolExecutor() as beside:
        say = _teller(console, advance)
        say("reading the ledger")
        with Ledger.open(console.store, must_exist=True) as ledger:
            tables = ledger.tables()
        data = build_dataset(tables, agreement, told, say=say)
        # Importing MLflow takes seconds in which LightGBM leaves Python alone.
        opening = beside.submit(registry.prepare)
        trained = train_on(data, agreement, told, say=say)
        say("checking the bundle in a process of its own")
        with tempfile.TemporaryDirectory() as scratch:
            folder, kept = Path(scratch, "bundle"), BundleCache(cache or console.cache)
            trained.save(folder, trained_at=now_micros())
            checking = beside.submit(kept.put, folder)
            record = record_of(trained, told.flat())
            digest = checking.result()
            opening.result()
            say("writing to the registry")
            registered = registry.publish(record, folder, digest)
        version = f"{registered.version}.0"
        kept.switch(registered.goal, digest, version)
    named = {"model": registered.model, "version": version, "run_id": registered.run_id, "bundle": digest}
    console.emit(
        trained.report.document() | named,
        f"{trained.report.text()}\nVersion {version} of {registered.model} is the champion.",
    )
    console.say(f"Next: smarketing serve, or mlflow ui --backend-store-uri {registry.shown} for the record of the run.")


def _teller(console: Console, advance: Callable[[int], None]) -> Callable[[str], None]:
    def say(message: str) -> None:
        advance(1)
        if not sys.stderr.isatty():
            console.say(f"{message} ...")

    return say
