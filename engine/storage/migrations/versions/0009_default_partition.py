"""PostgreSQL keeps facts of months without a partition of their own in a default one."""

from __future__ import annotations

from alembic import op

from mersalg.engine.storage.months import create_default

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        create_default(op.get_bind())


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    if op.get_bind().exec_driver_sql("select 1 from facts_default limit 1").first():
        raise NotImplementedError("earlier versions have no place for its facts; restore a backup")
    op.execute("drop table facts_default")
