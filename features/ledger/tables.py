"""Database tables, derived from the data contract, and those that only the ledger itself uses."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from features.schema import TABLES, Column, Table, Type

metadata = sa.MetaData()
"""Every table of the store."""

_WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite makes a row id only of a column that is plainly INTEGER; its integers have 64 bits anyway."""

_TYPES: dict[Type, sa.types.TypeEngine[Any]] = {
    Type.TEXT: sa.Text(),
    Type.CURRENCY: sa.Text(),
    Type.JSON: sa.Text(),
    Type.INTEGER: _WHOLE,
    Type.TIME: _WHOLE,
    Type.MONEY: _WHOLE,
    Type.NUMBER: sa.Double(),
    Type.FLAG: sa.Boolean(),
}


def _column(column: Column, *, nullable: bool, primary_key: bool = False) -> sa.Column[object]:
    return sa.Column(column.name, _TYPES[column.type], nullable=nullable, primary_key=primary_key)


def _fact(table: Table) -> sa.Table:
    """Return a log of revisions in the order of the ledger, unique by key and revision.

    Only keys and the ledger's own columns are mandatory here: a retraction may carry nothing else.
    """
    given = [_column(column, nullable=column.name not in table.key) for column in table.columns]
    own = [
        _column(column, nullable=False, primary_key=column.name == "ledger_seq")
        for column in table.stored[len(table.columns) :]
    ]
    return sa.Table(table.name, metadata, *given, *own, sa.UniqueConstraint(*table.key, "revision"))


def _entity(table: Table) -> sa.Table:
    given = [
        _column(column, nullable=column.name not in table.key, primary_key=column.name in table.key)
        for column in table.columns
    ]
    return sa.Table(
        table.name, metadata, *given, *(_column(c, nullable=False) for c in table.stored[len(table.columns) :])
    )


def _record(table: Table) -> sa.Table:
    """Return a log of rows that we make ourselves."""
    columns = [
        _column(column, nullable=not column.required, primary_key=column.name in table.key) for column in table.columns
    ]
    # Its key is most of a row: kept once, and not a second time as an index.
    return sa.Table(table.name, metadata, *columns, sqlite_with_rowid=False)


STORED = MappingProxyType(
    {t.name: _fact(t) if t.fact else _entity(t) if t.sent else _record(t) for t in TABLES.values()}
)
"""Database table of every table of the contract, by name."""

_LINKS, _ATTRIBUTES = STORED["touch_links"], STORED["attributes"]
_EMPLOYER = sa.and_(_ATTRIBUTES.c.entity == "contact", _ATTRIBUTES.c.field == "employer")

sa.Index("touch_links_by_account", _LINKS.c.account_id)
sa.Index(
    "touch_links_by_contact",
    _LINKS.c.contact_id,
    _LINKS.c.account_id,
    sqlite_where=_LINKS.c.contact_id.is_not(None),
    postgresql_where=_LINKS.c.contact_id.is_not(None),
)
sa.Index("attributes_by_employer", _ATTRIBUTES.c.value, sqlite_where=_EMPLOYER, postgresql_where=_EMPLOYER)
_TOUCHES = STORED["touchpoints"]
UNCLEAR = MappingProxyType(
    {
        "contact_id": sa.and_(_TOUCHES.c.account_id.is_(None), _TOUCHES.c.contact_id.is_not(None)),
        "email_hash": sa.and_(
            sa.or_(_TOUCHES.c.account_id.is_(None), _TOUCHES.c.contact_id.is_(None)),
            _TOUCHES.c.email_hash.is_not(None),
        ),
        "domain": sa.and_(_TOUCHES.c.account_id.is_(None), _TOUCHES.c.domain.is_not(None)),
    }
)
"""By identity key: the touches for which it matters whose it is, because they do not say themselves."""

for _key, _matters in UNCLEAR.items():
    sa.Index(f"touchpoints_by_{_key}", _TOUCHES.c[_key], sqlite_where=_matters, postgresql_where=_matters)

sa.Index("deals_by_account", STORED["deals"].c.account_id)
sa.Index("stage_changes_by_account", STORED["stage_changes"].c.account_id)
sa.Index("handoffs_by_account", STORED["handoffs"].c.account_id)

head = sa.Table(
    "head",
    metadata,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True),
    sa.Column("ledger_seq", _WHOLE, nullable=False),
    sa.Column("known_at", _WHOLE, nullable=False),
)
"""One row: the last position given out, and the newest stamp."""

account_versions = sa.Table(
    "account_versions",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("seq", _WHOLE, nullable=False),
)
"""Position of the last change that can alter an account's features. The row of `EVERY_ACCOUNT` counts for all."""

EVERY_ACCOUNT = ""
"""The id in `account_versions` that stands for all accounts: a rate of exchange concerns each of them."""

identities = sa.Table(
    "identities",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("owner_id", sa.Text, primary_key=True),
    sa.Column("known_at", _WHOLE, nullable=False),
)
"""Whose an e-mail hash (a contact's) or a domain (an account's) is, and since when we know."""
sa.Index("identities_by_owner", identities.c.owner_id)

clamped_keys = sa.Table(
    "clamped_keys",
    metadata,
    sa.Column("table_name", sa.Text, primary_key=True),
    sa.Column("sent_key", sa.Text, primary_key=True),
    sa.Column("clock", _WHOLE, nullable=False),
)
"""Rows whose clock is part of their key and ran ahead: the key as sent, and the time it was clamped to."""

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("id", _WHOLE, primary_key=True, autoincrement=True),
    sa.Column("batch", sa.Text, nullable=False),
    sa.Column("row_number", _WHOLE, nullable=False),
    sa.Column("table_name", sa.Text, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("raw", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", _WHOLE, nullable=False),
    sa.Column("resolved_at", _WHOLE),
)
"""Rows that were refused; `digest` keeps one from being listed twice when its file is sent twice."""

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
"""Secrets and facts of this one store."""

account_touches = sa.table(
    "account_touches",
    *(sa.column(column.name, _TYPES[column.type]) for column in TABLES["touchpoints"].columns),
    sa.column("known_from", _WHOLE),
    sa.column("known_until", _WHOLE),
    sa.column("known_at_origin", sa.Text),
    sa.column("ledger_seq", _WHOLE),
)
"""The view of touches with the account they belong to and the interval in which both were known."""
