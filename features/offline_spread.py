"""Counts, sums, decays, recencies and latest rows of every pair, from the rows each pair sees.

Rows that no filter tells apart share a *cell*, as they do online. Filters that share no cell form a *family*, all touch
types, say, or all directions: one pass over the rows serves a whole family, each row under the label of its filter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.algebra import Atom, Count, Decayed, Latest, Mean, Recency, Sum, Where, window_days
from features.schema import DAY

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Passing = Mapping[Where, npt.NDArray[np.bool_]]
"""Per filter, which cells it lets pass."""

PLAIN = (Count, Sum, Mean, Decayed, Recency, Latest)
"""Atoms that follow from one pass over the rows."""


class Measure(NamedTuple):
    """What is taken of the rows of a filter within a window.

    Parameters
    ----------
    how : {"sum", "min", "max"}
    column : str
        A column of the rows; ``1`` for how many there are, ``given <column>`` for how many have a value.
    window : int
        Rows of this age or older do not count, in microseconds; 0 for no window.
    half_life : float
        In days, of what each row weighs; 0 for no decay.
    """

    how: str
    column: str
    window: int = 0
    half_life: float = 0.0


class Family(NamedTuple):
    """Filters that share no cell, and the place among them of each cell's filter, -1 for none."""

    wheres: tuple[Where, ...]
    label: Ints


class Spread:
    """The plain atoms of one relation.

    Parameters
    ----------
    atoms : sequence of (int, Atom)
        Places of the atoms among all, and the atoms.
    passing : mapping of Where to array of bool, shape (n_cells,)
    """

    def __init__(self, atoms: Sequence[tuple[int, Atom]], passing: Passing) -> None:
        self.atoms = atoms
        self._families = _families([atom.where for _, atom in atoms], passing)
        self._measures = {atom: _measures(atom) for _, atom in atoms}
        wanted = {(atom.where, measure) for _, atom in atoms for measure in self._measures[atom]}
        self._wanted = [
            (family, sorted({measure for where, measure in wanted if where in family.wheres}))
            for family in self._families
        ]

    @property
    def columns(self) -> list[str]:
        """Columns of the seen rows, beside pair, cell and age, that the atoms need."""
        named = {measure.column.removeprefix("given ") for measures in self._measures.values() for measure in measures}
        return sorted(named - {"1", "age"})

    def write(self, rows: Mapping[str, np.ndarray], numbers: Floats) -> None:
        """Write every atom's number of every pair into its place; a Latest gets the line of its row.

        Parameters
        ----------
        rows : mapping of str to array, shape (n_rows,)
            ``pair``, ``cell``, ``age`` and `columns`.
        numbers : array of float64, shape (n_atoms, n_pairs)
        """
        pairs = numbers.shape[1]
        # Youngest first: a window is then a slice.
        order = np.argsort(rows["age"])
        age, cell, pair = rows["age"][order], rows["cell"][order], rows["pair"][order]
        value = _values(rows, order, age)
        found: dict[tuple[Where, Measure], npt.NDArray[Any]] = {}
        for family, measures in self._wanted:
            label = family.label[cell]
            inside = np.flatnonzero(label >= 0)
            everything = len(inside) == len(label)
            key = label * pairs + pair if everything else label[inside] * pairs + pair[inside]
            ages = age if everything else age[inside]
            for measure in measures:
                stop = int(ages.searchsorted(measure.window)) if measure.window else len(ages)
                values = value(measure)
                if values is not None:
                    values = values[:stop] if everything else values[inside[:stop]]
                combined = _combined(measure.how, key[:stop], values, len(family.wheres) * pairs)
                found |= {
                    (where, measure): part
                    for where, part in zip(family.wheres, combined.reshape(-1, pairs), strict=True)
                }
        for place, atom in self.atoms:
            first, *second = (found[atom.where, measure] for measure in self._measures[atom])
            if second:
                np.divide(first, second[0], out=numbers[place], where=second[0] > 0)
            else:
                numbers[place] = first / DAY if isinstance(atom, Recency) else first


def _families(wheres: Sequence[Where], passing: Passing) -> list[Family]:
    found: list[tuple[list[Where], Ints]] = []
    for where in dict.fromkeys(wheres):
        cells = passing[where]
        for members, label in found:
            if not (label[cells] >= 0).any():
                label[cells] = len(members)
                members.append(where)
                break
        else:
            found.append(([where], np.where(cells, 0, -1)))
    return [Family(tuple(members), label) for members, label in found]


def _measures(atom: Atom) -> tuple[Measure, ...]:
    """Return what an atom is made of: one measure, or for a mean the sum and the number."""
    window = int((window_days(atom) or 0) * DAY)
    if isinstance(atom, Count):
        return (Measure("sum", "1", window),)
    if isinstance(atom, Decayed):
        return (Measure("sum", "1", 0, atom.half_life_days),)
    if isinstance(atom, Recency):
        return (Measure("min", "age" if atom.at == "occurred_at" else f"{atom.at}_age", window),)
    if isinstance(atom, Latest):
        return (Measure("max", "line", window),)
    if isinstance(atom, Sum):
        return (Measure("sum", atom.column, window),)
    if isinstance(atom, Mean):
        return (Measure("sum", atom.column, window), Measure("sum", f"given {atom.column}", window))
    raise TypeError(f"{type(atom).__name__} takes more than one pass.")


def _values(rows: Mapping[str, np.ndarray], order: Ints, age: Ints) -> Callable[[Measure], Floats | None]:
    """Return a function that gives what each row adds to a measure; None when each adds one."""
    known: dict[tuple[str, str, float], Floats | None] = {}

    def value(measure: Measure) -> Floats | None:
        key = (measure.how, measure.column, measure.half_life)
        if key not in known:
            known[key] = compute(*key)
        return known[key]

    def compute(how: str, column: str, half_life: float) -> Floats | None:
        if half_life:
            return np.asarray(np.exp(age * (-math.log(2) / (half_life * DAY))))
        if column == "1":
            return None
        if column == "age":
            return age.astype(np.float64)
        if column.startswith("given "):
            return (~np.isnan(_floats(rows[column.removeprefix("given ")])[order])).astype(np.float64)
        values = _floats(rows[column])[order]
        return np.nan_to_num(values) if how == "sum" else values

    return value


def _combined(how: str, key: Ints, values: Floats | None, size: int) -> npt.NDArray[Any]:
    """Return the sum, minimum or maximum of the values (their number, if None) under each key; of none 0 or NaN."""
    if how == "sum":
        return np.bincount(key, values, size)
    assert values is not None, "only a sum can do without values"
    extreme, start = (np.minimum, np.inf) if how == "min" else (np.maximum, -np.inf)
    combined = np.full(size, start)
    extreme.at(combined, key, values)
    combined[combined == start] = np.nan
    return combined


def _floats(values: npt.ArrayLike) -> Floats:
    """Return numbers as float64, NaN where the engine gave NULL."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    return np.asarray(values, dtype=np.float64)
