"""Roles and employers of people, as far as we knew when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from features.relations.columns import latest_facts


class ContactSpan(NamedTuple):
    """What was known of a person's role or employer over a stretch of time."""

    value: str | None
    valid_from: int
    valid_until: int
    occurred_at: int


class ContactSpans(NamedTuple):
    """Roles and employers of every contact, each in time order and not overlapping."""

    roles: dict[str, list[ContactSpan]]
    employers: dict[str, list[ContactSpan]]


def contact_spans(attributes: pa.Table) -> ContactSpans:
    """Return who played which role and worked for whom, as far as we knew when."""
    people = attributes.filter(
        pc.and_(
            pc.equal(attributes["entity"], "contact"), pc.is_in(attributes["field"], pa.array(["role", "employer"]))
        )
    )
    found: dict[str, dict[str, list[ContactSpan]]] = {"role": {}, "employer": {}}
    for person, field, value, span in latest_facts(people):
        found[field].setdefault(person, []).append(ContactSpan(value, *span))
    return ContactSpans(found["role"], found["employer"])


def filled(spans: Sequence[ContactSpan], start: int, end: int) -> list[tuple[str | None, int, int]]:
    """Return (value, from, until) that fill [start, end) without a hole, value None where nothing is known."""
    found: list[tuple[str | None, int, int]] = []
    reached = start
    for span in spans:
        begin, until = max(span.valid_from, start), min(span.valid_until, end)
        if begin >= until:
            continue
        if begin > reached:
            found.append((None, reached, begin))
        found.append((span.value, begin, until))
        reached = until
    if reached < end:
        found.append((None, reached, end))
    return found
