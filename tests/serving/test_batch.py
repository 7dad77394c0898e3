"""Several scores in one request."""

from __future__ import annotations

import time

from serving.routes.scores import BatchAnswer
from serving.wire import rfc3339
from tests.serving.conftest import DAY, NOW, Service


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
    assert at_fault == [[], ["goal"], ["accountId", "acountId"], ["item"], ["asOf"]]
    assert "Did you mean 'accountId'?" in results[3]["problem"]["detail"]


def test_an_answer_of_a_batch_is_the_answer_alone(filled: Service) -> None:
    asked = [{"accountId": f"a-{number:03d}", "asOf": rfc3339(NOW - 3 * DAY)} for number in range(40)]
    many = filled.post("/v1/scores/batch?contributions=all", {"requests": asked}, language="zh")
    for question, result in zip(asked, many["results"], strict=True):
        alone = filled.post("/v1/scores?contributions=all", question, language="zh")
        assert result["answer"] | {"requestId": alone["requestId"]} == alone
        assert result["problem"] is None


def test_more_questions_than_a_crm_sends_at_once_are_refused(filled: Service) -> None:
    problem = filled.post("/v1/scores/batch", {"requests": [{"accountId": "a-001"}] * 201}, status=422)
    assert problem["errors"][0]["field"] == "requests"
    assert "200" in problem["detail"]


def test_two_hundred_questions_take_less_processor_time_than_a_crm_waits(filled: Service) -> None:
    asked = [{"accountId": f"a-{number % 60:03d}"} for number in range(200)]
    began = time.process_time()
    said = filled.post("/v1/scores/batch", {"requests": asked})
    assert {one["status"] for one in said["results"]} == {200}
    assert time.process_time() - began < 5
