"""Clocks of senders that run ahead of ours: a little is put right, more is refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from features.ledger import staging
from features.ledger.append import AHEAD
from features.ledger.tables import clamped_keys
from features.ledger.transaction import Transaction
from features.schema import Table

PERIODS = frozenset({"spend", "targets", "fx_rates"})
"""Tables whose clock begins a period: it may well lie ahead, and nobody's clock is wrong."""


def clamp(
    transaction: Transaction, table: Table, sent: Sequence[list[Any]], live: Sequence[bool]
) -> tuple[list[list[Any]], set[int]]:
    """Return the rows with clocks that are not ahead of the stamp, and the places of those too far ahead.

    Parameters
    ----------
    transaction : Transaction
    table : Table
    sent : sequence of list
        Values of each row in the order of the table's columns.
    live : sequence of bool
        Which of them we stamp ourselves; those of the others that are ahead are for `refuse_ahead`.

    Notes
    -----
    Rows ahead by different amounts keep their order: the last gets the stamp, those before it a microsecond less each.
    Where the clock is part of the key, the key as sent is remembered, so that the row is known when it comes again.
    """
    rows = list(sent)
    if table.clock is None or table.name in PERIODS:
        return rows, set()
    at = table.names.index(table.clock)
    stamp = transaction.stamp
    _restore(transaction, table, rows, at)
    ahead = [i for i, row in enumerate(rows) if live[i] and row[at] is not None and row[at] > stamp]
    if not ahead:
        return rows, set()
    refused = {i for i in ahead if rows[i][at] > stamp + AHEAD}
    for i in refused:
        transaction.reject(table.name, i, table.clock, "future", _message(table.clock, rows[i][at], stamp))
    clocks = sorted({rows[i][at] for i in ahead if i not in refused}, reverse=True)
    clamped = {clock: stamp - rank for rank, clock in enumerate(clocks)}
    remembered = {}
    for i in ahead:
        if i not in refused:
            row = list(rows[i])
            row[at] = clamped[row[at]]
            if table.name == "touchpoints":
                row[-1] = _with_original(row[-1], rows[i][at])
            if table.clock in table.key:
                remembered[_key(table, rows[i])] = row[at]
            rows[i] = row
    staging.insert(transaction.connection, clamped_keys, [(table.name, key, at) for key, at in remembered.items()])
    return rows, refused


def refuse_ahead(
    transaction: Transaction,
    name: str,
    clock: str | None,
    clocks: Sequence[int | None],
    known: Sequence[int | None],
) -> set[int]:
    """Refuse rows that come with times of their own which lie ahead of ours, and return their places.

    What nobody can know yet would count as the newest word of the ledger, and nothing would seem unfinished any more.

    Parameters
    ----------
    transaction : Transaction
    name : str
        Name of the table.
    clock : str or None
        Column that says when a row happened; None when it has none.
    clocks : sequence of (int or None)
        What each row says there; all None when there is no such column.
    known : sequence of (int or None)
        Since when each row is said or assumed to have been known; None where we stamp it.
    """
    limit = transaction.stamp + AHEAD
    refused = set()
    for i, (at, known_at) in enumerate(zip(clocks, known, strict=True)):
        if at is not None and at > limit:
            field, moment = clock or "known_at", at
        elif known_at is not None and known_at > limit:
            field, moment = "known_at", known_at
        else:
            continue
        refused.add(i)
        transaction.reject(name, i, field, "future", _message(field, moment, transaction.stamp))
    return refused


def _restore(transaction: Transaction, table: Table, rows: list[list[Any]], at: int) -> None:
    """Give rows that were clamped when they first came the same clock again."""
    if table.clock not in table.key:
        return
    connection, mine = transaction.connection, clamped_keys.c.table_name == table.name
    if connection.execute(sa.select(clamped_keys.c.clock).where(mine).limit(1)).first() is None:
        return
    keys = [_key(table, row) for row in rows]
    columns = (clamped_keys.c.sent_key, clamped_keys.c.clock)
    clocks = dict(staging.by_id(connection, clamped_keys.c.sent_key, columns, set(keys), mine))
    for i, key in enumerate(keys):
        if key in clocks:
            rows[i] = [*rows[i][:at], clocks[key], *rows[i][at + 1 :]]


def _key(table: Table, row: Sequence[Any]) -> str:
    return orjson.dumps([row[table.names.index(name)] for name in table.key]).decode()


def _with_original(properties: str | None, clock: int) -> str:
    said = {**orjson.loads(properties or "{}"), "occurredAtSent": _iso(clock)}
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()


def _message(column: str, clock: int, stamp: int) -> str:
    return (
        f"{column} is ahead of our clock by {(clock - stamp) / 1e6:.0f} s: {_iso(clock)}, received at {_iso(stamp)}. "
        f"Allowed: {AHEAD // 60_000_000} minutes."
    )


def _iso(micros: int) -> str:
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    except OverflowError:
        return f"{micros} microseconds"
    return moment.isoformat().replace("+00:00", "Z")
