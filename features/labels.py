"""Goals to labels: whether a cycle that was open at a moment reached the stage within the horizon."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.agreement import Agreement, Goal
from features.cycles import Change, Standing, changes
from features.relations import Relations, Tables, account_codes
from features.relations.stages import first_inbound, gather_stage_rows, stage_timelines
from features.schema import DAY

_LAG_QUANTILE = 0.95


@dataclass(frozen=True)
class Labelled:
    """Snapshots of eligible accounts whose outcome is complete, n of them.

    Parameters
    ----------
    account_id : pyarrow.Array of str, length n
        Sorted; the moments of one account ascend.
    as_of : array of int64, shape (n,)
        Microseconds since the epoch, UTC.
    label : array of int8, shape (n,)
        1 when a cycle open at the moment reached the stage, or a later one, within the horizon and before it was lost.
    censored : int
        Eligible snapshots left out because horizon and reporting lag are not complete.
    data_until : int
        Newest known_at of the ledger, in microseconds.
    lag : int
        Reporting lag in microseconds.
    lag_is_assumed : bool
        Whether all outcomes only have assumed times, so that the lag is taken to be 0.
    """

    account_id: pa.Array
    as_of: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    censored: int
    data_until: int
    lag: int
    lag_is_assumed: bool


def label(
    tables: Tables, relations: Relations, agreement: Agreement, goal: Goal, moments: npt.NDArray[np.int64]
) -> Labelled:
    """Label every account at every moment at which the goal applies to it.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        Ledger tables.
    relations : Relations
        Built from the same tables.
    agreement : Agreement
    goal : Goal
    moments : array of int64, ascending
        Microseconds since the epoch, UTC.

    Notes
    -----
    Who is eligible is decided by what was known at the moment; what became of it by what is known at the end.
    """
    codes = account_codes(tables, relations.account_ids)
    data_until = newest_known(tables)
    lag = reporting_lag(tables)
    complete = int(np.searchsorted(moments, data_until - goal.within_days * DAY - (lag or 0), side="right"))
    outcomes = _outcomes(tables, relations, codes, agreement, goal, data_until)
    asked = moments.tolist()
    accounts: list[int] = []
    as_of: list[int] = []
    labels: list[int] = []
    censored = 0
    timelines = stage_timelines(
        tables["stage_changes"], codes["stage_changes"], tables["deals"], codes["deals"],
        relations.tables["touches"], relations.account_ids, agreement,
    )  # fmt: skip
    for account, kind, timeline in timelines:
        if kind != goal.kind:
            continue
        starts = [standing.valid_from for standing in timeline]
        for index, moment in enumerate(asked):
            standing = _at(timeline, starts, moment)
            if standing is None or not any(cycle.is_open and cycle.stage in goal.from_ for cycle in standing.cycles):
                continue
            if index >= complete:
                censored += 1
                continue
            accounts.append(account)
            as_of.append(moment)
            labels.append(outcomes.reached(account, standing, moment, moment + goal.within_days * DAY))
    ids = pa.array(relations.account_ids, pa.string())
    return Labelled(
        account_id=ids.take(pa.array(accounts, pa.int64())),
        as_of=np.array(as_of, dtype=np.int64),
        label=np.array(labels, dtype=np.int8),
        censored=censored,
        data_until=data_until,
        lag=lag or 0,
        lag_is_assumed=lag is None,
    )


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


def _at(timeline: list[Standing], starts: list[int], moment: int) -> Standing | None:
    index = bisect_right(starts, moment) - 1
    return timeline[index] if index >= 0 and moment < timeline[index].valid_until else None


@dataclass(frozen=True)
class _Outcomes:
    """What became of every cycle of one kind, as known at the end of the ledger."""

    logs: dict[int, dict[str, list[Change]]]
    wanted: frozenset[str]
    ends: frozenset[str]

    def reached(self, account: int, standing: Standing, start: int, end: int) -> int:
        """Return whether a cycle open in `standing` reached the goal in (start, end] and before it was lost."""
        logs = self.logs.get(account, {})
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
                    return 1
        return 0


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
    reach = "won" if goal.reach in {"renewed", "expanded"} else goal.reach
    return _Outcomes(logs, frozenset(order[order.index(reach) :]), frozenset(agreement.stages.terminal))
