"""How many prices changed, and when, so that reports of past periods can mark it."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create table price_changes (at bigint not null primary key, n bigint not null)")


def downgrade() -> None:
    op.drop_table("price_changes")
