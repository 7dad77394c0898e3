"""Looks many keys up at once, and writes many rows at once.

Keys go into a temporary table: one statement whether the batch holds one row or twenty thousand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
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


def by_key(
    connection: sa.Connection, table: str, columns: Sequence[str], keys: Collection[tuple[Any, ...]]
) -> list[Any]:
    """Return the named columns of every stored revision of the given keys."""
    if not keys:
        return []
    _fill(connection, _keys[table], list(keys))
    return list(connection.exec_driver_sql(_joined(connection.dialect, table, tuple(columns))))


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
    # Not a join: SQLite would be free to begin with the stored rows, all of them, and to scan the ids for each.
    statement = sa.select(*columns).where(column.in_(sa.select(_ids.c.id)), *also)
    return list(connection.execute(statement.distinct() if distinct else statement).all())


def insert(connection: sa.Connection, table: sa.Table, rows: list[tuple[object, ...]]) -> None:
    """Store rows given as tuples in the order of the table's columns."""
    if rows:
        connection.exec_driver_sql(_insertion(connection.dialect, table), rows)


def replace(connection: sa.Connection, table: sa.Table, rows: Collection[tuple[object, ...]]) -> None:
    """Store rows in place of those with the same primary key."""
    if rows:
        connection.exec_driver_sql(_replacement(connection.dialect, table), list(rows))


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[object, ...]]) -> None:
    """Store those of the rows whose primary key is not stored yet."""
    if rows:
        statement = f"{_insertion(connection.dialect, table)} ON CONFLICT DO NOTHING"
        connection.exec_driver_sql(statement, list(rows))


def store(
    connection: sa.Connection, table: sa.Table, rows: list[tuple[object, ...]], closed: Mapping[int, int]
) -> None:
    """Store revisions of facts, and until when others are known, given by their position in the ledger."""
    insert(connection, table, rows)
    if closed:
        seq: sa.BindParameter[int] = sa.bindparam("seq")
        ends = sa.update(table).where(table.c.ledger_seq == seq).values(known_until=sa.bindparam("until"))
        connection.execute(ends, [{"seq": row, "until": until} for row, until in closed.items()])


def _fill(connection: sa.Connection, table: sa.Table, rows: list[tuple[object, ...]]) -> None:
    connection.exec_driver_sql(f"DELETE FROM {table.name}")
    insert(connection, table, rows)


@lru_cache(maxsize=256)
def _joined(dialect: sa.Dialect, table: str, columns: tuple[str, ...]) -> str:
    stored, wanted = STORED[table], _keys[table]
    same = sa.and_(*(column == stored.c[column.name] for column in wanted.columns))
    selected = sa.select(*(stored.c[name] for name in columns)).select_from(wanted.join(stored, same))
    return str(selected.compile(dialect=dialect))


@lru_cache(maxsize=256)
def _insertion(dialect: sa.Dialect, table: sa.Table) -> str:
    """Return the statement as the driver reads it: for tens of thousands of rows, Core's own binding costs too much."""
    return str(sa.insert(table).compile(dialect=dialect))


@lru_cache(maxsize=256)
def _replacement(dialect: sa.Dialect, table: sa.Table) -> str:
    key = [column.name for column in table.primary_key]
    others = ", ".join(f"{column.name} = excluded.{column.name}" for column in table.columns if column.name not in key)
    return f"{_insertion(dialect, table)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {others}"
