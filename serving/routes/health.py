"""Whether the service lives, whether it can answer, and what it runs."""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from serving.authorisation import public
from serving.dependencies import RequestId, TheChampions, TheScores
from serving.problems import RequestError, declared
from serving.wire import Wire, rfc3339


class Health(Wire):
    """A sign of life."""

    status: Literal["ok"]
    request_id: str


class ModelVersion(Wire):
    """A model that is loaded."""

    goal: str
    kind: str
    version: str
    trained_at: str
    degraded_reason: str | None = Field(description="Why a newer model is not in use; null when there is none")


class Version(Wire):
    """What the service runs."""

    version: str = Field(description="Version of the service")
    models: list[ModelVersion]
    request_id: str


def router() -> APIRouter:
    """Return the routes for probes and operators."""
    routes = APIRouter(tags=["operation"], dependencies=[public()])
    routes.add_api_route("/livez", _livez, methods=["GET"], operation_id="livez", summary="Whether the process lives")
    routes.add_api_route(
        "/readyz",
        _readyz,
        methods=["GET"],
        operation_id="readyz",
        summary="Whether the service can score: the store answers, and there is a model or there are points",
        responses=declared(503),
    )
    routes.add_api_route("/version", _version, methods=["GET"], operation_id="version", summary="What is running")
    return routes


async def _livez(request_id: RequestId) -> Health:
    return Health(status="ok", requestId=request_id)


def _readyz(scores: TheScores, request_id: RequestId) -> Health:
    scores.head()
    if not scores.can_answer():
        raise RequestError(
            503, f"There is no model of {scores.default_goal}, and the agreement has no points to score by until then."
        )
    return Health(status="ok", requestId=request_id)


async def _version(champions: TheChampions, request_id: RequestId) -> Version:
    models = [
        ModelVersion(
            goal=goal,
            kind=champion.bundle.kind,
            version=champion.version,
            trainedAt=str(rfc3339(champion.bundle.trained_at)),
            degradedReason=champions.degraded(goal),
        )
        for goal, champion in champions.all().items()
    ]
    return Version(version=version("smarketing"), models=models, requestId=request_id)
