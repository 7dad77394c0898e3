"""What else moves the hazard: time since opening, the calendar, and what was known of the account before."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from features.journeys import Journeys
from features.schema import DAY
from models.arrays import Floats, Integers

_KNOTS = (0.2, 0.4, 0.6, 0.8)
_FURTHEST = 4.0
_MANY = 6
"""Different values from which a confounder may act along a curve, not only a line."""

_FEWEST = 10
"""Journeys that a term has to tell from the others."""


@dataclass(frozen=True)
class Surroundings:
    """Terms of the log-hazard that no lever has a part in.

    Parameters
    ----------
    age_knots, calendar_knots : array
        Days since opening, and days since `origin`, between which the log-hazard is a broken line; constant outside.
    origin : int
        In microseconds.
    confounders : tuple of str
        Names of the confounders.
    centre, scale : array of shape (n_confounders,)
    curved : array of bool, shape (n_confounders,)
        Which of them have a squared term.
    kept : array of int, shape (q,)
        Which of the terms of an account tell accounts apart: neither the same for nearly all, nor told by another.
    """

    age_knots: Floats
    calendar_knots: Floats
    origin: int
    confounders: tuple[str, ...]
    centre: Floats
    scale: Floats
    curved: np.ndarray[tuple[int], np.dtype[np.bool_]]
    kept: Integers

    @classmethod
    def of(cls, journeys: Journeys, confounders: pa.Table | None) -> Surroundings:
        """Settle knots and scales on the journeys to be learnt from."""
        opened, ended = (journeys.journeys[name].to_numpy() for name in ("opened_at", "ended_at"))
        origin = int(opened.min())
        names = _names(confounders)
        values = _values(journeys.size, confounders, names)
        with np.errstate(invalid="ignore"):
            spread = np.array([np.nanstd(column) if np.isfinite(column).any() else 0.0 for column in values.T])
            centre = np.array([np.nanmean(column) if np.isfinite(column).any() else 0.0 for column in values.T])
        many = np.array([len(np.unique(column[np.isfinite(column)])) >= _MANY for column in values.T], dtype=bool)
        found = cls(
            _knots((ended - opened)[journeys.converted] / DAY),
            _knots((ended[journeys.converted] - origin) / DAY),
            origin, names, centre, np.where(spread > 0, spread, 1.0), many, np.zeros(0, dtype=np.int64),
        )  # fmt: skip
        return replace(found, kept=_telling(found._all(journeys.size, confounders)))

    def of_journeys(self, size: int, confounders: pa.Table | None) -> Floats:
        """Return the terms of n journeys that do not change with time, of shape (n, q); without a table the usual."""
        return self._all(size, confounders)[:, self.kept]

    def _all(self, size: int, confounders: pa.Table | None) -> Floats:
        values = _values(size, confounders, self.confounders)
        unit = np.clip((values - self.centre) / self.scale, -_FURTHEST, _FURTHEST)
        missing = np.isnan(unit)
        unit = np.where(missing, 0.0, unit)
        told = confounders is not None
        squares = np.where(missing[:, self.curved], 0.0, unit[:, self.curved] ** 2 - 1) * told
        return np.column_stack([unit, squares, missing * 1.0 if told else np.zeros_like(unit)])

    def at(self, opened: Integers, moment: Integers) -> Floats:
        """Return the terms of r moments that change with time, the constant first."""
        age, calendar = (moment - opened) / DAY, (moment - self.origin) / DAY
        return np.column_stack([np.ones(len(moment)), _line(age, self.age_knots), _line(calendar, self.calendar_knots)])


def _telling(terms: Floats) -> Integers:
    """Return the first of each set of columns that say the same, without those that are alike for nearly all rows."""
    first = np.unique(terms, axis=1, return_index=True)[1] if terms.size else np.zeros(0, dtype=np.int64)
    apart = [column for column in np.sort(first) if len(terms) - _most_alike(terms[:, column]) >= _FEWEST]
    return np.array(apart, dtype=np.int64)


def _most_alike(column: Floats) -> int:
    return int(np.unique(column, return_counts=True)[1].max())


def _names(confounders: pa.Table | None) -> tuple[str, ...]:
    if confounders is None:
        return ()
    return tuple(sorted(name for name in confounders.column_names if name != "account_id"))


def _values(size: int, confounders: pa.Table | None, names: tuple[str, ...]) -> Floats:
    if confounders is None:
        return np.full((size, len(names)), np.nan)
    if not names:
        # A table without columns has no rows either.
        return np.zeros((size, 0))
    missing = [name for name in names if name not in confounders.column_names]
    if missing or confounders.num_rows != size:
        raise ValueError(
            f"`confounders` must have a row for each of {size} journeys and the columns {', '.join(names)}. "
            f"Got {confounders.num_rows} rows of {', '.join(confounders.column_names)} instead."
        )
    for name in names:
        kind = confounders.schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise ValueError(f"A confounder must be a number. Got {name!r} of type {kind} instead.")
    values = np.column_stack([confounders[name].cast(pa.float64()).to_numpy() for name in names])
    # One infinite value would take the scale, and so all others, with it.
    return np.where(np.isfinite(values), values, np.nan)


def _knots(days: Floats) -> Floats:
    inner = np.quantile(days, _KNOTS) if len(days) else np.zeros(0)
    ends = (days.min(initial=0.0), days.max(initial=0.0))
    return np.unique(np.concatenate([ends, inner]))


def _line(days: Floats, knots: Floats) -> Floats:
    """Return how much of each stretch between two knots has passed, of shape (r, n_knots - 1)."""
    if len(knots) < 2:
        return np.zeros((len(days), 0))
    passed = (days[:, None] - knots[:-1]) / np.diff(knots)
    line: Floats = np.clip(passed, 0.0, 1.0)
    return line
