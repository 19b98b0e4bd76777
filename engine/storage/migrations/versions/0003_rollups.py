"""Roll-ups of days, and which of them the facts have left behind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("fresh_facts", sa.Column("event_id", sa.Text, primary_key=True))
    op.create_table(
        "fresh_days",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("token", sa.Text, nullable=False),
    )
    op.create_table(
        "stale_days",
        sa.Column("day", sa.Text, primary_key=True),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("spreads", sa.Boolean, nullable=False),
    )
    op.create_table(
        "rollups",
        sa.Column("day", sa.Text, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "rollup_units",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "spanning_checkouts",
        sa.Column("checkout_id", sa.Text, primary_key=True),
        sa.Column("first_day", sa.Text, nullable=False),
        sa.Column("last_day", sa.Text, nullable=False),
    )
    # What was recorded before there were roll-ups is yet to be rolled up.
    op.execute(
        "insert into fresh_days (day, token) select distinct (occurred_at"
        " - ((occurred_at % 86400000000) + 86400000000) % 86400000000) / 86400000000, 'first'"
        " from facts"
    )


def downgrade() -> None:
    for name in (
        *("spanning_checkouts", "rollup_units", "rollups"),
        *("stale_days", "fresh_days", "fresh_facts"),
    ):
        op.drop_table(name)
