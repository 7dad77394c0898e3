"""``GET /v1/attribution`` and ``/v1/accounts/{accountId}/attribution``: what reaching a step is associated with."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from serving.attribution import Answer, Asked, Attributions
from serving.authorisation import requires
from serving.dependencies import RequestId, TheAccountAttribution, TheAttributions
from serving.problems import RequestError, declared
from serving.routes.replies import reply
from serving.wire import Moment, Wire

_PATIENCE = 4.0
"""Seconds that the first answer is waited for; a CRM hangs up after ten."""
_LATER = {"retry-after": "5"}


class Figure(Wire):
    """A figure with its interval, which holds nine times out of ten."""

    value: float
    low: float | None
    high: float | None


class Revenue(Wire):
    """Minor units of a currency, with their interval."""

    currency: str
    value: float
    low: float | None
    high: float | None


class PlayerCredit(Wire):
    """What a model gives one channel, or whatever credit is shown by."""

    name: str
    credit: Figure = Field(description="Conversions")
    share: Figure = Field(description="Of all conversions")
    first: float | None = Field(description="How likely it is that no other has more")
    revenue: list[Revenue]


class ModelAnswer(Wire):
    """What one model says."""

    name: str
    evidence: str = Field(description="rule, correlational, adjusted or experiment-calibrated")
    per_journey: bool = Field(description="Whether the credits of each journey make that journey")
    players: list[PlayerCredit]
    rest: PlayerCredit = Field(description="What no touch is given; of the incremental model: what would be anyway")


class AttributionAnswer(Wire):
    """An analysis of attribution, as it was made."""

    as_of: str
    ledger_seq: int = Field(description="Position of the ledger that this rests on")
    data_from: str | None = Field(description="The first touch of the ledger: nobody was under observation before")
    transition: str
    kind: str
    by: str
    from_: str | None = Field(alias="from")
    to: str | None
    lookback_days: int | None
    seed: int
    draws: int
    size: dict[str, int]
    left_out: list[dict[str, Any]]
    players: list[dict[str, Any]]
    models: list[ModelAnswer]
    differences: dict[str, Any] | None = Field(description="Shares of each model minus those of one")
    effects: dict[str, Any] | None = Field(description="Signed effects of the levers, and what would be anyway")
    order: dict[str, Any] | None = Field(description="How the order of the Markov chain was chosen")
    transitions: list[dict[str, Any]]
    ways: list[dict[str, Any]] = Field(description="The commonest journeys; a step of null: rarer ones together")
    sourcing: dict[str, Any]
    reconciliation: dict[str, Any] = Field(description="The ledger against the journeys, these against the credit")
    money: dict[str, Any] | None = Field(description="What channels cost and brought, and which probably lose")
    falsifications: list[dict[str, Any]] = Field(description="Attempts to prove the incremental model wrong")
    lift_tests: list[dict[str, Any]] = Field(description="Experiments that the effects are brought in line with")
    notes: list[dict[str, Any]] = Field(description="What a reader must know")
    request_id: str


class TouchCredit(Wire):
    """What a model gives a touch, or leaves of a journey."""

    model: str
    credit: float = Field(description="Conversions")
    revenue: int = Field(description="Minor units of the journey's currency")


class CreditedTouch(Wire):
    """A touch of a journey."""

    source: str
    event_id: str
    occurred_at: str
    contact_id: str | None
    actor_id: str | None
    touch_type: str | None
    is_lever: bool
    channel: str | None
    campaign: str | None
    content: str | None
    product: str | None
    direction: str | None
    credits: list[TouchCredit] = Field(description="Empty for a touch that is given nothing, or came later")


class CreditedJourney(Wire):
    """A journey, and how it ended."""

    cycle_id: str | None
    deal_id: str | None
    opened_at: str
    ended_at: str
    converted: bool
    is_open: bool
    revenue: int = Field(description="Minor units")
    currency: str | None
    touches: list[CreditedTouch]
    rest: list[TouchCredit] = Field(description="What no touch is given")


class ModelGrade(Wire):
    """A model, what its figures rest on, and how new they are."""

    name: str
    evidence: str
    per_journey: bool = Field(description="Whether the credits of each journey make that journey")
    credited_as_of: str = Field(description="Of a rule: now; of a model that learns: of the analysis")


class AccountAttributionAnswer(Wire):
    """The journeys of an account as of now, with the credit of rules, and of models as they were last fitted."""

    account_id: str
    transition: str
    as_of: str
    ledger_seq: int
    analysed_as_of: str = Field(description="Of the analysis: what came later has credit by rules only")
    analysed_ledger_seq: int
    models: list[ModelGrade]
    journeys: list[CreditedJourney]
    request_id: str


def router() -> APIRouter:
    """Return the routes of attribution."""
    routes = APIRouter(tags=["attribution"])
    routes.add_api_route(
        "/v1/attribution",
        _attribution,
        methods=["GET"],
        operation_id="readAttribution",
        summary="What reaching a step is associated with, by every model, with intervals",
        description="Computed beside the service. What is older than the ledger is answered with its own asOf while a "
        "newer one is made; 503 with Retry-After while there is none.",
        dependencies=[requires("read")],
        response_model=AttributionAnswer,
        responses=declared(),
    )
    routes.add_api_route(
        "/v1/accounts/{accountId:path}/attribution",
        _account,
        methods=["GET"],
        operation_id="readAccountAttribution",
        summary="The journeys of an account with the credit of each touch",
        description="Journeys, and what rules credit, are those of now; what models credit that learn from all "
        "journeys is that of the latest analysis, whose moment is given. A deal that moved is its new account's.",
        dependencies=[requires("read")],
        response_model=AccountAttributionAnswer,
        responses=declared(),
    )
    return routes


def _attribution(
    attributions: TheAttributions,
    request_id: RequestId,
    transition: Annotated[str | None, Query(max_length=200, description="A stage, renewed or expanded")] = None,
    by: Annotated[str, Query(max_length=200, description="Column that credit is shown by")] = "channel",
    model: Annotated[str | None, Query(max_length=200, description="Only this model")] = None,
    from_: Annotated[Moment | None, Query(alias="from", description="Conversions from this moment on")] = None,
    to: Annotated[Moment | None, Query(description="Conversions before this moment")] = None,
) -> Response:
    asked = attributions.asked(transition, by, from_, to)
    if model is not None:
        attributions.check("model", models=(model,))
    answer = _answer(attributions, asked)
    found = dict(answer.document)
    if model is not None:
        if model not in {one["name"] for one in found["models"]}:
            found = dict(_answer(attributions, replace(asked, model=model)).document)
        found = found | {"models": [one for one in found["models"] if one["name"] == model], "differences": None}
    return reply({**found, "requestId": request_id})


def _account(
    attributions: TheAttributions,
    attributed: TheAccountAttribution,
    request_id: RequestId,
    account_id: Annotated[str, Path(alias="accountId", max_length=1000)],
    transition: Annotated[str | None, Query(max_length=200, description="A stage, renewed or expanded")] = None,
) -> Response:
    asked = attributions.asked(transition)
    attributed.check(account_id)
    found = attributed.read(account_id, asked.transition, _answer(attributions, asked))
    return reply({**found, "requestId": request_id})


def _answer(attributions: Attributions, asked: Asked) -> Answer:
    found = attributions.of(asked, _PATIENCE)
    if found is None:
        raise RequestError(503, "The analysis is being computed; ask again in a few seconds.", headers=_LATER)
    return found
