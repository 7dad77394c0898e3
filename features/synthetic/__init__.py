"""Markets with known truth: what a company selling to companies could have in its books, and what is behind it.

`simulate` turns a `Market` and a seed into the tables of the contract and the truth beside them; `write` puts both into
a folder that `smarketing ingest` reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import FileError
from features.schema import DAY
from features.synthetic.book_rows import book_rows
from features.synthetic.counterfactual import lever_effects
from features.synthetic.dynamics import unfold
from features.synthetic.entities import entities, intent_reports
from features.synthetic.market import OFFERS, Market
from features.synthetic.population import populate
from features.synthetic.presets import PRESETS
from features.synthetic.rollouts import Rollouts, Seer, squared_distances
from features.synthetic.sales_rows import sales_rows
from features.synthetic.touch_rows import gather, touch_rows
from features.synthetic.truth import truth_tables

__all__ = ["PRESETS", "Market", "Rollouts", "Simulation", "days", "simulate", "squared_distances", "work", "write"]

_DAYS_A_MONTH = 365.25 / 12


@dataclass(frozen=True)
class Simulation:
    """A simulated market.

    Parameters
    ----------
    market : Market
    seed : int
    until : int
        End of the history in microseconds; nothing happens or becomes known at it or later.
    tables : mapping of str to pyarrow.Table
        Tables of the contract by name: what senders give, `revision`, `known_at` and, for touchpoints, `deleted`. Facts
        are in the order in which they became known. A missing revision (`touch_links`) is for the ledger to number.
    truth : mapping of str to pyarrow.Table
        What is hidden: `effects`, `steps`, `accounts` and `traces` (`features.synthetic.truth`); where they were asked
        for, `probabilities` (`features.synthetic.rollouts`) and `lever_effects` (`features.synthetic.counterfactual`).
    """

    market: Market
    seed: int
    until: int
    tables: Mapping[str, pa.Table]
    truth: Mapping[str, pa.Table]


def simulate(
    market: Market,
    seed: int,
    until: int,
    *,
    rollouts: Rollouts | None = None,
    lever_draws: int = 0,
    advance: Callable[[int], None] = lambda days: None,
) -> Simulation:
    """Let a market live and return its books and its truth.

    Parameters
    ----------
    market : Market
    seed : int
        The same market, seed and `until` give the same rows, to the bit, whatever more truth is asked for.
    until : int
        Exclusive end of the history, in microseconds since the epoch.
    rollouts : Rollouts, optional
        The true probabilities to find out: `probabilities` of the truth.
    lever_draws : int, default=0
        Histories lived with and without every lever: `lever_effects` of the truth, unless it is 0.
    advance : callable, optional
        Called with 1 after every piece of work of `work`, for a progress bar.

    Returns
    -------
    Simulation
    """
    start = until // DAY * DAY - days(market) * DAY
    who, life, rows, told, futures, otherwise = np.random.SeedSequence(seed).spawn(6)
    people = populate(market, start, until, np.random.default_rng(who))
    seer = None if rollouts is None else Seer(rollouts, futures, start, until, advance)
    history = unfold(market, people, life, advance, *([] if seer is None else [seer]))
    rng = np.random.default_rng(rows)
    interest = rng.integers(0, len(OFFERS), people.size)
    sales = sales_rows(people, history.passages, interest, rng)
    touches = gather(market, history.touches, sales.touches)
    reports = [intent_reports(market, people, history.signals, np.random.default_rng(told))] if market.proxy else []
    tables = (
        entities(people, rng, reports)
        | touch_rows(market, people, touches, interest, rng)
        | sales.tables
        | book_rows(market, people, history.touches, rng)
    )
    truth = truth_tables(market, people, history.traces)
    if seer is not None:
        truth["probabilities"] = seer.table()
    if lever_draws:
        truth["lever_effects"] = lever_effects(market, people, life, otherwise, lever_draws, advance)
    return Simulation(market, seed, until, tables, truth)


def work(market: Market, until: int, *, rollouts: Rollouts | None = None, lever_draws: int = 0) -> int:
    """Return how often `simulate` calls `advance`: days, midnights with futures, and histories with a lever less."""
    start = until // DAY * DAY - days(market) * DAY
    midnights = 0 if rollouts is None else len(rollouts.moments(start, until))
    levers = sum(process.role == "lever" for process in market.processes)
    return -((start - until) // DAY) + midnights + lever_draws * (levers + 1)


def days(market: Market) -> int:
    """Return the length of a market's history in whole days."""
    return round(market.months * _DAYS_A_MONTH)


def write(simulation: Simulation, folder: Path) -> None:
    """Write a simulated market: one Parquet file per table, and its truth in the folder `truth` beside them.

    Parameters
    ----------
    simulation : Simulation
    folder : Path
        Made if it is not there; files of the same names are replaced.

    Raises
    ------
    FileError
        When the folder can not be written.
    """
    try:
        (folder / "truth").mkdir(parents=True, exist_ok=True)
        for name, table in simulation.tables.items():
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
        for name, table in simulation.truth.items():
            pq.write_table(table, folder / "truth" / f"{name}.parquet", compression="zstd")
        (folder / "truth" / "market.json").write_text(_described(simulation), encoding="utf-8")
    except OSError as error:
        raise FileError(f"{str(folder)!r} can not be written: {error.strerror or error}.") from error


def _described(simulation: Simulation) -> str:
    # The processes and steps are tables of the truth; here are the dials.
    dials = {name: value for name, value in vars(simulation.market).items() if isinstance(value, int | float | str)}
    return json.dumps({"seed": simulation.seed, "until": simulation.until, "market": dials}, indent=2) + "\n"
