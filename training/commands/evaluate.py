"""`smarketing evaluate`: a registered model on what the ledger has learnt since its training."""

from __future__ import annotations

from typing import Annotated

import typer

from features.console import Console, spare_threads
from training.commands.options import (
    CacheOption,
    ConfigOption,
    GoalOption,
    SeedOption,
    SettingsOption,
    teller,
)


def evaluate(
    ctx: typer.Context,
    goal: GoalOption = None,
    version: Annotated[str, typer.Option(help="Number of a version, or an alias.")] = "champion",
    config: ConfigOption = None,
    settings: SettingsOption = None,
    seed: SeedOption = 0,
    cache: CacheOption = None,
) -> None:
    """Measure a registered model on the snapshots that are new to it, and record the report as a run."""
    spare_threads()

    from features.ledger import Ledger
    from models.bundle_cache import BundleCache
    from training.config import load_config
    from training.evaluation_record import evaluate as measure
    from training.evaluation_record import evaluation_record
    from training.holdout import build_holdout
    from training.promotion import bring
    from training.registry import Registry

    console = Console.of(ctx)
    agreement, told = load_config(
        console.agreement_path, training=config, settings=settings or (), goal=goal, seed=seed
    )
    registry = Registry.beside(console.store)
    registry.check()
    with console.progress(f"Evaluating {told.goal.name}") as advance:
        say = teller(console, advance)
        say("reading the ledger")
        with Ledger.open(console.store, must_exist=True) as ledger:
            tables = ledger.tables()
        say("fetching the bundle")
        registered = registry.find(told.goal.name, version).registered
        bundle = bring(registry, BundleCache(cache or console.cache), registered)
        holdout = build_holdout(tables, agreement, told, [bundle], say=say)
        say(f"measuring on {holdout.counts.test:,} snapshots")
        report = measure(bundle, holdout, agreement, told)
        say("writing to the registry")
        run_id = registry.record([evaluation_record(report, bundle, holdout, registered, told)])[0]
    console.emit(
        report.document() | {"model": registered.model, "version": registered.shown, "run_id": run_id},
        f"{report.text()}\nVersion {registered.shown} of {registered.model}; run {run_id}.",
    )
