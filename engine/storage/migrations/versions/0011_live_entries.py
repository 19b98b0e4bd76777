"""Items and rules of the shop that change between trainings."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = 'text collate "C"' if op.get_bind().dialect.name == "postgresql" else "text"
    op.execute(
        f"create table live_entries (kind {kind} not null, id {kind} not null,"
        " revision bigint not null, body text not null, primary key (id, kind))"
    )
    op.execute("create index ix_live_entries_revision on live_entries (revision)")


def downgrade() -> None:
    op.drop_table("live_entries")
