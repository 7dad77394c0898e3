"""Appends rows of the fact tables: revisions with two clocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, cast

from features.ledger import staging
from features.ledger.append import Addition, Conflict, Version, decide, digest
from features.ledger.attach import AUTOMATIC, Attachments
from features.ledger.clamping import PERIODS, clamp, refuse_ahead
from features.ledger.links import Keys
from features.ledger.records import Row
from features.ledger.tables import EVERY_ACCOUNT, STORED
from features.ledger.transaction import Transaction
from features.schema import FOREVER, TABLES, Table

_VERSION = ("revision", "digest", "known_at", "known_until", "ledger_seq")


def append_facts(transaction: Transaction, attachments: Attachments, table: Table, rows: Sequence[Row]) -> None:
    """Store the rows that are new or correct something, and note whom they concern."""
    names = table.names
    sent = [list(map(row.get, names)) for row in rows]
    deleted = [bool(row.get("deleted")) for row in rows]
    digests = [digest(values, deleted=gone) for values, gone in zip(sent, deleted, strict=True)]
    recorded = [cast("int | None", row.get("known_at")) for row in rows]
    live = [known_at is None and not transaction.backfill for known_at in recorded]
    values, refused = clamp(transaction, table, sent, live)
    keys = list(map(_key_of(table), values))
    assumed = _assumed(transaction, table, values, keys)
    latest = FOREVER if table.name in PERIODS else transaction.stamp
    if table.name not in PERIODS and not all(live):
        refused |= _refuse_ahead(transaction, table, values, recorded, assumed, live)
    distinct = set(keys)
    histories = _histories(transaction, table, distinct)
    may_repeat = len(distinct) < len(keys)
    note = _Notes(transaction, attachments, table)
    stored: list[tuple[object, ...]] = []
    closed: dict[int, int] = {}
    for i, row in enumerate(rows):
        if i in refused:
            continue
        known_at, origin = _known(recorded[i], assumed[i], transaction.stamp)
        known_at = min(known_at, latest)
        history = histories.get(keys[i], ())
        revision = cast("int | None", row.get("revision"))
        decision = decide(history, digests[i], known_at, revision=revision, live=origin == "server")
        if isinstance(decision, Addition):
            for old in decision.closes:
                old.known_until = closed[old.ledger_seq] = known_at
            seq, until = transaction.next_seq(known_at), decision.known_until
            stored.append((*values[i], decision.revision, deleted[i], known_at, until, origin, seq, digests[i]))
            note(values[i], keys[i], known_at, origin, history, deleted=deleted[i])
            if may_repeat:
                version = Version(decision.revision, digests[i], known_at, until, seq, note.account_id(values[i]))
                histories[keys[i]] = [*history, version]
        elif isinstance(decision, Conflict):
            message = (
                f"Revision {revision} of {'/'.join(map(str, keys[i]))} is stored with another content. "
                "Send a higher revision, or none."
            )
            transaction.reject(table.name, i, "revision", "conflict", message)
        else:
            transaction.duplicates += 1
    staging.store(transaction.connection, STORED[table.name], stored, closed)


def _known(recorded: int | None, assumed: int | None, stamp: int) -> tuple[int, str]:
    if recorded is not None:
        return recorded, "recorded"
    return (stamp, "server") if assumed is None else (assumed, "assumed")


def _refuse_ahead(
    transaction: Transaction,
    table: Table,
    values: Sequence[list[Any]],
    recorded: Sequence[int | None],
    assumed: Sequence[int | None],
    live: Sequence[bool],
) -> set[int]:
    """Refuse the rows not stamped by us whose times lie ahead of ours; `clamp` has seen to the others."""
    clocks: list[int | None] = [None] * len(values)
    if table.clock is not None:
        at = table.names.index(table.clock)
        clocks = [None if ours else row[at] for row, ours in zip(values, live, strict=True)]
    known = [then if said is None else said for said, then in zip(recorded, assumed, strict=True)]
    return refuse_ahead(transaction, table.name, table.clock, clocks, known)


class _Notes:
    """Notes whom a stored row concerns: accounts to mark as changed, touches to link, identities to look into."""

    def __init__(self, transaction: Transaction, attachments: Attachments, table: Table) -> None:
        self.transaction = transaction
        self.attachments = attachments
        self.table = table
        self.whose = table.names.index("account_id") if "account_id" in table.names else None
        self.clock = table.names.index(table.clock) if table.clock else None
        if table.name == "touchpoints":
            self.identity = itemgetter(*(table.names.index(name) for name in Keys._fields))

    def account_id(self, values: Sequence[Any]) -> str | None:
        return None if self.whose is None else values[self.whose]

    def __call__(
        self,
        values: Sequence[Any],
        key: tuple[Any, ...],
        known_at: int,
        origin: str,
        history: Sequence[Version],
        *,
        deleted: bool,
    ) -> None:
        transaction, account_id = self.transaction, self.account_id(values)
        clock = None if self.clock is None else values[self.clock]
        if history:
            transaction.corrected += 1
        else:
            transaction.accepted += 1
        if account_id is not None:
            transaction.name_account(account_id, known_at if clock is None else clock)
        if self.table.name == "touchpoints":
            if history:
                self.attachments.corrected(key, origin)
            elif not deleted:
                self.attachments.arrived(key, known_at, Keys._make(self.identity(values)), origin)
        elif self.table.name == "attributes":
            self._attribute(values)
        elif self.table.name == "fx_rates":
            transaction.changed.add(EVERY_ACCOUNT)
        elif self.whose is not None:
            transaction.changed.update(
                owner for owner in (account_id, *(old.account_id for old in history)) if owner is not None
            )
            if self.table.name == "touch_links":
                self.attachments.by_hand(key, known_at, history)

    def _attribute(self, values: Sequence[Any]) -> None:
        entity, identity, field, occurred_at, value = values[:5]
        if entity == "account":
            self.transaction.changed.add(identity)
            self.transaction.name_account(identity, occurred_at)
            return
        self.attachments.contacts.add(identity)
        if field == "employer":
            if value is not None:
                self.transaction.name_account(value, occurred_at)
            self.attachments.employed(identity)


def _key_of(table: Table) -> Any:
    places = [table.names.index(name) for name in table.key]
    return itemgetter(*places) if len(places) > 1 else lambda values: (values[places[0]],)


def _assumed(
    transaction: Transaction, table: Table, values: Sequence[list[Any]], keys: Sequence[tuple[Any, ...]]
) -> list[int | None]:
    """Return since when each row is assumed to have been known; None where we stamp it.

    A link was known when its touch was.
    """
    if not transaction.backfill:
        return [None] * len(values)
    if table.clock is not None:
        clock = table.names.index(table.clock)
        return [row[clock] for row in values]
    first: dict[tuple[Any, ...], int] = {}
    found = staging.by_key(transaction.connection, "touchpoints", (*TABLES["touchpoints"].key, "known_at"), set(keys))
    for *key, known_at in found:
        first[tuple(key)] = min(known_at, first.get(tuple(key), known_at))
    return [first.get(key) for key in keys]


def _histories(
    transaction: Transaction, table: Table, keys: set[tuple[Any, ...]]
) -> dict[tuple[Any, ...], list[Version]]:
    """Return the stored revisions of each key that has any."""
    if table.name == "touch_links":
        return _link_histories(transaction, keys)
    histories: defaultdict[tuple[Any, ...], list[Version]] = defaultdict(list)
    width = len(table.key)
    whose = ("account_id",) if "account_id" in table.names else ()
    for found in staging.by_key(transaction.connection, table.name, (*table.key, *_VERSION, *whose), keys):
        histories[found[:width]].append(Version(*found[width:]))
    return histories


def _link_histories(transaction: Transaction, keys: set[tuple[Any, ...]]) -> dict[tuple[Any, ...], list[Version]]:
    """Return stored links; those that the ledger made count as if they had been sent."""
    histories: defaultdict[tuple[Any, ...], list[Version]] = defaultdict(list)
    columns = ("source", "event_id", *_VERSION, "account_id", "contact_id", "deleted")
    for *found, contact_id, deleted in staging.by_key(transaction.connection, "touch_links", columns, keys):
        version = Version(*found[2:])
        if version.digest == AUTOMATIC:
            version.digest = digest((*found[:2], version.account_id, contact_id), deleted=deleted)
        histories[found[0], found[1]].append(version)
    return histories
