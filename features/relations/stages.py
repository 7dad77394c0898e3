"""The relation ``stages``: where the cycles of each account stand over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.agreement import Agreement, Stages
from features.cycles import Change, StageRow, Standing, standings
from features.intervals import groups
from features.relations.columns import Codes, ints, ranks, validity
from features.schema import FOREVER


def stage_rows(
    stage_changes: pa.Table,
    change_account: Codes,
    deals: pa.Table,
    deal_account: Codes,
    touches: pa.Table,
    account_ids: Sequence[str],
    agreement: Agreement,
) -> pa.Table:
    """Return the relation ``stages``: the furthest cycle of each kind of an account over time."""
    found: list[tuple[Any, ...]] = []
    for account, kind, timeline in stage_timelines(
        stage_changes, change_account, deals, deal_account, touches, account_ids, agreement
    ):
        for standing in timeline:
            # (account, valid_from, valid_until, kind, number of cycles) and the furthest cycle
            found.append((account, *standing[:2], kind, len(standing.cycles), *standing.furthest))
    columns = list(zip(*found, strict=True)) or [()] * 13
    account_, start, end, kind_, cycles, cycle_id, stage, rank, entered, opened, _, regressions, is_open = columns
    table = pa.table(
        {
            "account": pa.array(account_, pa.int32()),
            "valid_from": pa.array(start, pa.int64()),
            "valid_until": pa.array(end, pa.int64()),
            "occurred_at": pa.array(entered, pa.int64()),
            "opened_at": pa.array(opened, pa.int64()),
            "kind": pa.array(kind_, pa.string()),
            "cycle_id": pa.array(cycle_id, pa.string()),
            "stage": pa.array(stage, pa.string()),
            "rank": pa.array(rank, pa.float64()),
            "regressions": pa.array(regressions, pa.float64()),
            "cycles": pa.array(cycles, pa.float64()),
            "is_open": pa.array(is_open, pa.bool_()).cast(pa.float64()),
        }
    )
    by = (ints(table, "valid_from"), ranks(table["kind"]), ints(table, "occurred_at"), ints(table, "account"))
    return table.take(np.lexsort(by))


def stage_timelines(
    stage_changes: pa.Table,
    change_account: Codes,
    deals: pa.Table,
    deal_account: Codes,
    touches: pa.Table,
    account_ids: Sequence[str],
    agreement: Agreement,
) -> Iterator[tuple[int, str, list[Standing]]]:
    """Yield (account, kind, standings over time) of every account that has a cycle."""
    rows = gather_stage_rows(stage_changes, change_account, deals, deal_account, agreement.stages)
    first = first_inbound(touches) if agreement.stages.implicit_first else {}
    keys = sorted({*rows, *((account, "new") for account in first)})
    for account, kind in keys:
        inbound = first.get(account, []) if kind == "new" else []
        yield (
            account,
            kind,
            standings(rows.get((account, kind), []), inbound, agreement.stages, f"{account_ids[account]}:new:1"),
        )


def gather_stage_rows(
    stage_changes: pa.Table, change_account: Codes, deals: pa.Table, deal_account: Codes, stages: Stages
) -> dict[tuple[int, str], list[StageRow]]:
    """Return what moves the cycles of every (account, kind): its stage changes and the rows of its deals."""
    rows: dict[tuple[int, str], list[StageRow]] = {}
    sources = (
        (stage_changes, change_account, "stage", "change_id"),
        (deals, deal_account, "outcome", "deal_id"),
    )
    for table, account, stage, row_id in sources:
        occurred = ints(table, "occurred_at")
        start, end = validity(table, occurred)
        entries = table[stage].to_pylist()
        ids = table[row_id].to_pylist()
        kinds, cycles = table["kind"].to_pylist(), table["cycle_id"].to_pylist()
        moments, starts, ends, accounts = occurred.tolist(), start.tolist(), end.tolist(), account.tolist()
        is_deal = row_id == "deal_id"
        for row in np.flatnonzero((start < end) & (account >= 0)).tolist():
            entered = "deal" if is_deal and entries[row] == "open" else entries[row]
            change = Change(moments[row], stages.position(entered), ids[row], entered)
            rows.setdefault((accounts[row], kinds[row]), []).append(
                StageRow(cycles[row], change, is_deal, starts[row], ends[row])
            )
    return rows


def first_inbound(touches: pa.Table) -> dict[int, list[tuple[int, int, int]]]:
    """Return, per account, the inbound touches that are the first one at some moment.

    Each is (occurred_at, valid_from, valid_until). A touch can be the first only while every earlier one is not yet
    known or no longer valid, so the list is nearly always of length one.
    """
    inbound = touches.filter(pc.equal(touches["direction"], "inbound"))
    account = inbound["account"].to_numpy()
    occurred, start, end = (inbound[name].to_numpy() for name in ("occurred_at", "valid_from", "valid_until"))
    found: dict[int, list[tuple[int, int, int]]] = {}
    # A first touch known at once and for good is the only one that matters, and nearly all are.
    settled = ((occurred == start) & (end == FOREVER)).tolist()
    moments = occurred.tolist()
    for code, begin, stop in groups(account):
        if settled[begin]:
            found[code] = [(moments[begin], moments[begin], FOREVER)]
        else:
            rows = zip(*(column[begin:stop].tolist() for column in (occurred, start, end)), strict=True)
            found[code] = _possibly_first(rows)
    return found


def _possibly_first(rows: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    kept: list[tuple[int, int, int]] = []
    covered_from = FOREVER
    for occurred, start, end in rows:
        if occurred >= covered_from:
            break
        if start < covered_from:
            kept.append((occurred, start, end))
            if end == FOREVER:
                covered_from = start
    return kept
