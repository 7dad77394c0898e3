"""Every feature, recomputed slowly and obviously from the raw rows: what both evaluators are held to.

Nothing here is shared with them except the declarations of `features.algebra` and `features.schema`. For one account
and one moment it picks the rows that were visible then, lists the five relations as plain dictionaries, and applies
each expression by its definition. No intervals, no tables: a raw row is ``(table, columns)`` and carries `revision` and
`known_at`, as a sender would give them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from features.agreement import Agreement
from features.algebra import (
    Atom,
    Cadence,
    Count,
    Decayed,
    Distinct,
    Expression,
    Gap,
    Latest,
    Mean,
    Ratio,
    Recency,
    Sum,
    TopShare,
    Waiting,
    window_days,
)
from features.schema import DAY, TABLES

HOUR = 3_600_000_000

Columns = Mapping[str, Any]
Raw = Sequence[tuple[str, Columns]]
Value = float | str | None

DECIMALS = {"JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "KWD": 3, "BHD": 3, "TND": 3}
"""Digits of the minor unit where they are not two (ISO 4217; as many as the tests use)."""

OWN_ID = {
    "touches": ("source", "event_id"),
    "deals": ("deal_id",),
    "stages": ("cycle_id",),
    "attributes": ("field",),
    "members": ("contact_id",),
}


@dataclass(frozen=True)
class Terms:
    """What of the agreement a feature depends on; the defaults are those of the design."""

    order: tuple[str, ...] = ("lead", "mql", "bql", "sql", "deal", "won")
    terminal: tuple[str, ...] = ("lost", "churned", "disqualified")
    implicit_first: str = "lead"
    reporting_currency: str = "EUR"

    @classmethod
    def of(cls, agreement: Agreement) -> Terms:
        """Take from an agreement what the recomputation needs of it."""
        stages = agreement.stages
        return cls(stages.order, stages.terminal, stages.implicit_first, agreement.reporting_currency)


def values(
    raw: Raw, account_id: str, as_of: int, expressions: Mapping[str, Expression], terms: Terms = Terms()
) -> dict[str, Value]:
    """Return the value of every expression for one account at one moment; NaN and None are missing."""
    relations = account_relations(raw, account_id, as_of, terms)
    return {name: _value(expression, relations, as_of) for name, expression in expressions.items()}


def disagreement(expected: Value, actual: Value, *, exact: bool) -> bool:
    """Whether two values differ by more than rules.md, 15 allows."""
    if isinstance(expected, str) or isinstance(actual, str):
        return expected != actual
    a = math.nan if expected is None else float(expected)
    b = math.nan if actual is None else float(actual)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) != math.isnan(b)
    return a != b if exact else abs(a - b) > 1e-9 * max(1.0, abs(a))


def account_relations(raw: Raw, account_id: str, as_of: int, terms: Terms) -> dict[str, list[dict[str, Any]]]:
    """Return the five relations of the account, each row as it was known at that moment."""
    touches = _touches(raw, account_id, as_of)
    return {
        "touches": touches,
        "deals": _deals(raw, account_id, as_of, terms),
        "stages": _stages(raw, account_id, as_of, touches, terms),
        "attributes": _attributes(raw, account_id, as_of),
        "members": _members(raw, account_id, as_of),
    }


def visible(raw: Raw, table: str, as_of: int) -> list[Columns]:
    """Return the rows of a table that could be seen then: for each key the highest revision known by that moment.

    A key whose newest known revision is a retraction, or says that it happens later, has no row.
    """
    newest: dict[tuple[Any, ...], Columns] = {}
    for name, row in raw:
        if name == table and row["known_at"] <= as_of:
            key = tuple(row[column] for column in TABLES[table].key)
            if key not in newest or row["revision"] > newest[key]["revision"]:
                newest[key] = row
    clock = TABLES[table].clock
    return [row for row in newest.values() if not row.get("deleted") and (clock is None or row[clock] <= as_of)]


def _facts(raw: Raw, entity: str, as_of: int) -> dict[tuple[str, str], Columns]:
    """Return the latest visible fact of each (id, field)."""
    latest: dict[tuple[str, str], Columns] = {}
    for row in visible(raw, "attributes", as_of):
        key = (row["id"], row["field"])
        if row["entity"] == entity and (key not in latest or row["occurred_at"] > latest[key]["occurred_at"]):
            latest[key] = row
    return latest


def _touches(raw: Raw, account_id: str, as_of: int) -> list[dict[str, Any]]:
    links = {(row["source"], row["event_id"]): row for row in visible(raw, "touch_links", as_of)}
    facts = _facts(raw, "contact", as_of)
    found = []
    for touch in visible(raw, "touchpoints", as_of):
        link = links.get((touch["source"], touch["event_id"]))
        if link is None or link["account_id"] != account_id:
            continue
        contact = link["contact_id"]
        said = json.loads(touch.get("properties") or "{}")
        role = None if contact is None else (_fact_value(facts, contact, "role") or "unknown")
        found.append(
            {
                **touch,
                "contact_id": contact,
                "role": role,
                "cost": None if touch.get("cost") is None else touch["cost"] / 100,
                "satisfaction": _number(said.get("satisfaction")),
                "nps": _number(said.get("nps")),
            }
        )
    return found


def _deals(raw: Raw, account_id: str, as_of: int, terms: Terms) -> list[dict[str, Any]]:
    logs: dict[str, list[Columns]] = {}
    for row in visible(raw, "deals", as_of):
        if row["account_id"] == account_id:
            logs.setdefault(row["deal_id"], []).append(row)
    found = []
    for log in logs.values():
        latest = max(log, key=lambda row: row["occurred_at"])
        opened_at = min(row["occurred_at"] for row in log)
        found.append({**latest, "opened_at": opened_at, "amount": _money(raw, latest, terms, as_of)})
    return found


def _money(raw: Raw, deal: Columns, terms: Terms, as_of: int) -> float | None:
    """Return the amount in reporting units, at the rate of its day as known at the moment."""
    if deal["amount"] is None:
        return None
    units = float(deal["amount"] / 10 ** DECIMALS.get(deal["currency"], 2))
    if deal["currency"] == terms.reporting_currency:
        return units
    rates = [
        row
        for row in visible(raw, "fx_rates", as_of)
        if row["currency"] == deal["currency"] and row["date"] <= deal["occurred_at"]
    ]
    return units * float(max(rates, key=lambda row: row["date"])["rate"]) if rates else None


Event = tuple[int, int, str, str]
"""(occurred_at, position of the stage, id, stage): sorts in the order of a cycle."""


def _stages(raw: Raw, account_id: str, as_of: int, touches: list[dict[str, Any]], terms: Terms) -> list[dict[str, Any]]:
    cycles = _cycles(raw, account_id, as_of, touches, terms)
    rows = []
    for kind in sorted({kind for kind, _ in cycles}):
        of_kind = [
            _cycle(kind, cycle_id, sorted(events), terms) for (k, cycle_id), events in cycles.items() if k == kind
        ]
        still_open = [cycle for cycle in of_kind if cycle["is_open"]]
        if still_open:
            chosen = max(still_open, key=lambda cycle: (cycle["rank"], cycle["occurred_at"], cycle["cycle_id"]))
        else:
            chosen = max(of_kind, key=lambda cycle: (cycle["changed_at"], cycle["cycle_id"]))
        rows.append({**chosen, "cycles": len(of_kind)})
    return rows


def _cycles(
    raw: Raw, account_id: str, as_of: int, touches: list[dict[str, Any]], terms: Terms
) -> dict[tuple[str, str], list[Event]]:
    """Return the events of every cycle, by (kind, cycle_id)."""
    position = {stage: place for place, stage in enumerate(terms.order + terms.terminal)}
    cycles: dict[tuple[str, str], list[Event]] = {}
    for row in visible(raw, "stage_changes", as_of):
        if row["account_id"] == account_id:
            event = (row["occurred_at"], position[row["stage"]], row["change_id"], row["stage"])
            cycles.setdefault((row["kind"], row["cycle_id"]), []).append(event)
    deals = [row for row in visible(raw, "deals", as_of) if row["account_id"] == account_id]
    for row in deals:
        same_cycle = [other for other in deals if other["cycle_id"] == row["cycle_id"]]
        stage = {"open": "deal", "won": "won", "lost": "lost"}[row["outcome"]]
        if stage == "lost" and not _all_lost(same_cycle, row["occurred_at"]):
            continue
        event = (row["occurred_at"], position[stage], row["deal_id"], stage)
        cycles.setdefault((row["kind"], row["cycle_id"]), []).append(event)
    inbound = [touch["occurred_at"] for touch in touches if touch["direction"] == "inbound"]
    if terms.implicit_first and inbound:
        lead = (min(inbound), position[terms.implicit_first], "", terms.implicit_first)
        firsts = {key: min(events)[0] for key, events in cycles.items() if key[0] == "new"}
        if not firsts:
            cycles["new", f"{account_id}:new:1"] = [lead]
        else:
            first = min(firsts, key=lambda key: (firsts[key], key[1]))
            if lead[0] < firsts[first]:
                cycles[first].append(lead)
    return cycles


def _all_lost(deals: Iterable[Columns], moment: int) -> bool:
    state: dict[str, Columns] = {}
    for row in deals:
        held = state.get(row["deal_id"])
        if row["occurred_at"] <= moment and (held is None or row["occurred_at"] > held["occurred_at"]):
            state[row["deal_id"]] = row
    return all(row["outcome"] == "lost" for row in state.values())


def _cycle(kind: str, cycle_id: str, events: list[Event], terms: Terms) -> dict[str, Any]:
    ranks = [terms.order.index(stage) if stage in terms.order else -1 for *_, stage in events]
    stage = events[-1][3]
    entered = events[-1][0]
    for event in reversed(events):
        if event[3] != stage:
            break
        entered = event[0]
    return {
        "kind": kind,
        "cycle_id": cycle_id,
        "stage": stage,
        "rank": ranks[-1],
        "occurred_at": entered,
        "opened_at": events[0][0],
        "changed_at": events[-1][0],
        "regressions": sum(0 <= now < before for before, now in pairwise(ranks)),
        "is_open": 0 if stage == "won" or stage in terms.terminal else 1,
    }


def _attributes(raw: Raw, account_id: str, as_of: int) -> list[dict[str, Any]]:
    return [
        {**row, "number": _number(row["value"])}
        for (owner, _), row in _facts(raw, "account", as_of).items()
        if owner == account_id
    ]


def _members(raw: Raw, account_id: str, as_of: int) -> list[dict[str, Any]]:
    facts = _facts(raw, "contact", as_of)
    return [
        {
            "contact_id": contact,
            "role": _fact_value(facts, contact, "role") or "unknown",
            "occurred_at": row["occurred_at"],
        }
        for (contact, field), row in facts.items()
        if field == "employer" and row["value"] == account_id
    ]


def _fact_value(facts: Mapping[tuple[str, str], Columns], owner: str, field: str) -> str | None:
    return facts[owner, field]["value"] if (owner, field) in facts else None


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _value(expression: Expression, relations: Mapping[str, list[dict[str, Any]]], as_of: int) -> Value:
    if isinstance(expression, Ratio):
        above = _value(expression.numerator, relations, as_of)
        below = _value(expression.denominator, relations, as_of)
        if isinstance(above, str) or isinstance(below, str):
            raise TypeError("A ratio of text has no value.")
        if above is None or below is None or math.isnan(above) or math.isnan(below) or below == 0:
            return math.nan
        return above / below * expression.scale
    rows = relations[expression.of]
    return _atom(expression, _kept(expression, rows, as_of), rows, as_of)


def _kept(atom: Atom, rows: list[dict[str, Any]], as_of: int) -> list[dict[str, Any]]:
    days = window_days(atom)
    if isinstance(atom, Decayed):
        days = 365
    return [
        row
        for row in rows
        if (days is None or as_of - days * DAY < row["occurred_at"] <= as_of)
        and all(row.get(column) in allowed for column, allowed in atom.where.terms)
    ]


def _atom(atom: Atom, kept: list[dict[str, Any]], rows: list[dict[str, Any]], as_of: int) -> Value:
    match atom:
        case Count():
            return float(len(kept))
        case Sum(column=column):
            return math.fsum(_given(kept, column))
        case Mean(column=column):
            given = _given(kept, column)
            return math.fsum(given) / len(given) if given else math.nan
        case Distinct(column=column):
            return float(len(set(_given(kept, column))))
        case TopShare(column=column):
            counts = Counter(_given(kept, column))
            return max(counts.values()) / counts.total() if counts else math.nan
        case Decayed(half_life_days=half_life):
            return math.fsum(2 ** (-(as_of - row["occurred_at"]) / DAY / half_life) for row in kept)
        case Recency(at=at):
            return (as_of - max(row[at] for row in kept)) / DAY if kept else math.nan
        case Latest(column=column, of=of):
            return _latest(kept, column, OWN_ID[of])
        case Gap():
            gaps = [max(0, min(answers) - asked) / HOUR for asked, answers in _questions(kept, rows) if answers]
            return math.fsum(gaps) / len(gaps) if gaps else math.nan
        case Waiting():
            unanswered = [asked for asked, answers in _questions(kept, rows) if not answers]
            return (as_of - min(unanswered)) / DAY if unanswered else math.nan
        case Cadence(at=at):
            moments = sorted(row[at] for row in kept)
            steps = [(later - earlier) / DAY for earlier, later in pairwise(moments)]
            return float(median(steps)) if steps else math.nan
    raise TypeError(f"No rule for {atom}.")


def _given(rows: list[dict[str, Any]], column: str) -> list[Any]:
    return [row[column] for row in rows if row.get(column) is not None]


def _latest(rows: list[dict[str, Any]], column: str, own_id: tuple[str, ...]) -> Value:
    if not rows:
        return None
    value = max(rows, key=lambda row: (row["occurred_at"], *(row[name] for name in own_id))).get(column)
    return value if value is None or isinstance(value, str) else float(value)


def _questions(kept: list[dict[str, Any]], touches: list[dict[str, Any]]) -> list[tuple[int, list[int]]]:
    """Return for each touch when it happened, and when the touches happened that answer it."""
    return [
        (
            question["occurred_at"],
            [
                touch["occurred_at"]
                for touch in touches
                if touch is not question and touch.get("reply_to") == question["event_id"]
            ],
        )
        for question in kept
    ]
