"""Facts, decisions, offers and settings.

Written out rather than taken from `mersalg.engine.storage.tables`: a migration stays what it was.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "facts",
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("checkout_id", sa.Text),
        sa.Column("session_id", sa.Text),
        sa.Column("customer_id", sa.Text),
        sa.Column("offer_id", sa.Text),
        sa.Column("transaction_id", sa.Text),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    for name, columns in {
        "facts_by_time": ["occurred_at", "event_id"],
        "facts_by_checkout": ["checkout_id"],
        "facts_by_session": ["session_id"],
        "facts_by_customer": ["customer_id"],
        "facts_by_offer": ["offer_id"],
        "facts_by_transaction": ["transaction_id"],
    }.items():
        op.create_index(name, "facts", columns)
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.Text, primary_key=True),
        sa.Column(
            "event_id", sa.Text, sa.ForeignKey("facts.event_id"), nullable=False, unique=True
        ),
    )
    op.create_table(
        "offers",
        sa.Column("offer_id", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, sa.ForeignKey("facts.event_id"), nullable=False),
    )
    op.create_index("ix_offers_event_id", "offers", ["event_id"])
    op.create_table(
        "named_offers",
        sa.Column("offer_id", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, sa.ForeignKey("facts.event_id"), primary_key=True),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for name in ("settings", "named_offers", "offers", "decisions", "facts"):
        op.drop_table(name)
