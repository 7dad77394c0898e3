"""Three features for every touch type of the vocabulary, the users' own types included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from features.algebra import where
from features.catalogue.declare import Subject, count, decayed, recency
from features.feature import Feature
from features.touch_types import TouchType

SALES_TYPES = frozenset(
    {"call", "meeting", "quote_sent", "quote_withdrawn", "assessment", "task_scheduled", "task_completed"}
)
SERVICE_TYPES = frozenset({"ticket_opened", "ticket_closed", "survey"})


def touch_type_features(touch_types: Mapping[str, TouchType]) -> tuple[Feature, ...]:
    """Return count, decayed sum and recency of every touch type, in the order of the vocabulary."""
    declared: list[Feature] = []
    for touch_type in touch_types.values():
        subject = _subject(touch_type)
        counted, faded, last = _families(touch_type.name)
        declared += [count(subject, 30, counted), decayed(subject, 30, faded), recency(subject, last)]
    return tuple(declared)


def touch_type_decay(touch_type: TouchType, half_life: float) -> Feature:
    """Return the decayed sum of a touch type with another half-life, in days."""
    whole = int(half_life) if half_life == int(half_life) else half_life
    declared = decayed(_subject(touch_type), whole, _families(touch_type.name)[1])
    # A name is an identifier: half a day is written 0_5.
    return replace(declared, name=declared.name.replace(".", "_"))


def _subject(touch_type: TouchType) -> Subject:
    words = touch_type.plural.replace("_", " ")
    return Subject(touch_type.plural, words, touch_type.zh, where(touch_type=touch_type.name))


def _families(name: str) -> tuple[str, str, str]:
    if name in SALES_TYPES:
        return ("sales effort",) * 3
    if name in SERVICE_TYPES:
        return ("service",) * 3
    return "frequency", "decayed engagement", "recency"
