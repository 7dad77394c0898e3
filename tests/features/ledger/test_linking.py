"""Touches find their account: at once, later, by hand, and again after a correction."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.ledger import Batch
from tests.features.ledger.rows import NOW, counts, employer, send, touch


def seen(ledger):
    """Every link of every touch with the interval in which it is visible, without regard to how it was stored."""
    columns = ("event_id", "account_id", "contact_id", "known_from", "known_until")
    rows = [tuple(row[name] for name in columns) for row in ledger.tables()["account_touches"].to_pylist()]
    return sorted(rows, key=lambda row: (row[0], row[3]))


def whose(ledger, at):
    return {row[0]: row[1:3] for row in seen(ledger) if row[3] <= at < row[4]}


def test_the_order_of_identity_keys(ledger):
    send(ledger, "accounts", {"account_id": "a-dom", "domain": "x.org"})
    send(ledger, "contacts", {"contact_id": "c-1", "email_hash": "h-1"}, {"contact_id": "c-2", "email_hash": "h-2"})
    send(ledger, "attributes", employer("c-1", "a-one"), employer("c-2", "a-two"))
    rows = [
        touch("1", account_id="a-named", contact_id="c-1", email_hash="h-2", domain="x.org"),
        touch("2", contact_id="c-1", email_hash="h-2", domain="x.org"),
        touch("3", email_hash="h-2", domain="x.org"),
        touch("4", domain="x.org"),
        touch("5", email_hash="h-unknown"),
        touch("6", account_id="a-named", email_hash="h-2"),
    ]
    receipt = send(ledger, "touchpoints", *rows)
    assert receipt.unattached == 1
    assert whose(ledger, NOW) == {
        "1": ("a-named", "c-1"),
        "2": ("a-one", "c-1"),
        "3": ("a-two", "c-2"),
        "4": ("a-dom", None),
        "6": ("a-named", "c-2"),
    }
    assert receipt.stub_accounts == 1


def test_an_identity_that_becomes_known_counts_from_then_on(ledger, clock):
    send(ledger, "touchpoints", touch("1", contact_id="c"), touch("2", email_hash="h"), touch("3", domain="x.org"))
    for step, (table, row) in enumerate(
        [
            ("contacts", {"contact_id": "c", "email_hash": "h"}),
            ("attributes", employer("c", "a-1", NOW)),
            ("accounts", {"account_id": "a-2", "domain": "x.org"}),
        ],
        start=1,
    ):
        clock.now = NOW + step
        assert send(ledger, table, row).unattached == 0
    assert whose(ledger, NOW + 1) == {}
    assert whose(ledger, NOW + 2) == {"1": ("a-1", "c"), "2": ("a-1", "c")}
    assert whose(ledger, NOW + 3) == {"1": ("a-1", "c"), "2": ("a-1", "c"), "3": ("a-2", None)}
    assert ledger.account_seq("a-1") < ledger.account_seq("a-2") == ledger.head().ledger_seq


def test_a_change_of_employer_moves_later_touches_only(ledger, clock):
    send(ledger, "attributes", employer("c", "a-1"))
    send(ledger, "touchpoints", touch("1", contact_id="c"))
    clock.now += 5
    before = ledger.account_seq("a-1")
    send(ledger, "attributes", employer("c", "a-2", NOW + 5))
    send(ledger, "touchpoints", touch("2", contact_id="c"))
    assert whose(ledger, NOW + 9) == {"1": ("a-1", "c"), "2": ("a-2", "c")}
    assert ledger.account_seq("a-1") > before


def test_a_correction_of_the_identity_moves_the_touch_from_then_on(ledger, clock):
    send(ledger, "touchpoints", touch("1", account_id="a-1"))
    clock.now += 5
    receipt = send(ledger, "touchpoints", touch("1", account_id="a-2"))
    assert seen(ledger) == [("1", "a-1", None, NOW, NOW + 5), ("1", "a-2", None, NOW + 5, 2**63 - 1)]
    assert ledger.account_seq("a-1") == ledger.account_seq("a-2") == receipt.ledger_seq
    clock.now += 5
    assert send(ledger, "touchpoints", touch("1", domain="nobody.org")).unattached == 1
    assert whose(ledger, NOW + 10) == {}


def test_corrections_that_arrive_out_of_order_link_as_if_in_order(ledger):
    rows = [touch("1", account_id=f"a-{n}", revision=n, known_at=10 * n) for n in (3, 1, 2)]
    for row in rows:
        send(ledger, "touchpoints", row)
    assert seen(ledger) == [
        ("1", "a-1", None, 10, 20),
        ("1", "a-2", None, 20, 30),
        ("1", "a-3", None, 30, 2**63 - 1),
    ]


def link(event_id, account_id, **columns):
    return {"source": "web", "event_id": event_id, "account_id": account_id, **columns}


def test_a_link_by_hand_is_the_next_revision_and_stays(ledger, clock):
    send(ledger, "touchpoints", touch("1", contact_id="c"), touch("2", account_id="a-1"))
    clock.now += 5
    assert counts(send(ledger, "touch_links", link("1", "a-9"), link("2", "a-9"))) == (1, 1, 0, 0)
    clock.now += 5
    send(ledger, "attributes", employer("c", "a-1", NOW))
    assert whose(ledger, NOW + 9)["1"] == whose(ledger, NOW + 10)["1"] == ("a-9", None)
    assert whose(ledger, NOW) == {"2": ("a-1", None)}
    assert whose(ledger, NOW + 5)["2"] == ("a-9", None)


def test_a_link_that_the_ledger_made_already_is_a_duplicate(ledger):
    send(ledger, "touchpoints", touch("1", account_id="a-1", contact_id="c"))
    assert counts(send(ledger, "touch_links", link("1", "a-1", contact_id="c"))) == (0, 0, 1, 0)


def test_a_link_may_come_before_its_touch_and_is_assumed_known_when_the_touch_was(ledger):
    send(ledger, "touch_links", link("1", "a-9", known_at=5))
    assert send(ledger, "touchpoints", touch("1", account_id="a-1", occurred_at=7), backfill=True).unattached == 0
    send(ledger, "touch_links", link("1", "a-8"), backfill=True)
    assert whose(ledger, NOW) == {"1": ("a-8", None)}
    assert seen(ledger)[0][3] == 7


def test_attributes_of_everyone_concerned_come_with_an_account(ledger):
    send(ledger, "touchpoints", touch("1", account_id="a-1", contact_id="c-touch"))
    send(ledger, "attributes", employer("c-left", "a-1", 1), employer("c-left", "a-2", 2), employer("c-other", "a-2"))
    role = {"entity": "contact", "field": "role", "occurred_at": 3, "value": "user"}
    send(ledger, "attributes", *({**role, "id": name} for name in ("c-touch", "c-left", "c-other")))
    found = ledger.account_tables("a-1")["attributes"]
    assert sorted(found["id"].to_pylist()) == ["c-left", "c-left", "c-left", "c-touch"]
    before = ledger.account_seq("a-1")
    send(ledger, "attributes", {**role, "id": "c-touch", "value": "champion"})
    assert ledger.account_seq("a-1") > before


def test_whole_and_single_tables_agree(ledger):
    send(ledger, "touchpoints", *(touch(str(n), account_id=f"a-{n % 3}") for n in range(9)))
    whole = ledger.tables()
    for name, single in ledger.account_tables("a-1").items():
        if name not in {"attributes", "fx_rates"}:
            mine = [row for row in whole[name].to_pylist() if row["account_id"] == "a-1"]
            assert single.to_pylist() == mine
            assert single.schema == whole[name].schema


def test_accounts_read_together_have_the_rows_of_each_in_the_order_of_the_ledger(ledger):
    send(ledger, "touchpoints", *(touch(str(n), account_id=f"a-{n % 3}", contact_id=f"c-{n % 2}") for n in range(9)))
    send(ledger, "attributes", employer("c-0", "a-1", 1), employer("c-7", "a-2", 2), employer("c-8", "a-9", 2))
    at = ledger.head().ledger_seq
    send(ledger, "touchpoints", touch("late", account_id="a-1"))
    for position in (None, at):
        both = ledger.account_tables("a-1", "a-2", at=position)
        for name, together in both.items():
            rows = [row for one in ("a-1", "a-2") for row in ledger.account_tables(one, at=position)[name].to_pylist()]
            told = {tuple(row.items()) for row in rows}
            assert [tuple(row.items()) for row in together.to_pylist()] == sorted(
                told, key=lambda r: dict(r)["ledger_seq"]
            )


times = st.integers(1, 6)
contacts = st.sampled_from(["c-1", "c-2"])
pieces = st.lists(
    st.one_of(
        st.tuples(
            st.just("touchpoints"),
            st.builds(
                lambda n, at, **keys: touch(f"e-{n}", occurred_at=at, **keys),
                st.uuids().map(lambda value: value.hex[:6]),
                times,
                account_id=st.sampled_from([None, None, None, "a-1"]),
                contact_id=st.sampled_from([None, "c-1", "c-2"]),
                email_hash=st.sampled_from([None, "h-1", "h-2"]),
                domain=st.sampled_from([None, "x.org"]),
            ),
        ),
        st.tuples(
            st.just("attributes"),
            st.builds(lambda who, what, at: employer(who, what, at), contacts, st.sampled_from(["a-1", "a-2"]), times),
        ),
        st.tuples(
            st.just("contacts"),
            st.builds(
                lambda who, at: {"contact_id": who, "email_hash": who.replace("c", "h"), "created_at": at},
                contacts,
                times,
            ),
        ),
        st.tuples(
            st.just("accounts"), st.builds(lambda at: {"account_id": "a-3", "domain": "x.org", "created_at": at}, times)
        ),
    ),
    max_size=8,
    unique_by=lambda piece: tuple(
        piece[1].get(n) for n in ("event_id", "id", "contact_id", "occurred_at", "created_at")
    ),
)


def in_world(row, world):
    """Return the row with its own copies of all ids, so that many logs fit in one store."""
    ids = ("event_id", "account_id", "contact_id", "id", "email_hash", "domain", "value")
    return {name: f"{world}:{value}" if name in ids and value else value for name, value in row.items()}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces, st.randoms(use_true_random=False))
def test_an_old_log_is_linked_alike_in_any_order_of_arrival(ledger, rows, random):
    world = ledger.head().ledger_seq
    for name, order in (("in order", rows), ("shuffled", random.sample(rows, len(rows)))):
        for table, row in order:
            ledger.append(Batch({table: [in_world(row, f"{name} {world}")]}, backfill=True))
    halves = [
        [str(row).replace(f"{name} {world}:", "") for row in seen(ledger) if row[0].startswith(f"{name} {world}:")]
        for name in ("in order", "shuffled")
    ]
    assert halves[0] == halves[1]
