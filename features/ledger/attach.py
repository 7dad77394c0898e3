"""Links touches to accounts and people: those of a batch, and earlier ones of which an identity becomes known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from features.ledger import staging
from features.ledger.append import Version, digest
from features.ledger.links import Employment, Facts, Keys, Segment, changes, is_complete, timeline
from features.ledger.tables import STORED, UNCLEAR, identities
from features.ledger.transaction import Transaction
from features.schema import FOREVER

AUTOMATIC = ""
"""Digest of a link that the ledger made: nobody sent it."""

Touch = tuple[str, str]
"""A touch by (source, event_id)."""

_LINKS, _ATTRIBUTES, _TOUCHES = STORED["touch_links"], STORED["attributes"], STORED["touchpoints"]
_EMPLOYER = (_ATTRIBUTES.c.entity == "contact", _ATTRIBUTES.c.field == "employer")
_VISIBLE = ("deleted", "known_at", "known_until")


class _Link(NamedTuple):
    revision: int
    digest: str
    deleted: bool
    known_at: int
    known_until: int
    ledger_seq: int
    account_id: str | None
    contact_id: str | None

    @property
    def is_visible(self) -> bool:
        return self.known_at < self.known_until

    @property
    def segment(self) -> Segment:
        by_hand = self.digest != AUTOMATIC
        if self.deleted:
            return Segment(self.known_at, None, None, by_hand)
        return Segment(self.known_at, self.account_id, self.contact_id, by_hand)


class Attachments:
    """What one append must link, gathered while its rows are stored, then done at once.

    Attributes
    ----------
    contacts : set of str
        Contacts whose attributes changed.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._arrived: dict[Touch, tuple[int, Keys]] = {}
        self._again: set[Touch] = set()
        self._origins: dict[Touch, str] = {}
        self._employed: set[str] = set()
        self._emails: set[str] = set()
        self._domains: set[str] = set()
        self.contacts: set[str] = set()

    def arrived(self, touch: Touch, known_at: int, keys: Keys, origin: str) -> None:
        """Link a touch never seen before."""
        self._arrived[touch] = known_at, keys
        self._origins[touch] = origin

    def corrected(self, touch: Touch, origin: str) -> None:
        """Look at a touch again, because a revision of it came."""
        self._again.add(touch)
        self._origins[touch] = origin

    def by_hand(self, touch: Touch, known_at: int, history: Sequence[Version]) -> None:
        """Look at a touch again of which a sender gave a link that comes before others in time."""
        if any(old.known_at > known_at for old in history):
            self._again.add(touch)

    def employed(self, contact_id: str) -> None:
        """Look for touches of a contact whose employer is news."""
        self._employed.add(contact_id)

    def owned(self, kind: str, value: str) -> None:
        """Look for touches with an e-mail hash or a domain whose owner is now known."""
        (self._emails if kind == "email_hash" else self._domains).add(value)

    def link(self) -> None:
        """Store the links that follow, and mark the accounts that they concern."""
        transaction = self._transaction
        self._again |= self._concerned()
        touches = self._arrived.keys() | self._again
        if not touches:
            return
        links = self._links(touches)
        rows: list[tuple[object, ...]] = []
        closed: dict[int, int] = {}
        seen: dict[Touch, Sequence[tuple[int, Keys]]] = {}
        for touch, (known_at, keys) in self._arrived.items():
            if touch not in links and touch not in self._again and is_complete(keys, keys.account_id, keys.contact_id):
                rows.append(self._first(touch, known_at, keys))
            else:
                seen[touch] = [(known_at, keys)]
        revised = self._revisions(self._again)
        seen.update((touch, revised.get(touch, [])) for touch in self._again)
        facts = self._facts(keys for revisions in seen.values() for _, keys in revisions)
        for touch, revisions in seen.items():
            stored = links.get(touch, [])
            current = sorted(link.segment for link in stored if link.is_visible)
            by_hand = [segment for segment in current if segment.by_hand]
            wanted = timeline(revisions, by_hand, facts) if revisions else current
            self._append(touch, stored, changes(current, wanted), rows, closed)
            if touch in self._origins and not (wanted and wanted[-1].account_id):
                transaction.unattached += 1
            transaction.changed.update(segment.account_id for segment in (*current, *wanted) if segment.account_id)
        staging.store(transaction.connection, _LINKS, rows, closed)

    def mark_contacts(self) -> None:
        """Mark every account that has touches of a contact whose attributes changed, or that has employed one."""
        if not self.contacts:
            return
        connection, changed = self._transaction.connection, self._transaction.changed
        account_id = _LINKS.c.account_id
        some = account_id.is_not(None)
        found = staging.by_id(connection, _LINKS.c.contact_id, (account_id,), self.contacts, some, distinct=True)
        changed.update(row[0] for row in found)
        employer = _ATTRIBUTES.c.value
        found = staging.by_id(
            connection, _ATTRIBUTES.c.id, (employer,), self.contacts, *_EMPLOYER, employer.is_not(None), distinct=True
        )
        changed.update(row[0] for row in found)

    def _first(self, touch: Touch, known_at: int, keys: Keys) -> tuple[object, ...]:
        """Return the link of a new touch that says itself whose it is: what nearly all touches of a large file do."""
        self._transaction.changed.add(str(keys.account_id))
        seq = self._transaction.next_seq(known_at)
        origin = self._origins[touch]
        return (*touch, keys.account_id, keys.contact_id, 1, False, known_at, FOREVER, origin, seq, AUTOMATIC)

    def _append(
        self,
        touch: Touch,
        stored: Sequence[_Link],
        segments: Sequence[Segment],
        rows: list[tuple[object, ...]],
        closed: dict[int, int],
    ) -> None:
        if not segments:
            return
        transaction = self._transaction
        cut = segments[0].known_at
        closed.update({link.ledger_seq: cut for link in stored if link.known_until > cut})
        revision = max((link.revision for link in stored), default=0)
        origin = self._origins.get(touch, "assumed" if transaction.backfill else "server")
        for segment, after in zip(segments, [*segments[1:], None], strict=True):
            revision += 1
            deleted = segment.account_id is None
            values = (*touch, *segment.whose)
            fingerprint = digest(values, deleted=deleted) if segment.by_hand else AUTOMATIC
            until = FOREVER if after is None else after.known_at
            rows.append(
                (
                    *values, revision, deleted, segment.known_at, until, origin,
                    transaction.next_seq(segment.known_at), fingerprint,
                )
            )  # fmt: skip

    def _concerned(self) -> set[Touch]:
        """Return stored touches that do not say whose they are, but name an identity of which there is news."""
        if not (self._employed or self._emails or self._domains):
            return set()
        connection = self._transaction.connection
        owned = staging.by_id(
            connection, identities.c.owner_id, (identities.c.kind, identities.c.value), self._employed
        )
        news = {
            "contact_id": self._employed,
            "email_hash": self._emails | {value for kind, value in owned if kind == "email_hash"},
            "domain": self._domains,
        }
        touch = (_TOUCHES.c.source, _TOUCHES.c.event_id)
        return {
            (source, event_id)
            for key, values in news.items()
            for source, event_id in staging.by_id(connection, _TOUCHES.c[key], touch, values, UNCLEAR[key])
        }

    def _links(self, touches: Iterable[Touch]) -> dict[Touch, list[_Link]]:
        links: defaultdict[Touch, list[_Link]] = defaultdict(list)
        for row in staging.by_key(
            self._transaction.connection, "touch_links", ("source", "event_id", *_Link._fields), list(touches)
        ):
            links[row[0], row[1]].append(_Link(*row[2:]))
        return links

    def _revisions(self, touches: Iterable[Touch]) -> dict[Touch, list[tuple[int, Keys]]]:
        """Return the visible revisions of touches in the order in which they became known."""
        revisions: defaultdict[Touch, list[tuple[int, Keys]]] = defaultdict(list)
        columns = ("source", "event_id", *_VISIBLE, *Keys._fields)
        for source, event_id, deleted, known_at, known_until, *keys in staging.by_key(
            self._transaction.connection, "touchpoints", columns, list(touches)
        ):
            if not deleted and known_at < known_until:
                revisions[source, event_id].append((known_at, Keys._make(keys)))
        for found in revisions.values():
            found.sort(key=lambda pair: pair[0])
        return revisions

    def _facts(self, wanted: Iterable[Keys]) -> Facts:
        """Return what is known of the identities of touches that need more than their own account and person."""
        connection = self._transaction.connection
        unclear = [keys for keys in set(wanted) if not is_complete(keys, keys.account_id, keys.contact_id)]
        if not unclear:
            return Facts()
        emails = self._owners("email_hash", {keys.email_hash for keys in unclear if keys.email_hash})
        orphans = [keys for keys in unclear if keys.account_id is None]
        domains = self._owners("domain", {keys.domain for keys in orphans if keys.domain})
        contacts = {keys.contact_id for keys in orphans if keys.contact_id}
        contacts |= {owner for owners in emails.values() for _, owner in owners}
        columns = ("id", "occurred_at", "revision", "known_at", "known_until", "value")
        employments: defaultdict[str, list[Employment]] = defaultdict(list)
        visible = (~_ATTRIBUTES.c.deleted, _ATTRIBUTES.c.known_at < _ATTRIBUTES.c.known_until)
        for contact_id, *row in staging.by_id(
            connection, _ATTRIBUTES.c.id, [_ATTRIBUTES.c[name] for name in columns], contacts, *_EMPLOYER, *visible
        ):
            employments[contact_id].append(Employment(*row))
        return Facts(emails, domains, employments)

    def _owners(self, kind: str, values: set[str]) -> dict[str, list[tuple[int, str]]]:
        owners: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        columns = (identities.c.value, identities.c.known_at, identities.c.owner_id)
        for value, known_at, owner in staging.by_id(
            self._transaction.connection, identities.c.value, columns, values, identities.c.kind == kind
        ):
            owners[value].append((known_at, owner))
        return owners
