"""`smarketing simulate`: a market with known truth, as files that `smarketing ingest` reads."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from features.commands.moments import parse_moment
from features.console import Console
from features.errors import UnknownError, nearest


def simulate(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder to write; files of the same names are replaced.")],
    accounts: Annotated[int | None, typer.Option(min=1, help="Number of accounts; default: the preset's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and --until, same bytes.")] = 1,
    until: Annotated[
        str | None, typer.Option(help="Where the history ends, a date or time in UTC; default: today 00:00 UTC.")
    ] = None,
    months: Annotated[int | None, typer.Option(min=1, help="Length of the history; default: the preset's.")] = None,
    touches: Annotated[float, typer.Option(min=0.0, help="Factor on how often anything is touched.")] = 1.0,
    preset: Annotated[str, typer.Option(help="Kind of market: demo, reference.")] = "demo",
    confounding: Annotated[
        float | None, typer.Option(help="How much exposure follows hidden intent; default: the preset's.")
    ] = None,
    truth_every: Annotated[
        int, typer.Option(min=0, help="Days between midnights with true probabilities, in the last year; 0 for none.")
    ] = 0,
    truth_draws: Annotated[int, typer.Option(min=2, help="Futures lived at each of them.")] = 16,
    lever_draws: Annotated[
        int, typer.Option(min=0, help="Histories lived with and without each lever, for its true effect; 0 for none.")
    ] = 0,
) -> None:
    """Simulate a market whose truth is known: the contract's tables, and the truth beside them."""
    end = _today() if until is None else parse_moment(until, "--until")
    from dataclasses import replace

    from features.synthetic import PRESETS, Rollouts, work, write
    from features.synthetic import simulate as live

    if preset not in PRESETS:
        raise UnknownError(
            f"There is no preset {preset!r}.{nearest(preset, PRESETS)} Presets: {', '.join(PRESETS)}.",
            hint="smarketing simulate --preset demo --out DIR",
        )
    market = PRESETS[preset]
    market = replace(
        market,
        accounts=accounts or market.accounts,
        months=months or market.months,
        touches=market.touches * touches,
        confounding=market.confounding if confounding is None else confounding,
    )
    console = Console.of(ctx)
    rollouts = Rollouts(tuple(console.agreement().goals.values()), truth_every, truth_draws) if truth_every else None
    with console.progress("Simulating", work(market, end, rollouts=rollouts, lever_draws=lever_draws)) as advance:
        simulation = live(market, seed, end, rollouts=rollouts, lever_draws=lever_draws, advance=advance)
    write(simulation, out)
    rows = {name: table.num_rows for name, table in simulation.tables.items()}
    counted = "\n".join(f"{name:15}{count:>10,}" for name, count in rows.items())
    ended = datetime.fromtimestamp(end // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    console.emit(
        {"out": str(out), "seed": seed, "until": ended, "rows": rows},
        f"{counted}\nWrote {out}: {market.months} months until {ended}, seed {seed}. The truth is in {out / 'truth'}.",
    )
    console.say(f"Next: smarketing ingest {out}")


def _today() -> int:
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(now.timestamp()) * 1_000_000
