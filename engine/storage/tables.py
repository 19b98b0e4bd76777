"""The tables of facts, the same in SQLite and PostgreSQL.

A fact is one row that never changes but for the erasure of a person. Beside its body, as JSON in
the outward schema, stand the columns it is looked up by.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

IS_DISMISSAL = text("type = 'dismiss_promotion'")
"""Spelt out, not bound: SQLite uses an index of some rows only where it sees them named."""

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
    Index("facts_by_time", "occurred_at", "event_id"),
    Index("facts_by_checkout", "checkout_id"),
    Index("facts_by_session", "session_id"),
    Index("facts_by_customer", "customer_id"),
    Index("facts_by_offer", "offer_id"),
    Index("facts_by_transaction", "transaction_id"),
    Index(
        "facts_dismissing", "occurred_at", sqlite_where=IS_DISMISSAL, postgresql_where=IS_DISMISSAL
    ),
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", Text, primary_key=True),
    Column("event_id", Text, ForeignKey("facts.event_id"), nullable=False, unique=True),
)

offers = Table(
    "offers",
    metadata,
    Column("offer_id", Text, primary_key=True),
    Column("event_id", Text, ForeignKey("facts.event_id"), nullable=False, index=True),
)

named_offers = Table(
    "named_offers",
    metadata,
    Column("offer_id", Text, primary_key=True),
    Column("event_id", Text, ForeignKey("facts.event_id"), primary_key=True),
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
