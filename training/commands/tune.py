"""`smarketing tune`: better parameters of the boosted rung, found within a budget of time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.console import Console, spare_threads
from training.commands.options import ConfigOption, GoalOption, SeedOption, SettingsOption, teller


def tune(
    ctx: typer.Context,
    goal: GoalOption = None,
    minutes: Annotated[float, typer.Option(help="Time to search; features are computed before.", min=0.01)] = 10.0,
    out: Annotated[Path, typer.Option(help="Training file to write.")] = Path("tuned.toml"),
    config: ConfigOption = None,
    settings: SettingsOption = None,
    seed: SeedOption = 0,
) -> None:
    """Search for better parameters inside the training time, and write them as a training file."""
    spare_threads()

    from features.ledger import Ledger
    from training.config import load_config
    from training.dataset import build_dataset
    from training.registry import Registry
    from training.tuning import tune as search
    from training.tuning_record import records_of

    console = Console.of(ctx)
    agreement, told = load_config(
        console.agreement_path, training=config, settings=settings or (), goal=goal, seed=seed
    )
    if out.exists():
        raise typer.BadParameter(f"{out} exists already; name another file.", param_hint="--out")
    registry = Registry.beside(console.store)
    registry.check()
    with console.progress(f"Tuning {told.goal.name}") as advance:
        say = teller(console, advance)
        say("reading the ledger")
        with Ledger.open(console.store, must_exist=True) as ledger:
            tables = ledger.tables()
        data = build_dataset(tables, agreement, told, say=say)
        say(f"searching for {minutes:g} minutes")
        tuned = search(data, told, minutes=minutes, say=say)
        out.write_text(tuned.toml(), encoding="utf-8")
        say("writing to the registry")
        run_id = registry.record(records_of(tuned, told))[0]
    whole = sum(trial.log_loss is not None for trial in tuned.trials)
    text = "\n".join(
        [
            f"{len(tuned.trials)} trials, {len(tuned.trials) - whole} of them given up early; folds {tuned.folds}.",
            *(f"  {name} = {value:g}" for name, value in tuned.params.items()),
            tuned.verdict,
            f"Written to {out}: {'the tuned parameters' if tuned.is_better else 'the parameters in use'}.",
        ]
    )
    improvement = {"value": tuned.improvement.value, "low": tuned.improvement.low, "high": tuned.improvement.high}
    document = {
        "goal": told.goal.name,
        "params": tuned.params,
        "is_better": tuned.is_better,
        "trials": len(tuned.trials),
        "given_up": len(tuned.trials) - whole,
        "folds": tuned.folds,
        "improvement": improvement,
        "out": str(out),
        "run_id": run_id,
    }
    console.emit(document, text)
    if tuned.is_better:
        again = "" if config is None and not settings else ", with [snapshots], [split] and [data] as --set"
        console.say(f"Next: smarketing train --goal {told.goal.name} --config {out}{again}")
    else:
        console.say("Next: nothing, train as before; or search on for more --minutes, into another --out.")
