"""Roll-ups have the offers of a day beside its units, so that reports by any key read them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rollups", sa.Column("offers", sa.LargeBinary))


def downgrade() -> None:
    op.drop_column("rollups", "offers")
