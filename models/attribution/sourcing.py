"""Sourced and influenced: the revenue in which the first touch was ours, and that in which any was.

Ours is a touch of a lever. Neither figure says what we achieved: an account that would have bought anyway is sourced by
whoever met it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.journeys import Journeys
from features.journeys.journeys import codes
from models.arrays import Integers
from models.attribution.aggregate import different, revenues
from models.attribution.credit import UNASSIGNED


@dataclass(frozen=True)
class Totals:
    """Conversions of some journeys, and their revenue in minor units by currency: ``revenue_EUR`` and the like."""

    conversions: int
    revenue: Mapping[str, int]


@dataclass(frozen=True)
class Sourcing:
    """What was sourced and what was influenced.

    Parameters
    ----------
    total, sourced, influenced : Totals
        Of all converted journeys, of those whose first touch was ours, and of those with any touch of ours.
    by_channel : pyarrow.Table
        For each channel of a lever `sourced_conversions`, which add up to those sourced, and
        `influenced_conversions_not_additive`, which do not: a journey that three channels touched is influenced by
        each of them. In the same way `sourced_revenue_EUR`, `influenced_revenue_EUR_not_additive`, for each currency.
        The most influential channel first, equal ones by name.
    """

    total: Totals
    sourced: Totals
    influenced: Totals
    by_channel: pa.Table


def sourcing(journeys: Journeys) -> Sourcing:
    """Find what was sourced and what was influenced among the converted journeys.

    Notes
    -----
    The touches of a journey are those within its lookback: the first of them may not be the first ever.
    """
    names, channel = journeys.players()
    ours = np.flatnonzero(journeys.is_lever & np.repeat(journeys.converted, np.diff(journeys.offset)))
    first = ours[journeys.offset[journeys.of_touch[ours]] == ours]
    # Each journey once for each channel that touched it.
    touched = different(journeys.of_touch[ours] * len(names) + channel[ours])
    sourced, influenced = (
        _table(journeys, journeys.of_touch[first], channel[first], len(names)),
        _table(journeys, touched // len(names), touched % len(names), len(names)),
    )
    levers = np.unique(channel[journeys.is_lever])
    table = pa.table(
        {
            "channel": pa.array([names[at] or UNASSIGNED for at in levers], pa.string()),
            **{f"sourced_{name}": pa.array(of_channel[levers]) for name, of_channel in sourced.items()},
            **{
                f"influenced_{name}_not_additive": pa.array(of_channel[levers])
                for name, of_channel in influenced.items()
            },
        }
    )
    keys = [("influenced_conversions_not_additive", "descending"), ("channel", "ascending")]
    return Sourcing(
        _totals(journeys, np.flatnonzero(journeys.converted)),
        _totals(journeys, journeys.of_touch[first]),
        _totals(journeys, different(journeys.of_touch[ours])),
        table.sort_by(keys),
    )


def _totals(journeys: Journeys, rows: Integers) -> Totals:
    found = _table(journeys, rows, np.zeros(len(rows), dtype=np.int64), 1)
    return Totals(int(found.pop("conversions")[0]), {name: int(revenue[0]) for name, revenue in found.items()})


def _table(journeys: Journeys, rows: Integers, group: Integers, groups: int) -> dict[str, Integers]:
    """Return conversions, and revenue by currency, of some journeys by group, each of shape (groups,)."""
    conversions = np.zeros(groups, dtype=np.int64)
    np.add.at(conversions, group, journeys.count[rows])
    currencies, currency = codes(journeys.journeys["currency"])
    return {
        "conversions": conversions,
        **revenues(currencies, currency[rows], journeys.revenue[rows], group, groups),
    }
