"""The work of an append depends on what it holds, not on how much is stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from features.ledger import Batch, Ledger, Row

_STEPS = 100


@pytest.fixture
def steps() -> Iterator[list[int]]:
    """Steps of the database's machine so far, in hundreds."""
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    def watch(connection, _record) -> None:
        connection.set_progress_handler(count, _STEPS)

    event.listen(sa.Pool, "connect", watch)
    yield counted
    event.remove(sa.Pool, "connect", watch)


def people(first: int, number: int) -> Batch:
    """Contacts with an e-mail, a job and a role, and a touch of each that names only the e-mail."""
    ids = range(first, first + number)
    jobs: list[Row] = [
        {"entity": "contact", "id": f"c{i}", "field": field, "occurred_at": 10, "value": value}
        for i in ids
        for field, value in (("employer", f"a{i % 7}"), ("role", "user"))
    ]
    touch = {"occurred_at": 20, "touch_type": "page_view", "channel": "Direct", "direction": "inbound"}
    touches: list[Row] = [{"source": "s", "event_id": f"t{i}", "email_hash": f"e{i}", **touch} for i in ids]
    contacts: list[Row] = [{"contact_id": f"c{i}", "email_hash": f"e{i}"} for i in ids]
    return Batch({"contacts": contacts, "attributes": jobs, "touchpoints": touches}, backfill=True)


def work(path: Path, stored: int, steps: list[int]) -> int:
    with Ledger.open(path) as ledger:
        ledger.append(people(0, stored))
        before = steps[0]
        assert ledger.append(people(stored, 50)).accepted == 200
        return steps[0] - before


def test_an_append_costs_the_same_in_a_store_ten_times_as_large(tmp_path: Path, steps: list[int]) -> None:
    assert work(tmp_path / "large.db", 2_000, steps) < 1.5 * work(tmp_path / "small.db", 200, steps)
