"""`smarketing train`: from the ledger to a registered, verified version, and to a champion where there was none."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.console import Console, ExitCode, spare_threads
from features.errors import NotEnoughDataError
from training.commands.options import CacheOption, ConfigOption, SeedOption, SettingsOption, teller

if TYPE_CHECKING:
    from features.agreement import Agreement
    from training.delivery import Delivered

ALL = "all"
_STEPS = 8


def train(
    ctx: typer.Context,
    goal: Annotated[
        str | None,
        typer.Option(help="Goal to train, or 'all' of the agreement; its default goal unless given."),
    ] = None,
    config: ConfigOption = None,
    settings: SettingsOption = None,
    seed: SeedOption = 0,
    promote: Annotated[
        bool, typer.Option("--promote", help="Make it the champion if the gates let it; exit code 4 if they do not.")
    ] = False,
    cache: CacheOption = None,
) -> None:
    """Train a goal's model, compare the ladder of models, and register the best one."""
    spare_threads()

    from features.ledger import Ledger
    from models.bundle_cache import BundleCache
    from training.config import load_config
    from training.delivery import deliver
    from training.registry import Registry
    from training.run import train_on

    console = Console.of(ctx)
    agreement, first = load_config(
        console.agreement_path,
        training=config,
        settings=settings or (),
        goal=None if goal == ALL else goal,
        seed=seed,
    )
    agreed = console.agreement()
    goals = list(agreement.goals) if goal == ALL else [first.goal.name]
    # The runs of all goals are parts of the one that `mlflow run` has opened.
    parent = os.environ.pop("MLFLOW_RUN_ID", "") if goal == ALL else ""
    registry = Registry.beside(console.store)
    registry.check()
    done: dict[str, Delivered] = {}
    skipped: dict[str, str] = {}
    with (
        console.progress(f"Training {', '.join(goals)}", _STEPS * len(goals)) as advance,
        ThreadPoolExecutor() as beside,
    ):
        say = teller(console, advance)
        say("reading the ledger")
        with Ledger.open(console.store, must_exist=True) as ledger:
            tables = ledger.tables()
        kept = BundleCache(cache or console.cache)
        # Importing MLflow takes seconds in which LightGBM leaves Python alone.
        opening = beside.submit(registry.prepare)
        for name in goals:
            told = load_config(console.agreement_path, training=config, settings=settings or (), goal=name, seed=seed)[
                1
            ]
            try:
                trained = train_on(tables, agreement, told, say=say)
            except NotEnoughDataError as error:
                if goal != ALL:
                    raise
                skipped[name] = str(error)
                console.say(f"{name} is skipped: {error}")
                continue
            opening.result()
            done[name] = deliver(trained, tables, agreed, registry, kept, promoting=promote, parent=parent, say=say)
    if goal == ALL:
        _emit_all(console, agreement, done, skipped)
    else:
        (one,) = done.values()
        console.emit(one.document(), f"{one.trained.report.text()}\n{one.text()}")
    console.say(f"Next: smarketing serve, or mlflow ui --backend-store-uri {registry.shown} for the record of the run.")
    if not done:
        raise typer.Exit(ExitCode.FAILURE)
    if any(one.verdict is not None and not one.promoted for one in done.values()):
        raise typer.Exit(ExitCode.GATE_REFUSED)


def _emit_all(console: Console, agreement: Agreement, done: dict[str, Delivered], skipped: dict[str, str]) -> None:
    from training.chain_report import chain_checks, chain_text

    chains = chain_checks({name: one.trained for name, one in done.items()}, agreement, console.say)
    goals: dict[str, Any] = {name: one.document() for name, one in done.items()}
    text = [f"{one.trained.report.text()}\n{one.text()}\n" for one in done.values()]
    text += [chain_text(name, check) for name, check in chains.items()]
    text += [one.line() for one in done.values()]
    text += [f"{name}: skipped. {why}" for name, why in skipped.items()]
    text.append(f"{len(done)} of {len(done) + len(skipped)} goals trained.")
    checks = {name: _finite(asdict(check)) for name, check in chains.items()}
    console.emit({"goals": goals, "skipped": skipped, "chains": checks}, "\n".join(text))


def _finite(document: dict[str, Any]) -> dict[str, Any]:
    # JSON knows no NaN; a rank correlation with a constant is one.
    return {name: None if value != value else value for name, value in document.items()}
