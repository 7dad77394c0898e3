"""The relation ``touches``: with the role of the person, and with what answers what."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.algebra import RELATIONS
from features.money import minor_per_unit
from features.relations.columns import Codes, Ints, ints
from features.relations.contacts import Roles


def touch_rows(view: pa.Table, account: Codes, roles: Roles) -> tuple[pa.Table, pa.Table]:
    """Return the relation ``touches`` and its ``answers``.

    Parameters
    ----------
    view : pyarrow.Table
        Rows of ``account_touches``.
    account : array of int32, shape (n,)
        Account of each row, -1 for none.
    roles : Roles
    """
    occurred = ints(view, "occurred_at")
    start = np.maximum(occurred, ints(view, "known_from"))
    end = ints(view, "known_until")
    rows = np.flatnonzero((start < end) & (account >= 0))
    rows = rows[_touch_order(view, rows, account[rows], occurred[rows])]
    row, start, end, role = roles.over(view["contact_id"].take(pa.array(rows)), start[rows], end[rows])
    rows = rows[row]
    satisfaction, nps = _ratings(view["properties"].take(rows))
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "account": pa.array(account[rows]),
        "valid_from": pa.array(start),
        "valid_until": pa.array(end),
        "occurred_at": pa.array(occurred[rows]),
    }
    for name in RELATIONS["touches"]["text"]:
        columns[name] = role if name == "role" else view[name].take(rows)
    columns["cost"] = _units(view["cost"].take(rows), view["currency"].take(rows))
    columns["satisfaction"], columns["nps"] = satisfaction, nps
    table = pa.table(columns)
    return table, _answers(table)


def _touch_order(view: pa.Table, rows: Ints, account: Codes, occurred: Ints) -> Ints:
    """Return the order by (account, occurred_at, source, event_id), comparing texts only where times tie."""
    order = np.lexsort((occurred, account))
    tied = (np.diff(account[order]) == 0) & (np.diff(occurred[order]) == 0)
    if not tied.any():
        return order
    involved = np.flatnonzero(np.concatenate((tied, [False])) | np.concatenate(([False], tied)))
    picked = pa.array(rows[order[involved]])
    ids = list(zip(view["source"].take(picked).to_pylist(), view["event_id"].take(picked).to_pylist(), strict=True))
    run = np.cumsum(np.concatenate(([True], ~tied)))[involved].tolist()
    ranked = sorted(range(len(involved)), key=lambda index: (run[index], ids[index]))
    order[involved] = order[involved][ranked]
    return order


def _ratings(properties: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return satisfaction and nps where the properties state them as numbers."""
    stated = np.zeros((2, len(properties)))
    stated[:] = np.nan
    mentioned = pc.or_(pc.match_substring(properties, '"satisfaction"'), pc.match_substring(properties, '"nps"'))
    rows = np.flatnonzero(mentioned.fill_null(False).to_numpy())
    for row, text in zip(rows.tolist(), properties.take(pa.array(rows)).to_pylist(), strict=True):
        content = json.loads(text)
        if isinstance(content, dict):
            stated[0, row] = _rating(content.get("satisfaction"))
            stated[1, row] = _rating(content.get("nps"))
    return pa.array(stated[0], from_pandas=True), pa.array(stated[1], from_pandas=True)


def _rating(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return math.nan
    return float(value)


def _units(minor: pa.ChunkedArray, currency: pa.ChunkedArray) -> pa.Array:
    """Return money in units of its own currency."""
    amounts = minor.to_pylist() if minor.null_count < len(minor) else None
    if amounts is None:
        return pa.nulls(len(minor), pa.float64())
    return pa.array(
        [
            None if amount is None else amount / minor_per_unit(code)
            for amount, code in zip(amounts, currency.to_pylist(), strict=True)
        ],
        pa.float64(),
    )


def _answers(touches: pa.Table) -> pa.Table:
    """Return which touch (row number) was answered when, over the time both were visible."""
    start, end = touches["valid_from"].to_numpy(), touches["valid_until"].to_numpy()
    occurred, account = touches["occurred_at"].to_numpy(), touches["account"].to_numpy()
    replies = np.flatnonzero(pc.is_valid(touches["reply_to"]).to_numpy())
    asked: dict[tuple[int, str], list[int]] = {}
    wanted = dict.fromkeys(
        zip(account[replies].tolist(), touches["reply_to"].take(pa.array(replies)).to_pylist(), strict=True)
    )
    if wanted:
        ids = pa.array({event_id for _, event_id in wanted}, pa.string())
        rows = np.flatnonzero(pc.is_in(touches["event_id"], ids).to_numpy())
        for row, event_id in zip(rows.tolist(), touches["event_id"].take(pa.array(rows)).to_pylist(), strict=True):
            asked.setdefault((int(account[row]), event_id), []).append(row)
    found = []
    texts = touches["reply_to"].take(pa.array(replies)).to_pylist()
    for reply, event_id in zip(replies.tolist(), texts, strict=True):
        for row in asked.get((int(account[reply]), event_id), ()):
            begin, stop = max(start[row], start[reply]), min(end[row], end[reply])
            if begin < stop and row != reply:
                found.append((row, int(begin), int(stop), int(occurred[reply])))
    found.sort()
    names = ("touch", "valid_from", "valid_until", "answered_at")
    columns = zip(*found, strict=True) if found else ((), (), (), ())
    return pa.table({name: pa.array(column, pa.int64()) for name, column in zip(names, columns, strict=True)})
