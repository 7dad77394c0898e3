"""``POST /v1/scores`` and ``/v1/scores/batch``: how likely accounts are to reach a goal, and why."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, ValidationError, WithJsonSchema

from features.errors import RowError, StoreError, UnknownError
from serving.answers import ScoreAnswer, render
from serving.authorisation import requires
from serving.dependencies import RequestId, TheScores, Tongue
from serving.problems import FieldProblem, Problem, RequestError, declared, problem_of_item
from serving.routes.replies import reply
from serving.wire import Moment, Wire

MOST = 200
"""Questions in one batch: what a CRM hands its triggers at a time."""
MOST_IN_FULL = 20
"""Questions in one batch whose answers list every contribution: some 40 kB each."""

Listed = Annotated[
    Literal["top", "all"], Query(description="top: the ten largest and one row for the rest; all: every one")
]


class ScoreRequest(Wire):
    """What is asked: an account, and unless given the default goal and now."""

    account_id: str = Field(min_length=1, max_length=1000, description="The account")
    goal: str | None = Field(default=None, max_length=200, description="The goal; the agreement's default unless given")
    as_of: Moment | None = Field(default=None, description="The moment asked about, past or future; now unless given")


_Item = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/ScoreRequest"})]
"""Documented as a question, and checked only when its turn comes."""


class BatchRequest(Wire):
    """Several questions at once. Each is judged on its own, so that a bad one does not keep the others out."""

    requests: list[_Item] = Field(
        min_length=1, max_length=MOST, description=f"Questions, {MOST} at most; each gets its own status"
    )


class BatchResult(Wire):
    """What became of one question: an answer, or a problem."""

    status: int = Field(description="200, 404 for an unknown account, 422, or 503 to be asked again")
    answer: ScoreAnswer | None
    problem: Problem | None


class BatchAnswer(Wire):
    """The results, in the order of the questions."""

    results: list[BatchResult]
    request_id: str


def router() -> APIRouter:
    """Return the routes of scores."""
    routes = APIRouter(tags=["scores"])
    routes.add_api_route(
        "/v1/scores",
        _score,
        methods=["POST"],
        operation_id="scoreAccount",
        summary="Score an account",
        description=(
            "The answer counts every touch that was accepted before it. Contributions add up: baseLogit plus their "
            "logit is logit, and 100 baseProbability plus their percentagePoints is 100 probability."
        ),
        dependencies=[requires("score")],
        response_model=ScoreAnswer,
        responses=declared(),
    )
    routes.add_api_route(
        "/v1/scores/batch",
        _batch,
        methods=["POST"],
        operation_id="scoreAccounts",
        summary="Score several accounts",
        description=(
            "The status is 200 whenever the batch itself could be read; each result has a status of its own, in the "
            f"order of the requests. contributions=all goes with {MOST_IN_FULL} requests at most."
        ),
        dependencies=[requires("score")],
        response_model=BatchAnswer,
        responses=declared(),
    )
    return routes


def _score(
    body: ScoreRequest, scores: TheScores, language: Tongue, request_id: RequestId, contributions: Listed = "top"
) -> Response:
    scored = scores.give(body.account_id, body.goal, body.as_of)
    return reply(render(scored, language, request_id, every=contributions == "all"))


def _batch(
    body: BatchRequest,
    request: Request,
    scores: TheScores,
    language: Tongue,
    request_id: RequestId,
    contributions: Listed = "top",
) -> Response:
    every = contributions == "all"
    if every and len(body.requests) > MOST_IN_FULL:
        told = f"Contributions can all be listed for {MOST_IN_FULL} requests at most. Got {len(body.requests)}."
        raise RequestError(422, told, errors=[FieldProblem(field="contributions", code="length", message=told)])
    results: list[dict[str, object]] = []
    asked = [_read(item) for item in body.requests]
    with suppress(StoreError):  # each question will then find out for itself
        scores.prepare([one.account_id for one in asked if isinstance(one, ScoreRequest)])
    for one in asked:
        answer = problem = None
        try:
            if isinstance(one, ValidationError):
                raise one
            answer = render(scores.give(one.account_id, one.goal, one.as_of), language, request_id, every=every)
        except (ValidationError, RowError, UnknownError, StoreError) as error:
            problem = problem_of_item(request.scope, error, ScoreRequest)
        status = 200 if problem is None else problem["status"]
        results.append({"status": status, "answer": answer, "problem": problem})
    return reply({"results": results, "requestId": request_id})


def _read(item: object) -> ScoreRequest | ValidationError:
    try:
        return ScoreRequest.model_validate(item)
    except ValidationError as error:
        return error
