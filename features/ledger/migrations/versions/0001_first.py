"""The tables of the first version. Never edited: a change of the contract is a further version."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_FACT = "revision:int! deleted:flag! known_at:int! known_until:int! known_at_origin:text! ledger_seq:id! digest:text!"
_ENTITY = "ledger_seq:int! digest:text!"

_FACTS = {
    "attributes": ("entity id field occurred_at", "entity id field occurred_at:int value set_by"),
    "touchpoints": (
        "source event_id",
        "source event_id occurred_at:int account_id contact_id device email_hash domain channel campaign content "
        "product touch_type content_stage direction actor_id reply_to cost:int currency properties",
    ),
    "touch_links": ("source event_id", "source event_id account_id contact_id"),
    "deals": (
        "deal_id occurred_at",
        "deal_id occurred_at:int account_id cycle_id kind product amount:int currency outcome loss_reason owner_id",
    ),
    "stage_changes": ("change_id", "change_id account_id cycle_id kind stage occurred_at:int set_by reason"),
    "handoffs": (
        "handoff_id",
        "handoff_id account_id handed_at:int to accepted_at:int rejected_reason problem decision_power budget "
        "alternatives source_channel outcome_at:int",
    ),
    "spend": (
        "channel campaign period_start",
        "channel campaign period_start:int period_end:int amount:int currency",
    ),
    "targets": ("metric segment period_start", "metric segment period_start:int period_end:int value:real"),
    "fx_rates": ("currency date", "currency date:int rate:real"),
}
_ENTITIES = {
    "accounts": ("account_id", "account_id name domain parent_id created_at:int"),
    "contacts": ("contact_id", "contact_id email_hash created_at:int"),
    "scores": (
        "account_id goal scored_at",
        "account_id goal scored_at:int model_version probability:real logit:real grade",
    ),
}
_OWN = {
    "head": ("id", "id:small ledger_seq:int! known_at:int!"),
    "account_versions": ("account_id", "account_id seq:int!"),
    "identities": ("kind value owner_id", "kind value owner_id known_at:int!"),
    "clamped_keys": ("table_name sent_key", "table_name sent_key clock:int!"),
    "settings": ("name", "name value!"),
}

_VIEW = """
CREATE VIEW account_touches AS
SELECT * FROM (
    SELECT t.source, t.event_id, t.occurred_at, l.account_id, l.contact_id, t.device, t.email_hash, t.domain,
           t.channel, t.campaign, t.content, t.product, t.touch_type, t.content_stage, t.direction, t.actor_id,
           t.reply_to, t.cost, t.currency, t.properties,
           CASE WHEN t.known_at >= l.known_at THEN t.known_at ELSE l.known_at END AS known_from,
           CASE WHEN t.known_until <= l.known_until THEN t.known_until ELSE l.known_until END AS known_until,
           t.known_at_origin, t.ledger_seq
    FROM touch_links AS l
    JOIN touchpoints AS t ON t.source = l.source AND t.event_id = l.event_id
    WHERE l.account_id IS NOT NULL AND NOT l.deleted AND NOT t.deleted
) AS seen
WHERE known_from < known_until
"""


def upgrade() -> None:
    """Make every table, index and view."""
    for name, (key, columns) in _FACTS.items():
        unique = sa.UniqueConstraint(*key.split(), "revision")
        op.create_table(name, *_columns(f"{columns} {_FACT}", mandatory=key), unique)
    for name, (key, columns) in _ENTITIES.items():
        op.create_table(name, *_columns(f"{columns} {_ENTITY}", mandatory=key, primary=key))
    for name, (key, columns) in _OWN.items():
        check = (sa.CheckConstraint("id = 1"),) if name == "head" else ()
        op.create_table(name, *_columns(columns, mandatory=key, primary=key), *check)
    op.create_table(
        "dead_letters",
        sa.Column("id", _WHOLE, primary_key=True, autoincrement=True),
        *_columns(
            "batch! row_number:int! table_name! field! code! value! reason! raw! digest! created_at:int! "
            "resolved_at:int"
        ),
        sa.UniqueConstraint("digest"),
    )
    _indexes()
    op.execute(_VIEW)
    op.execute("INSERT INTO head (id, ledger_seq, known_at) VALUES (1, 0, 0)")


def _indexes() -> None:
    for table in ("touch_links", "deals", "stage_changes", "handoffs"):
        op.create_index(f"{table}_by_account", table, ["account_id"])
    known = sa.text("contact_id IS NOT NULL")
    op.create_index(
        "touch_links_by_contact",
        "touch_links",
        ["contact_id", "account_id"],
        sqlite_where=known,
        postgresql_where=known,
    )
    employer = sa.text("entity = 'contact' AND field = 'employer'")
    op.create_index("attributes_by_employer", "attributes", ["value"], sqlite_where=employer, postgresql_where=employer)
    op.create_index("identities_by_owner", "identities", ["owner_id"])
    for key, matters in (
        ("contact_id", "account_id IS NULL AND contact_id IS NOT NULL"),
        ("email_hash", "(account_id IS NULL OR contact_id IS NULL) AND email_hash IS NOT NULL"),
        ("domain", "account_id IS NULL AND domain IS NOT NULL"),
    ):
        where = sa.text(matters)
        op.create_index(f"touchpoints_by_{key}", "touchpoints", [key], sqlite_where=where, postgresql_where=where)


def _columns(described: str, mandatory: str = "", primary: str = "") -> list[sa.Column[object]]:
    """Read ``name:type`` (text when no type), ``!`` marking what may not be missing; ``id`` is a primary key."""
    types: dict[str, Any] = {
        "text": sa.Text(),
        "int": _WHOLE,
        "id": _WHOLE,
        "small": sa.Integer(),
        "real": sa.Double(),
        "flag": sa.Boolean(),
    }
    columns: list[sa.Column[object]] = []
    for word in described.split():
        name, _, kind = word.rstrip("!").partition(":")
        required = word.endswith("!") or name in mandatory.split()
        columns.append(
            sa.Column(
                name, types[kind or "text"], nullable=not required, primary_key=kind == "id" or name in primary.split()
            )
        )
    return columns
