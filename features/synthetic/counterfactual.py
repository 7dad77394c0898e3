"""The true effect of a lever: what is won with it, less what is won when none of its touches happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.schema import DAY
from features.synthetic.dynamics import Life
from features.synthetic.history import WON, Log
from features.synthetic.market import Market
from features.synthetic.population import Population
from features.synthetic.progress import NEW
from features.synthetic.sales_rows import expected_amounts

Floats = npt.NDArray[np.float64]


def lever_effects(
    market: Market,
    people: Population,
    lived: np.random.SeedSequence,
    seeds: np.random.SeedSequence,
    draws: int,
    advance: Callable[[int], None],
) -> pa.Table:
    """Return what every lever brought over the whole history, directly and by all that it set off.

    A market lives `draws` times as it is, and as often without each lever, by the same random numbers: what differs is
    due to the lever, but for follow-ups, which draw their numbers one after the other and add noise.

    Parameters
    ----------
    market : Market
    people : Population
    lived : numpy.random.SeedSequence
        That of the market's own history, whose campaigns are kept.
    seeds : numpy.random.SeedSequence
        Of everything else.
    draws : int
    advance : callable
        Called with 1 after every history that was lived.

    Returns
    -------
    pyarrow.Table
        A row per lever: `process`, `channel`, `effect` (log-odds per unit of adstock), then means over the draws of
        `touches` (its own), `wins` (won cycles of any kind), `revenue` (expected amounts of these, in euros) and
        `new_wins` (won first purchases) that it brought, each of the latter three with its standard error, accounts
        being independent; `draws`.
    """
    waves = Life(market, people, _again(lived)).touching.waves
    levers = [process for process in market.processes if process.role == "lever"]
    brought = {process.name: np.zeros((3, people.size)) for process in levers}
    touches = dict.fromkeys(brought, 0.0)
    for draw in seeds.spawn(draws):
        won, seen = _lived(market, people, draw, waves)
        advance(1)
        for process in levers:
            without, _ = _lived(_without(market, process.name), people, draw, waves)
            brought[process.name] += (won - without) / draws
            touches[process.name] += float((seen == market.processes.index(process)).sum()) / draws
            advance(1)
    errors = {name: np.sqrt(people.size) * each.std(axis=1) for name, each in brought.items()}
    return pa.table(
        {
            "process": [process.name for process in levers],
            "channel": [process.channel for process in levers],
            "effect": [float(process.effect) for process in levers],
            "touches": [touches[process.name] for process in levers],
            "wins": [float(brought[process.name][0].sum()) for process in levers],
            "wins_error": [float(errors[process.name][0]) for process in levers],
            "revenue": [float(brought[process.name][1].sum()) for process in levers],
            "revenue_error": [float(errors[process.name][1]) for process in levers],
            "new_wins": [float(brought[process.name][2].sum()) for process in levers],
            "new_wins_error": [float(errors[process.name][2]) for process in levers],
            "draws": [draws] * len(levers),
        }
    )


def _lived(
    market: Market, people: Population, seeds: np.random.SeedSequence, waves: Floats
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return wins, their expected revenue and new wins of every account, of shape (3, n), and each touch's process."""
    life, touches, passages = Life(market, people, _again(seeds), waves), Log("touches"), Log("passages")
    for _ in range((people.until - people.start) // DAY):
        life.advance(touches, passages)
    seen = passages.columns()
    won = seen["to"] == WON
    account, kind = seen["account"][won], seen["kind"][won]
    amount = expected_amounts(people, account, kind)
    weights = np.ones(len(account)), amount, kind == NEW
    totals = np.stack([np.bincount(account, weight, people.size).astype(np.float64) for weight in weights])
    return totals, touches.columns()["process"]


def _without(market: Market, name: str) -> Market:
    # Rules and processes stay in their places, so that all others keep their random numbers.
    return replace(
        market,
        processes=tuple(
            replace(
                process,
                yearly=0.0 if process.name == name else process.yearly,
                excites={child: extra for child, extra in process.excites.items() if child != name},
            )
            for process in market.processes
        ),
        follow_ups=tuple(replace(rule, chance=0.0) if rule.process == name else rule for rule in market.follow_ups),
    )


def _again(seeds: np.random.SeedSequence) -> np.random.SeedSequence:
    """Return the same seeds as if nothing had been spawned from them."""
    return np.random.SeedSequence(seeds.entropy, spawn_key=seeds.spawn_key)
