"""What PostgreSQL's planner has to be told; SQLite follows indexes anyway."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from engine.storage.tables import decisions, facts, named_offers, offers

_ALONG_INDEXES = "; ".join(
    f"SET LOCAL {method} = off"
    for method in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
)
_OUT_OF_DATE = text(
    """
    SELECT whole.reltuples < 0 OR sum(months.n_live_tup) > 2 * whole.reltuples + 1000
    FROM pg_class AS whole
    JOIN pg_inherits ON pg_inherits.inhparent = whole.oid
    JOIN pg_stat_user_tables AS months ON months.relid = pg_inherits.inhrelid
    WHERE whole.oid = to_regclass(:name)
    GROUP BY whole.reltuples
    """
)


def follow_indexes(connection: Connection) -> None:
    """For the rest of the transaction: a small part of the facts is wanted.

    How much the steps from one to the next find can only be guessed, and is guessed so high that
    reading everything, once for each step, looks cheaper.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_ALONG_INDEXES)


def keep_statistics(engine: Engine) -> None:
    """Where the facts have doubled since, or nobody has: have PostgreSQL look at them.

    By itself it looks at single months only, and guesses at all of them together so badly that a
    day takes longer to read than the whole. Whoever may only read goes without.
    """
    if engine.dialect.name != "postgresql":
        return
    with engine.connect() as connection:
        if not connection.scalar(_OUT_OF_DATE, {"name": facts.name}):
            return
    with engine.connect() as connection, suppress(DBAPIError):
        names = ", ".join(table.name for table in (facts, decisions, offers, named_offers))
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql(f"ANALYZE {names}")
