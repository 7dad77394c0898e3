"""Profiles and timelines."""

from __future__ import annotations

from features.schema import DAY
from serving.profile import MAX_PAGE
from serving.routes.accounts import AccountAnswer
from serving.wire import moment, rfc3339
from tests.serving.conftest import NOW, Service, touch


def test_a_profile_has_the_facts_that_hold_now(empty: Service) -> None:
    for age, employees in ((30, 10), (10, None), (20, 50)):
        row = {"accountId": "a-1", "name": "Acme", "attributes": {"employees": employees, "country": "NL"}}
        empty.post("/v1/accounts", {"accounts": [{**row, "occurredAt": rfc3339(NOW - age * DAY)}]})
    profile = empty.get("/v1/accounts/a-1")
    AccountAnswer.model_validate(profile)
    assert (profile["name"], profile["attributes"]) == ("Acme", {"country": "NL"})


def test_stages_are_given_per_kind_of_business(empty: Service) -> None:
    at = rfc3339(NOW - DAY)
    changes = [
        {"changeId": f"s-{kind}", "accountId": "a-1", "kind": kind, "stage": stage, "occurredAt": at}
        for kind, stage in (("new", "sql"), ("renewal", "mql"))
    ]
    empty.post("/v1/stage-changes", {"stageChanges": changes})
    stages = empty.get("/v1/accounts/a-1")["stages"]
    assert {stage["kind"]: (stage["stage"], stage["isOpen"]) for stage in stages} == {
        "new": ("sql", True),
        "renewal": ("mql", True),
    }


def test_pages_of_a_timeline_hold_everything_once_newest_first(filled: Service) -> None:
    whole = filled.get(f"/v1/accounts/a-011?limit={MAX_PAGE}")
    assert whole["nextCursor"] is None
    assert len(whole["timeline"]) == 14
    page = filled.get("/v1/accounts/a-011?limit=5")
    paged = page["timeline"]
    while page["nextCursor"] is not None:
        page = filled.get(f"/v1/accounts/a-011?limit=5&cursor={page['nextCursor']}")
        paged += page["timeline"]
    assert paged == whole["timeline"]
    times = [moment(entry["occurredAt"]) for entry in paged]
    assert times == sorted(times, reverse=True)
    assert {entry["type"] for entry in paged} == {"touchpoint", "stageChange"}


def test_a_cursor_holds_its_place_when_something_newer_arrives(empty: Service) -> None:
    empty.post("/v1/touchpoints", {"touchpoints": [touch(n, "a-1", NOW - n * DAY) for n in range(1, 5)]})
    first = empty.get("/v1/accounts/a-1?limit=2")
    empty.post("/v1/touchpoints", {"touchpoints": [touch(9, "a-1", NOW)]})
    rest = empty.get(f"/v1/accounts/a-1?limit=9&cursor={first['nextCursor']}")
    assert [entry["id"] for entry in first["timeline"] + rest["timeline"]] == [f"web/00000{n}" for n in range(1, 5)]


def test_the_score_of_a_profile_is_the_score_of_that_moment(filled: Service) -> None:
    profile = filled.get("/v1/accounts/a-007", language="zh")
    alone = filled.post("/v1/scores", {"accountId": "a-007", "asOf": profile["asOf"]}, language="zh")
    for answer in (profile["score"], alone):
        del answer["requestId"]
    assert profile["score"] == alone


def test_an_id_may_hold_any_character(empty: Service) -> None:
    empty.post("/v1/accounts", {"accounts": [{"accountId": "a b/%ü?"}]})
    assert empty.get("/v1/accounts/a%20b%2F%25%C3%BC%3F")["accountId"] == "a b/%ü?"
