"""Reads a ledger: into Arrow for the evaluators, and row by row for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from features.ledger.tables import EVERY_ACCOUNT, STORED, account_touches, account_versions
from features.schema import TABLES, Column, Type

_CHUNK = 50_000

_TOUCH_COLUMNS = (
    *TABLES["touchpoints"].columns,
    Column("known_from", Type.TIME, "when both the touch and its link were known"),
    Column("known_until", Type.TIME, "when either was replaced"),
    Column("known_at_origin", Type.TEXT, "how known_at of the touch came about"),
    Column("ledger_seq", Type.INTEGER, "position of the touch in the ledger"),
)

_ATTRIBUTES, _LINKS = STORED["attributes"], STORED["touch_links"]


def account_tables(connection: sa.Connection, account_id: str) -> dict[str, pa.Table]:
    """Return the visible rows that concern one account, by table."""
    return {
        name: read(connection, statement, columns, {"account_id": account_id})
        for name, (statement, columns) in _OF_ACCOUNT.items()
    }


def tables(connection: sa.Connection) -> dict[str, pa.Table]:
    """Return the visible rows of all accounts, by table."""
    return {name: read(connection, statement, columns) for name, (statement, columns) in _OF_ALL.items()}


def export(connection: sa.Connection, name: str) -> pa.Table:
    """Return a table of the contract as stored, every revision of it, in the order of the ledger."""
    stored = STORED[name]
    return read(connection, sa.select(stored).order_by(stored.c.ledger_seq), TABLES[name].stored)


def account_seq(connection: sa.Connection, account_id: str) -> int | None:
    """Return the position of the last change that concerns an account; None when the account is unknown."""
    found = {row.account_id: row.seq for row in connection.execute(_SEQ, {"account_id": account_id})}
    return max(found.values()) if account_id in found else None


def read(
    connection: sa.Connection,
    statement: sa.Select[Any] | sa.CompoundSelect[Any],
    columns: tuple[Column, ...],
    parameters: Mapping[str, object] | None = None,
) -> pa.Table:
    """Run a query and return its rows as Arrow, chunk by chunk, so that few of them are Python objects at a time."""
    schema = pa.schema([pa.field(column.name, column.type.arrow) for column in columns])
    return pa.Table.from_batches(_batches(connection, statement, schema, parameters), schema=schema)


def _batches(
    connection: sa.Connection, statement: Any, schema: pa.Schema, parameters: Mapping[str, object] | None
) -> Iterator[pa.RecordBatch]:
    result = connection.execute(statement, parameters or {})
    cursor = result.cursor
    assert cursor is not None
    while rows := cursor.fetchmany(_CHUNK):
        arrays = []
        for type_, values in zip(schema.types, zip(*rows, strict=True), strict=True):
            # SQLite has no booleans: flags come as 0 and 1, which Arrow does not take for them.
            arrays.append(pa.array(map(bool, values) if pa.types.is_boolean(type_) else values, type_))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    result.close()


def _visible(name: str) -> sa.Select[Any]:
    stored = STORED[name]
    return sa.select(stored).where(~stored.c.deleted, stored.c.known_at < stored.c.known_until)


def _people() -> sa.CompoundSelect[Any]:
    """Contacts with a touch linked to the account, or that ever had it as employer."""
    account_id: sa.BindParameter[str] = sa.bindparam("account_id")
    return sa.union(
        sa.select(_LINKS.c.contact_id).where(_LINKS.c.account_id == account_id, _LINKS.c.contact_id.is_not(None)),
        sa.select(_ATTRIBUTES.c.id).where(
            _ATTRIBUTES.c.entity == "contact", _ATTRIBUTES.c.field == "employer", _ATTRIBUTES.c.value == account_id
        ),
    )


def _attributes_of_account() -> sa.CompoundSelect[Any]:
    own = _visible("attributes").where(
        _ATTRIBUTES.c.entity == "account", _ATTRIBUTES.c.id == sa.bindparam("account_id")
    )
    theirs = _visible("attributes").where(_ATTRIBUTES.c.entity == "contact", _ATTRIBUTES.c.id.in_(_people()))
    return sa.union_all(own, theirs)


def _own(name: str) -> sa.Select[Any]:
    return _visible(name).where(STORED[name].c.account_id == sa.bindparam("account_id"))


_ACCOUNTS = sa.select(STORED["accounts"])
_OF_ALL: dict[str, tuple[Any, tuple[Column, ...]]] = {
    "account_touches": (sa.select(account_touches), _TOUCH_COLUMNS),
    **{name: (_visible(name), TABLES[name].stored) for name in ("deals", "stage_changes", "attributes", "fx_rates")},
    "accounts": (_ACCOUNTS, TABLES["accounts"].stored),
}
_OF_ACCOUNT: dict[str, tuple[Any, tuple[Column, ...]]] = {
    "account_touches": (
        sa.select(account_touches).where(account_touches.c.account_id == sa.bindparam("account_id")),
        _TOUCH_COLUMNS,
    ),
    "deals": (_own("deals"), TABLES["deals"].stored),
    "stage_changes": (_own("stage_changes"), TABLES["stage_changes"].stored),
    "attributes": (_attributes_of_account(), TABLES["attributes"].stored),
    "fx_rates": _OF_ALL["fx_rates"],
    "accounts": (
        _ACCOUNTS.where(STORED["accounts"].c.account_id == sa.bindparam("account_id")),
        TABLES["accounts"].stored,
    ),
}
_SEQ = sa.select(account_versions.c.account_id, account_versions.c.seq).where(
    account_versions.c.account_id.in_((sa.bindparam("account_id"), EVERY_ACCOUNT))
)
