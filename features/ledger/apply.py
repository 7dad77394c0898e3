"""Applies one batch inside an open transaction."""

from __future__ import annotations

import sqlalchemy as sa

from features.errors import UnknownError, nearest
from features.ledger import staging
from features.ledger.attach import Attachments
from features.ledger.entities import append_entities, append_stubs
from features.ledger.facts import append_facts
from features.ledger.letters import append_letters, resolve_letters
from features.ledger.records import Batch, Receipt
from features.ledger.tables import STORED, account_versions
from features.ledger.transaction import Position, Transaction
from features.schema import TABLES

_APPENDED = tuple(table.name for table in TABLES.values() if table.sent)


def check(batch: Batch) -> None:
    """Refuse a batch that names a table that can not be appended to.

    Raises
    ------
    UnknownError
    """
    for name in batch.rows:
        if name not in _APPENDED:
            raise UnknownError(
                f"Rows of {name!r} can not be appended.{nearest(name, _APPENDED)} Allowed: {', '.join(_APPENDED)}."
            )


def apply(connection: sa.Connection, batch: Batch, position: Position, now: int) -> Receipt:
    """Store a batch and return its receipt.

    Parameters
    ----------
    connection : Connection
        In a transaction that holds the write lock.
    batch : Batch
    position : Position
        Moved on by what is stored; the caller sets it back when the transaction is undone.
    now : int
        Our clock.
    """
    transaction = Transaction(connection, position, max(now, position.known_at), batch.backfill)
    attachments = Attachments(transaction)
    for name in _APPENDED:
        rows = batch.rows.get(name)
        if rows:
            append = append_facts if TABLES[name].fact else append_entities
            append(transaction, attachments, TABLES[name], rows)
    attachments.link()
    attachments.mark_contacts()
    stubs = append_stubs(transaction)
    versions = [(account_id, position.seq) for account_id in transaction.changed]
    staging.replace(connection, account_versions, versions)
    refused = map(batch.on_rejection, transaction.rejected) if batch.on_rejection else ()
    append_letters(connection, [*batch.dead, *refused], transaction.stamp)
    resolve_letters(connection, batch.resolves, transaction.stamp)
    staging.insert_new(connection, STORED["scores"], batch.scores)
    return Receipt(
        accepted=transaction.accepted,
        duplicates=transaction.duplicates,
        corrected=transaction.corrected,
        ledger_seq=position.seq,
        known_at=transaction.stamp,
        rejected=tuple(transaction.rejected),
        unattached=transaction.unattached,
        stub_accounts=stubs,
    )
