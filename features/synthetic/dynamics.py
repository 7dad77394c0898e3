"""How a market moves: one step per day over all accounts at once.

On day d a cycle takes its next step with log-odds ``logit + slope * index``, where the index is fit + intent +
shape(adstock, effects) at 00:00 of that day, so that nothing of the day itself matters. The adstock of a process is the
sum over its touches of ``2 ** (-age / half_life)``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from features.schema import DAY
from features.synthetic.history import History, Log
from features.synthetic.market import Market
from features.synthetic.population import Floats, Population
from features.synthetic.progress import Progress
from features.synthetic.response import SHAPES
from features.synthetic.touching import Touching

TRACE_EVERY_DAYS = 28
"""Distance of the moments at which the hidden state is written down, counted back from the end."""


def unfold(
    market: Market, people: Population, seeds: np.random.SeedSequence, advance: Callable[[int], None]
) -> History:
    """Let a market live from `people.start` until the end of the day of `people.until`.

    Parameters
    ----------
    market : Market
    people : Population
    seeds : numpy.random.SeedSequence
    advance : callable
        Called with 1 after every day.

    Returns
    -------
    History
    """
    touched, moved, stirred = seeds.spawn(3)
    touching, progress = Touching(market, people, touched), Progress(market, people, moved)
    drifts = np.random.default_rng(stirred)
    effects = np.array([process.effect for process in market.processes], dtype=np.float32)
    shape = SHAPES[market.shape]
    keep = np.float32(2.0 ** (-1 / market.intent_half_life_days))
    stir = np.float32(market.intent_drift * np.sqrt(1 - float(keep) ** 2))
    drift: Floats = drifts.standard_normal(people.size, dtype=np.float32) * np.float32(market.intent_drift)

    touches, passages, traces = Log("touches"), Log("passages"), Log("traces")
    days = -((people.start - people.until) // DAY)
    last_midnight = (people.until - people.start) // DAY
    everybody = np.arange(people.size)
    for day in range(days + 1):
        drift = keep * drift + stir * drifts.standard_normal(people.size, dtype=np.float32)
        intent = people.intent + drift
        levers = shape(touching.adstock, effects)
        index = people.fit + intent + levers
        if day <= last_midnight and (last_midnight - day) % TRACE_EVERY_DAYS == 0:
            traces.add(
                account=everybody, at=people.start + day * DAY, intent=intent, levers=levers, index=index,
                kind=progress.kind.copy(), stage=progress.open_stage(touching.noticed, day),
                forward=progress.forward(index, touching.noticed, day),
            )  # fmt: skip
        if day < days:
            noticed = touching.noticed.copy()
            touching.advance(day, intent, progress.state(day), touches)
            progress.advance(day, index, noticed, passages)
            advance(1)
    return History(touches=touches.columns(), passages=passages.columns(), traces=traces.columns())
