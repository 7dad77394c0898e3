"""The ledger as it stood at an earlier position, whatever came afterwards."""

from __future__ import annotations

import tempfile
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.ledger import Batch, Ledger
from tests.features import streams
from tests.features.ledger.rows import NOW, deal, employer, send, touch

DAY = 86_400_000_000
FACTS = ("account_touches", "deals", "stage_changes", "attributes", "fx_rates")

Seen = dict[str, list[dict[str, Any]]]


def seen(ledger: Ledger, account_id: str, at: int | None = None) -> Seen:
    """Return the facts that the evaluators read of an account, in the order in which they get them."""
    tables = ledger.account_tables(account_id, at=at)
    return {name: tables[name].to_pylist() for name in FACTS}


def all_seen(ledger: Ledger, at: int | None = None) -> dict[str, list[str]]:
    tables = ledger.tables(at=at)
    return {name: sorted(map(repr, tables[name].to_pylist())) for name in FACTS}


@settings(max_examples=8, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams.markets(), st.lists(st.integers(1, 12), min_size=3, max_size=3), st.booleans())
def test_any_position_reads_as_it_read_then(market: streams.Market, sizes: list[int], backfill: bool) -> None:
    rows = list(market.raw)
    with tempfile.TemporaryDirectory() as folder, Ledger.open(f"{folder}/market.db", clock=lambda: NOW) as ledger:
        then = [(0, {account: seen(ledger, account) for account in streams.ACCOUNTS}, all_seen(ledger))]
        for size in sizes:
            batch: dict[str, list[Any]] = {}
            for table, row in rows[:size]:
                batch.setdefault(table, []).append(row)
            rows = rows[size:]
            ledger.append(Batch(batch, backfill=backfill))
            found = {account: seen(ledger, account) for account in streams.ACCOUNTS}
            then.append((ledger.head().ledger_seq, found, all_seen(ledger)))
        for at, of_accounts, of_all in then:
            assert {account: seen(ledger, account, at) for account in streams.ACCOUNTS} == of_accounts
            assert all_seen(ledger, at) == of_all


def test_corrections_retractions_backfills_and_links_found_later_change_nothing_before_them(ledger, clock):
    send(ledger, "accounts", {"account_id": "a-1", "domain": "one.example"}, {"account_id": "a-2"})
    send(ledger, "touchpoints", touch("1", account_id="a-1"), touch("2", email_hash="e"), touch("3", account_id="a-2"))
    send(ledger, "deals", deal(NOW - 5, amount=100))
    send(ledger, "fx_rates", {"currency": "USD", "date": 1, "rate": 0.9})
    at = ledger.head().ledger_seq
    before = {account: seen(ledger, account) for account in ("a-1", "a-2")}
    clock.now += DAY
    send(ledger, "touchpoints", touch("1", account_id="a-1", campaign="spring"), touch("3", account_id="a-1"))
    send(ledger, "deals", deal(NOW - 5, deleted=True))
    send(ledger, "deals", deal(NOW - 400, amount=7, account_id="a-2"), backfill=True)
    send(ledger, "contacts", {"contact_id": "c-1", "email_hash": "e"})
    send(ledger, "attributes", employer("c-1", "a-1"))
    send(ledger, "touch_links", {"source": "web", "event_id": "1", "account_id": "a-2"})
    send(ledger, "fx_rates", {"currency": "USD", "date": 1, "rate": 0.8})
    send(ledger, "accounts", {"account_id": "a-1", "name": "One"})
    assert all(seen(ledger, account) != before[account] for account in before)
    assert {account: seen(ledger, account, at) for account in before} == before


def test_before_the_first_position_there_is_nothing(ledger):
    send(ledger, "deals", deal(5))
    assert all(rows == [] for rows in seen(ledger, "a-1", at=0).values())
