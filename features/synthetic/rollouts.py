"""The true probability of a goal: how often it happens when a market lives on from a midnight, again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.agreement import Goal
from features.errors import AgreementError
from features.schema import DAY, KINDS
from features.synthetic.columns import account_ids, pick
from features.synthetic.dynamics import Life
from features.synthetic.history import ENDS, WON, Log
from features.synthetic.population import Ints

_MONDAY = 4
"""Days from 1970-01-01 to the Monday from which snapshots are counted, too."""

_ALSO_WON = ("renewed", "expanded")

_NOTHING = pa.schema(
    {
        "account_id": pa.string(), "as_of": pa.int64(), "goal": pa.string(), "stage": pa.string(),
        "probability": pa.float64(), "draws": pa.int64(),
    }
).empty_table()  # fmt: skip


@dataclass(frozen=True)
class Rollouts:
    """Which true probabilities are asked for.

    Parameters
    ----------
    goals : sequence of Goal
    every : int
        Days from one midnight to the next, counted from a Monday as snapshots are.
    draws : int
        Futures of every account at every midnight; at least 2, so that their own noise can be told.
    days : int, default=365
        How far before the end of the history the midnights begin.

    Raises
    ------
    ValueError
        When there are too few draws.
    AgreementError
        When a goal reaches a stage that simulated markets do not have.
    """

    goals: Sequence[Goal]
    every: int
    draws: int
    days: int = 365

    def __post_init__(self) -> None:
        if self.draws < 2:
            raise ValueError(f"`draws` must be at least 2, to tell their own noise. Got {self.draws} instead.")
        for goal in self.goals:
            if goal.reach not in (*ENDS[: WON + 1], *_ALSO_WON):
                stages = ", ".join(ENDS[: WON + 1])
                raise AgreementError(f"The goal {goal.name!r} reaches {goal.reach!r}. Simulated stages: {stages}.")

    def moments(self, start: int, until: int) -> Ints:
        """Return the midnights between the bounds of a history, in microseconds."""
        first = max(-(-start // DAY), until // DAY - self.days)
        days = np.arange(first, until // DAY + 1)
        chosen: Ints = days[(days - _MONDAY) % self.every == 0] * DAY
        return chosen


class Seer:
    """A witness of a market that finds out, at the asked midnights, what is likely to happen.

    Parameters
    ----------
    rollouts : Rollouts
    seeds : numpy.random.SeedSequence
    start, until : int
        Bounds of the history in microseconds.
    advance : callable
        Called with 1 after every midnight.
    """

    def __init__(
        self,
        rollouts: Rollouts,
        seeds: np.random.SeedSequence,
        start: int,
        until: int,
        advance: Callable[[int], None],
    ) -> None:
        self._rollouts, self._seeds, self._advance = rollouts, seeds, advance
        self._moments = frozenset(rollouts.moments(start, until).tolist())
        self._found: list[pa.Table] = []

    def __call__(self, life: Life) -> None:
        """Look into the future of a market that stands at a midnight, if it is one of the asked."""
        if life.midnight not in self._moments:
            return
        for kind in sorted({KINDS.index(goal.kind) for goal in self._rollouts.goals}):
            goals = [goal for goal in self._rollouts.goals if goal.kind == KINDS[kind]]
            created = life.people.created <= life.midnight
            rows = np.flatnonzero(life.progress.in_cycle(kind, life.day) & created)
            hits = self._hits(life, kind, goals, rows)
            stage = life.progress.open_stage(life.touching.noticed, life.day)[rows]
            self._found += [self._rows(life, goal, rows, stage, count) for goal, count in zip(goals, hits, strict=True)]
        self._advance(1)

    def table(self) -> pa.Table:
        """Return what was found.

        Returns
        -------
        pyarrow.Table
            `account_id`, `as_of` (microseconds), `goal`, `stage` (hidden; missing where the account has not shown
            itself yet), `probability` (share of the draws in which the open cycle reached the goal) and `draws`. An
            account without a row has no open cycle, so that its probability is 0.
        """
        return pa.concat_tables([_NOTHING, *self._found]).combine_chunks()

    def _rows(
        self,
        life: Life,
        goal: Goal,
        rows: npt.NDArray[np.intp],
        stage: npt.NDArray[np.int8],
        count: Ints,
    ) -> pa.Table:
        draws = self._rollouts.draws
        columns = (
            account_ids(rows), np.full(len(rows), life.midnight), pa.repeat(goal.name, len(rows)), pick(ENDS, stage),
            count / draws, np.full(len(rows), draws),
        )  # fmt: skip
        return pa.table([pa.array(column) for column in columns], schema=_NOTHING.schema)

    def _hits(self, life: Life, kind: int, goals: Sequence[Goal], rows: npt.NDArray[np.intp]) -> list[Ints]:
        hits = [np.zeros(len(rows), dtype=np.int64) for _ in goals]
        number = life.progress.number[kind, rows]
        # One future after the other, not all at once: what one needs stays in the processor's cache.
        for seeds in self._seeds.spawn(self._rollouts.draws):
            twin, passages = life.branch(rows, seeds), Log("passages")
            for _ in range(max(goal.within_days for goal in goals)):
                twin.advance(Log("touches"), passages)
            seen = passages.columns()
            same = (seen["kind"] == kind) & (seen["number"] == number[seen["account"]]) & (seen["to"] <= WON)
            for count, goal in zip(hits, goals, strict=True):
                reach = WON if goal.reach in _ALSO_WON else ENDS.index(goal.reach)
                soon = seen["at"] <= life.midnight + goal.within_days * DAY
                count[np.unique(seen["account"][same & soon & (seen["to"] >= reach)])] += 1
        return hits


def squared_distances(
    probability: npt.NDArray[np.float64], share: npt.NDArray[np.float64], draws: int
) -> npt.NDArray[np.float64]:
    """Return unbiased estimates of the squared distance of probabilities from the true ones.

    The share of `draws` futures in which a goal happens differs from the true probability by noise of its own, which
    is taken off: ``E(q - p)^2 = E[(q - s)^2 - s (1 - s) / (draws - 1)]`` for a probability q that was given without
    knowing the draws. A single estimate can be negative; only means are meaningful.

    Parameters
    ----------
    probability, share : array of shape (n,)
    draws : int
        At least 2.

    Returns
    -------
    array of shape (n,)

    Examples
    --------
    >>> squared_distances(np.array([0.5]), np.array([0.5]), 2).tolist()
    [-0.25]
    """
    distances: npt.NDArray[np.float64] = (probability - share) ** 2 - share * (1 - share) / (draws - 1)
    return distances
