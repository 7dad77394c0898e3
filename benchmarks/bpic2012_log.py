"""The bpic2012 log read by hand: what the mapping of the project's rules makes of each event, without the intake.

It exists so that the shipped field map and the intake are checked by something that shares no line with them.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "bpic2012" / "events.csv.gz"

Raw = list[tuple[str, dict[str, Any]]]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAGES = {"A_SUBMITTED": "lead", "A_PARTLYSUBMITTED": "mql", "A_PREACCEPTED": "bql", "A_ACCEPTED": "sql"}
DEALS = {
    "A_FINALIZED": ("open", None),
    "A_APPROVED": ("won", None),
    "A_DECLINED": ("lost", "declined"),
    "A_CANCELLED": ("lost", "cancelled"),
}
IGNORED = ("A_REGISTERED", "A_ACTIVATED")
OFFERS = {
    "O_SELECTED": ("task_completed", "Back Office", "internal"),
    "O_CREATED": ("task_completed", "Back Office", "internal"),
    "O_SENT": ("quote_sent", "Offline", "outbound"),
    "O_SENT_BACK": ("quote_returned", "Offline", "inbound"),
    "O_ACCEPTED": ("quote_accepted", "Offline", "inbound"),
    "O_CANCELLED": ("quote_withdrawn", "Back Office", "internal"),
    "O_DECLINED": ("quote_declined", "Back Office", "internal"),
}
DEPTH = {"W_Afhandelen leads": "tofu", "W_Completeren aanvraag": "mofu"}
CHECKS = ("W_Valideren aanvraag", "W_Beoordelen fraude")


def events(path: Path = FILE) -> Iterator[dict[str, str]]:
    """Yield the rows of the log as text."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def micros(text: str) -> int:
    """Return an ISO time with an offset as UTC microseconds."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def raw_rows(event: dict[str, str]) -> Raw:
    """Return the rows of the contract that an event becomes, known when it happened."""
    activity, case = event["activity"], event["case_id"]
    known: dict[str, Any] = {"account_id": case, "occurred_at": micros(event["timestamp"]), "revision": 1}
    known["known_at"] = known["occurred_at"]
    if activity in IGNORED:
        return []
    if activity in STAGES:
        stage = {"cycle_id": case, "kind": "new", "stage": STAGES[activity], "set_by": "import"}
        rows: Raw = [("stage_changes", {"change_id": _event_id(event), **stage, **known})]
        return [*rows, ("attributes", _amount(event))] if activity == "A_SUBMITTED" else rows
    if activity in DEALS:
        outcome, reason = DEALS[activity]
        deal: dict[str, Any] = {"deal_id": case, "cycle_id": case, "kind": "new", "product": None, "outcome": outcome}
        deal |= {"amount": int(event["amount_req"]) * 100, "currency": "EUR", "loss_reason": reason}
        return [("deals", {**deal, "owner_id": event["resource"] or None, **known})]
    touch: dict[str, Any] = {"source": "bpic2012", "event_id": _event_id(event), "contact_id": None}
    what = {"actor_id": event["resource"] or None, "reply_to": None, **_interaction(event)}
    return [("touchpoints", {**touch, **what, **known}), ("touch_links", {**touch, **known})]


def _amount(event: dict[str, str]) -> dict[str, Any]:
    at = micros(event["reg_date"])
    fact = {"entity": "account", "id": event["case_id"], "field": "amount_requested", "value": event["amount_req"]}
    return {**fact, "set_by": "applicant", "occurred_at": at, "known_at": at, "revision": 1}


def _interaction(event: dict[str, str]) -> dict[str, str]:
    activity = event["activity"]
    if activity in OFFERS:
        touch_type, channel, direction = OFFERS[activity]
        depth = "bofu"
    else:
        depth = DEPTH.get(activity, "bofu")
        touch_type, channel, direction = "task_completed", "Back Office", "internal"
        if event["lifecycle"] == "SCHEDULE":
            touch_type = "task_scheduled"
        elif event["lifecycle"] == "START" and activity in CHECKS:
            touch_type = "assessment"
        elif event["lifecycle"] == "START":
            touch_type, channel, direction = "call", "Outbound Sales", "outbound"
    return {"touch_type": touch_type, "channel": channel, "direction": direction, "content_stage": depth}


def _event_id(event: dict[str, str]) -> str:
    return f"{event['case_id']}-{int(event['event_idx']):04d}"
