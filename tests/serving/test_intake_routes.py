"""Rows over HTTP: what is taken, what is refused, and what that does."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from features.ledger import Ledger
from features.schema import TABLES
from serving.contract import INTAKE_TABLES
from serving.wire import rfc3339
from tests.serving.conftest import DAY, NOW, Service, touch

AT = rfc3339(NOW - DAY)
ROWS: dict[str, dict[str, object]] = {
    "touchpoints": touch(1, "a-1", NOW - DAY),
    "stageChanges": {"changeId": "s-1", "accountId": "a-1", "stage": "mql", "occurredAt": AT, "setBy": "marketing"},
    "deals": {"dealId": "d-1", "occurredAt": AT, "accountId": "a-1", "outcome": "open", "amount": 5, "currency": "EUR"},
    "accounts": {"accountId": "a-1", "name": "Acme", "domain": "acme.example"},
    "contacts": {"contactId": "c-1", "email": "ann@acme.example"},
    "handoffs": {"handoffId": "h-1", "accountId": "a-1", "handedAt": AT, "to": "field"},
}


def path_of(name: str) -> str:
    return "/v1/stage-changes" if name == "stageChanges" else f"/v1/{name}"


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_taken_once_however_often_it_is_sent(empty: Service, name: str) -> None:
    first = empty.post(path_of(name), {name: [ROWS[name]]})
    again = empty.post(path_of(name), {name: [ROWS[name]]})
    assert (first["accepted"], first["duplicates"], first["rejected"]) == (1, 0, [])
    assert (again["accepted"], again["duplicates"], again["ledgerSeq"]) == (0, 1, first["ledgerSeq"])


def test_good_rows_go_in_and_bad_ones_are_reported_by_position(empty: Service) -> None:
    rows = [touch(1, "a-1", NOW - DAY), touch(2, "a-1", NOW, chanel="Email"), 3, touch(4, "a-1", NOW - DAY), {}]
    taken = empty.post("/v1/touchpoints", {"touchpoints": rows})
    assert taken["accepted"] == 2
    assert [(item["index"], item["field"], item["code"]) for item in taken["rejected"]] == [
        (1, "chanel", "unknown_field"),
        (2, "", "record"),
        (4, "source", "required"),
    ]
    assert "'channel'" in taken["rejected"][0]["message"]


def test_a_row_too_far_in_the_future_is_refused_by_the_ledger_at_its_position(empty: Service) -> None:
    rows = [touch(1, "a-1", NOW), {"nonsense": 1}, touch(2, "a-1", NOW + DAY)]
    taken = empty.post("/v1/touchpoints", {"touchpoints": rows})
    assert taken["accepted"] == 1
    assert [(item["index"], item["code"]) for item in taken["rejected"]] == [(1, "unknown_field"), (2, "future")]
    assert taken["rejected"][1]["field"] == "occurredAt"
    assert taken["rejected"][1]["message"].startswith("occurredAt is ahead")


def test_refused_rows_are_kept_as_dead_letters_without_addresses(empty: Service) -> None:
    bad = {"contactId": "c-1", "email": "ann@acme.example", "nonsense": "ann@acme.example"}
    answer = empty.post("/v1/contacts", {"contacts": [bad]})
    future = touch(2, "a-1", NOW + DAY)
    empty.post("/v1/touchpoints", {"touchpoints": [future]})
    with Ledger.open(empty.settings.store) as ledger:
        letters = [stored.letter for stored in ledger.dead_letters()]
    assert [(letter.table, letter.row_number, letter.code) for letter in letters] == [
        ("contacts", 1, "unknown_field"),
        ("touchpoints", 1, "future"),
    ]
    assert letters[0].batch == answer["requestId"]
    assert b"ann@acme" not in Path(empty.settings.store).read_bytes()


@pytest.mark.parametrize("row", [10**25, {"occurredAt": 10**25}, {"revision": 2**64}, {"properties": {"n": 10**25}}])
def test_a_number_that_no_machine_word_holds_keeps_no_good_row_out(empty: Service, row: object) -> None:
    bad = {**touch(2, "a-1", NOW - DAY), **row} if isinstance(row, dict) else row
    taken = empty.post("/v1/touchpoints", {"touchpoints": [touch(1, "a-1", NOW - DAY), bad]})
    assert (taken["accepted"], [item["index"] for item in taken["rejected"]]) == (1, [1])


def test_an_address_is_kept_as_a_keyed_hash_only(empty: Service) -> None:
    empty.post("/v1/contacts", {"contacts": [ROWS["contacts"]]})
    with sqlite3.connect(empty.settings.store) as store:
        (hashed,) = store.execute("SELECT email_hash FROM contacts").fetchone()
    store.close()
    assert len(hashed) == 64


def test_other_content_under_the_same_key_is_a_correction(empty: Service) -> None:
    empty.post("/v1/touchpoints", {"touchpoints": [touch(1, "a-1", NOW - DAY)]})
    taken = empty.post("/v1/touchpoints", {"touchpoints": [touch(1, "a-1", NOW - DAY, touchType="demo_request")]})
    assert (taken["accepted"], taken["corrected"]) == (0, 1)


def test_a_retraction_takes_a_touch_out_of_the_next_answer(empty: Service) -> None:
    empty.post("/v1/touchpoints", {"touchpoints": [touch(1, "a-1", NOW - DAY), touch(2, "a-1", NOW - DAY)]})
    assert empty.score("a-1")["eventsFolded"] == 2
    empty.post("/v1/touchpoints", {"touchpoints": [{"source": "web", "eventId": "000001", "deleted": True}]})
    assert empty.score("a-1")["eventsFolded"] == 1


def test_a_touch_is_linked_when_the_address_becomes_known(empty: Service) -> None:
    row = touch(1, "", NOW - DAY, email="Ann@Acme.example")
    assert empty.post("/v1/touchpoints", {"touchpoints": [row]})["unattached"] == 1
    empty.post("/v1/accounts", {"accounts": [ROWS["accounts"]]})
    person = {**ROWS["contacts"], "attributes": {"employer": "a-1"}, "occurredAt": rfc3339(NOW - 2 * DAY)}
    empty.post("/v1/contacts", {"contacts": [person]})
    assert empty.score("a-1")["eventsFolded"] == 1


def test_a_backfilled_row_is_known_when_it_happened(empty: Service) -> None:
    empty.post("/v1/touchpoints", {"touchpoints": [touch(1, "a-1", NOW - 9 * DAY)], "backfill": True})
    recorded = touch(2, "a-1", NOW - 9 * DAY, knownAt=rfc3339(NOW - 5 * DAY))
    empty.post("/v1/touchpoints", {"touchpoints": [recorded, touch(3, "a-1", NOW - 9 * DAY)]})
    folded = [empty.score("a-1", asOf=rfc3339(NOW - age * DAY))["eventsFolded"] for age in (8, 4)]
    assert [*folded, empty.score("a-1")["eventsFolded"]] == [1, 2, 3]


def test_more_rows_than_allowed_are_too_large(empty: Service) -> None:
    problem = empty.post("/v1/touchpoints", {"touchpoints": [{}] * 2_501}, status=413)
    assert "2,500" in problem["detail"]


@pytest.mark.parametrize(
    "body", [{}, {"touchpoints": {}}, {"touchpoints": [], "extra": 1}, [], 3, {"touchpoints": [], "backfill": "yes"}]
)
def test_a_body_of_another_shape_is_refused_whole(empty: Service, body: object) -> None:
    problem = empty.post("/v1/touchpoints", body, status=422)
    assert problem["errors"]


def test_the_documentation_names_the_fields_that_the_parser_takes(empty: Service) -> None:
    from features.agreement import Agreement
    from features.intake.rows import RowParser, camel_case

    parser = RowParser(Agreement.load(None), b"k" * 32)
    schemas = empty.get("/openapi.json")["components"]["schemas"]
    for table in INTAKE_TABLES:
        name = camel_case(table)
        described = schemas[f"{name[0].upper()}{name[1:-1]}"]["properties"]
        assert set(described) == set(parser.fields(table, camel=True))
        assert all(
            column.meaning.lower() in described[camel_case(column.name)]["description"].lower()
            for column in TABLES[table].columns
        )
