"""Dead letters: rows that were refused, kept until they are mended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from hashlib import blake2b

import orjson
import sqlalchemy as sa

from features.ledger import staging
from features.ledger.records import DeadLetter, StoredDeadLetter
from features.ledger.tables import dead_letters

_COLUMNS = ("batch", "row_number", "table_name", "field", "code", "value", "reason", "raw")


def append_letters(connection: sa.Connection, letters: Iterable[DeadLetter], now: int) -> None:
    """Store letters, but none a second time when its file is sent again."""
    rows = {_digest(letter): letter for letter in letters}
    known = staging.by_id(connection, dead_letters.c.digest, (dead_letters.c.digest,), rows.keys())
    for (digest,) in known:
        del rows[digest]
    if rows:
        connection.execute(
            sa.insert(dead_letters),
            [
                {**dict(zip(_COLUMNS, astuple(letter), strict=True)), "digest": digest, "created_at": now}
                for digest, letter in rows.items()
            ],
        )


def resolve_letters(connection: sa.Connection, ids: Sequence[int], now: int) -> None:
    """Mark letters as settled."""
    if ids:
        settled = sa.update(dead_letters).where(dead_letters.c.id == sa.bindparam("letter")).values(resolved_at=now)
        connection.execute(settled, [{"letter": letter} for letter in ids])


def list_letters(
    connection: sa.Connection, *, batch: str | None, resolved: bool, after: int, limit: int | None
) -> list[StoredDeadLetter]:
    """Return letters by id."""
    statement = sa.select(dead_letters).where(dead_letters.c.id > after).order_by(dead_letters.c.id).limit(limit)
    if batch is not None:
        statement = statement.where(dead_letters.c.batch == batch)
    if not resolved:
        statement = statement.where(dead_letters.c.resolved_at.is_(None))
    return [
        StoredDeadLetter(
            row.id, DeadLetter(*(row._mapping[name] for name in _COLUMNS)), row.created_at, row.resolved_at
        )
        for row in connection.execute(statement)
    ]


def _digest(letter: DeadLetter) -> str:
    return blake2b(orjson.dumps(letter), digest_size=16).hexdigest()
