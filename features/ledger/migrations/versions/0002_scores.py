"""Scores are kept with what it takes to give them again. The table was empty until now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table anew, under its wider key."""
    op.drop_table("scores")
    op.create_table(
        "scores",
        sa.Column("account_id", sa.Text(), primary_key=True),
        sa.Column("goal", sa.Text(), primary_key=True),
        sa.Column("scored_at", _WHOLE, primary_key=True),
        sa.Column("ledger_seq", _WHOLE, primary_key=True),
        sa.Column("model_digest", sa.Text(), primary_key=True),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("given_at", _WHOLE, nullable=False),
        sa.Column("probability", sa.Double()),
        sa.Column("logit", sa.Double()),
        sa.Column("score", _WHOLE, nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
    )
