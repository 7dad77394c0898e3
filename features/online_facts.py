"""Deals, stages, attributes and members of one account.

Their rows change seldom, and between two changes every atom is constant but for recencies, which grow with time. So the
atoms are computed once per stretch of time in which nothing changes, and kept.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from features.algebra import (
    RELATIONS,
    Atom,
    Cadence,
    Count,
    Distinct,
    Latest,
    Mean,
    Recency,
    Sum,
    TopShare,
    window_days,
)
from features.plan import is_text
from features.schema import DAY

Floats = npt.NDArray[np.float64]
Row = dict[str, object]


class FactsPlan:
    """How the atoms over one relation are computed, for any account.

    Parameters
    ----------
    relation : str
    atoms : sequence of (int, Atom)
        Place of each atom among all, and the atom.
    """

    def __init__(self, relation: str, atoms: Sequence[tuple[int, Atom]]) -> None:
        self.relation = relation
        self.atoms = atoms
        self.windows = sorted({int(days * DAY) for _, atom in atoms if (days := window_days(atom)) is not None})
        self.columns = (
            "valid_from",
            "valid_until",
            *sorted({name for kind in RELATIONS[relation].values() for name in kind}),
        )
        numbers = [(place, atom) for place, atom in atoms if not is_text(atom)]
        self.recency = np.array([place for place, atom in numbers if isinstance(atom, Recency)], dtype=np.int64)
        self.constant = np.array([place for place, atom in numbers if not isinstance(atom, Recency)], dtype=np.int64)

    def prepare(self, cut: Callable[[str], dict[str, np.ndarray]]) -> PreparedFacts:
        """Arrange one account's rows; `cut` gives its rows of a relation."""
        columns = cut(self.relation)
        values = [columns[name].tolist() for name in self.columns]
        return PreparedFacts(self, [dict(zip(self.columns, row, strict=True)) for row in zip(*values, strict=True)])


class PreparedFacts:
    """One account's rows of one relation, in order, and what has been computed from them.

    Parameters
    ----------
    plan : FactsPlan
    rows : list of dict
        Sorted by (occurred_at, the row's own id).
    """

    def __init__(self, plan: FactsPlan, rows: list[Row]) -> None:
        self.plan = plan
        self.rows = rows
        moments = {row[name] for row in rows for name in ("valid_from", "valid_until")}
        moments |= {row["occurred_at"] + window for row in rows for window in plan.windows}  # type: ignore[operator]
        self.moments = sorted(moments)  # type: ignore[type-var]
        self.known: dict[int, tuple[Floats, Floats, dict[int, str | None]]] = {}

    def evaluate(self, as_of: int, numbers: Floats, texts: dict[int, str | None]) -> None:
        """Write the value of every atom over this relation into its place."""
        stretch = bisect.bisect_right(self.moments, as_of)  # type: ignore[type-var]
        if stretch not in self.known:
            self.known[stretch] = self._compute(as_of)
        constant, latest, words = self.known[stretch]
        numbers[self.plan.constant] = constant
        numbers[self.plan.recency] = (as_of - latest) / DAY
        texts.update(words)

    def _compute(self, as_of: int) -> tuple[Floats, Floats, dict[int, str | None]]:
        visible = [row for row in self.rows if row["valid_from"] <= as_of < row["valid_until"]]  # type: ignore[operator]
        constant, latest, words = [], [], {}
        for place, atom in self.plan.atoms:
            rows = _kept(visible, atom, as_of)
            if is_text(atom):
                words[place] = rows[-1][atom.column] if rows else None  # type: ignore[union-attr]
            elif isinstance(atom, Recency):
                latest.append(max((row[atom.at] for row in rows), default=math.nan))  # type: ignore[type-var]
            else:
                constant.append(_value(atom, rows))
        return np.array(constant), np.array(latest, dtype=np.float64), words  # type: ignore[return-value]


def _kept(visible: list[Row], atom: Atom, as_of: int) -> list[Row]:
    days = window_days(atom)
    after = -math.inf if days is None else as_of - days * DAY
    return [
        row
        for row in visible
        if row["occurred_at"] > after  # type: ignore[operator]
        and all(row[name] in values for name, values in atom.where.terms)
    ]


def _value(atom: Atom, rows: list[Row]) -> float:
    """Return the value of an atom that does not depend on the moment; NaN for missing."""
    if isinstance(atom, Count):
        return float(len(rows))
    if isinstance(atom, Sum | Mean):
        given = [value for row in rows if not math.isnan(value := float(row[atom.column]))]  # type: ignore[arg-type]
        if isinstance(atom, Sum):
            return math.fsum(given)
        return math.fsum(given) / len(given) if given else math.nan
    if isinstance(atom, Distinct | TopShare):
        tally = Counter(row[atom.column] for row in rows if row[atom.column] is not None)
        if isinstance(atom, Distinct):
            return float(len(tally))
        return max(tally.values()) / tally.total() if tally else math.nan
    if isinstance(atom, Latest):
        return float(rows[-1][atom.column]) if rows else math.nan  # type: ignore[arg-type]
    if isinstance(atom, Cadence):
        moments = sorted(row[atom.at] for row in rows)  # type: ignore[type-var]
        gaps = [after - before for before, after in pairwise(moments)]  # type: ignore[operator]
        return statistics.median(gaps) / DAY if gaps else math.nan
    raise TypeError(f"{type(atom).__name__} reads touches, not {atom.of}.")
