"""The rarer atoms over touches of one account: different values, sums, latest values, answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from features.algebra import (
    LOOKBACK_DAYS,
    Atom,
    Cadence,
    Distinct,
    Gap,
    Latest,
    Mean,
    Sum,
    TopShare,
    Waiting,
    Where,
    window_days,
)
from features.schema import DAY, FOREVER

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
HOUR = DAY // 24

NEVER = FOREVER
"""First answer of a touch that nothing answers."""


def first_answers(answers: dict[str, np.ndarray], touches: int, as_of: int | None = None) -> Ints:
    """Return when each touch was first answered, `NEVER` where it was not.

    Parameters
    ----------
    answers : dict of str to array
        Rows of the relation's ``answers``.
    touches : int
        Number of touches.
    as_of : int or None
        Only answers visible at this moment count; None when all are.
    """
    first = np.full(touches, NEVER)
    touch, moment = answers["touch"], answers["answered_at"]
    if as_of is not None:
        visible = (answers["valid_from"] <= as_of) & (answers["valid_until"] > as_of)
        touch, moment = touch[visible], moment[visible]
    np.minimum.at(first, touch, moment)
    return first


class Picked:
    """The touches that pass one filter, and the atoms over one of their columns. False when there are none.

    Parameters
    ----------
    where : Where
    column : str or None
        The column the atoms read.
    atoms : sequence of (int, Atom)
    rows : dict of str to array
        All touches in time order.
    answered : array of int64 or None
        First answer of every touch; None when that depends on the moment.
    """

    def __init__(
        self,
        where: Where,
        column: str | None,
        atoms: Sequence[tuple[int, Atom]],
        rows: dict[str, np.ndarray],
        answered: Ints | None,
    ) -> None:
        chosen = np.ones(len(rows["occurred_at"]), dtype=bool)
        for name, values in where.terms:
            chosen &= np.fromiter(map(set(values).__contains__, rows[name].tolist()), bool, len(chosen))
        self.different = 0
        self.values: np.ndarray | None = None
        if column is not None:
            self.values = rows[column]
            if self.values.dtype != object:
                chosen &= ~np.isnan(self.values) | isinstance(atoms[0][1], Latest)
            elif isinstance(atoms[0][1], Distinct | TopShare):
                chosen &= np.array([value is not None for value in self.values.tolist()], dtype=bool)
        self.index = np.flatnonzero(chosen)
        self.occurred = rows["occurred_at"][self.index]
        if self.values is not None:
            self.values = self.values[self.index]
            if isinstance(atoms[0][1], Distinct | TopShare):
                self.values, self.different = _factorise(self.values)
        self.atoms = atoms
        self.edges = np.array([int(window_days(atom) or LOOKBACK_DAYS) * DAY for _, atom in atoms] + [0])
        self.needs_answers = any(isinstance(atom, Gap | Waiting) for _, atom in atoms)
        self.replies = (
            _Replies(self.occurred, answered[self.index]) if self.needs_answers and answered is not None else None
        )

    def __bool__(self) -> bool:
        return len(self.index) > 0

    def evaluate(
        self,
        as_of: int,
        seen: npt.NDArray[np.bool_] | None,
        answered: Ints | None,
        numbers: Floats,
        texts: dict[int, str | None],
    ) -> None:
        """Write the value of each atom into its place; missing ones are left as they are.

        Parameters
        ----------
        as_of : int
        seen : array of bool or None
            Which of all touches are visible; None for all.
        answered : array of int64 or None
            First answer of every touch.
        numbers, texts
            Where values go.
        """
        *firsts, stop = self.occurred.searchsorted(as_of - self.edges, "right").tolist()
        for (place, atom), first in zip(self.atoms, firsts, strict=True):
            if first >= stop:
                continue
            rows: slice | Ints = slice(first, stop)
            if seen is not None:
                visible = first + np.flatnonzero(seen[self.index[first:stop]])
                if len(visible) == 0:
                    continue
                rows = visible
            if self.values is not None:
                value = _of_values(atom, self.values[rows], self.different)
            elif isinstance(atom, Cadence):
                value = _cadence(self.occurred[rows])
            elif self.replies is not None:
                value = self.replies.value(atom, as_of, first, stop)
            else:
                assert answered is not None, "atoms that need answers are given them"
                replies = _Replies(self.occurred[rows], answered[self.index[rows]])
                value = replies.value(atom, as_of, 0, len(replies.asked))
            if isinstance(value, str):
                texts[place] = value
            elif value is not None:
                numbers[place] = value


def _of_values(atom: Atom, values: np.ndarray, different: int) -> float | str | None:
    if isinstance(atom, Distinct):
        return float(np.count_nonzero(np.bincount(values, None, different)))
    if isinstance(atom, TopShare):
        return float(np.bincount(values).max() / len(values))
    if isinstance(atom, Sum):
        return float(values.sum())
    if isinstance(atom, Mean):
        return float(values.sum()) / len(values)
    latest = values[-1]
    return latest if latest is None or isinstance(latest, str) else float(latest)


class _Replies:
    """When some touches, in time order, were first answered; running totals make any stretch of them a difference."""

    def __init__(self, asked: Ints, answered: Ints) -> None:
        self.asked = asked
        done = answered != NEVER
        waits = np.where(done, np.maximum(answered - asked, 0), 0)
        self.answered_before = np.concatenate(([0], np.cumsum(done)))
        self.waited_before = np.concatenate(([0], np.cumsum(waits)))
        self.open = np.flatnonzero(~done)

    def value(self, atom: Atom, as_of: int, first: int, stop: int) -> float | None:
        """Return a Gap or a Waiting over the touches from `first` up to `stop`."""
        if isinstance(atom, Waiting):
            place = int(self.open.searchsorted(first))
            if place == len(self.open) or self.open[place] >= stop:
                return None
            return (as_of - int(self.asked[self.open[place]])) / DAY
        number = int(self.answered_before[stop] - self.answered_before[first])
        waited = int(self.waited_before[stop] - self.waited_before[first])
        return waited / number / HOUR if number else None


def _cadence(moments: Ints) -> float | None:
    return float(np.median(np.diff(moments))) / DAY if len(moments) > 1 else None


def _factorise(values: np.ndarray) -> tuple[Ints, int]:
    seen: dict[object, int] = {}
    codes = np.array([seen.setdefault(value, len(seen)) for value in values.tolist()], dtype=np.int64)
    return codes, len(seen)
