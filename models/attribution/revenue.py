"""Revenue for the rows of a credit frame: whole minor units, and in all exactly what was earned."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.journeys import Journeys
from features.journeys.journeys import Bools, codes
from models.arrays import Floats, Integers
from models.attribution.apportion import apportion

_IN_TIME = ("ended_at", "account_id", "cycle_id", "deal_id")


class Rows(NamedTuple):
    """The r rows of a credit frame: the credited touches of each journey in order, then its rest.

    Parameters
    ----------
    journey : array of int64, shape (r,)
        Ascending.
    touch : array of int64, shape (r,)
        Row of the touch; -1 for the rest of the journey.
    credit : array of shape (r,)
        Conversions.
    """

    journey: Integers
    touch: Integers
    credit: Floats


def within_journeys(journeys: Journeys, rows: Rows) -> Integers:
    """Share what each journey earned among its rows in proportion to their credit, of shape (r,)."""
    return _shared(_earned(journeys), rows.journey, rows.credit)


def within_currencies(journeys: Journeys, rows: Rows) -> Integers:
    """Share what the journeys of each currency earned, for credits that make the conversions of all of them together.

    The rest of a journey has its part of what that journey earned, and all of it where no touch has credit in the
    currency; the touches share what is left in proportion to their credit. Among equal ones the first in time has the
    unit that is left, whatever the order of the rows.
    """
    revenue = np.zeros(len(rows.journey), dtype=np.int64)
    currency, earned = codes(journeys.journeys["currency"])[1], _earned(journeys)
    touch, rest = np.flatnonzero(rows.touch >= 0), np.flatnonzero(rows.touch < 0)
    of_touch, of_rest = rows.journey[touch], rows.journey[rest]

    part = np.column_stack([rows.credit[rest], np.maximum(journeys.count[of_rest] - rows.credit[rest], 0.0)])
    part[stranded(journeys, of_touch)[of_rest]] = 1.0, 0.0
    revenue[rest] = apportion(earned[of_rest], part.ravel(), np.full(len(rest), 2))[::2]
    left = np.zeros(int(currency.max(initial=-1)) + 1, dtype=np.int64)
    np.add.at(left, currency, earned)
    np.subtract.at(left, currency[of_rest], revenue[rest])

    order = np.lexsort((_place(journeys, of_touch), currency[of_touch]))
    revenue[touch[order]] = _shared(left, currency[of_touch[order]], rows.credit[touch[order]])
    return revenue


def stranded(journeys: Journeys, credited: Integers) -> Bools:
    """Return which journeys earned something in a currency in which no touch has credit, of shape (n,).

    Parameters
    ----------
    journeys : Journeys
    credited : array of int64
        Journeys of the credited touches.
    """
    currency = codes(journeys.journeys["currency"])[1]
    has_credit = np.zeros(int(currency.max(initial=-1)) + 1, dtype=bool)
    has_credit[currency[credited]] = True
    found: Bools = (_earned(journeys) != 0) & ~has_credit[currency]
    return found


def _earned(journeys: Journeys) -> Integers:
    return np.where(journeys.converted, journeys.revenue, 0)


def _shared(amount: Integers, pot: Integers, weight: Floats) -> Integers:
    """Share amounts by pot; the rows of a pot lie together."""
    shared = np.zeros(len(pot), dtype=np.int64)
    paid = np.flatnonzero(amount[pot])
    opens = np.flatnonzero(np.diff(pot[paid], prepend=-1))
    shared[paid] = apportion(amount[pot[paid[opens]]], weight[paid], np.diff(opens, append=len(paid)))
    return shared


def _place(journeys: Journeys, ascending: Integers) -> Integers:
    """Return the place in the order of time of some journeys, the same one for a journey that comes again."""
    opens = np.flatnonzero(np.diff(ascending, prepend=-1))
    some = pa.array(ascending[opens])
    table = pa.table({name: plain(journeys.journeys[name].take(some)) for name in _IN_TIME})
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in _IN_TIME])
    place = np.empty(len(opens), dtype=np.int64)
    place[order.to_numpy()] = np.arange(len(opens))
    return np.repeat(place, np.diff(opens, append=len(ascending)))


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without a dictionary."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
