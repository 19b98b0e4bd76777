"""Fewer and narrower indexes, and no references that are checked row by row.

The index by time holds the time alone: event ids made half of it, and equal times are sorted while
they are read. No question looks a decision up by its `event_id`, so that index goes. References to
a fact were looked up for each row that names one, although both are written in one transaction;
and where old facts were dropped, each dropped fact was looked for in every table that may name it.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = {
    "decisions": "decision_id TEXT NOT NULL PRIMARY KEY, event_id TEXT NOT NULL",
    "offers": "offer_id TEXT NOT NULL PRIMARY KEY, event_id TEXT NOT NULL",
    "named_offers": (
        "offer_id TEXT NOT NULL, event_id TEXT NOT NULL, PRIMARY KEY (offer_id, event_id)"
    ),
}


def upgrade() -> None:
    op.execute("DROP INDEX facts_by_time")
    op.execute("CREATE INDEX facts_by_time ON facts (occurred_at)")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE decisions DROP CONSTRAINT decisions_event_id_key")
        for table in _TABLES:
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_event_id_fkey")
    else:
        _make_again(_TABLES)


def downgrade() -> None:
    op.execute("DROP INDEX facts_by_time")
    op.execute("CREATE INDEX facts_by_time ON facts (occurred_at, event_id)")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE decisions ADD CONSTRAINT decisions_event_id_key UNIQUE (event_id)")
        for table in _TABLES:
            op.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {table}_event_id_fkey"
                " FOREIGN KEY (event_id) REFERENCES fact_ids (event_id) NOT VALID"
            )
        return
    event_id = "event_id TEXT NOT NULL REFERENCES facts (event_id)"
    unique = {"decisions": f"{event_id} UNIQUE"}
    _make_again(
        {
            table: columns.replace("event_id TEXT NOT NULL", unique.get(table, event_id))
            for table, columns in _TABLES.items()
        }
    )


def _make_again(tables: dict[str, str]) -> None:
    """Copy tables of SQLite, which cannot drop or add a constraint of one that is there."""
    for table, columns in tables.items():
        op.execute(f"CREATE TABLE again ({columns}) WITHOUT ROWID")
        op.execute(f"INSERT INTO again SELECT * FROM {table} ORDER BY 1")  # noqa: S608
        op.execute(f"DROP TABLE {table}")
        op.execute(f"ALTER TABLE again RENAME TO {table}")
    op.execute("CREATE INDEX ix_offers_event_id ON offers (event_id)")
