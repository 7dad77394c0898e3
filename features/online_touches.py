"""Touches of one account: counts, decays and recencies of all filters at once.

Touches that no filter tells apart share a *cell*; there are few cells. Windows and half-lives are summed per cell, and
one small matrix product spreads the sums over the filters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from features.algebra import (
    LOOKBACK_DAYS,
    Atom,
    Cadence,
    Count,
    Decayed,
    Distinct,
    Gap,
    Latest,
    Mean,
    Recency,
    Sum,
    TopShare,
    Waiting,
    Where,
    window_days,
)
from features.plan import is_text
from features.schema import DAY, FOREVER

Floats = npt.NDArray[np.float64]
Cut = Callable[[str], dict[str, np.ndarray]]
HOUR = DAY // 24


class TouchesPlan:
    """How the atoms over touches are computed, for any account.

    Parameters
    ----------
    atoms : sequence of (int, Atom)
        Place of each atom among all, and the atom.
    """

    def __init__(self, atoms: Sequence[tuple[int, Atom]]) -> None:
        filters: dict[Where, int] = {}
        windows: dict[int, int] = {LOOKBACK_DAYS: 0}
        half_lives: dict[float, int] = {}
        counts, decays, recencies = [], [], []
        self.others: list[tuple[int, Atom]] = []
        for place, atom in atoms:
            if isinstance(atom, Count):
                column = windows.setdefault(int(window_days(atom) or 0), len(windows))
                counts.append((place, filters.setdefault(atom.where, len(filters)), column))
            elif isinstance(atom, Decayed):
                column = half_lives.setdefault(atom.half_life_days, len(half_lives))
                decays.append((place, filters.setdefault(atom.where, len(filters)), column))
            elif isinstance(atom, Recency):
                recencies.append((place, filters.setdefault(atom.where, len(filters)), int(window_days(atom) or 0)))
            else:
                self.others.append((place, atom))
        self.filters = tuple(filters)
        self.windows = np.array(list(windows), dtype=np.int64) * DAY
        self.rates = np.array([-math.log(2) / (half_life * DAY) for half_life in half_lives])
        sums = counts + [(place, row, column + len(windows)) for place, row, column in decays]
        self.sum_place, self.sum_row, self.sum_column = np.array(sums, dtype=np.int64).reshape(-1, 3).T
        self.last_place, self.last_row, self.last_window = np.array(recencies, dtype=np.int64).reshape(-1, 3).T
        self.last_window = self.last_window * DAY
        self.columns = sorted({column for where in self.filters for column in where.columns()})

    def prepare(self, cut: Cut) -> PreparedTouches:
        """Arrange one account's touches; `cut` gives its rows of a relation."""
        return PreparedTouches(self, cut("touches"), cut("answers"))


class PreparedTouches:
    """The touches of one account in time order, with their cells.

    Parameters
    ----------
    plan : TouchesPlan
    rows : dict of str to array, shape (n,)
        Rows of the relation ``touches``, sorted by occurred_at.
    answers : dict of str to array
        Rows of ``answers`` whose ``touch`` indexes `rows`.
    """

    def __init__(self, plan: TouchesPlan, rows: dict[str, np.ndarray], answers: dict[str, np.ndarray]) -> None:
        self.plan = plan
        self.occurred = np.ascontiguousarray(rows["occurred_at"], dtype=np.int64)
        self.start = np.ascontiguousarray(rows["valid_from"], dtype=np.int64)
        self.end = np.ascontiguousarray(rows["valid_until"], dtype=np.int64)
        self.cell, distinct = _cells([rows[name] for name in plan.columns], len(self.occurred))
        self.members = np.zeros((len(plan.filters), max(len(distinct), 1)))
        for index, where in enumerate(plan.filters):
            terms = [(plan.columns.index(name), set(values)) for name, values in where.terms]
            for cell, values in enumerate(distinct):
                self.members[index, cell] = all(values[column] in allowed for column, allowed in terms)
        self.is_member = self.members > 0
        self.others = [(place, _Picked(atom, rows, answers)) for place, atom in plan.others]
        self.others = [(place, picked) for place, picked in self.others if picked.can_give]
        self.zeros = [place for place, atom in plan.others if isinstance(atom, Sum | Distinct)]

    def folded(self, as_of: int) -> tuple[int, int | None]:
        """Return the number of visible touches within the look-back and the newest of their times."""
        occurred = self.occurred[self._visible(as_of)]
        return len(occurred), int(occurred[-1]) if len(occurred) else None

    def evaluate(self, as_of: int, numbers: Floats, texts: dict[int, str | None]) -> None:
        """Write the value of every atom over touches into its place."""
        plan = self.plan
        visible = self._visible(as_of)
        occurred, cell = self.occurred[visible], self.cell[visible]
        size = self.members.shape[1]
        age = (as_of - occurred).astype(np.float64)
        sums = np.empty((size, len(plan.windows) + len(plan.rates)))
        firsts = occurred.searchsorted(as_of - plan.windows, "right").tolist()
        for column, first in enumerate(firsts):
            sums[:, column] = np.bincount(cell[first:], minlength=size)
        for column, rate in enumerate(plan.rates.tolist(), start=len(firsts)):
            sums[:, column] = np.bincount(cell, np.exp(rate * age), size)
        numbers[plan.sum_place] = (self.members @ sums)[plan.sum_row, plan.sum_column]
        if len(plan.last_place):
            last = np.full(size, -1)
            last[cell] = np.arange(len(cell))
            latest = np.where(self.is_member, last, -1).max(axis=1)[plan.last_row]
            found = np.append(age, np.nan)[latest]
            found[found >= plan.last_window] = np.nan
            numbers[plan.last_place] = found / DAY
        numbers[self.zeros] = 0.0
        for place, picked in self.others:
            value = picked.evaluate(as_of)
            if isinstance(value, str):
                texts[place] = value
            elif value is not None:
                numbers[place] = value

    def _visible(self, as_of: int) -> slice | npt.NDArray[np.int64]:
        """Return which touches are visible and within the look-back, as a slice where that is possible."""
        first, stop = self.occurred.searchsorted((as_of - LOOKBACK_DAYS * DAY, as_of), "right").tolist()
        seen = (self.start[first:stop] <= as_of) & (self.end[first:stop] > as_of)
        return slice(first, stop) if seen.all() else first + np.flatnonzero(seen)


class _Picked:
    """The rows of one account that can count for one of the rarer atoms."""

    def __init__(self, atom: Atom, rows: dict[str, np.ndarray], answers: dict[str, np.ndarray]) -> None:
        self.atom = atom
        self.window = int(window_days(atom) or LOOKBACK_DAYS) * DAY
        chosen = np.ones(len(rows["occurred_at"]), dtype=bool)
        for name, values in atom.where.terms:
            chosen &= np.isin(rows[name], values)
        if isinstance(atom, Sum | Mean):
            chosen &= ~np.isnan(rows[atom.column].astype(np.float64))
        elif isinstance(atom, Distinct | TopShare):
            chosen &= np.array([value is not None for value in rows[atom.column]], dtype=bool)
        index = np.flatnonzero(chosen)
        self.can_give = len(index) > 0
        self.occurred, self.start, self.end = (
            rows[name][index] for name in ("occurred_at", "valid_from", "valid_until")
        )
        self.always = bool((self.start == self.occurred).all() and (self.end == FOREVER).all())
        if isinstance(atom, Sum | Mean):
            self.values = rows[atom.column][index].astype(np.float64)
        elif isinstance(atom, Distinct | TopShare):
            self.values, self.different = _factorise(rows[atom.column][index])
        elif isinstance(atom, Latest):
            self.values = rows[atom.column][index]
        elif isinstance(atom, Gap | Waiting):
            self.answers = _answers_by_row(answers, index)

    def evaluate(self, as_of: int) -> float | str | None:
        """Return the value of the atom, or None for missing."""
        first, stop = self.occurred.searchsorted((as_of - self.window, as_of), "right").tolist()
        if first >= stop:
            return None
        rows: slice | npt.NDArray[np.int64] = slice(first, stop)
        if not self.always:
            rows = first + np.flatnonzero((self.start[first:stop] <= as_of) & (self.end[first:stop] > as_of))
            if len(rows) == 0:
                return None
        atom = self.atom
        if isinstance(atom, Distinct):
            return float(np.count_nonzero(np.bincount(self.values[rows], minlength=self.different)))
        if isinstance(atom, TopShare):
            tally = np.bincount(self.values[rows])
            return float(tally.max() / tally.sum())
        if isinstance(atom, Sum):
            return float(self.values[rows].sum())
        if isinstance(atom, Mean):
            return float(self.values[rows].mean())
        if isinstance(atom, Latest):
            value = self.values[rows][-1]
            if is_text(atom):
                return cast("str | None", value)
            return None if math.isnan(value) else float(value)
        if isinstance(atom, Cadence):
            return _cadence(self.occurred[rows])
        return self._replies(as_of, np.arange(first, stop) if isinstance(rows, slice) else rows)

    def _replies(self, as_of: int, rows: npt.NDArray[np.int64]) -> float | None:
        waits: list[int] = []
        oldest: int | None = None
        for row in rows.tolist():
            answered = [moment for start, end, moment in self.answers.get(row, ()) if start <= as_of < end]
            if answered:
                waits.append(max(min(answered) - int(self.occurred[row]), 0))
            elif oldest is None:
                oldest = int(self.occurred[row])
        if isinstance(self.atom, Waiting):
            return None if oldest is None else (as_of - oldest) / DAY
        return sum(waits) / len(waits) / HOUR if waits else None


def _cells(columns: list[np.ndarray], rows: int) -> tuple[npt.NDArray[np.int64], list[tuple[str | None, ...]]]:
    """Return the cell of each row and the values that make up each cell."""
    if not columns:
        return np.zeros(rows, dtype=np.int64), [()] * min(rows, 1)
    seen: dict[tuple[str | None, ...], int] = {}
    values = zip(*(column.tolist() for column in columns), strict=True)
    cell = np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)
    return cell, list(seen)


def _factorise(values: np.ndarray) -> tuple[npt.NDArray[np.int64], int]:
    seen: dict[object, int] = {}
    codes = np.array([seen.setdefault(value, len(seen)) for value in values.tolist()], dtype=np.int64)
    return codes, len(seen)


def _answers_by_row(
    answers: dict[str, np.ndarray], index: npt.NDArray[np.int64]
) -> dict[int, list[tuple[int, int, int]]]:
    """Return (start, end, answered_at) of the answers to each picked row, by its position among the picked."""
    position = {row: place for place, row in enumerate(index.tolist())}
    found: dict[int, list[tuple[int, int, int]]] = {}
    columns = (answers[name].tolist() for name in ("touch", "valid_from", "valid_until", "answered_at"))
    for touch, start, end, moment in zip(*columns, strict=True):
        if touch in position:
            found.setdefault(position[touch], []).append((start, end, moment))
    return found


def _cadence(moments: npt.NDArray[np.int64]) -> float | None:
    return float(np.median(np.diff(np.sort(moments)))) / DAY if len(moments) > 1 else None
