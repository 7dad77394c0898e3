"""From figures per pair and cell to figures per pair and filter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from features.algebra import Where

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Passing = Mapping[Where, npt.NDArray[np.bool_]]
"""Per filter, which cells it lets pass."""


class Spread:
    """Combines figures of n (pair, cell)s over the cells that filters let pass.

    Filters that share no cell are combined in one pass, each under its own label: all touch types, say, or all
    directions.

    Parameters
    ----------
    passing : mapping of Where to array of bool, shape (n_cells,)
    pair, cell : array of int64, shape (n,)
    pairs : int
        Number of pairs.
    """

    def __init__(self, passing: Passing, pair: Ints, cell: Ints, pairs: int) -> None:
        self._passing, self._pair, self._cell, self._pairs = passing, pair, cell, pairs
        self._known: dict[tuple[Where, ...], tuple[npt.NDArray[np.bool_] | slice, Ints]] = {}

    def over(self, values: Floats, wheres: Sequence[Where], how: str) -> Iterator[tuple[Where, Floats]]:
        """Yield each filter with the combined value of every pair.

        Parameters
        ----------
        values : array of float64, shape (n,)
            NaN does not count.
        wheres : sequence of Where
        how : {"sum", "min", "max"}

        Yields
        ------
        (Where, array of float64, shape (n_pairs,))
            Without any value, 0 for a sum and NaN otherwise.
        """
        for family in self._families(wheres):
            rows, key = self._keys(family)
            size = len(family) * self._pairs
            given = values[rows]
            missing = np.isnan(given)
            if missing.any():
                given, key = given[~missing], key[~missing]
            if how == "sum":
                combined = np.bincount(key, given, size).astype(np.float64, copy=False)
            else:
                extreme, start = (np.minimum, np.inf) if how == "min" else (np.maximum, -np.inf)
                combined = np.full(size, start)
                extreme.at(combined, key, given)
                combined[combined == start] = np.nan
            yield from zip(family, combined.reshape(len(family), self._pairs), strict=True)

    def _families(self, wheres: Sequence[Where]) -> list[tuple[Where, ...]]:
        """Divide filters into families whose members share no cell."""
        families: list[tuple[list[Where], npt.NDArray[np.bool_]]] = []
        for where in wheres:
            cells = self._passing[where]
            for members, taken in families:
                if not (taken & cells).any():
                    members.append(where)
                    taken |= cells
                    break
            else:
                families.append(([where], cells.copy()))
        return [tuple(members) for members, _ in families]

    def _keys(self, family: tuple[Where, ...]) -> tuple[npt.NDArray[np.bool_] | slice, Ints]:
        """Return the rows that some filter of a family lets pass, and a number for each one's filter and pair."""
        if family not in self._known:
            label = np.full(len(self._passing[family[0]]), -1)
            for number, where in enumerate(family):
                label[self._passing[where]] = number
            labels = label[self._cell]
            rows: npt.NDArray[np.bool_] | slice = slice(None) if (label >= 0).all() else labels >= 0
            self._known[family] = rows, labels[rows] * self._pairs + self._pair[rows]
        return self._known[family]
