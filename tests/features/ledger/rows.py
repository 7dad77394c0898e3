"""Short ways to write rows and to send them."""

from __future__ import annotations

from features.ledger import Batch, Ledger, Receipt, Row

NOW = 1_800_000_000_000_000
SECOND = 1_000_000


def touch(event_id: str, **columns: object) -> Row:
    return {"source": "web", "event_id": event_id, "occurred_at": NOW - 10, "touch_type": "call", **columns}


def deal(occurred_at: int, **columns: object) -> Row:
    return {"deal_id": "d-1", "occurred_at": occurred_at, "account_id": "a-1", "outcome": "open", **columns}


def employer(contact_id: str, value: str | None, occurred_at: int = 1, **columns: object) -> Row:
    return {
        "entity": "contact",
        "id": contact_id,
        "field": "employer",
        "occurred_at": occurred_at,
        "value": value,
        **columns,
    }


def send(ledger: Ledger, table: str, *rows: Row, backfill: bool = False) -> Receipt:
    return ledger.append(Batch({table: rows}, backfill=backfill))


def counts(receipt: Receipt) -> tuple[int, int, int, int]:
    return receipt.accepted, receipt.corrected, receipt.duplicates, len(receipt.rejected)
