"""Looks many keys up at once, and writes many rows at once.

Keys go into a temporary table and are joined: one statement whether the batch holds one row or twenty thousand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from features.ledger.tables import STORED
from features.schema import TABLES

_temporary = sa.MetaData()
_ids = sa.Table("wanted_ids", _temporary, sa.Column("id", sa.Text), prefixes=["TEMPORARY"])
_keys = {
    name: sa.Table(
        f"wanted_{name}",
        _temporary,
        *(sa.Column(column, STORED[name].c[column].type) for column in table.key),
        prefixes=["TEMPORARY"],
    )
    for name, table in TABLES.items()
    if table.fact
}


def prepare(connection: sa.Connection) -> None:
    """Make the temporary tables of a connection that will write."""
    _temporary.create_all(connection, checkfirst=False)


def by_key(connection: sa.Connection, table: str, columns: Sequence[str], keys: Collection[tuple[Any, ...]]) -> list[Any]:
    """Return the named columns of every stored revision of the given keys."""
    if not keys:
        return []
    _fill(connection, _keys[table], list(keys))
    return list(connection.execute(_joined(table, tuple(columns))).all())


def by_id(
    connection: sa.Connection,
    column: sa.Column[Any],
    columns: Sequence[sa.Column[Any]],
    ids: Collection[str],
    *also: ColumnElement[bool],
    distinct: bool = False,
) -> list[Any]:
    """Return columns of the rows whose text column has one of the given values."""
    if not ids:
        return []
    _fill(connection, _ids, [(value,) for value in ids])
    statement = sa.select(*columns).select_from(_ids.join(column.table, column == _ids.c.id)).where(*also)
    return list(connection.execute(statement.distinct() if distinct else statement).all())


def insert(connection: sa.Connection, table: sa.Table, rows: list[tuple[object, ...]]) -> None:
    """Store rows given as tuples in the order of the table's columns."""
    if rows:
        connection.exec_driver_sql(_insertion(connection.dialect, table), rows)


def delete(connection: sa.Connection, table: sa.Table, keys: Collection[tuple[object, ...]]) -> None:
    """Remove the rows with these primary keys."""
    if keys:
        connection.exec_driver_sql(_deletion(connection.dialect, table), list(keys))


def replace(connection: sa.Connection, table: sa.Table, rows: Mapping[tuple[object, ...], tuple[object, ...]]) -> None:
    """Store rows, given by primary key, in place of those with the same key."""
    delete(connection, table, rows.keys())
    insert(connection, table, list(rows.values()))


def store(
    connection: sa.Connection, table: sa.Table, rows: list[tuple[object, ...]], closed: Mapping[int, int]
) -> None:
    """Store revisions of facts, and until when others are known, given by their position in the ledger."""
    insert(connection, table, rows)
    if closed:
        seq, until = sa.bindparam("seq"), sa.bindparam("until")
        ends = sa.update(table).where(table.c.ledger_seq == seq).values(known_until=until)
        connection.execute(ends, [{"seq": seq, "until": until} for seq, until in closed.items()])


def _fill(connection: sa.Connection, table: sa.Table, rows: list[tuple[object, ...]]) -> None:
    connection.exec_driver_sql(f"DELETE FROM {table.name}")
    insert(connection, table, rows)


@cache
def _joined(table: str, columns: tuple[str, ...]) -> sa.Select[Any]:
    stored, wanted = STORED[table], _keys[table]
    same = sa.and_(*(column == stored.c[column.name] for column in wanted.columns))
    return sa.select(*(stored.c[name] for name in columns)).select_from(wanted.join(stored, same))


@cache
def _insertion(dialect: sa.Dialect, table: sa.Table) -> str:
    """Return the statement as the driver reads it: for tens of thousands of rows, Core's own binding costs too much."""
    return str(sa.insert(table).compile(dialect=dialect))


@cache
def _deletion(dialect: sa.Dialect, table: sa.Table) -> str:
    same = sa.and_(*(column == sa.bindparam(column.name) for column in table.primary_key))
    return str(sa.delete(table).where(same).compile(dialect=dialect))
