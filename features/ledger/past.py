"""The ledger as it stood at an earlier position: what was stored later has neither come nor closed anything.

A revision is visible until the smallest `known_at` of a higher one, so leaving out the rows behind the position and
forming `known_until` of the others anew gives back what a reader saw then. Entities are given as they are now: no
feature reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from features.ledger.tables import STORED
from features.schema import FOREVER, TABLES

AT: sa.BindParameter[int] = sa.bindparam("at", type_=sa.BigInteger())
"""The position, in every statement over what this module returns."""


def revisions(name: str) -> sa.Subquery:
    """Return the rows of a fact table as stored up to the position."""
    stored = STORED[name]
    higher = stored.alias()
    same = (higher.c[key] == stored.c[key] for key in TABLES[name].key)
    closed = (
        sa.select(sa.func.min(higher.c.known_at))
        .where(*same, higher.c.revision > stored.c.revision, higher.c.ledger_seq <= AT)
        .scalar_subquery()
    )
    # Nothing ever opens a row again: what is open now was open then, and nearly all rows are.
    until = sa.case((stored.c.known_until == FOREVER, FOREVER), else_=sa.func.coalesce(closed, FOREVER))
    columns = [until.label("known_until") if column.name == "known_until" else column for column in stored.c]
    return sa.select(*columns).where(stored.c.ledger_seq <= AT).subquery(f"past_{name}")


def account_touches() -> sa.Subquery:
    """Return the view of touches with the account they belong to, as it was at the position."""
    touch, link = revisions("touchpoints"), revisions("touch_links")
    whose = {"account_id": link.c.account_id, "contact_id": link.c.contact_id}
    known_from = sa.case((touch.c.known_at >= link.c.known_at, touch.c.known_at), else_=link.c.known_at)
    known_until = sa.case((touch.c.known_until <= link.c.known_until, touch.c.known_until), else_=link.c.known_until)
    columns: Mapping[str, sa.ColumnElement[Any]] = {
        **{name: touch.c[name] for name in TABLES["touchpoints"].names},
        **whose,
        "known_from": known_from,
        "known_until": known_until,
        "known_at_origin": touch.c.known_at_origin,
        "ledger_seq": touch.c.ledger_seq,
    }
    same = sa.and_(touch.c.source == link.c.source, touch.c.event_id == link.c.event_id)
    joined = sa.select(*(column.label(name) for name, column in columns.items())).select_from(link.join(touch, same))
    seen = joined.where(link.c.account_id.is_not(None), ~link.c.deleted, ~touch.c.deleted).subquery("seen")
    return sa.select(seen).where(seen.c.known_from < seen.c.known_until).subquery("past_account_touches")
