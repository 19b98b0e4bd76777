"""Events that match nothing are listed by their day, so that they leave no roll-up out of date."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = 'text collate "C"' if op.get_bind().dialect.name == "postgresql" else "text"
    op.execute(f"create table stray_events (event_id {kind} primary key, day text not null)")
    op.execute("create index ix_stray_events_day on stray_events (day)")


def downgrade() -> None:
    op.drop_table("stray_events")
