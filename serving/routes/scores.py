"""``POST /v1/scores``: how likely an account is to reach a goal, and why."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from serving.answers import ScoreAnswer, render
from serving.authorisation import requires
from serving.dependencies import RequestId, TheScores, Tongue
from serving.problems import declared
from serving.routes.replies import reply
from serving.wire import Moment, Wire


class ScoreRequest(Wire):
    """What is asked: an account, and unless given the default goal and now."""

    account_id: str = Field(min_length=1, max_length=1000, description="The account")
    goal: str | None = Field(default=None, max_length=200, description="The goal; the agreement's default unless given")
    as_of: Moment | None = Field(default=None, description="The moment asked about, past or future; now unless given")


def router() -> APIRouter:
    """Return the route of scores."""
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
    return routes


def _score(
    body: ScoreRequest,
    scores: TheScores,
    language: Tongue,
    request_id: RequestId,
    contributions: Annotated[
        Literal["top", "all"], Query(description="top: the ten largest and one row for the rest; all: every one")
    ] = "top",
) -> Response:
    scored = scores.give(body.account_id, body.goal, body.as_of)
    return reply(render(scored, language, request_id, every=contributions == "all"))
