import contextlib
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import RowError
from features.identity import email_hash
from features.intake.rows import DEFAULT_CHANNEL, camel_case
from features.schema import TABLES

NOON = 1_795_867_200_000_000  # 2026-11-28T12:00:00Z


def touch(**changes):
    raw = {"source": "web", "eventId": "e-1", "occurredAt": "2026-11-28T12:00:00Z", "accountId": "a-1"}
    return raw | {"touchType": "demo_request"} | changes


def refused(parser, table, raw, *, camel=True):
    with pytest.raises(RowError) as caught:
        parser.parse(table, raw, camel=camel)
    return caught.value


def one(parser, table, raw, *, camel=True):
    [(name, row)] = parser.parse(table, raw, camel=camel)
    assert name == table
    return row


def test_a_touch_takes_stage_direction_and_channel_by_default(parser):
    row = one(parser, "touchpoints", touch())
    assert (row["content_stage"], row["direction"], row["channel"]) == ("bofu", "inbound", DEFAULT_CHANNEL)
    assert row["occurred_at"] == NOON


def test_a_channel_can_not_have_the_name_of_what_no_channel_earned(parser):
    error = refused(parser, "touchpoints", touch(channel="(baseline)"))
    assert (error.field, error.code) == ("channel", "choice")


def test_a_domain_is_known_by_its_small_letters(parser):
    assert one(parser, "accounts", {"accountId": "a", "domain": " Foo.EXAMPLE "})["domain"] == "foo.example"


def test_what_the_sender_says_wins_over_the_defaults(parser):
    row = one(parser, "touchpoints", touch(contentStage="tofu", direction="signal", channel="Partner"))
    assert (row["content_stage"], row["direction"], row["channel"]) == ("tofu", "signal", "Partner")


@pytest.mark.parametrize(
    "moment", ["2026-11-28T12:00:00Z", "2026-11-28T13:00:00+01:00", "2026-11-28 12:00:00.000000z", NOON // 1000]
)
def test_the_http_spelling_takes_rfc3339_and_milliseconds(parser, moment):
    assert one(parser, "touchpoints", touch(occurredAt=moment))["occurred_at"] == NOON


@pytest.mark.parametrize("moment", [NOON, datetime(2026, 11, 28, 12, tzinfo=UTC), "2026-11-28T12:00:00Z"])
def test_our_own_tables_take_microseconds_and_aware_datetimes(parser, moment):
    raw = {"change_id": "1", "account_id": "a", "stage": "mql", "occurred_at": moment}
    assert one(parser, "stage_changes", raw, camel=False)["occurred_at"] == NOON


@pytest.mark.parametrize(
    ("changes", "field", "code", "words"),
    [
        ({"occurredAt": "yesterday"}, "occurredAt", "time", "'yesterday'"),
        ({"occurredAt": "2026-13-01T00:00:00Z"}, "occurredAt", "time", "2026-13-01"),
        ({"occurredAt": "2026-11-28T12:00:00"}, "occurredAt", "time", "offset"),
        ({"occurredAt": 1_795_867_200}, "occurredAt", "time", "seconds"),
        ({"occurredAt": NOON}, "occurredAt", "time", "1900 and 2200"),
        ({"occurredAt": True}, "occurredAt", "time", "True"),
        ({"occurredAt": None}, "occurredAt", "required", "when it happened"),
        ({"touchType": "demo_reqest"}, "touchType", "choice", "Did you mean 'demo_request'?"),
        ({"direction": "sideways"}, "direction", "choice", "inbound, outbound"),
        ({"chanel": "Email"}, "chanel", "unknown_field", "Did you mean 'channel'?"),
        ({"event_id": "e-2"}, "event_id", "unknown_field", "Did you mean 'eventId'?"),
        ({"accountId": 17}, "accountId", "type", "must be text"),
        ({"accountId": "x" * 1001}, "accountId", "length", "1,000"),
        ({"accountId": "a\x00"}, "accountId", "type", "NUL"),
        ({"accountId": "\ud800"}, "accountId", "type", "surrogate"),
        ({"accountId": " "}, "accountId", "identity", "contactId"),
        ({"cost": 1999}, "currency", "money", "required"),
        ({"cost": 19.99, "currency": "EUR"}, "cost", "money", "minor units"),
        ({"cost": True, "currency": "EUR"}, "cost", "money", "minor units"),
        ({"cost": "1999", "currency": "EUR"}, "cost", "money", "minor units"),
        ({"cost": 2**63, "currency": "EUR"}, "cost", "money", "at most"),
        ({"cost": 1, "currency": "eur"}, "currency", "money", "capital"),
        ({"properties": [1]}, "properties", "type", "object"),
        ({"properties": {"a": "x" * 40_000}}, "properties", "length", "32,768"),
        ({"properties": {"a": 2**70}}, "properties", "type", "JSON"),
        ({"revision": 0}, "revision", "type", "from 1"),
        ({"deleted": 1}, "deleted", "type", "true or false"),
        ({"email": "nobody"}, "email", "type", "e-mail"),
        ({"emailHash": "jane@x.example"}, "emailHash", "type", "64"),
        ({"email": "a@b.example", "emailHash": "0" * 64}, "email", "conflict", "not both"),
    ],
)
def test_a_bad_touch_is_refused_with_field_code_and_words(parser, changes, field, code, words):
    error = refused(parser, "touchpoints", touch(**changes))
    assert (error.field, error.code) == (field, code)
    assert words in error.message


def test_addresses_in_properties_are_kept_as_hashes(parser):
    address = "jane@x.example"
    said = {"to": [f"Jane <{address}>", 3], "form": {"mail": address}, "page": "/en"}
    hashed = email_hash(b"a key for tests", address)
    expected = {"to": [f"Jane <{hashed}>", 3], "form": {"mail": hashed}, "page": "/en"}
    as_text = orjson.dumps(said).decode()
    for sent in (touch(properties=said), touch(properties=as_text), touch(properties=said, deleted=True)):
        assert orjson.loads(one(parser, "touchpoints", sent)["properties"]) == expected


def test_properties_may_be_ten_deep_and_no_deeper(parser):
    def nested(depth):
        return {"a": nested(depth - 1)} if depth else {}

    assert one(parser, "touchpoints", touch(properties=nested(9)))["properties"]
    assert refused(parser, "touchpoints", touch(properties=nested(10))).code == "length"


def test_every_required_field_is_missed_by_name(parser):
    for name, table in TABLES.items():
        error = refused(parser, name, {})
        first = next(column.name for column in table.columns if column.required and column.name not in _DERIVED)
        assert (error.field, error.code) == (camel_case(first), "required")


_DERIVED = ("event_id", "change_id")


def test_an_address_is_kept_as_its_keyed_hash_only(parser):
    row = one(parser, "contacts", {"contactId": "c-1", "email": "Jane@X.example"})
    assert row["email_hash"] == email_hash(b"a key for tests", "Jane@X.example")
    assert "x.example" not in str(row).lower()


def test_an_address_used_as_an_id_of_a_person_is_hashed_the_same_everywhere(parser):
    contact = one(parser, "contacts", {"contactId": "jane@x.example"})
    met = one(parser, "touchpoints", touch(contactId="jane@x.example"))
    fact = {"entity": "contact", "id": "jane@x.example", "field": "role", "value": "user", "occurredAt": NOON // 1000}
    assert contact["contact_id"] == met["contact_id"] == one(parser, "attributes", fact)["id"]
    assert "@" not in str(contact["contact_id"])


def test_no_message_shows_an_address(parser):
    for changes in ({"touchType": "jane@x.example"}, {"jane@x.example": 1}, {"email": "jane@x.example" * 40}):
        assert "jane" not in refused(parser, "touchpoints", touch(**changes)).message


def test_a_touch_without_id_gets_one_from_its_content_and_says_so(parser):
    raw = touch(eventId=None, properties={"b": 1})
    row = one(parser, "touchpoints", raw)
    assert row == one(parser, "touchpoints", dict(reversed(raw.items())))
    assert row["properties"] == '{"b":1,"idDerived":true}'
    assert row["event_id"] != one(parser, "touchpoints", raw | {"campaign": "spring"})["event_id"]


def test_a_derived_id_is_the_same_in_either_spelling(parser):
    camel = one(parser, "stage_changes", {"accountId": "a", "stage": "mql", "occurredAt": NOON // 1000})
    own = one(parser, "stage_changes", {"account_id": "a", "stage": "mql", "occurred_at": NOON}, camel=False)
    assert camel["change_id"] == own["change_id"]


@pytest.mark.parametrize("stage", ["won", "lost"])
def test_won_and_lost_come_from_deals(parser, stage):
    error = refused(parser, "stage_changes", {"accountId": "a", "stage": stage, "occurredAt": NOON // 1000})
    assert error.code == "choice"
    assert "send a deal" in error.message


def test_an_unknown_stage_suggests_the_nearest(parser):
    error = refused(parser, "stage_changes", {"accountId": "a", "stage": "mqll", "occurredAt": NOON // 1000})
    assert "Did you mean 'mql'?" in error.message


def test_a_deal_is_new_business_in_the_accounts_first_cycle_by_default(parser):
    deal = {"dealId": "d", "accountId": "a", "occurredAt": NOON // 1000, "outcome": "open"}
    row = one(parser, "deals", deal)
    assert (row["kind"], row["cycle_id"]) == ("new", "a:new:1")
    assert one(parser, "deals", deal | {"kind": "renewal"})["cycle_id"] == "a:renewal:1"


def test_a_deal_with_an_amount_needs_a_currency(parser):
    deal = {"dealId": "d", "accountId": "a", "occurredAt": NOON // 1000, "outcome": "won", "amount": 100}
    assert refused(parser, "deals", deal).field == "currency"


def test_attributes_of_an_account_become_dated_rows(parser):
    raw = {"accountId": "a", "name": "A", "occurredAt": NOON // 1000, "knownAt": NOON // 1000}
    rows = parser.parse("accounts", raw | {"attributes": {"employees": 250, "industry": None}}, camel=True)
    assert [table for table, _ in rows] == ["accounts", "attributes", "attributes"]
    assert set(rows[0][1]) == set(TABLES["accounts"].names)
    stated = {row["field"]: row for _, row in rows[1:]}
    assert stated["employees"]["value"] == "250"
    assert stated["industry"]["value"] is None
    assert stated["employees"]["occurred_at"] == stated["employees"]["known_at"] == NOON


def test_attributes_need_a_time(parser):
    error = refused(parser, "contacts", {"contactId": "c", "attributes": {"role": "user"}})
    assert (error.field, error.code) == ("occurredAt", "required")


def test_a_retraction_needs_the_key_alone(parser):
    row = one(parser, "touchpoints", {"source": "web", "eventId": "e-1", "deleted": True})
    assert row["deleted"] is True
    assert refused(parser, "touchpoints", {"source": "web", "deleted": True}).field == "eventId"


def test_a_period_ends_after_it_starts(parser):
    raw = {"channel": "Email", "campaign": "x", "periodStart": NOON // 1000, "amount": 1, "currency": "EUR"}
    assert refused(parser, "spend", raw | {"periodEnd": NOON // 1000}).code == "conflict"


def test_a_row_that_was_parsed_parses_to_itself(parser):
    row = one(parser, "touchpoints", touch(eventId=None, email="jane@x.example", properties={"b": {"c": [1]}}))
    assert one(parser, "touchpoints", row, camel=False) == row


@given(
    st.dictionaries(
        st.sampled_from(
            ["source", "eventId", "occurredAt", "accountId", "touchType", "cost", "properties", "x", "email"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_whatever_arrives_is_a_row_or_a_row_error(parser, raw):
    for table in ("touchpoints", "accounts", "deals"):
        with contextlib.suppress(RowError):
            assert parser.parse(table, raw, camel=True)[0][0] == table
