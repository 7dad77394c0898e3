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
from features.relations.contacts import ContactSpan, ContactSpans, filled
from features.schema import FOREVER

_DISTANT_PAST = -FOREVER


def touch_rows(view: pa.Table, account: Codes, contacts: ContactSpans) -> tuple[pa.Table, pa.Table]:
    """Return the relation ``touches`` and its ``answers``.

    Parameters
    ----------
    view : pyarrow.Table
        Rows of ``account_touches``.
    account : array of int32, shape (n,)
        Account of each row, -1 for none.
    contacts : ContactSpans
    """
    occurred = ints(view, "occurred_at")
    start = np.maximum(occurred, ints(view, "known_from"))
    end = ints(view, "known_until")
    rows = np.flatnonzero((start < end) & (account >= 0))
    rows = rows[_touch_order(view, rows, account[rows], occurred[rows])]
    rows, start, end, role = _with_roles(view["contact_id"], rows, start[rows], end[rows], contacts.roles)
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


def _with_roles(
    contact: pa.ChunkedArray, rows: Ints, start: Ints, end: Ints, roles: dict[str, list[ContactSpan]]
) -> tuple[Ints, Ints, Ints, pa.Array]:
    """Split rows where the role of their person changed while they were valid; keeps the order of rows."""
    encoded = (
        contact.combine_chunks().dictionary_encode()
        if contact.num_chunks
        else pa.array([], pa.string()).dictionary_encode()
    )
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    person = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)[rows].astype(np.int64)
    always = [(None, _DISTANT_PAST, FOREVER)]
    spans = [
        filled(roles[name], _DISTANT_PAST, FOREVER) if name in roles else always
        for name in encoded.dictionary.to_pylist()
    ]
    spans.append(always)
    lengths = np.array([len(span) for span in spans])
    offset = np.concatenate(([0], np.cumsum(lengths)))[:-1]
    flat = [span for group in spans[:-1] for span in group]
    names = pa.array([role or "unknown" for role, _, _ in flat] + [None], pa.string())
    since = np.array([begin for _, begin, _ in flat] + [_DISTANT_PAST], dtype=np.int64)
    until = np.array([stop for _, _, stop in flat] + [FOREVER], dtype=np.int64)
    repeats = lengths[person]
    row = np.repeat(np.arange(len(rows)), repeats)
    within = np.arange(len(row)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    span = np.repeat(offset[person], repeats) + within
    begin, stop = np.maximum(start[row], since[span]), np.minimum(end[row], until[span])
    kept = begin < stop
    return rows[row[kept]], begin[kept], stop[kept], names.take(pa.array(span[kept]))


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
