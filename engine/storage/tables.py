"""The tables of facts, the same in SQLite and PostgreSQL.

A fact is one row that never changes, except when a person is erased. It holds the fact's body, as
JSON in the outward schema, and the columns it is looked up by. Tables name facts by `event_id`
without a reference for the database to check: the writer writes both in one transaction.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

OF_BUYERS = "type in ('decision', 'dismiss_promotion', 'purchase')"
"""Condition of the index by customer, the same text in queries: SQLite uses an index of some rows
only where a query repeats its condition."""


def _of_some(name: str, column: str, condition: str = "") -> Index:
    """Return an index of the facts that a condition holds for: by default those with such an id."""
    some = text(condition or f"{column} is not null")
    return Index(name, column, sqlite_where=some, postgresql_where=some)


facts = Table(
    "facts",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),  # microseconds since the epoch, UTC
    Column("checkout_id", Text),
    Column("session_id", Text),  # a pseudonym
    Column("customer_id", Text),  # a pseudonym
    Column("offer_id", Text),
    Column("transaction_id", Text),
    Column("digest", LargeBinary, nullable=False),  # tells a second delivery from a conflict
    Column("body", Text, nullable=False),
    Index("facts_by_time", "occurred_at"),
    _of_some("facts_by_checkout", "checkout_id"),
    _of_some("facts_by_session", "session_id"),
    # A view or click of a customer is looked for only where a person is exported or erased, which
    # may take a reading of all facts.
    _of_some("facts_by_customer", "customer_id", f"customer_id is not null and {OF_BUYERS}"),
    _of_some("facts_by_offer", "offer_id"),
    _of_some("facts_by_transaction", "transaction_id"),
    _of_some("facts_dismissing", "occurred_at", "type = 'dismiss_promotion'"),
)

fact_ids = Table(
    "fact_ids",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("occurred_at", BigInteger, nullable=False),
)
"""PostgreSQL alone: its `facts` are apart by the month, so this sees to it that ids stand once."""

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    sqlite_with_rowid=False,
)

offers = Table(
    "offers",
    metadata,
    Column("offer_id", Text, primary_key=True),
    Column("event_id", Text, nullable=False, index=True),
    sqlite_with_rowid=False,
)

named_offers = Table(
    "named_offers",
    metadata,
    Column("offer_id", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    sqlite_with_rowid=False,
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

fresh_facts = Table(
    "fresh_facts",
    metadata,
    Column("event_id", Text, nullable=False),
    Column("id", BigInteger, primary_key=True),
)
"""Facts no roll-up has seen yet, in the order in which they came."""

fresh_days = Table(
    "fresh_days",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),  # of UTC, since 1970
    Column("token", Text, nullable=False),
)
"""Days of facts that came in bulk: as `fresh_facts`, by the day."""

stray_events = Table(
    "stray_events",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("day", Text, nullable=False, index=True),  # local
    Column("is_own", Boolean, nullable=False),  # whether its id is one that the service gives
)
"""See `mersalg.engine.storage.strays`."""

stale_days = Table(
    "stale_days",
    metadata,
    Column("day", Text, primary_key=True),
    Column("token", Text, nullable=False),  # another one each time the day goes stale again
    Column("spreads", Boolean, nullable=False),
)
"""Local days whose roll-up is out of date; where it `spreads`, so may be those of linked facts."""

rollups = Table(
    "rollups",
    metadata,
    Column("day", Text, primary_key=True),  # local, 2026-01-31
    Column("body", LargeBinary, nullable=False),
    Column("offers", LargeBinary),
)
"""`offers` is of the day's single offers; null where its facts were dropped."""

rollup_units = Table(
    "rollup_units",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)
"""Numbers that stand for units inside roll-ups."""

spanning_checkouts = Table(
    "spanning_checkouts",
    metadata,
    Column("checkout_id", Text, primary_key=True),
    Column("first_day", Text, nullable=False),
    Column("last_day", Text, nullable=False),
)
"""Checkouts decided on several local days: no one day holds them."""

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("occurred_at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text),
    Column("outcome", Text, nullable=False),
)
"""What administrators did; entries are added, never changed."""

live_entries = Table(
    "live_entries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False, index=True),
    Column("body", Text, nullable=False),
)
"""See `mersalg.engine.storage.live`."""

price_changes = Table(
    "price_changes",
    metadata,
    Column("at", BigInteger, primary_key=True, autoincrement=False),  # microseconds, UTC
    Column("n", BigInteger, nullable=False),
)
"""How many prices changed from an instant on, for a quarter of an hour: local days begin at one."""
