"""Several scores in one request."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from features.errors import StoreError
from features.ledger import Ledger
from serving.routes.scores import BatchAnswer
from serving.wire import rfc3339
from tests.serving.conftest import DAY, KEY, NOW, Models, Service, fill, market, serving


def test_every_question_gets_its_own_status_in_order(filled: Service) -> None:
    asked = [
        {"accountId": "a-001"},
        {"accountId": "nobody"},
        {"accountId": "a-002", "goal": "won_9d"},
        {"acountId": "a-002"},
        "a-002",
        {"accountId": "a-002", "asOf": "tomorrow"},
        {"accountId": "a-003"},
    ]
    said = filled.post("/v1/scores/batch", {"requests": asked})
    BatchAnswer.model_validate(said)
    results = said["results"]
    assert [one["status"] for one in results] == [200, 404, 422, 422, 422, 422, 200]
    assert [one["answer"]["accountId"] for one in results if one["answer"]] == ["a-001", "a-003"]
    at_fault = [[item["field"] for item in one["problem"]["errors"]] for one in results[1:-1]]
    assert at_fault == [[], ["goal"], ["accountId", "acountId"], ["body"], ["asOf"]]
    assert "Did you mean 'accountId'?" in results[3]["problem"]["detail"]


def test_an_answer_of_a_batch_is_the_answer_alone(filled: Service) -> None:
    asked = [{"accountId": f"a-{number:03d}", "asOf": rfc3339(NOW - 3 * DAY)} for number in range(20)]
    many = filled.post("/v1/scores/batch?contributions=all", {"requests": asked}, language="zh")
    for question, result in zip(asked, many["results"], strict=True):
        alone = filled.post("/v1/scores?contributions=all", question, language="zh")
        assert result["answer"] | {"requestId": alone["requestId"]} == alone
        assert result["problem"] is None


def test_more_questions_than_a_crm_sends_at_once_are_refused(filled: Service) -> None:
    problem = filled.post("/v1/scores/batch", {"requests": [{"accountId": "a-001"}] * 201}, status=422)
    assert problem["errors"][0]["field"] == "requests"
    assert "200" in problem["detail"]


@pytest.mark.parametrize("item", [None, 1, "a-001", [], {}, {"accountId": 1}, {"accountId": "a-001", "asOf": True}])
def test_what_is_no_question_is_told_as_it_would_be_alone(filled: Service, item: object) -> None:
    told = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    alone = filled.client.post("/v1/scores", content=json.dumps(item), headers=told).json()
    (result,) = filled.post("/v1/scores/batch", {"requests": [item]})["results"]
    same = {"instance": "", "requestId": ""}
    assert result["problem"] | same == alone | same


def test_contributions_are_all_listed_for_a_few_questions_only(filled: Service) -> None:
    asked = {"requests": [{"accountId": "a-001"}] * 21}
    problem = filled.post("/v1/scores/batch?contributions=all", asked, status=422)
    assert problem["errors"][0]["field"] == "contributions"
    assert "20" in problem["detail"]
    assert len(filled.post("/v1/scores/batch", asked)["results"]) == 21


def test_an_account_that_can_not_be_read_now_keeps_none_of_the_others_out(
    tmp_path: Path, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.promote(tmp_path, 1, "1.0")
    read = Ledger.account_tables

    def busy(ledger: Ledger, *account_ids: str, at: int | None = None) -> Any:
        if "a-001" in account_ids:
            raise StoreError("The store is busy: secret")
        return read(ledger, *account_ids, at=at)

    with serving(tmp_path) as service:
        fill(service, market(accounts=3))
        monkeypatch.setattr(Ledger, "account_tables", busy)
        said = service.post("/v1/scores/batch", {"requests": [{"accountId": f"a-00{number}"} for number in range(3)]})
    assert [one["status"] for one in said["results"]] == [200, 503, 200]
    problem = said["results"][1]["problem"]
    assert (problem["retryable"], problem["detail"]) == (True, "The store can not be read now.")


def test_accounts_read_together_are_scored_as_alone_to_the_last_bit(tmp_path: Path, models: Models) -> None:
    asked = [{"accountId": f"a-{number:03d}", "asOf": rfc3339(NOW)} for number in range(20)]
    models.promote(tmp_path, 1, "1.0")
    with serving(tmp_path) as service:
        fill(service, market(accounts=20))
        alone = [service.post("/v1/scores?contributions=all", question) for question in asked]
    with serving(tmp_path) as service:
        many = service.post("/v1/scores/batch?contributions=all", {"requests": asked})["results"]
    assert [one["answer"] | {"requestId": ""} for one in many] == [one | {"requestId": ""} for one in alone]


def test_two_hundred_questions_take_less_processor_time_than_a_crm_waits(tmp_path: Path, models: Models) -> None:
    models.promote(tmp_path, 1, "1.0")
    asked = [{"accountId": f"a-{number:03d}"} for number in range(200)]
    with serving(tmp_path) as service:
        fill(service, market(accounts=200))
        began = time.process_time()
        said = service.post("/v1/scores/batch", {"requests": asked})
        taken = time.process_time() - began
    assert {one["status"] for one in said["results"]} == {200}
    assert taken < 4, "none of them was kept, and they are read together"
