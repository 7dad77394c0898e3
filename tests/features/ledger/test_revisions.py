"""What rules.md says of revisions, duplicates and clocks, through a real store."""

import json

import pytest

from features.schema import FOREVER
from tests.features.ledger.rows import NOW, SECOND, counts, deal, send, touch


def stored(ledger, table, *columns):
    return [tuple(row[name] for name in columns) for row in ledger.export(table).to_pylist()]


INTERVALS = ("revision", "known_at", "known_until", "known_at_origin")


def test_the_same_content_is_stored_once(ledger, clock):
    assert counts(send(ledger, "deals", deal(5), deal(5))) == (1, 0, 1, 0)
    clock.now += 9
    assert counts(send(ledger, "deals", deal(5))) == (0, 0, 1, 0)
    assert stored(ledger, "deals", *INTERVALS) == [(1, NOW, FOREVER, "server")]


def test_other_content_closes_what_was_known(ledger, clock):
    send(ledger, "deals", deal(5))
    clock.now += 9
    assert counts(send(ledger, "deals", deal(5, amount=3))) == (0, 1, 0, 0)
    assert stored(ledger, "deals", *INTERVALS) == [(1, NOW, NOW + 9, "server"), (2, NOW + 9, FOREVER, "server")]


def test_a_live_sender_may_change_its_mind_back(ledger, clock):
    for amount in (1, 2, 1):
        clock.now += 1
        send(ledger, "deals", deal(5, amount=amount))
    assert [row[0] for row in stored(ledger, "deals", "amount")] == [1, 2, 1]


def test_a_file_with_a_correction_in_it_can_come_twice(ledger):
    rows = [deal(5, amount=1, known_at=7), deal(5, amount=2, known_at=8), deal(6), deal(6, amount=4)]
    assert counts(send(ledger, "deals", *rows, backfill=True)) == (2, 2, 0, 0)
    assert counts(send(ledger, "deals", *rows, backfill=True)) == (0, 0, 4, 0)
    assert stored(ledger, "deals", *INTERVALS) == [
        (1, 7, 8, "recorded"), (2, 8, FOREVER, "recorded"), (1, 6, 6, "assumed"), (2, 6, FOREVER, "assumed"),
    ]  # fmt: skip


def test_revisions_may_arrive_in_any_order(ledger):
    rows = [deal(5, amount=n, revision=n, known_at=10 * n) for n in (2, 4, 1, 3)]
    assert counts(send(ledger, "deals", *rows)) == (1, 3, 0, 0)
    assert sorted(stored(ledger, "deals", *INTERVALS)) == [
        (1, 10, 20, "recorded"), (2, 20, 30, "recorded"), (3, 30, 40, "recorded"), (4, 40, FOREVER, "recorded"),
    ]  # fmt: skip


def test_a_lower_revision_that_became_known_later_is_stored_and_never_visible(ledger):
    send(ledger, "deals", deal(5, revision=2, known_at=10), deal(5, amount=1, revision=1, known_at=30))
    assert stored(ledger, "deals", "revision", "known_until") == [(2, FOREVER), (1, 10)]
    assert ledger.tables()["deals"]["revision"].to_pylist() == [2]


def test_another_content_for_a_revision_is_refused(ledger):
    send(ledger, "deals", deal(5, revision=1))
    [refused] = send(ledger, "deals", deal(6), deal(5, amount=9, revision=1)).rejected
    assert (refused.table, refused.index, refused.field, refused.code) == ("deals", 1, "revision", "conflict")
    assert counts(send(ledger, "deals", deal(5, revision=1))) == (0, 0, 1, 0)


def test_a_retraction_hides_the_row_from_then_on(ledger, clock):
    send(ledger, "touchpoints", touch("1", account_id="a-1"))
    clock.now += 5
    gone = {"source": "web", "event_id": "1", "deleted": True}
    assert counts(send(ledger, "touchpoints", gone)) == (0, 1, 0, 0)
    assert counts(send(ledger, "touchpoints", gone)) == (0, 0, 1, 0)
    [row] = ledger.tables()["account_touches"].to_pylist()
    assert (row["known_from"], row["known_until"]) == (NOW, NOW + 5)


def test_the_stamp_never_goes_back_though_the_clock_does(ledger, clock):
    send(ledger, "deals", deal(5))
    clock.now -= 1_000 * SECOND
    receipt = send(ledger, "deals", deal(6))
    assert receipt.known_at == ledger.head().known_at == NOW


def test_what_will_be_known_only_later_does_not_move_the_stamp(ledger):
    send(ledger, "targets", {"metric": "m", "segment": "s", "period_start": NOW * 2}, backfill=True)
    assert ledger.head().known_at == 0
    assert send(ledger, "deals", deal(5)).known_at == NOW


def test_a_clock_a_little_ahead_is_clamped_and_the_original_kept(ledger):
    row = touch("1", account_id="a-1", occurred_at=NOW + 60 * SECOND, properties='{"a":1}')
    send(ledger, "touchpoints", row)
    assert counts(send(ledger, "touchpoints", row)) == (0, 0, 1, 0)
    [(occurred_at, properties)] = stored(ledger, "touchpoints", "occurred_at", "properties")
    assert occurred_at == NOW
    assert json.loads(properties) == {"a": 1, "occurredAtSent": "2027-01-15T08:01:00Z"}


AHEAD = NOW + 301 * SECOND
A_BIT_AHEAD = NOW + 299 * SECOND


@pytest.mark.parametrize("backfill", [False, True])
@pytest.mark.parametrize("known_at", [None, NOW])
def test_a_clock_far_ahead_is_refused_however_the_row_comes(ledger, known_at, backfill):
    row = touch("1", account_id="a-1", occurred_at=AHEAD, known_at=known_at)
    receipt = send(ledger, "touchpoints", row, touch("2", account_id="a-1"), backfill=backfill)
    [refused] = receipt.rejected
    assert (refused.index, refused.field, refused.code) == (0, "occurred_at", "future")
    for word in ("ahead of our clock by 301 s", "2027-01-15T08:05:01Z", "Allowed: 5 minutes"):
        assert word in refused.message
    assert stored(ledger, "touchpoints", "event_id") == [("2",)]


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("deals", deal(5)),
        ("touchpoints", touch("1", account_id="a-1")),
        ("touch_links", {"source": "web", "event_id": "1", "account_id": "a-1"}),
        ("attributes", {"entity": "account", "id": "a-1", "field": "size", "occurred_at": 5, "value": "9"}),
        ("accounts", {"account_id": "a-1", "domain": "a.org"}),
    ],
)
def test_what_can_not_be_known_yet_is_refused(ledger, table, row):
    [refused] = send(ledger, table, row | {"known_at": AHEAD}).rejected
    assert (refused.field, refused.code) == ("known_at", "future")
    assert stored(ledger, table, "ledger_seq") == []
    assert counts(send(ledger, table, row | {"known_at": A_BIT_AHEAD})) == (1, 0, 0, 0)


def test_an_entity_can_not_have_been_recorded_in_the_future(ledger):
    [refused] = send(ledger, "accounts", {"account_id": "a-1", "created_at": AHEAD}, backfill=True).rejected
    assert (refused.field, refused.code) == ("created_at", "future")


def test_an_import_a_little_ahead_keeps_its_clock_and_is_known_from_now(ledger):
    rows = [touch("1", account_id="a", occurred_at=A_BIT_AHEAD), touch("2", account_id="a", known_at=A_BIT_AHEAD)]
    assert counts(send(ledger, "touchpoints", *rows, backfill=True)) == (2, 0, 0, 0)
    assert stored(ledger, "touchpoints", "occurred_at", "known_at", "known_at_origin") == [
        (A_BIT_AHEAD, NOW, "assumed"), (NOW - 10, NOW, "recorded"),
    ]  # fmt: skip
    assert ledger.tables()["account_touches"]["known_from"].to_pylist() == [NOW, NOW]
    assert counts(send(ledger, "touchpoints", *rows, backfill=True)) == (0, 0, 2, 0)


def test_the_owner_of_a_domain_is_never_known_only_later(ledger):
    send(ledger, "touchpoints", touch("1", domain="a.org"))
    send(ledger, "accounts", {"account_id": "a-1", "domain": "a.org", "known_at": A_BIT_AHEAD})
    assert ledger.tables()["account_touches"]["known_from"].to_pylist() == [NOW]


def test_clocks_that_are_part_of_the_key_are_known_again_after_clamping(ledger, clock):
    rows = [deal(NOW + 2 * SECOND, outcome="won"), deal(NOW + SECOND)]
    assert counts(send(ledger, "deals", *rows)) == (2, 0, 0, 0)
    clock.now += 3_600 * SECOND
    assert counts(send(ledger, "deals", *rows)) == (0, 0, 2, 0)
    assert counts(send(ledger, "deals", deal(NOW + SECOND, amount=8))) == (0, 1, 0, 0)
    assert stored(ledger, "deals", "occurred_at", "outcome", "revision") == [
        (NOW, "won", 1), (NOW - 1, "open", 1), (NOW - 1, "open", 2),
    ]  # fmt: skip


def test_a_promise_may_begin_in_the_future(ledger):
    row = {"metric": "mql", "segment": "all", "period_start": NOW * 2, "period_end": NOW * 3, "value": 4.0}
    assert counts(send(ledger, "targets", row)) == (1, 0, 0, 0)


def test_entities_keep_what_is_not_said_and_take_the_latest_of_what_is(ledger):
    assert counts(send(ledger, "accounts", {"account_id": "a-1", "name": "A", "domain": "a.org"})) == (1, 0, 0, 0)
    assert counts(send(ledger, "accounts", {"account_id": "a-1", "name": "B"}, {"account_id": "a-1"})) == (0, 1, 1, 0)
    assert stored(ledger, "accounts", "account_id", "name", "domain", "parent_id", "created_at") == [
        ("a-1", "B", "a.org", None, NOW)
    ]


def test_an_entity_can_not_be_retracted(ledger):
    [refused] = send(ledger, "contacts", {"contact_id": "c-1", "deleted": True}).rejected
    assert refused.code == "forbidden"


def test_unknown_accounts_become_stubs_created_when_first_named(ledger):
    receipt = send(ledger, "deals", deal(9), deal(5, deal_id="d-2"), backfill=True)
    assert receipt.stub_accounts == 1
    assert stored(ledger, "accounts", "created_at") == [(5,)]
    assert send(ledger, "deals", deal(3), backfill=True).stub_accounts == 0
    assert stored(ledger, "accounts", "created_at") == [(3,)]
    assert counts(send(ledger, "accounts", {"account_id": "a-1", "name": "A"})) == (0, 1, 0, 0)


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("deals", deal(5)),
        ("stage_changes", {"change_id": "s", "account_id": "a-1", "stage": "mql", "occurred_at": 5}),
        ("touchpoints", touch("1", account_id="a-1")),
        ("accounts", {"account_id": "a-1"}),
        ("attributes", {"entity": "account", "id": "a-1", "field": "size", "occurred_at": 5, "value": "9"}),
    ],
)
def test_a_row_that_concerns_an_account_moves_its_version_once(ledger, table, row):
    receipt = send(ledger, table, row)
    assert ledger.account_seq("a-1") == receipt.ledger_seq == ledger.head().ledger_seq
    send(ledger, table, row)
    assert ledger.account_seq("a-1") == receipt.ledger_seq
    assert ledger.account_seq("a-2") is None


def test_a_rate_of_exchange_moves_every_version(ledger):
    send(ledger, "accounts", {"account_id": "a-1"})
    receipt = send(ledger, "fx_rates", {"currency": "USD", "date": 5, "rate": 0.9})
    assert ledger.account_seq("a-1") == receipt.ledger_seq
    assert ledger.account_seq("a-2") is None


def test_positions_have_no_gaps_but_where_an_entity_has_moved_on(ledger):
    send(ledger, "touchpoints", touch("1", account_id="a-1"), touch("1", account_id="a-2"), touch("2"))
    send(ledger, "deals", deal(NOW - 2), deal(NOW - 2, revision=1, amount=3), deal(NOW - 1))
    seqs = [
        seq
        for name in ("touchpoints", "touch_links", "deals", "accounts")
        for (seq,) in stored(ledger, name, "ledger_seq")
    ]
    assert sorted(seqs) == list(range(1, ledger.head().ledger_seq + 1))
    send(ledger, "accounts", {"account_id": "a-1", "name": "A"})
    assert ledger.export("accounts")["ledger_seq"].to_pylist()[-1] == ledger.head().ledger_seq == len(seqs) + 1
