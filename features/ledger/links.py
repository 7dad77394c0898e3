"""Whose a touch is, as far as we knew when. Pure: revisions and identity facts in, a timeline of links out.

A link is resolved at the moment its touch became known, in the order account_id, contact_id (the employer as of then),
email_hash (the contact with it, then the employer), domain. What can not be told then is told from the moment at which
an identity becomes known. A link once made changes only by hand, or when a correction of the touch changes its identity
keys. Because it depends on nothing but what was known when, any order of arrival gives the same timeline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from features.schema import FOREVER


class Keys(NamedTuple):
    """Identity keys of a touch, as its sender gave them."""

    account_id: str | None
    contact_id: str | None
    email_hash: str | None
    domain: str | None


class Segment(NamedTuple):
    """From `known_at` on the touch belongs to this account and person; `None` is nobody."""

    known_at: int
    account_id: str | None
    contact_id: str | None
    by_hand: bool = False

    @property
    def whose(self) -> tuple[str | None, str | None]:
        """The account and the person."""
        return self.account_id, self.contact_id


class Employment(NamedTuple):
    """A revision of the attribute `employer` of a contact, not retracted."""

    occurred_at: int
    revision: int
    known_at: int
    known_until: int
    account_id: str | None


@dataclass
class Facts:
    """What is known of identities.

    Parameters
    ----------
    email_owners, domain_owners : mapping of str to sequence of (int, str)
        By value: since when we know, and the contact or account it belongs to.
    employments : mapping of str to sequence of Employment
        By contact.
    """

    email_owners: Mapping[str, Sequence[tuple[int, str]]] = field(default_factory=dict)
    domain_owners: Mapping[str, Sequence[tuple[int, str]]] = field(default_factory=dict)
    employments: Mapping[str, Sequence[Employment]] = field(default_factory=dict)

    def owner(self, owners: Mapping[str, Sequence[tuple[int, str]]], value: str | None, at: int) -> str | None:
        """Return who a value belonged to at a moment: the latest known, then the greater id."""
        known = [pair for pair in owners.get(value, ()) if pair[0] <= at] if value is not None else []
        return max(known)[1] if known else None

    def employer(self, contact_id: str | None, at: int) -> str | None:
        """Return the account that a contact worked for at a moment, as far as we knew at that moment."""
        rows = self.employments.get(contact_id, ()) if contact_id is not None else ()
        seen = [row for row in rows if row.occurred_at <= at and row.known_at <= at < row.known_until]
        return max(seen, key=lambda row: (row.occurred_at, row.revision)).account_id if seen else None


def is_complete(keys: Keys, account_id: str | None, contact_id: str | None) -> bool:
    """Tell whether nothing that becomes known later can add to a link."""
    return account_id is not None and (contact_id is not None or keys.email_hash is None)


def timeline(seen: Sequence[tuple[int, Keys]], by_hand: Sequence[Segment], facts: Facts) -> list[Segment]:
    """Return the links of one touch, oldest first.

    Parameters
    ----------
    seen : sequence of (int, Keys)
        Visible revisions of the touch in the order in which they became known: since when, and its identity keys.
    by_hand : sequence of Segment
        Visible links that a sender gave. They hold until a correction of the touch changes its identity keys.
    facts : Facts
    """
    changed = [(at, keys) for i, (at, keys) in enumerate(seen) if i == 0 or keys != seen[i - 1][1]]
    events: list[tuple[int, int, Keys | Segment]] = [(at, 0, keys) for at, keys in changed]
    events += [(link.known_at, 1, link) for link in by_hand]
    if len(events) > 1:
        events.sort(key=lambda event: event[:2])
    segments: list[Segment] = []
    for i, (at, _, event) in enumerate(events):
        if isinstance(event, Segment):
            segments.append(event)
        elif not segments or at != changed[0][0]:
            until = events[i + 1][0] if i + 1 < len(events) else FOREVER
            resolved = _resolve(event, at, until, facts)
            if segments and (not resolved or resolved[0].known_at > at):
                segments.append(Segment(at, None, None))
            segments += resolved
    return _merged(segments)


def changes(current: Sequence[Segment], wanted: Sequence[Segment]) -> list[Segment]:
    """Return the links to append, as further revisions, so that what is visible becomes `wanted`.

    Parameters
    ----------
    current : sequence of Segment
        Visible links, oldest first.
    wanted : sequence of Segment
        A `timeline`.

    Notes
    -----
    A further revision hides everything known at its own moment or later. So all that follows the first difference is
    given again, and where the two differ in when it begins, what held before is given again too.
    """
    if not current:
        return list(wanted)
    current = _merged(current)
    same = 0
    for old, new in zip(current, wanted, strict=False):
        if (old.known_at, *old.whose) != (new.known_at, *new.whose):
            break
        same += 1
    rest = list(wanted[same:])
    if len(current) > same:
        cut = current[same].known_at
        if not rest or rest[0].known_at > cut:
            before = wanted[same - 1] if same else Segment(cut, None, None)
            rest.insert(0, before._replace(known_at=cut))
    return rest


def _resolve(keys: Keys, at: int, until: int, facts: Facts) -> list[Segment]:
    segments: list[Segment] = []
    account_id, contact_id = keys.account_id, keys.contact_id
    if is_complete(keys, account_id, contact_id):
        return [Segment(at, account_id, contact_id)]
    for moment in _moments(keys, at, until, facts):
        owner = facts.owner(facts.email_owners, keys.email_hash, moment)
        before = account_id, contact_id
        contact_id = contact_id or owner
        account_id = (
            account_id
            or facts.employer(keys.contact_id, moment)
            or facts.employer(owner, moment)
            or facts.owner(facts.domain_owners, keys.domain, moment)
        )
        if account_id is not None and (not segments or (account_id, contact_id) != before):
            segments.append(Segment(moment, account_id, contact_id))
        if is_complete(keys, account_id, contact_id):
            break
    return segments


def _moments(keys: Keys, at: int, until: int, facts: Facts) -> list[int]:
    """Return the moments from `at` on at which something that bears on the keys became, or ceased to be, known."""
    emails = facts.email_owners.get(keys.email_hash, ()) if keys.email_hash is not None else ()
    domains = facts.domain_owners.get(keys.domain, ()) if keys.domain is not None else ()
    moments = {known_at for known_at, _ in (*emails, *domains)}
    for contact_id in {keys.contact_id, *(owner for _, owner in emails)} - {None}:
        for row in facts.employments.get(str(contact_id), ()):
            moments |= {max(row.occurred_at, row.known_at), row.known_until}
    return [at, *sorted(moment for moment in moments if at < moment < until)]


def _merged(segments: Sequence[Segment]) -> list[Segment]:
    """Leave out what changes nothing, what lasts no time, and nobody at the start."""
    merged: list[Segment] = []
    for i, segment in enumerate(segments):
        if i + 1 < len(segments) and segments[i + 1].known_at == segment.known_at:
            continue
        if segment.whose != (merged[-1].whose if merged else (None, None)):
            merged.append(segment)
    return merged
