"""Bodies of the intake routes, derived from the data contract.

The models made here describe rows to readers of the OpenAPI document; they do not judge them. Each row is judged on its
own by `features.intake.rows.RowParser`, so that one bad row does not keep the good ones out.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, StrictBool, WithJsonSchema, create_model

from features.intake.rows import DERIVED_IDS, camel_case
from features.schema import TABLES, Column, Table, Type
from serving.wire import Wire

INTAKE_TABLES = ("touchpoints", "stage_changes", "deals", "accounts", "contacts", "handoffs")
"""Tables that have a route of their own, in the order of the documentation."""

_Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
_Text = Annotated[str, WithJsonSchema({"type": "string", "maxLength": 1000})]
_TYPES: dict[Type, Any] = {
    Type.TEXT: _Text,
    Type.INTEGER: int,
    Type.NUMBER: float,
    Type.TIME: _Time,
    Type.MONEY: int,
    Type.CURRENCY: Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"})],
    Type.JSON: dict[str, Any],
    Type.FLAG: bool,
}
_Attributes = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}),
]
_FACT_FIELDS: dict[str, tuple[Any, str]] = {
    "revision": (int, "Number of this version, from 1, where corrections may arrive out of order"),
    "known_at": (_Time, "When it was learnt; only with the scope admin"),
    "deleted": (bool, "True retracts the row: give its key and nothing else"),
}
_ENTITY_FIELDS: dict[str, tuple[Any, str]] = {
    "attributes": (_Attributes, "Dated facts: industry, employees, country, role, employer, ..."),
    "occurred_at": (_Time, "From when the attributes hold; required beside them"),
    "set_by": (_Text, "Who stated the attributes"),
    "known_at": (_Time, "When the attributes were learnt; only with the scope admin"),
}


class Rejected(Wire):
    """A row that was not taken."""

    index: int = Field(description="Position in the request, from 0")
    field: str = Field(description="The field at fault, as it was sent")
    code: str = Field(description="Stable machine-readable reason")
    message: str = Field(description="What was wrong and what is allowed")


class Accepted(Wire):
    """What became of the rows of one request, after the commit."""

    accepted: int = Field(description="Rows that are new to the ledger; an attribute counts as a row")
    duplicates: int = Field(description="Rows that the ledger held already")
    corrected: int = Field(description="Rows that replaced an earlier version, retractions included")
    unattached: int = Field(description="Touches whose account is not known yet")
    stub_accounts: int = Field(description="Accounts made because a row named them")
    rejected: list[Rejected]
    ledger_seq: int = Field(description="Position of the ledger after this request")
    request_id: str


def body_model(table_name: str) -> type[BaseModel]:
    """Return the body of the route that takes rows of a table: the rows, and whether they are a backfill.

    The list itself is checked, its rows are not.
    """
    table = TABLES[table_name]
    rows = camel_case(table.name)
    # Pydantic's own decorators and fields are made by name here, because the name of the list is data.
    fields: dict[str, Any] = {
        "rows": (
            list[SkipValidation[_row_model(table)]],  # type: ignore[misc]  # a model made at run time
            Field(alias=rows, description=f"Rows: {table.meaning}"),
        ),
        "backfill": (
            StrictBool,
            Field(default=False, description="Take each row as known when it happened; only with the scope admin"),
        ),
    }
    return create_model(f"{_title(table)}Request", __config__=ConfigDict(extra="forbid"), **fields)


def _row_model(table: Table) -> type[BaseModel]:
    fields: dict[str, Any] = {column.name: _field(table, column) for column in table.columns}
    if "email_hash" in fields:
        email = "E-mail address; only a keyed hash of it is kept"
        fields["email"] = (_Text, Field(default=None, description=email))
    for name, (kind, meaning) in (_FACT_FIELDS if table.fact else _ENTITY_FIELDS).items():
        fields[name] = (kind, Field(default=None, description=meaning))
    config = ConfigDict(alias_generator=camel_case, extra="forbid", json_schema_extra=_plain)
    return create_model(_title(table), __config__=config, **fields)


def _field(table: Table, column: Column) -> tuple[Any, Any]:
    meaning = column.meaning[:1].upper() + column.meaning[1:]
    kind = _TYPES[column.type]
    if column.choices:
        kind = Annotated[str, WithJsonSchema({"type": "string", "enum": list(column.choices)})]
    if column.name == DERIVED_IDS.get(table.name):
        return kind, Field(default=None, description=f"{meaning}; made from the content when it is not given")
    return kind, Field(default=... if column.required else None, description=meaning)


def _plain(schema: dict[str, Any]) -> None:
    # "May be left out" is all that a default of None means here; null is not the default of a text.
    for described in schema["properties"].values():
        described.pop("default", None)
        described.pop("title", None)


def _title(table: Table) -> str:
    name = camel_case(table.name)
    return name[:1].upper() + name[1:].removesuffix("s")
