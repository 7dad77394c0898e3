"""``POST /v1/touchpoints`` and its siblings: one factory over the data contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from features.intake.rows import camel_case
from features.schema import TABLES
from serving.authorisation import requires
from serving.contract import INTAKE_TABLES, Accepted, Rejected, body_model
from serving.dependencies import Caller, RequestId, TheIntake, TheSettings
from serving.intake import sets_known_at
from serving.problems import RequestError, declared


def router() -> APIRouter:
    """Return a route for every table that takes rows over HTTP."""
    routes = APIRouter()
    for table in INTAKE_TABLES:
        name = camel_case(table)
        routes.add_api_route(
            f"/v1/{table.replace('_', '-')}",
            _endpoint(table, body_model(table)),
            methods=["POST"],
            operation_id=f"append{name[:1].upper()}{name[1:]}",
            summary=f"Append {TABLES[table].meaning}",
            description=(
                "Good rows are kept and bad ones reported, each by its position. The answer comes after the commit. "
                "Sending the same rows again changes nothing; other content under the same key is a correction."
            ),
            tags=["intake"],
            dependencies=[requires("ingest")],
            response_model=Accepted,
            responses=declared(),
        )
    return routes


def _endpoint(table: str, body_type: type[BaseModel]) -> Callable[..., Any]:
    name = camel_case(table)

    def append(body: Any, intake: TheIntake, settings: TheSettings, caller: Caller, request_id: RequestId) -> Accepted:
        if len(body.rows) > settings.max_rows:
            raise RequestError(413, f"`{name}` may have {settings.max_rows:,} rows at most. Got {len(body.rows):,}.")
        if (body.backfill or sets_known_at(body.rows)) and "admin" not in caller.scopes:
            raise RequestError(403, "`backfill` and `knownAt` need a key with the scope admin.")
        outcome = intake.take(table, body.rows, backfill=body.backfill, request_id=request_id)
        return Accepted.model_construct(
            accepted=outcome.accepted,
            duplicates=outcome.duplicates,
            corrected=outcome.corrected,
            unattached=outcome.unattached,
            stub_accounts=outcome.stub_accounts,
            rejected=[
                Rejected.model_construct(index=item.index, field=item.field, code=item.code, message=item.message)
                for item in outcome.refused
            ],
            ledger_seq=outcome.ledger_seq,
            request_id=request_id,
        )

    # FastAPI reads the type of the body from the annotation, and that type is made at run time.
    append.__annotations__["body"] = body_type
    return append
