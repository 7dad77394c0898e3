"""How a market moves: one step per day over all accounts at once.

On day d a cycle takes its next step with log-odds ``logit + slope * index``, where the index is fit + intent +
shape(adstock, effects) at 00:00 of that day, so that nothing of the day itself matters. The adstock of a process is the
sum over its touches of ``2 ** (-age / half_life)``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from features.schema import DAY
from features.synthetic.history import History, Log
from features.synthetic.market import Market
from features.synthetic.population import Floats, Population
from features.synthetic.progress import Progress
from features.synthetic.response import SHAPES
from features.synthetic.touching import Touching

TRACE_EVERY_DAYS = 28
"""Distance of the moments at which the hidden state is written down, counted back from the end."""


class Life:
    """A market at a midnight, and its way to the next.

    Parameters
    ----------
    market : Market
    people : Population
    seeds : numpy.random.SeedSequence
    waves : float array of shape (n_months, n_processes), optional
        Campaigns, instead of drawn ones.

    Attributes
    ----------
    people : Population
    day : int
        Days since the start of the history.
    touching : Touching
    progress : Progress
    intent, levers, index : float array of shape (n_accounts,)
        At this midnight, in log-odds.
    """

    def __init__(
        self,
        market: Market,
        people: Population,
        seeds: np.random.SeedSequence,
        waves: npt.NDArray[np.float64] | None = None,
    ) -> None:
        touched, moved, stirred = seeds.spawn(3)
        self._market, self.people, self.day = market, people, 0
        self.touching = Touching(market, people, touched, waves)
        self.progress = Progress(market, people, moved)
        self._drifts = np.random.default_rng(stirred)
        self._effects = np.array([process.effect for process in market.processes], dtype=np.float32)
        self._keep = np.float32(2.0 ** (-1 / market.intent_half_life_days))
        self._stir = np.float32(market.intent_drift * np.sqrt(1 - float(self._keep) ** 2))
        self._drift: Floats = self._noise() * np.float32(market.intent_drift)
        self._dawn()

    @property
    def midnight(self) -> int:
        """The moment, in microseconds."""
        return self.people.start + self.day * DAY

    def advance(self, touches: Log, passages: Log) -> None:
        """Live through a day and write what happens to the logs."""
        noticed = self.touching.noticed.copy()
        self.touching.advance(self.day, self.intent, self.progress.state(self.day), touches)
        self.progress.advance(self.day, self.index, noticed, passages)
        self.day += 1
        self._dawn()

    def branch(self, rows: npt.NDArray[np.intp], seeds: np.random.SeedSequence) -> Life:
        """Return some of the accounts as they stand, to live on by other random numbers and the same campaigns."""
        twin = Life(self._market, self.people.only(rows), seeds, self.touching.waves)
        touched, moved = seeds.spawn(2)
        twin.day = self.day
        twin.touching, twin.progress = self.touching.branch(rows, touched), self.progress.branch(rows, moved)
        twin._drift = self._drift[rows]
        twin._look()
        return twin

    def _dawn(self) -> None:
        self._drift = self._keep * self._drift + self._stir * self._noise()
        self._look()

    def _look(self) -> None:
        self.intent: Floats = self.people.intent + self._drift
        self.levers: Floats = SHAPES[self._market.shape](self.touching.adstock, self._effects)
        self.index: Floats = self.people.fit + self.intent + self.levers

    def _noise(self) -> Floats:
        return self._drifts.standard_normal(self.people.size, dtype=np.float32)


def unfold(
    market: Market,
    people: Population,
    seeds: np.random.SeedSequence,
    advance: Callable[[int], None],
    witness: Callable[[Life], None] = lambda life: None,
) -> History:
    """Let a market live from `people.start` until the end of the day of `people.until`.

    Parameters
    ----------
    market : Market
    people : Population
    seeds : numpy.random.SeedSequence
    advance : callable
        Called with 1 after every day.
    witness : callable, optional
        Called with the market at every midnight of the history; it must leave it as it is.

    Returns
    -------
    History
    """
    life = Life(market, people, seeds)
    logs = {name: Log(name) for name in ("touches", "passages", "traces", "signals")}
    days = -((people.start - people.until) // DAY)
    last_midnight = (people.until - people.start) // DAY
    for day in range(days + 1):
        if day <= last_midnight:
            _write_down(life, last_midnight - day, logs)
            witness(life)
        if day < days:
            life.advance(logs["touches"], logs["passages"])
            advance(1)
    return History(**{name: log.columns() for name, log in logs.items()})


def _write_down(life: Life, days_left: int, logs: dict[str, Log]) -> None:
    everybody, noticed, day = np.arange(life.people.size), life.touching.noticed, life.day
    if days_left % TRACE_EVERY_DAYS == 0:
        logs["traces"].add(
            account=everybody, at=life.midnight, intent=life.intent, levers=life.levers, index=life.index,
            kind=life.progress.kind.copy(), stage=life.progress.open_stage(noticed, day),
            forward=life.progress.forward(life.index, noticed, day),
        )  # fmt: skip
    if np.datetime64(life.midnight, "us").item().day == 1:
        logs["signals"].add(account=everybody, at=life.midnight, intent=life.intent)
