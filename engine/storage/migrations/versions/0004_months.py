"""PostgreSQL keeps facts by the month, so that old months can be dropped whole.

In both databases indexes leave out the facts that do not have what they look up.

A partitioned table cannot see to it that an `event_id` is in one month only: that is the work
of `fact_ids`, a narrow table of its own. SQLite has no partitions, and keeps the table it has.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mersalg.engine.storage.months import create_default, create_month, month_of

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OF_SOME = {
    "facts_by_checkout": "checkout_id",
    "facts_by_session": "session_id",
    "facts_by_customer": "customer_id",
    "facts_by_offer": "offer_id",
    "facts_by_transaction": "transaction_id",
}
_NAMING = ("decisions", "offers", "named_offers")


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        for name in _OF_SOME:
            op.drop_index(name)
        _create_indexes()
        return
    for table in _NAMING:
        op.drop_constraint(f"{table}_event_id_fkey", table)
    for name in (*_OF_SOME, "facts_by_time", "facts_dismissing"):
        op.drop_index(name)
    op.execute("alter table facts rename constraint facts_pkey to facts_whole_pkey")
    op.rename_table("facts", "facts_whole")
    op.execute(
        "create table facts (event_id text not null, type text not null,"
        " occurred_at bigint not null, checkout_id text, session_id text, customer_id text,"
        " offer_id text, transaction_id text, digest bytea not null, body text not null,"
        " primary key (event_id, occurred_at)) partition by range (occurred_at)"
    )
    op.execute("create index facts_by_time on facts (occurred_at, event_id)")
    _create_indexes()
    op.execute(
        "create index facts_dismissing on facts (occurred_at) where type = 'dismiss_promotion'"
    )
    op.create_table(
        "fact_ids",
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
    )
    op.execute("create index fact_ids_by_time on fact_ids using brin (occurred_at)")
    op.execute("insert into fact_ids select event_id, occurred_at from facts_whole")
    create_default(connection)
    daily = "select min(occurred_at) from facts_whole group by occurred_at / 86400000000"
    for month in sorted({*map(month_of, connection.scalars(sa.text(daily)))}, reverse=True):
        create_month(connection, month)
    op.execute(
        "insert into facts select event_id, type, occurred_at, checkout_id, session_id,"
        " customer_id, offer_id, transaction_id, digest, body from facts_whole"
    )
    op.drop_table("facts_whole")
    for table in _NAMING:
        op.create_foreign_key(
            f"{table}_event_id_fkey", table, "fact_ids", ["event_id"], ["event_id"]
        )


def _create_indexes() -> None:
    for name, column in _OF_SOME.items():
        op.execute(f"create index {name} on facts ({column}) where {column} is not null")


def downgrade() -> None:
    raise NotImplementedError("months cannot be put together again; restore a backup")
