"""``GET /v1/accounts/{accountId}``: profile, stages, timeline and score of an account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from serving.answers import ScoreAnswer, render
from serving.authorisation import requires
from serving.dependencies import RequestId, TheProfiles, TheScores, Tongue
from serving.problems import declared
from serving.profile import MAX_PAGE, Entry
from serving.routes.replies import reply
from serving.wire import Wire, rfc3339


class StageOf(Wire):
    """Where the furthest cycle of a kind stands."""

    kind: str
    stage: str
    cycle_id: str
    since: str
    is_open: bool


class TimelineEntry(Wire):
    """Something that happened; what does not fit its type is null."""

    type: str = Field(description="touchpoint, stageChange or deal")
    id: str
    occurred_at: str
    what: str = Field(description="Touch type, stage, or outcome of the deal")
    kind: str | None = Field(description="Kind of business of a stage change or deal")
    contact_id: str | None
    channel: str | None
    campaign: str | None
    direction: str | None
    product: str | None
    amount: int | None = Field(description="In minor units")
    currency: str | None


class AccountAnswer(Wire):
    """An account as of now."""

    account_id: str
    name: str | None
    domain: str | None
    parent_id: str | None
    created_at: str | None
    as_of: str
    attributes: dict[str, str] = Field(description="Facts that hold now")
    stages: list[StageOf]
    timeline: list[TimelineEntry] = Field(description="Newest first")
    next_cursor: str | None = Field(description="Give it as `cursor` for the entries before these; null at the end")
    score: ScoreAnswer
    ledger_seq: int
    request_id: str


def router() -> APIRouter:
    """Return the routes about single accounts."""
    routes = APIRouter(tags=["accounts"])
    routes.add_api_route(
        "/v1/accounts/{accountId:path}",
        _account,
        methods=["GET"],
        operation_id="readAccount",
        summary="Profile, stages, timeline and score of an account",
        description="The timeline comes in pages: give nextCursor as cursor for the next one.",
        dependencies=[requires("read")],
        response_model=AccountAnswer,
        responses=declared(),
    )
    return routes


def _account(
    account_id: Annotated[str, Path(alias="accountId", max_length=1000)],
    profiles: TheProfiles,
    scores: TheScores,
    language: Tongue,
    request_id: RequestId,
    cursor: Annotated[str | None, Query(max_length=3000, description="nextCursor of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most entries of the timeline")] = 50,
) -> Response:
    answer = scores.give(account_id)
    profile = profiles.read(account_id, answer.as_of, cursor, limit)
    return reply(
        {
            "accountId": account_id,
            "name": profile.facts.name,
            "domain": profile.facts.domain,
            "parentId": profile.facts.parent_id,
            "createdAt": rfc3339(profile.facts.created_at),
            "asOf": rfc3339(answer.as_of),
            "attributes": dict(profile.facts.attributes),
            "stages": [
                {
                    "kind": kind,
                    "stage": cycle.stage,
                    "cycleId": cycle.cycle_id,
                    "since": rfc3339(cycle.entered_at),
                    "isOpen": cycle.is_open,
                }
                for kind, cycle in sorted(answer.cycles.items())
            ],
            "timeline": [_entry(entry) for entry in profile.page.entries],
            "nextCursor": profile.page.next_cursor,
            "score": render(answer, language, request_id),
            "ledgerSeq": answer.ledger_seq,
            "requestId": request_id,
        }
    )


def _entry(entry: Entry) -> dict[str, object]:
    columns = entry.columns
    same = ("kind", "channel", "campaign", "direction", "product", "amount", "currency")
    return {
        "type": entry.place.type,
        "id": entry.place.id,
        "occurredAt": rfc3339(entry.place.occurred_at),
        "what": entry.what,
        "contactId": columns.get("contact_id"),
        **{name: columns.get(name) for name in same},
    }
