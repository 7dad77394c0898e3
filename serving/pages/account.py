"""One account as a reader sees it: the score and what it means, reasons, the way to it, and who was in touch when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from features.agreement import Agreement
from features.money import minor_per_unit
from features.touch_types import TouchType
from models.explain import Explained, Reason
from models.points import PointsReason
from serving.pages import account_charts as charts
from serving.pages.course import Point
from serving.pages.group import Person, people
from serving.pages.shares import rounded
from serving.pages.words import DEGRADED, Words
from serving.profile import Entry, Facts, Page, timeline
from serving.scoring import Scored

View = dict[str, Any]

STEPS = 9
"""Behaviours with a bar of their own in the waterfall; the others are one."""

_DRAWN = 400
"""Newest touches that are drawn."""


def standing(scored: Scored, facts: Facts, words: Words) -> View:
    """Return what stands at the head of the page.

    Parameters
    ----------
    scored : Scored
    facts : Facts
    words : Words
    """
    return {
        "name": facts.name or scored.account_id,
        "facts": [(words.term(field.replace("_", " ")), value) for field, value in facts.attributes.items()],
        "stages": [
            {
                "kind": words.kind(kind),
                "stage": words.stage(cycle.stage),
                "since": words.day(cycle.entered_at),
                "is_open": cycle.is_open,
            }
            for kind, cycle in sorted(scored.cycles.items())
        ],
        "remarks": [words.named(DEGRADED, code) for code in scored.degraded],
        "why_not": None if scored.eligibility.why_not is None else scored.eligibility.why_not[words.language],
    }


def way(explained: Explained, words: Words) -> View:
    """Return the way from the reference account to this one, in percentage points that add up as they are shown.

    Parameters
    ----------
    explained : Explained
    words : Words

    Returns
    -------
    dict
        ``start``, ``steps`` and ``end`` for the table, and the picture.
    """
    moved = sorted(
        ((concept, points) for concept, (_, points) in explained.by_concept().items()),
        key=lambda item: (-abs(item[1]), item[0]),
    )
    digits = 1 if explained.probability >= 0.01 else 2
    start, end = round(100 * explained.base_probability, digits), round(100 * explained.probability, digits)
    listed = [(words.term(concept), points) for concept, points in moved[:STEPS] if round(points, digits)]
    rest = sum(points for _, points in moved) - sum(points for _, points in listed)
    listed.append((words.gettext("everything else"), rest))
    shown = rounded([points for _, points in listed], round(end - start, digits), digits)
    steps: list[View] = []
    at = start
    for (label, _), points in zip(listed, shown, strict=True):
        kind = "up" if points >= 0 else "down"
        after = round(at + points, digits)
        steps.append(
            {
                "label": label,
                "points": points,
                "text": words.points(points, digits),
                "from": at,
                "to": after,
                "kind": kind,
            }
        )
        at = after
    ends = [
        {"label": label, "from": 0.0, "to": share, "kind": "end", "text": words.percent(share / 100, digits)}
        for label, share in ((words.gettext("reference account"), start), (words.gettext("this account"), end))
    ]
    return {
        "start": ends[0],
        "steps": steps,
        "end": ends[1],
        "chart": charts.waterfall([ends[0], *steps, ends[1]], words),
    }


def reasons(grounds: Sequence[Reason] | Sequence[PointsReason], words: Words) -> list[View]:
    """Return reasons as sentences, each with its percentage points; the words of a score by points tell its own."""
    return [
        {"text": one.texts[words.language], "exact": None, "points": ""}
        if isinstance(one, PointsReason)
        else {
            "text": one.texts[words.language],
            "exact": one.percentage_points,
            "points": words.points(one.percentage_points),
        }
        for one in grounds
    ]


def over_time(points: tuple[Point, ...], now: int, words: Words) -> View:
    """Return the score over time as a picture and a table."""
    _ = words.gettext
    periods = {
        "seen": _("the model has learnt from what came later"),
        "past": "",
        "future": _("if nothing more is heard"),
    }
    return {
        "chart": charts.over_time(points, now, words),
        "rows": [
            {
                "day": words.day(one.at),
                "probability": None if one.probability is None else words.percent(one.probability),
                "score": one.score,
                "remark": periods[one.period],
            }
            for one in reversed(points)
        ],
    }


def group(tables: Mapping[str, Any], as_of: int, agreement: Agreement, words: Words) -> View:
    """Return the people of the account and their touches, as a table of all and a picture of the newest."""
    # As long as the tables are, the page holds all there is.
    entries = timeline(tables, as_of, None, sum(table.num_rows for table in tables.values())).entries
    found = people(tables, entries, as_of)
    touched = [entry for entry in entries if entry.place.type == "touchpoint"]
    drawn = touched[:_DRAWN]
    seen = {entry.columns["contact_id"] for entry in drawn}
    rows = [person for person in found if person.contact_id in seen]
    row = {person.contact_id: number for number, person in enumerate(rows)}
    since = drawn[-1].place.occurred_at if len(drawn) < len(touched) else None
    touches = [
        {
            "at": entry.place.occurred_at,
            "row": row[entry.columns["contact_id"]],
            "channel": words.term(entry.columns["channel"]) or words.gettext("no channel"),
            "inbound": entry.columns["direction"] == "inbound",
            "name": f"{words.day(entry.place.occurred_at)}: {_what(entry, agreement.touch_types, words)}",
        }
        for entry in drawn
    ]
    stages = [
        (entry.place.occurred_at, words.stage(entry.what))
        for entry in reversed(entries)
        if entry.place.type == "stageChange" and (since is None or entry.place.occurred_at >= since)
    ]
    return {
        "people": [
            {
                "label": _person(person, words),
                "role": words.role(person.role),
                "touches": person.touches,
                "last": words.day(person.last_at),
            }
            for person in found
        ],
        "chart": charts.group([_person(person, words) for person in rows], touches, stages, words),
        "drawn": None if since is None else (words.number(len(drawn)), words.number(len(touched))),
    }


def happened(page: Page, agreement: Agreement, words: Words) -> View:
    """Return a page of the timeline as a table, and the cursor of the next."""
    return {
        "rows": [
            {
                "moment": words.moment(entry.place.occurred_at),
                "what": _what(entry, agreement.touch_types, words),
                "channel": words.term(entry.columns.get("channel")),
                "who": entry.columns.get("contact_id") or "",
                "direction": words.direction(entry.columns.get("direction")),
            }
            for entry in page.entries
        ],
        "cursor": page.next_cursor,
    }


def _person(person: Person, words: Words) -> str:
    if person.contact_id is None:
        return words.gettext("nobody known")
    return f"{words.role(person.role)} · {person.contact_id}"


def _what(entry: Entry, touch_types: Mapping[str, TouchType], words: Words) -> str:
    if entry.place.type == "touchpoint":
        return words.touch(touch_types.get(entry.what), entry.what)
    if entry.place.type == "stageChange":
        return words.gettext("stage: %(stage)s") % {"stage": words.stage(entry.what)}
    amount, currency = entry.columns.get("amount"), entry.columns.get("currency")
    outcome = {"open": words.gettext("deal open"), "won": words.gettext("deal won"), "lost": words.gettext("deal lost")}
    said = outcome.get(entry.what, entry.what)
    return said if not amount or not currency else f"{said}, {words.money(amount / minor_per_unit(currency), currency)}"
