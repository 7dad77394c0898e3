"""The buying group: who takes part, in which role, and when each was in touch through which channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from serving.profile import Entry

_ROLES = ("decision_maker", "champion", "influencer", "user", "procurement", "finance")


@dataclass(frozen=True)
class Person:
    """A contact who takes part; None as id stands for touches of nobody known.

    Parameters
    ----------
    contact_id : str or None
    role : str or None
    touches : int
    last_at : int
        Microseconds.
    """

    contact_id: str | None
    role: str | None
    touches: int
    last_at: int


def people(tables: Mapping[str, pa.Table], entries: Sequence[Entry], as_of: int) -> tuple[Person, ...]:
    """Return who takes part, the deciding roles first.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        The ledger's tables of the account.
    entries : sequence of Entry
        Of its timeline, newest first.
    as_of : int
        Microseconds.
    """
    roles = _roles(tables["attributes"], as_of)
    touches: dict[str | None, list[int]] = {}
    for entry in entries:
        if entry.place.type == "touchpoint":
            touches.setdefault(entry.columns["contact_id"], []).append(entry.place.occurred_at)
    found = [Person(contact, roles.get(contact or ""), len(when), when[0]) for contact, when in touches.items()]
    return tuple(sorted(found, key=_rank))


def _rank(person: Person) -> tuple[Any, ...]:
    place = _ROLES.index(person.role) if person.role in _ROLES else len(_ROLES)
    return person.contact_id is None, place, -person.touches, person.contact_id or ""


def _roles(attributes: pa.Table, as_of: int) -> dict[str, str | None]:
    latest: dict[str, tuple[int, int, str | None]] = {}
    for row in attributes.to_pylist():
        is_visible = max(row["occurred_at"], row["known_at"]) <= as_of < row["known_until"] and not row.get("deleted")
        if is_visible and row["entity"] == "contact" and row["field"] == "role":
            stated = (row["occurred_at"], row["revision"], row["value"])
            latest[row["id"]] = max(latest.get(row["id"], stated), stated, key=lambda item: item[:2])
    return {contact: value for contact, (_, _, value) in latest.items()}
