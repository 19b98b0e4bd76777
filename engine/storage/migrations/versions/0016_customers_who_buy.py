"""The index by customer holds decisions, purchases and dismissals, and not views and clicks.

These were most of it, and only the export and erasure of a person look for them. The ids that
PostgreSQL keeps beside its months have no index by time: only dropping old facts looked there.
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP INDEX facts_by_customer")
    op.execute(
        "CREATE INDEX facts_by_customer ON facts (customer_id) WHERE customer_id IS NOT NULL"
        " AND type IN ('decision', 'dismiss_promotion', 'purchase')"
    )
    op.execute("DROP INDEX IF EXISTS fact_ids_by_time")


def downgrade() -> None:
    op.execute("DROP INDEX facts_by_customer")
    op.execute(
        "CREATE INDEX facts_by_customer ON facts (customer_id) WHERE customer_id IS NOT NULL"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE INDEX fact_ids_by_time ON fact_ids USING brin (occurred_at)")
