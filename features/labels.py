"""Goals to labels: to whom a goal applies when, and whether it was reached within the horizon."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from features.agreement import Agreement, Goal
from features.cycles import Change, Standing, changes
from features.relations import Relations, Tables, account_codes
from features.relations.stages import first_inbound, gather_stage_rows, stage_timelines
from features.schema import DAY

_LAG_QUANTILE = 0.95


class Pairs(NamedTuple):
    """Accounts, each at a moment.

    Parameters
    ----------
    account : array of int, shape (n,)
        Index into `Relations.account_ids`.
    as_of : array of int64, shape (n,)
        Microseconds since the epoch, UTC.
    """

    account: npt.NDArray[np.int64]
    as_of: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs."""
        return Pairs(self.account[rows], self.as_of[rows])


class Labels(NamedTuple):
    """What became of n pairs.

    Parameters
    ----------
    label : array of int8, shape (n,)
        1 when a cycle open at the moment reached the stage, or a later one, within the horizon and before it was lost.
    amount : array of float64, shape (n,)
        What these cycles won within the horizon, in units of the reporting currency at the rates known at the end of
        the data; NaN where nothing was won, or its amount is 0 or not known.
    """

    label: npt.NDArray[np.int8]
    amount: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cases:
    """When a goal applies to each account, and what became of it.

    Parameters
    ----------
    account : array of int64, shape (m,)
        Index into `Relations.account_ids`; sorted, the stretches of one account ascend and do not overlap.
    start, end : array of int64, shape (m,)
        A stretch of time over which a cycle of the goal's kind is known to be open in one of its stages; the end is
        excluded. Microseconds since the epoch, UTC.
    horizon : int
        Of the goal, in microseconds.
    data_until : int
        Newest known_at of the ledger, in microseconds.
    lag : int
        Reporting lag in microseconds.
    lag_is_assumed : bool
        Whether all outcomes only have assumed times, so that the lag is taken to be 0.

    Notes
    -----
    To whom the goal applies is decided by what was known at the moment; what became of it by what is known at the end.
    """

    account: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    horizon: int
    data_until: int
    lag: int
    lag_is_assumed: bool
    _standings: tuple[Standing, ...]
    _outcomes: _Outcomes

    @classmethod
    def of(cls, tables: Tables, relations: Relations, agreement: Agreement, goal: Goal) -> Cases:
        """Find the cases of a goal.

        Parameters
        ----------
        tables : mapping of str to pyarrow.Table
            Ledger tables.
        relations : Relations
            Built from the same tables.
        agreement : Agreement
        goal : Goal
        """
        codes = account_codes(tables, relations.account_ids)
        data_until, lag = newest_known(tables), reporting_lag(tables)
        account: list[int] = []
        standings: list[Standing] = []
        timelines = stage_timelines(
            tables["stage_changes"], codes["stage_changes"], tables["deals"], codes["deals"],
            relations.tables["touches"], relations.account_ids, agreement,
        )  # fmt: skip
        for code, kind, timeline in timelines:
            if kind == goal.kind:
                applies = [standing for standing in timeline if _applies(standing, goal)]
                account += [code] * len(applies)
                standings += applies
        return cls(
            account=np.array(account, dtype=np.int64),
            start=np.array([standing.valid_from for standing in standings], dtype=np.int64),
            end=np.array([standing.valid_until for standing in standings], dtype=np.int64),
            horizon=goal.within_days * DAY,
            data_until=data_until,
            lag=lag or 0,
            lag_is_assumed=lag is None,
            _standings=tuple(standings),
            _outcomes=_outcomes(tables, relations, codes, agreement, goal, data_until),
        )

    def at(self, moments: npt.NDArray[np.int64]) -> Pairs:
        """Return every account at every one of the moments, which ascend, at which the goal applies to it.

        Sorted by account and moment.
        """
        first = np.searchsorted(moments, self.start)
        count = np.searchsorted(moments, self.end) - first
        before = np.cumsum(count) - count
        index = np.arange(int(count.sum())) + np.repeat(first - before, count)
        return Pairs(np.repeat(self.account, count), moments[index])

    def applies(self, pairs: Pairs) -> npt.NDArray[np.bool_]:
        """Return whether the goal applies, of shape (n,)."""
        return self._stretch(pairs) >= 0

    def complete(self, pairs: Pairs) -> npt.NDArray[np.bool_]:
        """Return whether horizon and reporting lag have passed since, of shape (n,); the others are *censored*."""
        return pairs.as_of + self.horizon + self.lag <= self.data_until

    def label(self, pairs: Pairs) -> Labels:
        """Return what became of pairs at which the goal applies and whose outcome is complete."""
        stretch = self._stretch(pairs).tolist()
        found = [
            self._outcomes.of(account, self._standings[place], moment, moment + self.horizon)
            for account, place, moment in zip(pairs.account.tolist(), stretch, pairs.as_of.tolist(), strict=True)
        ]
        label, amount = zip(*found, strict=True) if found else ((), ())
        return Labels(np.array(label, dtype=np.int8), np.array(amount, dtype=np.float64))

    def _stretch(self, pairs: Pairs) -> npt.NDArray[np.int64]:
        """Return the stretch that each pair lies in, -1 for none."""
        # Moments as their rank among the starts, so that an account and a moment fit in one number that sorts.
        starts = np.unique(self.start)
        own = self.account * (len(starts) + 1) + np.searchsorted(starts, self.start, side="right")
        asked = pairs.account * (len(starts) + 1) + np.searchsorted(starts, pairs.as_of, side="right")
        place = np.searchsorted(own, asked, side="right") - 1
        if not len(own):
            return place
        holds = (place >= 0) & (self.account[place] == pairs.account) & (pairs.as_of < self.end[place])
        return np.where(holds, place, -1)


def newest_known(tables: Tables) -> int:
    """Return the newest known_at among the facts of a ledger, in microseconds; 0 for an empty one."""
    newest = [0]
    for name in ("account_touches", "deals", "stage_changes", "attributes"):
        known = tables[name]["known_from" if name == "account_touches" else "known_at"].to_numpy()
        newest.append(int(known.max(initial=0)))
    return max(newest)


def reporting_lag(tables: Tables) -> int | None:
    """Return how late outcomes become known: the 95th percentile of known_at - occurred_at, in microseconds.

    Only rows whose known_at was recorded or stamped count, of the tables that outcomes are made of (stage changes and
    deals); None when there are none.
    """
    lags = []
    for name in ("stage_changes", "deals"):
        table = tables[name]
        told = np.array([origin != "assumed" for origin in table["known_at_origin"].to_pylist()], dtype=bool)
        lags.append(np.maximum(table["known_at"].to_numpy() - table["occurred_at"].to_numpy(), 0)[told])
    known = np.concatenate(lags)
    return int(np.quantile(known, _LAG_QUANTILE)) if len(known) else None


def _applies(standing: Standing, goal: Goal) -> bool:
    return any(cycle.is_open and cycle.stage in goal.from_ for cycle in standing.cycles)


@dataclass(frozen=True)
class _Outcomes:
    """What became of every cycle of one kind, as known at the end of the ledger."""

    logs: dict[int, dict[str, list[Change]]]
    wanted: frozenset[str]
    ends: frozenset[str]
    won: dict[str, float]
    """Amount of each won deal, where one above 0 is known."""

    def of(self, account: int, standing: Standing, start: int, end: int) -> tuple[int, float]:
        """Return label and amount of the cycles open in `standing`, over (start, end] and until they are lost."""
        logs = self.logs.get(account, {})
        reached = 0
        deals: dict[str, float] = {}
        for cycle in standing.cycles:
            if not cycle.is_open:
                continue
            # A cycle that only an inbound touch had opened goes on as the account's first one.
            log = logs.get(cycle.cycle_id) or next(iter(logs.values()), [])
            for change in log:
                if change.occurred_at <= start:
                    continue
                if change.occurred_at > end or change.stage in self.ends:
                    break
                if change.stage in self.wanted:
                    reached = 1
                if change.stage == "won" and change.row_id in self.won:
                    deals[change.row_id] = self.won[change.row_id]
        return reached, math.fsum(deals.values()) if deals else math.nan


def _outcomes(
    tables: Tables,
    relations: Relations,
    codes: dict[str, npt.NDArray[np.int32]],
    agreement: Agreement,
    goal: Goal,
    data_until: int,
) -> _Outcomes:
    rows = gather_stage_rows(
        tables["stage_changes"], codes["stage_changes"], tables["deals"], codes["deals"], agreement.stages
    )
    first = first_inbound(relations.tables["touches"]) if goal.kind == "new" else {}
    logs: dict[int, dict[str, list[Change]]] = {}
    for account in {account for account, kind in rows if kind == goal.kind} | set(first):
        seen = [row for row in rows.get((account, goal.kind), ()) if row.valid_from <= data_until < row.valid_until]
        inbound = [touch for touch, start, until in first.get(account, ()) if start <= data_until < until]
        logs[account] = changes(
            seen, agreement.stages, min(inbound, default=None), f"{relations.account_ids[account]}:new:1"
        )
    order = agreement.stages.order
    wanted = frozenset(order[order.index(goal.reach) :])
    return _Outcomes(logs, wanted, frozenset(agreement.stages.terminal), _won(relations, data_until))


def _won(relations: Relations, data_until: int) -> dict[str, float]:
    deals = relations.tables["deals"]
    now = (deals["valid_from"].to_numpy() <= data_until) & (data_until < deals["valid_until"].to_numpy())
    won = deals.filter(now).filter(pc.field("outcome") == "won").filter(pc.field("amount") > 0)
    return dict(zip(won["deal_id"].to_pylist(), won["amount"].to_pylist(), strict=True))
