"""How journeys end: every conversion, and every account that was under observation and did not convert."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from features.agreement import Stages
from features.journeys.journeys import Bools, Ints
from features.journeys.passages import Passages
from features.journeys.sales import Sales
from features.schema import FOREVER


@dataclass(frozen=True)
class Endings:
    """n journeys without their touches.

    Parameters
    ----------
    account : array of int64, shape (n,)
        Index into `Relations.account_ids`.
    cycle, deal : array of int64, shape (n,)
        Index into `Passages` and `Sales`; -1 for none.
    opened_at, ended_at : array of int64, shape (n,)
        Microseconds.
    converted, is_lost : array of bool, shape (n,)
    """

    account: Ints
    cycle: Ints
    deal: Ints
    opened_at: Ints
    ended_at: Ints
    converted: Bools
    is_lost: Bools

    def take(self, rows: Ints) -> Endings:
        """Return some of the journeys, in the given order."""
        return Endings(*(getattr(self, field.name)[rows] for field in fields(self)))


def find_endings(
    passages: Passages, sales: Sales, cycle_of_sale: Ints, watched_from: Ints, stages: Stages, stage: str,
    data_from: int, as_of: int,
) -> Endings:  # fmt: skip
    """Return how every journey towards a stage ends.

    Parameters
    ----------
    passages : Passages
    sales : Sales
    cycle_of_sale : array of int64
        Index into `passages` of each deal; -1 for those of another kind.
    watched_from : array of int64, shape (number of accounts,)
        Since when each account is under observation; `FOREVER` for never.
    stages : Stages
    stage : str
        ``won`` converts once per won deal, ``deal`` once per deal (or per cycle that is said to have one), any other
        stage once per cycle.
    data_from, as_of : int
        Begin and end of what can be observed, in microseconds.
    """
    sold_at = {"won": sales.won_at, "deal": sales.opened_at}.get(stage, np.full(len(sales.account), FOREVER))
    deal = np.flatnonzero((cycle_of_sale >= 0) & (sold_at < FOREVER))
    sold = cycle_of_sale[deal]
    rest = np.flatnonzero(~np.isin(np.arange(passages.size), sold))
    has_cycle = np.isin(np.arange(len(watched_from)), passages.account)
    alone = np.flatnonzero((watched_from < FOREVER) & ~has_cycle)
    # A win that was taken back is in the cycle's past, but no won deal is left of it.
    reached = np.full(len(rest), FOREVER) if stage == "won" else passages.reached[stages.position(stage)][rest]
    never, none = np.full(len(alone), FOREVER), np.full(len(alone), -1)
    converted_at = np.concatenate((sold_at[deal], reached, never))
    lost_at = np.concatenate((np.full(len(deal), FOREVER), passages.lost_at[rest], never))
    converted = converted_at < FOREVER
    is_lost = ~converted & (lost_at < FOREVER)
    ended_at = np.where(converted, converted_at, np.where(is_lost, lost_at, as_of))
    opened = _opened(passages, watched_from)
    opened_at = np.maximum(np.concatenate((opened[sold], opened[rest], watched_from[alone])), data_from)
    return Endings(
        account=np.concatenate((passages.account[sold], passages.account[rest], alone)),
        cycle=np.concatenate((sold, rest, none)),
        deal=np.concatenate((deal, np.full(len(rest), -1), none)),
        opened_at=np.minimum(opened_at, ended_at),
        ended_at=ended_at,
        converted=converted,
        is_lost=is_lost,
    )


def _opened(passages: Passages, watched_from: Ints) -> Ints:
    """Return since when each cycle is looked for: since the account is watched, or since its previous cycle closed.

    Never later than the cycle's own beginning: while the one before is still open, both run side by side.
    """
    again = np.concatenate(([False], np.diff(passages.account) == 0))[: passages.size]
    before = np.concatenate(([FOREVER], passages.closed_at[:-1]))[: passages.size]
    return np.minimum(np.where(again, before, watched_from[passages.account]), passages.began)
