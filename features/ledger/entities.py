"""Appends accounts and contacts: the latest word on each column wins, and what is not said stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from features.ledger import staging
from features.ledger.append import digest
from features.ledger.attach import Attachments
from features.ledger.clamping import refuse_ahead
from features.ledger.records import Row
from features.ledger.tables import STORED, identities
from features.ledger.transaction import Transaction
from features.schema import TABLES, Table

_STUB = ""
"""Digest of an account that nobody sent: rows named it."""

_IDENTITY = {"accounts": "domain", "contacts": "email_hash"}


def append_entities(transaction: Transaction, attachments: Attachments, table: Table, rows: Sequence[Row]) -> None:
    """Store new accounts or contacts and what has changed of known ones, and note what identifies them."""
    stored = _stored(transaction, table, {cast("str", row[table.key[0]]) for row in rows})
    changed: dict[str, tuple[object, ...]] = {}
    owned: dict[tuple[str, str, str], int] = {}
    created = [cast("int | None", row.get("created_at")) for row in rows]
    recorded = [cast("int | None", row.get("known_at")) for row in rows]
    refused = refuse_ahead(transaction, table.name, "created_at", created, recorded)
    for index, row in enumerate(rows):
        if index in refused:
            continue
        identity = cast("str", row[table.key[0]])
        if row.get("deleted"):
            message = f"{table.name} can not be retracted; only facts can. Erase {identity} instead."
            transaction.reject(table.name, index, "deleted", "forbidden", message)
            continue
        before = stored.get(identity)
        values = _merge(table, before, row, None if transaction.backfill else transaction.stamp)
        fingerprint = digest(values, deleted=False)
        if before is not None and before[-1] == fingerprint:
            transaction.duplicates += 1
            continue
        if before is None:
            transaction.accepted += 1
        else:
            transaction.corrected += 1
        stored[identity] = changed[identity] = (*values, transaction.next_seq(), fingerprint)
        if table.name == "accounts":
            transaction.changed.add(identity)
        value = row.get(_IDENTITY[table.name])
        if value is not None:
            known_at = min(_known_at(transaction, row, values[-1]), transaction.stamp)
            owned[_IDENTITY[table.name], cast("str", value), identity] = known_at
    staging.replace(transaction.connection, STORED[table.name], changed.values())
    _own(transaction, attachments, owned)


def append_stubs(transaction: Transaction) -> int:
    """Make an account of every id that rows named and nobody has sent, and return how many are new."""
    table = TABLES["accounts"]
    stored = _stored(transaction, table, transaction.named.keys())
    changed: dict[str, tuple[object, ...]] = {}
    for identity, named_at in transaction.named.items():
        before = stored.get(identity)
        if before is None:
            values = [identity, *[None] * (len(table.names) - 2), named_at]
        elif before[-1] == _STUB and named_at is not None and (before[-3] is None or named_at < before[-3]):
            values = [*before[: len(table.names) - 1], named_at]
        else:
            continue
        changed[identity] = (*values, transaction.next_seq(), _STUB)
        transaction.changed.add(identity)
    staging.replace(transaction.connection, STORED["accounts"], changed.values())
    return len(changed.keys() - stored.keys())


def _stored(transaction: Transaction, table: Table, ids: Any) -> dict[str, tuple[Any, ...]]:
    target = STORED[table.name]
    found = staging.by_id(transaction.connection, target.c[table.key[0]], tuple(target.columns), ids)
    return {row[0]: tuple(row) for row in found}


def _merge(table: Table, before: tuple[Any, ...] | None, row: Row, created_at: int | None) -> list[Any]:
    """Return the values of a row over those stored; `created_at` is the last column of both tables."""
    old = before or (None,) * len(table.names)
    values = [old[i] if row.get(name) is None else row[name] for i, name in enumerate(table.names)]
    if before is None and values[-1] is None:
        values[-1] = created_at
    return values


def _known_at(transaction: Transaction, row: Row, created_at: int | None) -> int:
    """Return since when an identity is known: as recorded, or now, or in a backfill since the entity was recorded."""
    recorded = row.get("known_at")
    if recorded is not None:
        return cast("int", recorded)
    return (created_at or 0) if transaction.backfill else transaction.stamp


def _own(transaction: Transaction, attachments: Attachments, owned: dict[tuple[str, str, str], int]) -> None:
    """Store whose e-mail hashes and domains are, where that is news."""
    if not owned:
        return
    connection = transaction.connection
    known = {
        (kind, value, owner): known_at
        for kind, value, owner, known_at in staging.by_id(
            connection, identities.c.owner_id, tuple(identities.columns), {owner for _, _, owner in owned}
        )
    }
    news = {key: known_at for key, known_at in owned.items() if key not in known or known_at < known[key]}
    staging.replace(connection, identities, [(*key, known_at) for key, known_at in news.items()])
    for kind, value, _ in news:
        attachments.owned(kind, value)
