"""Touches of one account: counts, decays and recencies of all filters at once.

Touches that no filter tells apart share a *cell*; there are few cells. Windows and half-lives are summed per cell, and
one small matrix product spreads the sums over the filters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from features.algebra import (
    LOOKBACK_DAYS,
    Atom,
    Count,
    Decayed,
    Distinct,
    Latest,
    Recency,
    Sum,
    TopShare,
    Where,
    window_days,
)
from features.online_picked import Picked, first_answers
from features.schema import DAY, FOREVER

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Cut = Callable[[str], dict[str, np.ndarray]]

_TALLIED = (Distinct, TopShare)


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
        self.others: dict[tuple[Where, str | None, bool, bool], list[tuple[int, Atom]]] = {}
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
                # Atoms share their rows where they agree on which values count as given.
                key = (atom.where, getattr(atom, "column", None), isinstance(atom, Latest), isinstance(atom, _TALLIED))
                self.others.setdefault(key, []).append((place, atom))
        self.filters = tuple(filters)
        self.windows = np.array(list(windows), dtype=np.int64) * DAY
        self.rates = np.array([-math.log(2) / (half_life * DAY) for half_life in half_lives])
        sums = counts + [(place, row, column + len(windows)) for place, row, column in decays]
        self.sum_place, self.sum_row, self.sum_column = np.array(sums, dtype=np.int64).reshape(-1, 3).T
        self.last_place, self.last_row, self.last_window = np.array(recencies, dtype=np.int64).reshape(-1, 3).T
        self.last_window = self.last_window * DAY
        self.zeros = np.array([place for place, atom in atoms if isinstance(atom, Sum | Distinct)], dtype=np.int64)
        self.compared: dict[str, frozenset[str]] = {"direction": frozenset()}
        for where in self.filters:
            for name, values in where.terms:
                self.compared[name] = self.compared.get(name, frozenset()).union(values)

    def prepare(self, cut: Cut) -> PreparedTouches:
        """Arrange one account's touches; `cut` gives its rows of a relation."""
        return PreparedTouches(self, cut("touches"), cut("answers"))


class PreparedTouches:
    """The touches of one account in time order.

    Parameters
    ----------
    plan : TouchesPlan
    rows : dict of str to array, shape (n,)
        Rows of the relation ``touches``, sorted by occurred_at.
    answers : dict of str to array
        Rows of ``answers`` whose ``touch`` indexes `rows`.

    Notes
    -----
    After the last moment at which a row became known or was replaced, what is visible changes with the windows only.
    Nearly every question is asked then, so those rows have a view of their own, which checks nothing row by row.
    """

    def __init__(self, plan: TouchesPlan, rows: dict[str, np.ndarray], answers: dict[str, np.ndarray]) -> None:
        lasting = rows["valid_until"] == FOREVER
        ends = np.concatenate((rows["valid_until"][~lasting], answers["valid_until"][answers["valid_until"] < FOREVER]))
        starts = np.concatenate((rows["valid_from"], answers["valid_from"]))
        self._settled_from = max(int(ends.max(initial=-FOREVER)), int(starts.max(initial=-FOREVER)))
        position = np.cumsum(lasting) - 1
        kept = (answers["valid_until"] == FOREVER) & lasting[answers["touch"]]
        current = {name: column[kept] for name, column in answers.items()}
        current["touch"] = position[current["touch"]]
        self._settled = _View(plan, {name: column[lasting] for name, column in rows.items()}, current, settled=True)
        self._full: _View | None = None
        self._all = (plan, rows, answers)

    def folded(self, as_of: int) -> tuple[int, int | None]:
        """Return the number of visible touches within the look-back and the newest of their times."""
        return self._view(as_of).folded(as_of)

    def evaluate(self, as_of: int, numbers: Floats, texts: dict[int, str | None]) -> None:
        """Write the value of every atom over touches into its place."""
        self._view(as_of).evaluate(as_of, numbers, texts)

    def _view(self, as_of: int) -> _View:
        if as_of >= self._settled_from:
            return self._settled
        if self._full is None:
            self._full = _View(*self._all, settled=False)
        return self._full


class _View:
    """Touches with their cells; `settled` ones are all visible once they have occurred."""

    def __init__(
        self, plan: TouchesPlan, rows: dict[str, np.ndarray], answers: dict[str, np.ndarray], *, settled: bool
    ) -> None:
        self.plan, self.settled = plan, settled
        self.occurred, self.start, self.end = (rows[name] for name in ("occurred_at", "valid_from", "valid_until"))
        self.cell, distinct = _cells([rows[name] for name in plan.compared], list(plan.compared.values()))
        is_member = np.zeros((len(plan.filters), max(len(distinct), 1)), dtype=bool)
        names = list(plan.compared)
        for index, where in enumerate(plan.filters):
            terms = [(names.index(name), set(values)) for name, values in where.terms]
            for cell, values in enumerate(distinct):
                is_member[index, cell] = all(values[column] in allowed for column, allowed in terms)
        self.members = is_member.astype(np.float64)
        width = is_member.shape[1]
        of_filter = [np.append(np.flatnonzero(row), width) for row in is_member] or [np.array([width])]
        self.cells_of = np.concatenate(of_filter)
        self.cells_from = np.concatenate(([0], np.cumsum([len(cells) for cells in of_filter])[:-1]))
        self.answers = answers
        answered = first_answers(answers, len(self.occurred)) if settled else None
        picked = [Picked(where, column, atoms, rows, answered) for (where, column, *_), atoms in plan.others.items()]
        self.picked = [one for one in picked if one]

    def folded(self, as_of: int) -> tuple[int, int | None]:
        occurred = self.occurred[self._visible(as_of)[0]]
        return len(occurred), int(occurred[-1]) if len(occurred) else None

    def evaluate(self, as_of: int, numbers: Floats, texts: dict[int, str | None]) -> None:
        plan = self.plan
        numbers[plan.zeros] = 0.0
        visible, seen = self._visible(as_of)
        occurred, cell = self.occurred[visible], self.cell[visible]
        if len(occurred) == 0:
            numbers[plan.sum_place] = 0.0
            return
        size = self.members.shape[1]
        age = (as_of - occurred).astype(np.float64)
        firsts = occurred.searchsorted(as_of - plan.windows, "right").tolist()
        sums = np.empty((len(firsts) + len(plan.rates), size))
        for row, first in enumerate(firsts):
            sums[row] = np.bincount(cell[first:], None, size)
        for row, weights in enumerate(np.exp(plan.rates[:, None] * age), start=len(firsts)):
            sums[row] = np.bincount(cell, weights, size)
        numbers[plan.sum_place] = (self.members @ sums.T)[plan.sum_row, plan.sum_column]
        last = np.full(size + 1, -1)
        last[cell] = np.arange(len(cell))
        # Of no cell the place behind the last one, which holds -1 for good, so that no filter is without any.
        latest = np.maximum.reduceat(last[self.cells_of], self.cells_from)[plan.last_row] + 1
        found = np.concatenate(((np.nan,), age))[latest]
        found[found >= plan.last_window] = np.nan
        numbers[plan.last_place] = found / DAY
        answered: Ints | None = None
        for picked in self.picked:
            if answered is None and picked.needs_answers and not self.settled:
                answered = first_answers(self.answers, len(self.occurred), as_of)
            picked.evaluate(as_of, seen, answered, numbers, texts)

    def _visible(self, as_of: int) -> tuple[slice | Ints, npt.NDArray[np.bool_] | None]:
        """Return the touches that are visible and within the look-back, and which of all are visible if not all are."""
        first, stop = self.occurred.searchsorted((as_of - LOOKBACK_DAYS * DAY, as_of), "right").tolist()
        if self.settled:
            return slice(first, stop), None
        seen = (self.start <= as_of) & (self.end > as_of)
        return first + np.flatnonzero(seen[first:stop]), seen


def _cells(columns: list[np.ndarray], compared: list[frozenset[str]]) -> tuple[Ints, list[tuple[str | None, ...]]]:
    """Return the cell of each row and the values that make up each cell; values that no filter names are one."""
    seen: dict[tuple[str | None, ...], int] = {}
    known = [
        [value if value in named else None for value in column.tolist()]
        for column, named in zip(columns, compared, strict=True)
    ]
    cell = np.array([seen.setdefault(values, len(seen)) for values in zip(*known, strict=True)], dtype=np.int64)
    return cell, list(seen)
