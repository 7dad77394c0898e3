"""The data contract: every table and column, declared once.

Database tables, Arrow schemas, field maps and the bodies of the HTTP interface all derive from `TABLES`. Times are UTC
integer microseconds since the epoch, money is integer minor units with an ISO 4217 currency beside it, ids are text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

import pyarrow as pa

DAY = 86_400_000_000
"""Microseconds in a day."""

FOREVER = 2**63 - 1
"""`known_until` of a row that nothing has replaced."""


class Type(Enum):
    """Type of a column, and how it is written in Arrow."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    TIME = "time"
    MONEY = "money"
    CURRENCY = "currency"
    JSON = "json"
    FLAG = "flag"

    @property
    def arrow(self) -> pa.DataType:
        """Arrow type of the column; JSON is kept as text, times and money as 64-bit integers."""
        return _ARROW[self]


_ARROW = {
    Type.TEXT: pa.string(),
    Type.INTEGER: pa.int64(),
    Type.NUMBER: pa.float64(),
    Type.TIME: pa.int64(),
    Type.MONEY: pa.int64(),
    Type.CURRENCY: pa.string(),
    Type.JSON: pa.string(),
    Type.FLAG: pa.bool_(),
}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        Name in the database, in Parquet and in pandas; the HTTP interface spells it in lowerCamelCase.
    type : Type
    meaning : str
        One sentence without a full stop.
    required : bool, default=False
        Whether a sender must give it.
    choices : tuple of str, default=()
        The only values allowed, in order; empty when the vocabulary is open or lives in the agreement.
    """

    name: str
    type: Type
    meaning: str
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of the contract.

    Parameters
    ----------
    name : str
    meaning : str
    key : tuple of str
        Columns that identify a row; a fact table adds `revision`.
    columns : tuple of Column
        What a sender may give, key columns first.
    fact : bool, default=True
        Whether rows have revisions and two clocks (`FACT_COLUMNS`).
    sent : bool, default=True
        Whether rows come from a sender; those that we make ourselves have no position of their own in the ledger.
    clock : str or None
        The column that says when the fact happened (`occurred_at` of the rules); None for entities and for links, which
        happen when their touch does.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    fact: bool = True
    clock: str | None = "occurred_at"
    sent: bool = True

    def column(self, name: str) -> Column:
        """Return the column of that name.

        Raises
        ------
        KeyError
            When the table has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns a sender may give."""
        return tuple(column.name for column in self.columns)

    @property
    def stored(self) -> tuple[Column, ...]:
        """All columns as stored: the sender's, then those of the ledger."""
        if not self.sent:
            return self.columns
        return self.columns + (FACT_COLUMNS if self.fact else ENTITY_COLUMNS)

    @property
    def arrow(self) -> pa.Schema:
        """Arrow schema of the stored table."""
        return pa.schema([pa.field(column.name, column.type.arrow) for column in self.stored])


KINDS = ("new", "expansion", "renewal")
OUTCOMES = ("open", "won", "lost")
DIRECTIONS = ("inbound", "outbound", "internal", "signal")
CONTENT_STAGES = ("tofu", "mofu", "bofu")
ROLES = ("decision_maker", "champion", "influencer", "user", "procurement", "finance", "unknown")
SET_BY = ("marketing", "sales", "rule", "import")
ORIGINS = ("server", "recorded", "assumed")
EVALUATORS = ("single", "bulk")
ENTITIES = ("account", "contact")

FACT_COLUMNS = (
    Column("revision", Type.INTEGER, "number of this version of the row, from 1"),
    Column("deleted", Type.FLAG, "whether this version retracts the row"),
    Column("known_at", Type.TIME, "when we learnt it"),
    Column("known_until", Type.TIME, "when a higher revision became known"),
    Column("known_at_origin", Type.TEXT, "how known_at came about", choices=ORIGINS),
    Column("ledger_seq", Type.INTEGER, "position in the ledger, without gaps"),
    Column("digest", Type.TEXT, "fingerprint of what the sender gave, to tell a duplicate from a correction"),
)
ENTITY_COLUMNS = (
    Column("ledger_seq", Type.INTEGER, "position in the ledger of the latest change"),
    Column("digest", Type.TEXT, "fingerprint of what the sender gave"),
)


def _text(name: str, meaning: str, *, required: bool = False, choices: tuple[str, ...] = ()) -> Column:
    return Column(name, Type.TEXT, meaning, required, choices)


def _time(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, Type.TIME, meaning, required)


_CURRENCY = Column("currency", Type.CURRENCY, "ISO 4217 code of the amount beside it")

_TABLES = (
    Table(
        "accounts",
        "customers: companies",
        ("account_id",),
        (
            _text("account_id", "the company", required=True),
            _text("name", "name of the company"),
            _text("domain", "registrable internet domain"),
            _text("parent_id", "account of the parent company"),
            _time("created_at", "when the account was first recorded"),
        ),
        fact=False,
        clock=None,
    ),
    Table(
        "contacts",
        "people at accounts",
        ("contact_id",),
        (
            _text("contact_id", "the person", required=True),
            _text("email_hash", "keyed hash of the e-mail address"),
            _time("created_at", "when the person was first recorded"),
        ),
        fact=False,
        clock=None,
    ),
    Table(
        "attributes",
        "dated facts of accounts and contacts",
        ("entity", "id", "field", "occurred_at"),
        (
            _text("entity", "whose fact it is", required=True, choices=ENTITIES),
            _text("id", "account_id or contact_id", required=True),
            _text("field", "what is stated: industry, employees, role, employer, ...", required=True),
            _time("occurred_at", "from when it holds", required=True),
            _text("value", "the value as text; missing means no longer known"),
            _text("set_by", "who stated it"),
        ),
    ),
    Table(
        "touchpoints",
        "dated interactions",
        ("source", "event_id"),
        (
            _text("source", "the sending system", required=True),
            _text("event_id", "its id of the interaction", required=True),
            _time("occurred_at", "when it happened", required=True),
            _text("account_id", "account as the sender names it"),
            _text("contact_id", "person as the sender names it"),
            _text("device", "browser or device id"),
            _text("email_hash", "keyed hash of the e-mail address"),
            _text("domain", "internet domain of the company"),
            _text("channel", "channel group"),
            _text("campaign", "campaign"),
            _text("content", "content asset"),
            _text("product", "product concerned"),
            _text("touch_type", "what kind of interaction", required=True),
            _text("content_stage", "depth of the content", choices=CONTENT_STAGES),
            _text("direction", "who acted", choices=DIRECTIONS),
            _text("actor_id", "our person"),
            _text("reply_to", "event_id of the touch this one answers"),
            Column("cost", Type.MONEY, "cost of this touch in minor units"),
            _CURRENCY,
            Column("properties", Type.JSON, "anything else the sender said"),
        ),
    ),
    Table(
        "touch_links",
        "whose a touch is, as far as we knew when",
        ("source", "event_id"),
        (
            _text("source", "source of the touch", required=True),
            _text("event_id", "id of the touch", required=True),
            _text("account_id", "the account it belongs to"),
            _text("contact_id", "the person it belongs to"),
        ),
        clock=None,
    ),
    Table(
        "deals",
        "opportunities, one row per change",
        ("deal_id", "occurred_at"),
        (
            _text("deal_id", "the opportunity", required=True),
            _time("occurred_at", "when it changed", required=True),
            _text("account_id", "the account", required=True),
            _text("cycle_id", "the cycle it belongs to"),
            _text("kind", "kind of business", choices=KINDS),
            _text("product", "product concerned"),
            Column("amount", Type.MONEY, "amount in minor units"),
            _CURRENCY,
            _text("outcome", "state after this change", required=True, choices=OUTCOMES),
            _text("loss_reason", "why it was lost"),
            _text("owner_id", "our person"),
        ),
    ),
    Table(
        "stage_changes",
        "passages of cycles into stages",
        ("change_id",),
        (
            _text("change_id", "the change", required=True),
            _text("account_id", "the account", required=True),
            _text("cycle_id", "the cycle"),
            _text("kind", "kind of business", choices=KINDS),
            _text("stage", "the stage entered", required=True),
            _time("occurred_at", "when it was entered", required=True),
            _text("set_by", "who set it", choices=SET_BY),
            _text("reason", "why"),
        ),
    ),
    Table(
        "handoffs",
        "hand-offs from marketing to sales",
        ("handoff_id",),
        (
            _text("handoff_id", "the hand-off", required=True),
            _text("account_id", "the account", required=True),
            _time("handed_at", "when it was handed over", required=True),
            _text("to", "team or person that received it"),
            _time("accepted_at", "when sales accepted it"),
            _text("rejected_reason", "why sales rejected it"),
            _text("problem", "the customer's problem"),
            _text("decision_power", "who decides"),
            _text("budget", "what is known of the budget"),
            _text("alternatives", "what else the customer considers"),
            _text("source_channel", "channel it came from"),
            _time("outcome_at", "when the outcome was fed back"),
        ),
        clock="handed_at",
    ),
    Table(
        "spend",
        "what a campaign cost in a period",
        ("channel", "campaign", "period_start"),
        (
            _text("channel", "channel group", required=True),
            _text("campaign", "campaign", required=True),
            _time("period_start", "start of the period, included", required=True),
            _time("period_end", "end of the period, excluded", required=True),
            Column("amount", Type.MONEY, "cost in minor units", required=True),
            Column("currency", Type.CURRENCY, _CURRENCY.meaning, required=True),
        ),
        clock="period_start",
    ),
    Table(
        "targets",
        "what was promised",
        ("metric", "segment", "period_start"),
        (
            _text("metric", "what is counted", required=True),
            _text("segment", "for which accounts", required=True),
            _time("period_start", "start of the period, included", required=True),
            _time("period_end", "end of the period, excluded", required=True),
            Column("value", Type.NUMBER, "the promised number", required=True),
        ),
        clock="period_start",
    ),
    Table(
        "fx_rates",
        "rates to the reporting currency",
        ("currency", "date"),
        (
            Column("currency", Type.CURRENCY, "currency of the amount", required=True),
            _time("date", "day from which the rate holds", required=True),
            Column("rate", Type.NUMBER, "reporting units for one unit of the currency", required=True),
        ),
        clock="date",
    ),
    Table(
        "scores",
        "every score given, with what it takes to give it again",
        ("account_id", "goal", "scored_at", "ledger_seq", "model_digest", "agreement_digest", "origin"),
        (
            _text("account_id", "the account", required=True),
            _text("goal", "the goal", required=True),
            _time("scored_at", "the moment it is about: asOf of the answer", required=True),
            Column("ledger_seq", Type.INTEGER, "position of the ledger that it rests on", required=True),
            _text("model_digest", "content of the model that gave it", required=True),
            _text("agreement_digest", "what of the agreement decides scores, as a fingerprint", required=True),
            _text("origin", "asked for alone, or with all accounts at once", required=True, choices=EVALUATORS),
            _text("model_version", "model and calibration revision, or points", required=True),
            _time("given_at", "when it was first given", required=True),
            Column("probability", Type.NUMBER, "calibrated probability; missing for points"),
            Column("logit", Type.NUMBER, "calibrated log-odds; missing for points"),
            Column("score", Type.INTEGER, "1 to 99", required=True),
            _text("grade", "A to D", required=True),
        ),
        fact=False,
        clock="scored_at",
        sent=False,
    ),
)

TABLES = MappingProxyType({table.name: table for table in _TABLES})
"""Every table of the contract by name, in the order of the design."""
