"""How cycles move through their stages, one day after the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.schema import DAY, KINDS
from features.synthetic.history import DEAL, DISQUALIFIED, ENDS, LEAD, LOST, MQL, WON, Log
from features.synthetic.market import STATES, Market
from features.synthetic.population import Floats, Population

NEW, EXPANSION, RENEWAL = (KINDS.index(kind) for kind in ("new", "expansion", "renewal"))
_STAGES = 5  # stages of an open cycle: the first codes of ENDS
_NEVER = -30.0
_RENEWAL_OPENS = 295  # days after a win: a contract of a year, looked at ten weeks ahead
_PAUSE = (60, 200)  # days after a loss in which nothing starts again
_HEALTH = (0.0, 0.5, 0.9)  # weight of a customer's health in the index, by kind


class Progress:
    """Where every account stands, and the chances of its next day.

    An account has one cycle at a time. Stage `lead` of a new cycle is implicit; at stage `lead` of an expansion there
    is no cycle yet, only a customer who may start one.

    Parameters
    ----------
    market : Market
    people : Population
    seeds : numpy.random.SeedSequence
    """

    def __init__(self, market: Market, people: Population, seeds: np.random.SeedSequence) -> None:
        self._market, self._people = market, people
        # The daily draws, and the times of day and lengths of pauses.
        self._rng, self._marks = (np.random.default_rng(seed) for seed in seeds.spawn(2))
        size = (len(KINDS), _STAGES)
        self._logit, self._fail = np.full(size, _NEVER), np.full(size, _NEVER)
        self._slope, self._back = np.zeros(size), np.zeros(size)
        self._next = np.zeros(size, dtype=np.int8)
        for (kind, stage), step in market.steps.items():
            at = KINDS.index(kind), ENDS.index(stage)
            self._logit[at], self._slope[at] = step.logit, step.slope
            self._fail[at], self._back[at] = step.fail, step.back
            self._next[at] = ENDS.index(step.forward)
        n = people.size
        self.kind = np.full(n, NEW, dtype=np.int8)
        self.stage = np.full(n, LEAD, dtype=np.int8)
        self.number = np.ones((len(KINDS), n), dtype=np.int16)
        self._rest_until = np.zeros(n, dtype=np.int64)
        self._renewal_day = np.full(n, np.iinfo(np.int64).max)
        self._health = np.stack([np.float32(weight) * people.health for weight in _HEALTH])

    def state(self, day: int) -> npt.NDArray[np.int8]:
        """Return the position in `market.STATES` of every account."""
        state = np.where(self.kind == NEW, self.stage, STATES.index("customer"))
        state[(self.kind == NEW) & (self._rest_until > day)] = STATES.index("gone")
        return state.astype(np.int8)

    def open_stage(self, noticed: npt.NDArray[np.bool_], day: int) -> npt.NDArray[np.int8]:
        """Return the stage of every account's open cycle, -1 where none is open."""
        implicit = noticed & (self.number[NEW] == 1) & (self._rest_until <= day)
        closed = (self.stage == LEAD) & np.where(self.kind == NEW, ~implicit, self.kind == EXPANSION)
        return np.where(closed, -1, self.stage).astype(np.int8)

    def forward(self, index: Floats, noticed: npt.NDArray[np.bool_], day: int) -> npt.NDArray[np.float64]:
        """Return every account's chance of taking its next step on a day."""
        at = self.kind, self.stage
        chance = _sigmoid(self._logit[at] + self._slope[at] * self._own(index))
        return np.where(self._may_move(noticed, day), chance, 0.0)

    def advance(self, day: int, index: Floats, noticed: npt.NDArray[np.bool_], log: Log) -> None:
        """Move the cycles through one day and write their passages to `log`."""
        chance = self.forward(index, noticed, day)
        at = self.kind, self.stage
        failing = _sigmoid(self._fail[at] - 0.5 * self._slope[at] * self._own(index))
        # A later new cycle is not in the books before its first step, so it can not be closed before either.
        failing[~self._may_move(noticed, day) | ((self.stage == LEAD) & (self.number[NEW] > 1))] = 0.0
        falling = self._back[at]
        draw = self._rng.random(self._people.size)
        renewing = (self.kind == EXPANSION) & (self.stage == LEAD) & (self._renewal_day <= day)
        moving = (draw < chance) & ~renewing
        back = ~moving & (draw < chance + falling) & ~renewing
        ending = (draw > 1 - failing) & ~moving & ~back & ~renewing
        self._move(day, np.flatnonzero(moving), self._next[at], log)
        self._move(day, np.flatnonzero(back), np.full(self._people.size, MQL, dtype=np.int8), log)
        self._move(day, np.flatnonzero(ending), np.where(self.stage == DEAL, LOST, DISQUALIFIED), log)
        self.kind[renewing], self.stage[renewing] = RENEWAL, LEAD
        self._move(day, np.flatnonzero(renewing), np.full(self._people.size, LEAD, dtype=np.int8), log)

    def branch(self, rows: npt.NDArray[np.intp], seeds: np.random.SeedSequence) -> Progress:
        """Return some accounts as they stand, to go on by other random numbers."""
        twin = Progress(self._market, self._people.only(rows), seeds)
        twin.kind, twin.stage, twin.number = self.kind[rows], self.stage[rows], self.number[:, rows]
        twin._rest_until, twin._renewal_day = self._rest_until[rows], self._renewal_day[rows]
        return twin

    def in_cycle(self, kind: int, day: int) -> npt.NDArray[np.bool_]:
        """Tell whose cycle of a kind is open; a first new cycle is, even before the account has shown itself."""
        first = (kind == NEW) & (self.number[NEW] == 1) & (self._rest_until <= day)
        is_open: npt.NDArray[np.bool_] = (self.kind == kind) & ((self.stage > LEAD) | (kind == RENEWAL) | first)
        return is_open

    def _own(self, index: Floats) -> npt.NDArray[np.float32]:
        health: Floats = np.take_along_axis(self._health, self.kind[None, :].astype(np.int64), axis=0)[0]
        return index + health

    def _may_move(self, noticed: npt.NDArray[np.bool_], day: int) -> npt.NDArray[np.bool_]:
        known: npt.NDArray[np.bool_] = noticed | (self.kind != NEW) | (self.stage != LEAD)
        return known & (self._rest_until <= day)

    def _move(self, day: int, rows: npt.NDArray[np.intp], to: npt.NDArray[np.int8], log: Log) -> None:
        if not len(rows):
            return
        kind, end = self.kind[rows], to[rows]
        seconds = self._marks.integers(7 * 3600, 18 * 3600, len(rows))
        log.add(
            account=rows, kind=kind, number=self.number[kind, rows], origin=self.stage[rows], to=end,
            at=self._people.start + day * DAY + seconds * 1_000_000,
        )  # fmt: skip
        self.stage[rows] = np.where(end < WON, end, LEAD)
        done, ends, of = rows[end >= WON], end[end >= WON], kind[end >= WON]
        self.number[of, done] += 1
        won = ends == WON
        # Whoever won, and whoever was a customer and lost an expansion, is a customer; all others start anew.
        self.kind[done] = np.where(won | (of == EXPANSION), EXPANSION, NEW)
        contract = done[won & (of != EXPANSION)]
        self._renewal_day[contract] = day + _RENEWAL_OPENS
        self._rest_until[done] = day + np.where(won, 30, self._marks.integers(*_PAUSE, len(done)))


def _sigmoid(x: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(-x.astype(np.float64)))
