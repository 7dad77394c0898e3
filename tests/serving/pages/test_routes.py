"""The pages over a store with a model, without a browser."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from features.ledger import Ledger
from tests.serving.conftest import KEY, NOW, Models, Service, fill, market, serving, touch

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, models: Models) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("pages")
    models.promote(folder, 1, "7.0")
    with serving(folder) as service:
        fill(service, market())
        service.client.post("/sign-in", data={"key": KEY})
        yield service


def read(service: Service, path: str, status: int = 200) -> str:
    answer = service.client.get(path)
    assert answer.status_code == status, answer.text[:500]
    return answer.text


def test_a_page_forbids_what_it_does_not_need(pages: Service) -> None:
    answer = pages.client.get("/accounts/a-010")
    policy = answer.headers["content-security-policy"]
    assert policy.split(";")[0] == "default-src 'self'"
    assert "frame-ancestors 'none'" in policy
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_an_account_without_a_goal_of_its_own_is_told_why(pages: Service) -> None:
    text = read(pages, "/accounts/a-010?goal=renewed_180d")
    assert "This goal does not apply to this account." in text
    assert "has no renewal cycle" in text


def test_an_unknown_account_or_goal_is_a_page_too(pages: Service) -> None:
    for path in ("/accounts/nobody", "/accounts?goal=nothing", "/model?goal=nothing", "/accounts?page=x"):
        assert "<h1>Not found</h1>" in read(pages, path, 404)


def test_a_goal_without_a_model_has_points_and_no_probability(pages: Service) -> None:
    text = read(pages, "/accounts/a-010?goal=sql_30d") + read(pages, "/accounts/a-000?goal=sql_30d")
    assert "There is no model for this goal yet." in text
    assert "by the points of the agreement" in text
    assert 'id="probability"' not in text


def test_the_table_of_a_goal_without_a_model_is_that_of_the_points(pages: Service) -> None:
    end = time.monotonic() + 120
    while "<table" not in (text := read(pages, "/accounts?goal=sql_30d")) and time.monotonic() < end:
        assert "being computed for the first time" in text
        time.sleep(0.2)
    assert "the scores are those of the points of the agreement" in text
    assert "Company 3<" in text


def test_the_way_to_the_score_adds_up_in_the_picture_too(pages: Service) -> None:
    text = read(pages, "/accounts/a-010")
    found = re.search(r'<script type="application/json" id="way">(.*?)</script>', text)
    assert found is not None
    starts, bars = (one["data"] for one in json.loads(found.group(1))["series"])
    ends = [round(start + bar["value"], 6) for start, bar in zip(starts, bars, strict=True)]
    assert ends[:-2] == pytest.approx(starts[1:-1])
    assert ends[-2] == ends[-1]


def test_a_week_the_model_has_learnt_from_is_marked(pages: Service) -> None:
    text = read(pages, "/accounts/a-010?show=course")
    assert text.count("the model has learnt from what came later") > 20
    assert text.count("if nothing more is heard") > 13


def test_the_curve_is_what_the_interface_says_of_each_week(pages: Service) -> None:
    text = read(pages, "/accounts/a-010?show=course")
    found = re.search(r'<script type="application/json" id="over-time">(.*?)</script>', text)
    assert found is not None
    for at, share in [one["value"] for line in json.loads(found.group(1))["series"] for one in line["data"]][::9]:
        said = pages.post("/v1/scores", {"accountId": "a-010", "asOf": int(at)})["probability"]
        assert share is None if said is None else share == pytest.approx(100 * said, abs=1e-6)


def test_looking_back_is_not_put_on_record(pages: Service) -> None:
    read(pages, "/accounts/a-011?show=course")
    with Ledger.open(pages.settings.store) as ledger:
        scored = ledger.export("scores").to_pylist()
    assert sum(row["account_id"] == "a-011" for row in scored) <= 1


def test_html_in_names_channels_and_facts_is_text(pages: Service) -> None:
    hostile = "<script>alert(1)</script>"
    account = {
        "accountId": "h-1",
        "name": hostile,
        "attributes": {"industry": hostile},
        "occurredAt": "2026-01-01T00:00:00Z",
    }
    pages.post("/v1/accounts", {"accounts": [account], "backfill": True})
    pages.post(
        "/v1/touchpoints", {"touchpoints": [touch(1, "h-1", NOW - 10**9, channel=hostile, contactId="</script>")]}
    )
    text = read(pages, "/accounts/h-1")
    assert hostile not in text
    assert "&lt;script&gt;" in text
    assert text.count("</script>") == text.count("<script")


def test_a_language_is_asked_for_once_and_kept(pages: Service) -> None:
    assert '<html lang="en">' in read(pages, "/model")
    assert '<html lang="zh-CN">' in read(pages, "/model?lang=zh")
    assert '<html lang="zh-CN">' in read(pages, "/model")
    assert '<html lang="en">' in read(pages, "/model?lang=en")


def test_a_part_of_a_page_sends_the_whole_page_to_the_form(empty: Service) -> None:
    answer = empty.client.get("/accounts", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (204, "/sign-in?next=%2Faccounts")


def test_static_files_are_kept_by_the_browser_and_others_are_not_there(pages: Service) -> None:
    answer = pages.client.get("/static/pages.css", headers={"accept-encoding": "gzip"})
    assert (answer.headers["content-encoding"], "immutable" in answer.headers["cache-control"]) == ("gzip", True)
    for name in ("nothing.css", "../render.py", "%2e%2e/render.py", "vendor/vendor.lock.json"):
        assert pages.client.get(f"/static/{name}").status_code == 404
