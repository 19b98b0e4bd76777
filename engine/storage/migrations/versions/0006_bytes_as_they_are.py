"""PostgreSQL compares ids by their bytes, and keeps roll-ups as they come.

What order a language puts ids in is of no use, and takes most of the time an index costs. SQLite
compares bytes anyway, so that both databases now list facts in one order. Roll-ups are read far
more often than written, and unpacking what PostgreSQL had packed took longer than reading it.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_IDS = {
    "facts": (
        *("event_id", "checkout_id", "session_id", "customer_id", "offer_id"),
        "transaction_id",
    ),
    "fact_ids": ("event_id",),
    "decisions": ("decision_id", "event_id"),
    "offers": ("offer_id", "event_id"),
    "named_offers": ("offer_id", "event_id"),
    "fresh_facts": ("event_id",),
    "rollup_units": ("name",),
    "spanning_checkouts": ("checkout_id",),
}


def upgrade() -> None:
    _change('"C"', "EXTERNAL")


def downgrade() -> None:
    _change('"default"', "EXTENDED")


def _change(collation: str, storage: str) -> None:
    """Change the collation of id columns, which builds their indexes again and writes no row."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, columns in _IDS.items():
        changes = (f"ALTER COLUMN {column} TYPE text COLLATE {collation}" for column in columns)
        op.execute(f"ALTER TABLE {table} {', '.join(changes)}")
    op.execute(f"ALTER TABLE rollups ALTER COLUMN body SET STORAGE {storage}")
