"""One incoming row: checked against the data contract and completed with the agreement's defaults.

Everything is derived from `features.schema.TABLES`, so files, field maps and the HTTP interface obey the same rules and
give the same words when one is broken.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from features.agreement import Agreement
from features.errors import RowError, nearest
from features.identity import email_hash
from features.intake import values
from features.intake.values import Check
from features.schema import TABLES, Column, Table, Type

Row = dict[str, object]
"""A row by column name, typed as the ledger keeps it; columns that were not given are None."""

DEFAULT_CHANNEL = "Unassigned"

NO_CHANNELS = ("(no touch)", "(baseline)", "(others)")
"""What attribution calls that which no channel earned: a channel of such a name could not be told from it."""
"""Channel of a touch whose sender named none."""

DERIVED_IDS = {"touchpoints": "event_id", "stage_changes": "change_id"}
"""Tables whose id is made from the content when the sender has none."""

_CLOCKS = ("revision", "known_at", "deleted")
_NAMESPACE = uuid.UUID("7f1c58c4-3d0e-5c1b-9a52-5d3a1a6b8f0e")
_HASHED = re.compile(r"[0-9a-f]{64}")
_IDENTITY = ("account_id", "contact_id", "device", "email_hash", "domain")
_FROM_DEALS = {
    "won": " It comes from deals: send a deal with outcome won.",
    "lost": " It comes from deals: send a deal with outcome lost.",
    "renewed": " It comes from deals: send a deal of kind renewal with outcome won.",
    "expanded": " It comes from deals: send a deal of kind expansion with outcome won.",
}
_PERIODS = {"spend": ("period_start", "period_end"), "targets": ("period_start", "period_end")}


class RowParser:
    """Parser of the rows of every table.

    Parameters
    ----------
    agreement : Agreement
        Source of the stages and of the touch types with their defaults.
    email_key : bytes
        Key of the hash that stands for e-mail addresses; an address itself is never kept.
    """

    def __init__(self, agreement: Agreement, email_key: bytes) -> None:
        self._agreement = agreement
        self._email_key = email_key
        self._plans = {
            (name, camel): _plan(table, camel, agreement, self._email, self._person)
            for name, table in TABLES.items()
            for camel in (False, True)
        }
        self._finish: dict[str, Callable[[Row, _Plan, Mapping[str, object]], list[tuple[str, Row]]]] = {
            "accounts": self._entity,
            "contacts": self._entity,
            "touchpoints": self._touch,
            "deals": self._deal,
            "stage_changes": self._stage_change,
            "attributes": self._attribute,
            "spend": self._period,
            "targets": self._period,
        }

    def fields(self, table: str, *, camel: bool) -> tuple[str, ...]:
        """Return every field a sender may give for a table, as it must be spelled."""
        return tuple(self._plans[table, camel].checks)

    def parse(self, table: str, raw: Mapping[str, object], *, camel: bool) -> list[tuple[str, Row]]:
        """Return the rows, each with its table, that one incoming row stands for.

        Parameters
        ----------
        table : str
            Name of a table of the contract.
        raw : mapping of str to object
            What the sender gave. None and the empty text count as not given.
        camel : bool
            True for the HTTP interface: names in lowerCamelCase, whole numbers as times are milliseconds. False for
            our own tables: the contract's names, whole numbers as times are microseconds.

        Returns
        -------
        list of (str, Row)
            The row itself first; an account or contact with `attributes` is followed by a row for each of them.

        Raises
        ------
        RowError
            When the row breaks the contract; `field` is in the sender's spelling.
        """
        plan = self._plans[table, camel]
        checks = plan.checks
        row = plan.empty.copy()
        for name, value in raw.items():
            found = checks.get(name)
            if found is None:
                raise plan.unknown(name)
            if value is not None and value != "":
                row[found[0]] = found[1](name, value)
        for column in plan.keys if row.get("deleted") else plan.required:
            if row[column] is None:
                raise plan.missing(column)
        finish = self._finish.get(table)
        return finish(row, plan, raw) if finish else [(table, row)]

    def hash_emails(self, value: object) -> object:
        """Return a value of a raw row with every e-mail address in it replaced by the hash that `parse` takes back."""
        if isinstance(value, str):
            return values.replace_emails(value, lambda address: email_hash(self._email_key, address))
        if isinstance(value, Mapping):
            return {name: self.hash_emails(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):  # a map of Parquet is a list of pairs
            return [self.hash_emails(inner) for inner in value]
        return value

    def _email(self, field: str, value: object) -> object:
        if isinstance(value, str) and _HASHED.fullmatch(value):
            return value  # a dead letter tried again: the address was hashed when the row was set aside
        if not isinstance(value, str) or not 3 <= len(value) <= 254 or "@" not in value[1:-1]:
            raise RowError(field, "type", f"`{field}` must be an e-mail address.")
        values.text(field, value)
        return email_hash(self._email_key, value)

    def _person(self, field: str, value: object) -> object:
        """Return the id of a person; many senders use the e-mail address, of which only the hash is kept."""
        known_as = values.text(field, value)
        return known_as if known_as is None or "@" not in known_as else self.hash_emails(known_as)

    def _touch(self, row: Row, plan: _Plan, raw: Mapping[str, object]) -> list[tuple[str, Row]]:
        _one_email(plan, raw)
        if row["properties"] is not None and "@" in str(row["properties"]):
            said = self.hash_emails(orjson.loads(str(row["properties"])))
            row["properties"] = orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()
        if row.get("deleted"):
            return [("touchpoints", row)]
        if all(row[column] is None for column in _IDENTITY):
            named = ", ".join(plan.spelled(name) for name in (*_IDENTITY[:3], "email", "domain"))
            raise RowError(plan.spelled("account_id"), "identity", f"A touchpoint must name at least one of {named}.")
        _currency(row, plan, "cost")
        if row["event_id"] is None:
            row["event_id"] = _derived_id("touchpoints", row)
            said = orjson.loads(str(row["properties"])) if row["properties"] else {}
            row["properties"] = orjson.dumps({**said, "idDerived": True}, option=orjson.OPT_SORT_KEYS).decode()
        touch_type = self._agreement.touch_types[str(row["touch_type"])]
        if row["content_stage"] is None:
            row["content_stage"] = touch_type.content_stage
        if row["direction"] is None:
            row["direction"] = touch_type.direction
        if row["channel"] is None:
            row["channel"] = DEFAULT_CHANNEL
        if row["channel"] in NO_CHANNELS:
            raise RowError(
                plan.spelled("channel"), "choice",
                f"A channel can not be called {row['channel']!r}: reports use it for what no channel earned.",
            )  # fmt: skip
        return [("touchpoints", row)]

    def _deal(self, row: Row, plan: _Plan, raw: Mapping[str, object]) -> list[tuple[str, Row]]:
        if not row.get("deleted"):
            _currency(row, plan, "amount")
            _cycle(row)
        return [("deals", row)]

    def _stage_change(self, row: Row, plan: _Plan, raw: Mapping[str, object]) -> list[tuple[str, Row]]:
        if not row.get("deleted"):
            if row["change_id"] is None:
                row["change_id"] = _derived_id("stage_changes", row)
            _cycle(row)
        return [("stage_changes", row)]

    def _period(self, row: Row, plan: _Plan, raw: Mapping[str, object]) -> list[tuple[str, Row]]:
        start, end = _PERIODS[plan.table.name]
        if not row.get("deleted") and row[end] <= row[start]:  # type: ignore[operator]  # both checked as times
            field = plan.spelled(end)
            raise RowError(field, "conflict", f"`{field}` must be later than `{plan.spelled(start)}`.")
        return [(plan.table.name, row)]

    def _attribute(self, row: Row, plan: _Plan, raw: Mapping[str, object]) -> list[tuple[str, Row]]:
        if row["entity"] == "contact":
            row["id"] = self._person(plan.spelled("id"), row["id"])
        return [("attributes", row)]

    def _entity(self, row: Row, plan: _Plan, raw: Mapping[str, object]) -> list[tuple[str, Row]]:
        _one_email(plan, raw)
        attributes = row.pop("attributes", None)
        shared = {name: row.pop(name) for name in ("occurred_at", "set_by", "known_at") if name in row}
        rows = [(plan.table.name, row)]
        if not isinstance(attributes, dict):
            return rows
        if "occurred_at" not in shared:
            field = plan.spelled("occurred_at")
            message = f"`{field}` is required beside `attributes`: it says from when they hold."
            raise RowError(field, "required", message)
        entity = plan.table.name[:-1]
        key = row[plan.table.key[0]]
        for name, value in attributes.items():
            stated: Row = {"entity": entity, "id": key, "field": name, "value": value, "set_by": None}
            rows.append(("attributes", stated | shared))
        return rows


@dataclass(frozen=True)
class _Plan:
    """How the rows of one table are read, in one spelling."""

    table: Table
    camel: bool
    checks: Mapping[str, tuple[str, Check]]
    empty: Row
    required: tuple[str, ...]
    keys: tuple[str, ...]

    def spelled(self, column: str) -> str:
        """Return the name of a column as the sender spells it."""
        return camel_case(column) if self.camel else column

    def unknown(self, name: str) -> RowError:
        """Return the error for a field that the table does not have."""
        guess = nearest(name, self.checks)
        message = f"{self.table.name} have no field `{values.shown(name)[1:-1]}`.{guess}"
        if not guess:
            message += f" Known are {', '.join(self.checks)}."
        return RowError(name[: values.MAX_TEXT], "unknown_field", message)

    def missing(self, column: str) -> RowError:
        """Return the error for a column that must be given."""
        field = self.spelled(column)
        return RowError(field, "required", f"`{field}` is required: {self.table.column(column).meaning}.")


def camel_case(column: str) -> str:
    """Return the name of a column as JSON spells it.

    Examples
    --------
    >>> camel_case("occurred_at")
    'occurredAt'
    """
    first, *rest = column.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _plan(table: Table, camel: bool, agreement: Agreement, email: Check, person: Check) -> _Plan:
    time = values.time_from_millis if camel else values.time_from_micros
    by_type: dict[Type, Check] = {
        Type.TEXT: values.text,
        Type.INTEGER: values.integer,
        Type.NUMBER: values.number,
        Type.TIME: time,
        Type.MONEY: values.money,
        Type.CURRENCY: values.currency,
        Type.JSON: values.json_object,
        Type.FLAG: values.flag,
    }
    checks: dict[str, Check] = {column.name: _check(table, column, agreement, by_type) for column in table.columns}
    columns = {name: name for name in checks}
    if "email_hash" in checks:
        checks["email_hash"] = _hash
        checks["email"] = email
        columns["email"] = "email_hash"
    if "contact_id" in checks:
        checks["contact_id"] = person
    if "domain" in checks:
        checks["domain"] = _domain
    if table.fact:
        checks |= {"revision": values.revision, "known_at": time, "deleted": values.flag}
    elif table.name in ("accounts", "contacts"):
        checks |= {"attributes": _attributes, "occurred_at": time, "set_by": values.text, "known_at": time}
    derived = DERIVED_IDS.get(table.name)
    spell = camel_case if camel else str
    return _Plan(
        table=table,
        camel=camel,
        checks={spell(name): (columns.get(name, name), check) for name, check in checks.items()},
        empty=dict.fromkeys(table.names),
        required=tuple(column.name for column in table.columns if column.required and column.name != derived),
        keys=table.key,
    )


def _check(table: Table, column: Column, agreement: Agreement, by_type: Mapping[Type, Check]) -> Check:
    if (table.name, column.name) == ("touchpoints", "touch_type"):
        return values.choice(tuple(agreement.touch_types))
    if (table.name, column.name) == ("stage_changes", "stage"):
        stages = (*agreement.stages.order, *agreement.stages.terminal)
        return values.choice(tuple(stage for stage in stages if stage not in _FROM_DEALS), _FROM_DEALS)
    return values.choice(column.choices) if column.choices else by_type[column.type]


def _attributes(field: str, value: object) -> dict[str, str | None]:
    if not isinstance(value, dict):
        message = f"`{field}` must be an object of fields and values. Got {values.shown(value)} instead."
        raise RowError(field, "type", message)
    stated: dict[str, str | None] = {}
    for name, inner in value.items():
        if isinstance(inner, dict | list):
            got = values.shown(inner)
            message = f"`{field}.{name}` must be text, a number, true, false or null. Got {got} instead."
            raise RowError(field, "type", message)
        written = values.as_text(inner)
        key = values.text(field, name)
        if key is None:
            raise RowError(field, "required", f"`{field}` has a value without the name of its field.")
        stated[key] = None if written is None else values.text(f"{field}.{key}", written)
    return stated


def _hash(field: str, value: object) -> object:
    if isinstance(value, str) and _HASHED.fullmatch(value):
        return value
    message = f"`{field}` must be 64 hexadecimal digits as this installation makes them; an address goes into `email`."
    raise RowError(field, "type", message)


def _domain(field: str, value: object) -> str | None:
    """Return a domain as identities are compared by it: names of the internet know no capitals."""
    named = values.text(field, value)
    return named if named is None else named.lower()


def _one_email(plan: _Plan, raw: Mapping[str, object]) -> None:
    hashed = plan.spelled("email_hash")
    if raw.get("email") and raw.get(hashed):
        raise RowError("email", "conflict", f"Give `email` or `{hashed}`, not both.")


def _currency(row: Row, plan: _Plan, column: str) -> None:
    if row[column] is not None and row["currency"] is None:
        field = plan.spelled("currency")
        raise RowError(field, "money", f"`{field}` is required beside `{plan.spelled(column)}`, as EUR.")


def _cycle(row: Row) -> None:
    kind = row["kind"] = row["kind"] or "new"
    if row["cycle_id"] is None:
        row["cycle_id"] = f"{row['account_id']}:{kind}:1"


def _derived_id(table: str, row: Row) -> str:
    """Return an id made from what the sender said, the same in whatever format and order it came."""
    content = {name: value for name, value in row.items() if value is not None and name not in _CLOCKS}
    return str(uuid.uuid5(_NAMESPACE, table + orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()))
