"""An index of the dismissals: whether there are any of late is asked at every suggestion."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_IS_DISMISSAL = sa.text("type = 'dismiss_promotion'")


def upgrade() -> None:
    op.create_index(
        "facts_dismissing",
        "facts",
        ["occurred_at"],
        sqlite_where=_IS_DISMISSAL,
        postgresql_where=_IS_DISMISSAL,
    )


def downgrade() -> None:
    op.drop_index("facts_dismissing", "facts")
