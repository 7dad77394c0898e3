"""`smarketing doctor`: is anything wrong, and how is it mended? Each check has an option of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.console import Console, ExitCode

if TYPE_CHECKING:
    from training.leaks import Column

_SHOWN = 15


def doctor(
    ctx: typer.Context,
    data: Annotated[
        bool, typer.Option("--data", help="Look for columns that know more than they can have known.")
    ] = False,
    goal: Annotated[
        str | None, typer.Option(help="Goal whose data are checked; the agreement's default goal unless given.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Training file: [snapshots], [split], [data], [lightgbm].")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="One setting over all files; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> None:
    """Examine what a goal learns from, and say how to mend what is suspicious; exit code 5 when something is."""
    if not data:
        raise typer.BadParameter("choose what to check: --data.", param_hint="--data")
    console = Console.of(ctx)
    columns = _columns(console, goal, config, settings or [], seed)
    findings = [finding for column in columns for finding in column.findings()]
    if console.as_json:
        console.emit({"data": [column.document() for column in columns], "findings": findings}, "")
    else:
        console.emit_rows(
            [_row(column) for column in columns[:_SHOWN]],
            columns=("column", "auc", "random", "jump", "factor", "flags"),
        )
        for finding in findings:
            console.emit(None, finding)
    console.say(f"{len(columns)} columns, {sum(column.is_suspicious for column in columns)} suspicious.")
    if findings:
        raise typer.Exit(ExitCode.DEGRADED)


def _columns(console: Console, goal: str | None, config: Path | None, settings: list[str], seed: int) -> list[Column]:
    from features.ledger import Ledger
    from training.config import load_config
    from training.dataset import build_dataset
    from training.leaks import judge_columns, with_raw_attributes

    agreement, told = load_config(console.agreement_path, training=config, settings=settings, goal=goal, seed=seed)
    with Ledger.open(console.store, must_exist=True) as ledger:
        tables = ledger.tables()
    dataset = build_dataset(
        tables, with_raw_attributes(agreement, tables), told, say=lambda message: console.say(f"{message} ...")
    )
    return judge_columns(dataset, seed=seed)


def _row(column: Column) -> dict[str, object]:
    return {
        "column": column.name,
        "auc": f"{column.auc:.3f}",
        "random": f"{column.random_auc:.3f}",
        "jump": f"{column.jump:+.3f}",
        "factor": f"{column.factor:.1f}",
        "flags": " ".join(column.flags),
    }
