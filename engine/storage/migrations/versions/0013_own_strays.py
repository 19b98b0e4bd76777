"""Events that match nothing are apart by whether their offer's id is one that the service gives."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default is for processes of the version before; the roll-ups' version sorts all again.
    op.execute("alter table stray_events add column is_own boolean not null default true")


def downgrade() -> None:
    op.execute("alter table stray_events drop column is_own")
