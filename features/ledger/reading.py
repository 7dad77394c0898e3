"""Reads a ledger: into Arrow for the evaluators, and row by row for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from features.ledger import past
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


def account_tables(connection: sa.Connection, account_ids: Sequence[str], at: int | None) -> dict[str, pa.Table]:
    """Return the visible rows that concern these accounts, by table, in an order that depends on nothing but them."""
    parameters = {"account_ids": account_ids} | ({} if at is None else {"at": at})
    return {
        name: read(connection, statement, columns, parameters)
        for name, (statement, columns) in _OF_ACCOUNTS[at is not None].items()
    }


def tables(connection: sa.Connection, at: int | None) -> dict[str, pa.Table]:
    """Return the visible rows of all accounts, by table."""
    parameters = {} if at is None else {"at": at}
    return {
        name: read(connection, statement, columns, parameters)
        for name, (statement, columns) in _OF_ALL[at is not None].items()
    }


def deal_rows(connection: sa.Connection, deal_ids: Sequence[str]) -> pa.Table:
    """Return the visible rows of some deals, whichever account they name."""
    stored = STORED["deals"]
    ids: sa.BindParameter[Sequence[str]] = sa.bindparam("deal_ids", expanding=True)
    rows = _visible(stored).where(stored.c.deal_id.in_(ids)).order_by(stored.c.ledger_seq)
    return read(connection, rows, TABLES["deals"].stored, {"deal_ids": deal_ids})


def export(connection: sa.Connection, name: str) -> pa.Table:
    """Return a table of the contract as stored, every revision of it, in the order of the ledger."""
    stored = STORED[name]
    order = (stored.c.ledger_seq, *stored.primary_key)
    return read(connection, sa.select(stored).order_by(*order), TABLES[name].stored)


def account_seqs(connection: sa.Connection, account_ids: Sequence[str]) -> dict[str, int]:
    """Return the position of the last change that concerns each of these accounts; unknown ones are left out."""
    found = {
        row.account_id: row.seq for row in connection.execute(_SEQS, {"account_ids": [*account_ids, EVERY_ACCOUNT]})
    }
    of_all = found.pop(EVERY_ACCOUNT, 0)
    return {account_id: max(seq, of_all) for account_id, seq in found.items()}


def any_account(connection: sa.Connection) -> str | None:
    """Return the id of some account that has rows, or None."""
    known = sa.select(account_versions.c.account_id).where(account_versions.c.account_id != EVERY_ACCOUNT).limit(1)
    return connection.execute(known).scalar()


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


_Statements = Mapping[str, tuple[Any, tuple[Column, ...]]]
"""By table, what reads it, and its columns."""

_FACTS = ("deals", "stage_changes", "attributes", "fx_rates")
_ACCOUNT_IDS: sa.BindParameter[Sequence[str]] = sa.bindparam("account_ids", expanding=True)


def _of_all(touches: sa.FromClause, facts: Mapping[str, sa.FromClause]) -> _Statements:
    return {
        "account_touches": (sa.select(touches), _TOUCH_COLUMNS),
        **{name: (_visible(rows), TABLES[name].stored) for name, rows in facts.items()},
        "accounts": (sa.select(STORED["accounts"]), TABLES["accounts"].stored),
    }


def _of_accounts(touches: sa.FromClause, facts: Mapping[str, sa.FromClause]) -> _Statements:
    """Return what reads some accounts, in the order of the ledger: sums of floats are the same whatever the plan."""
    ours = sa.select(touches).where(touches.c.account_id.in_(_ACCOUNT_IDS))
    own = {name: _visible(facts[name]).where(facts[name].c.account_id.in_(_ACCOUNT_IDS)) for name in _FACTS[:2]}
    found: dict[str, Any] = {
        "account_touches": ours.order_by(touches.c.ledger_seq, touches.c.known_from),
        **{name: statement.order_by(facts[name].c.ledger_seq) for name, statement in own.items()},
        "attributes": _attributes_of_accounts(facts["attributes"]).order_by("ledger_seq"),
        "fx_rates": _visible(facts["fx_rates"]).order_by(facts["fx_rates"].c.ledger_seq),
        "accounts": sa.select(STORED["accounts"]).where(STORED["accounts"].c.account_id.in_(_ACCOUNT_IDS)),
    }
    return {
        name: (statement, _TOUCH_COLUMNS if name == "account_touches" else TABLES[name].stored)
        for name, statement in found.items()
    }


def _visible(rows: sa.FromClause) -> sa.Select[Any]:
    return sa.select(rows).where(~rows.c.deleted, rows.c.known_at < rows.c.known_until)


def _attributes_of_accounts(rows: sa.FromClause) -> sa.CompoundSelect[Any]:
    own = _visible(rows).where(rows.c.entity == "account", rows.c.id.in_(_ACCOUNT_IDS))
    theirs = _visible(rows).where(rows.c.entity == "contact", rows.c.id.in_(_people(rows is not _ATTRIBUTES)))
    return sa.union_all(own, theirs)


def _people(of_past: bool) -> sa.CompoundSelect[Any]:
    """Contacts with a touch linked to one of the accounts, or that ever had it as employer."""
    linked = sa.select(_LINKS.c.contact_id).where(
        _LINKS.c.account_id.in_(_ACCOUNT_IDS), _LINKS.c.contact_id.is_not(None)
    )
    employed = sa.select(_ATTRIBUTES.c.id).where(
        _ATTRIBUTES.c.entity == "contact", _ATTRIBUTES.c.field == "employer", _ATTRIBUTES.c.value.in_(_ACCOUNT_IDS)
    )
    if of_past:
        linked, employed = (
            linked.where(_LINKS.c.ledger_seq <= past.AT),
            employed.where(_ATTRIBUTES.c.ledger_seq <= past.AT),
        )
    return sa.union(linked, employed)


_NOW = (account_touches, {name: STORED[name] for name in _FACTS})
_THEN = (past.account_touches(), {name: past.revisions(name) for name in _FACTS})
_OF_ALL = {False: _of_all(*_NOW), True: _of_all(*_THEN)}
_OF_ACCOUNTS = {False: _of_accounts(*_NOW), True: _of_accounts(*_THEN)}
"""By whether the ledger is read as of an earlier position."""

_SEQS = sa.select(account_versions.c.account_id, account_versions.c.seq).where(
    account_versions.c.account_id.in_(_ACCOUNT_IDS)
)
