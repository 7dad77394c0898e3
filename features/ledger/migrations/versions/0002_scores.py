"""Scores are kept with what it takes to give them again. Those of an older table lack it and are set aside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table anew, under its wider key; rows of the old one stay as `scores_0001`."""
    if op.get_bind().execute(sa.select(sa.literal(1)).select_from(sa.table("scores")).limit(1)).first():
        op.rename_table("scores", "scores_0001")
    else:
        op.drop_table("scores")
    op.create_table(
        "scores",
        sa.Column("account_id", sa.Text(), primary_key=True),
        sa.Column("goal", sa.Text(), primary_key=True),
        sa.Column("scored_at", _WHOLE, primary_key=True),
        sa.Column("ledger_seq", _WHOLE, primary_key=True),
        sa.Column("model_digest", sa.Text(), primary_key=True),
        sa.Column("agreement_digest", sa.Text(), primary_key=True),
        sa.Column("origin", sa.Text(), primary_key=True),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("given_at", _WHOLE, nullable=False),
        sa.Column("probability", sa.Double()),
        sa.Column("logit", sa.Double()),
        sa.Column("score", _WHOLE, nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
