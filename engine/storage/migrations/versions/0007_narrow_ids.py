"""SQLite keeps tables of ids as their keys alone, and every database has all keys and indexes.

A table of ids with a key was two trees, the rows and the key that points to them: without a row id
it is one, and a commit writes half the pages. Earlier versions filled an empty database without
keys and indexes and built them at the end; where such a load was interrupted, they are built here.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_EVENT_ID = "event_id TEXT NOT NULL REFERENCES facts (event_id)"
_NARROW = {
    "decisions": f"decision_id TEXT NOT NULL PRIMARY KEY, {_EVENT_ID} UNIQUE",
    "offers": f"offer_id TEXT NOT NULL PRIMARY KEY, {_EVENT_ID}",
    "named_offers": f"offer_id TEXT NOT NULL, {_EVENT_ID}, PRIMARY KEY (offer_id, event_id)",
    "fresh_facts": "event_id TEXT NOT NULL PRIMARY KEY",
}
_INDEXES = {
    "facts_by_time": "facts (occurred_at, event_id)",
    "facts_dismissing": "facts (occurred_at) WHERE type = 'dismiss_promotion'",
    **{
        f"facts_by_{name}": f"facts ({name}_id) WHERE {name}_id IS NOT NULL"
        for name in ("checkout", "session", "customer", "offer", "transaction")
    },
    "ix_offers_event_id": "offers (event_id)",
}
_REFERENCE = "FOREIGN KEY (event_id) REFERENCES fact_ids (event_id) NOT VALID"
_CONSTRAINTS = {
    "fact_ids_pkey": ("fact_ids", "PRIMARY KEY (event_id)"),
    "facts_pkey": ("facts", "PRIMARY KEY (event_id, occurred_at)"),
    "decisions_pkey": ("decisions", "PRIMARY KEY (decision_id)"),
    "decisions_event_id_key": ("decisions", "UNIQUE (event_id)"),
    "offers_pkey": ("offers", "PRIMARY KEY (offer_id)"),
    "named_offers_pkey": ("named_offers", "PRIMARY KEY (offer_id, event_id)"),
    # Not checked for the rows that are there: each came in one transaction with its fact.
    **{
        f"{table}_event_id_fkey": (table, _REFERENCE)
        for table in ("decisions", "offers", "named_offers")
    },
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        present = set(op.get_bind().scalars(sa.text("SELECT conname FROM pg_constraint")))
        for name, (table, rule) in _CONSTRAINTS.items():
            if name not in present:
                op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {rule}")
    else:
        if not sa.inspect(op.get_bind()).get_pk_constraint("facts")["constrained_columns"]:
            op.execute("CREATE UNIQUE INDEX IF NOT EXISTS facts_key ON facts (event_id)")
        for table, columns in _NARROW.items():
            op.execute(f"CREATE TABLE narrow ({columns}) WITHOUT ROWID")
            op.execute(f"INSERT INTO narrow SELECT * FROM {table} ORDER BY 1")  # noqa: S608
            op.execute(f"DROP TABLE {table}")
            op.execute(f"ALTER TABLE narrow RENAME TO {table}")
    for name, columns in _INDEXES.items():
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {columns}")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        return
    for table, columns in _NARROW.items():
        op.execute(f"CREATE TABLE wide ({columns})")
        op.execute(f"INSERT INTO wide SELECT * FROM {table}")  # noqa: S608
        op.execute(f"DROP TABLE {table}")
        op.execute(f"ALTER TABLE wide RENAME TO {table}")
    op.execute("CREATE INDEX ix_offers_event_id ON offers (event_id)")
