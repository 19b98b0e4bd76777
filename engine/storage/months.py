"""Facts by the month: partitions in PostgreSQL, and dropping what is old in both databases.

A query of PostgreSQL locks every partition and each of its indexes, so that their number is
limited: facts of months without a partition are in the default one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import MAXYEAR, UTC, datetime

from sqlalchemy import Connection, delete, func, select, text

from mersalg.engine import clock
from mersalg.engine.errors import StorageUnavailable
from mersalg.engine.storage.connection import Database
from mersalg.engine.storage.tables import decisions, fact_ids, facts, named_offers, offers

Month = tuple[int, int]
"""Year and month, of UTC."""

MAXIMUM_MONTHS = 120
"""Maximum number of months with a partition; a report then takes about a thousand locks."""
_YEARS_BACK = 5
"""Age of the oldest month for which a partition is created."""
_FOLDED_AT_ONCE = 20
_AGAIN_SECONDS = 60.0
_DEFAULT = "facts_default"
_LOCK = 7_305_102  # any number, the same in every process
_SMALLEST = text(
    """
    SELECT relname FROM pg_class JOIN pg_inherits ON inhrelid = oid
    WHERE inhparent = to_regclass('facts') AND relname <> ALL(:kept)
    ORDER BY pg_relation_size(oid), relname
    LIMIT (
        SELECT least(greatest(count(*) - :maximum, 0), :at_once) FROM pg_inherits
        WHERE inhparent = to_regclass('facts')
    )
    """
)


def month_of(instant: int) -> Month:
    """Return the month of an instant (microseconds)."""
    moment = clock.to_datetime(instant)
    return moment.year, moment.month


def create_default(connection: Connection) -> None:
    """Create the partition of the facts that are in no month of their own, if it is missing."""
    _take_turns(connection)
    if not _exists(connection, _DEFAULT):
        connection.exec_driver_sql(f"create table {_DEFAULT} (like facts including all)")
        connection.exec_driver_sql(f"alter table facts attach partition {_DEFAULT} default")


def create_month(connection: Connection, month: Month) -> None:
    """Create the partition of a month, where there is none yet and there may be one more.

    A month of which facts are in the default partition stays there.
    """
    name, begin, end = _name(month), _begin(month), _begin(_after(month))
    _take_turns(connection)
    if _exists(connection, name):
        return
    # To be attached, a partition waits for all readers of the default one, and others wait for it.
    connection.exec_driver_sql("set local lock_timeout = '1s'")
    connection.exec_driver_sql(f"lock table {_DEFAULT} in access exclusive mode")
    partitions = "select count(*) from pg_inherits where inhparent = to_regclass('facts')"
    inside = f"select 1 from {_DEFAULT} where occurred_at >= {begin} and occurred_at < {end}"  # noqa: S608
    is_full = (connection.scalar(text(partitions)) or 0) > MAXIMUM_MONTHS
    if is_full or connection.scalar(text(f"{inside} limit 1")) is not None:
        return
    connection.exec_driver_sql(f"create table {name} (like facts including all)")
    connection.exec_driver_sql(
        f"alter table facts attach partition {name} for values from ({begin}) to ({end})"
    )


def fold_months(database: Database) -> None:
    """Move the smallest months into the default partition while there are too many.

    Earlier versions created one for every month that a fact was dated into, until no transaction
    could lock them all. A few at a time: each transaction locks what it moves.
    """
    if database.engine.dialect.name != "postgresql":
        return
    current = month_of(clock.now())
    names = {
        "kept": [_DEFAULT, _name(current), _name(_after(current))],
        "maximum": MAXIMUM_MONTHS + 1,
        "at_once": _FOLDED_AT_ONCE,
    }
    while True:
        with database.writing() as connection:
            _take_turns(connection)
            smallest = connection.scalars(_SMALLEST, names).all()
            if not smallest:
                return
            create_default(connection)
            for name in smallest:
                connection.exec_driver_sql(f"alter table facts detach partition {name}")
                connection.exec_driver_sql(f"insert into {_DEFAULT} select * from {name}")  # noqa: S608
                connection.exec_driver_sql(f"drop table {name}")


class Months:
    """Months of one PostgreSQL database that are known to have a partition, or none."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[Month] = set()
        self._again_at = 0.0

    def ensure(self, instants: Iterable[int]) -> None:
        """Create partitions for facts of these instants, where there are none.

        That of the coming month is created before it is needed. Where one cannot be created now,
        the default partition takes the facts.
        """
        now = month_of(clock.now())
        days = {instant // clock.MICROS_PER_DAY for instant in instants}
        months = {month_of(day * clock.MICROS_PER_DAY) for day in days}
        if now in months:
            months.add(_after(now))
        first = (now[0] - _YEARS_BACK, now[1])
        missing = [each for each in months - self._known if first <= each <= _after(now)]
        if not missing or time.monotonic() < self._again_at:
            return
        try:
            for month in sorted(missing):
                with self._database.writing() as connection:
                    create_month(connection, month)
                self._known.add(month)
        except StorageUnavailable:
            # A long report reads; a database that is away is noticed by the facts themselves.
            self._again_at = time.monotonic() + _AGAIN_SECONDS


def count_before(connection: Connection, instant: int) -> int:
    """Return the number of facts before an instant."""
    query = select(func.count()).select_from(facts).where(facts.c.occurred_at < instant)
    return connection.scalar(query) or 0


def drop_before(database: Database, instant: int, dropped: Callable[[int], None]) -> int:
    """Delete all facts before an instant and return their number; see `Facts.drop_before`.

    PostgreSQL drops whole months; rows are deleted of the last month and the default partition.
    """
    total = 0
    while True:
        with database.writing() as connection:
            oldest = connection.scalar(select(func.min(facts.c.occurred_at)))
            if oldest is None or oldest >= instant:
                return total
            month = month_of(oldest)
            end = min(_begin(_after(month)), instant)
            n_facts = count_before(connection, end)
            is_whole = connection.dialect.name == "postgresql" and end == _begin(_after(month))
            is_whole = is_whole and _exists(connection, _name(month))
            _forget_names(connection, end)
            if is_whole:
                connection.exec_driver_sql(f"drop table {_name(month)}")
            else:
                connection.execute(delete(facts).where(facts.c.occurred_at < end))
            if connection.dialect.name == "postgresql":
                connection.execute(delete(fact_ids).where(fact_ids.c.occurred_at < end))
        total += n_facts
        dropped(n_facts)


def _forget_names(connection: Connection, end: int) -> None:
    old = select(facts.c.event_id).where(facts.c.occurred_at < end)
    for table in (named_offers, offers, decisions):
        connection.execute(delete(table).where(table.c.event_id.in_(old)))


def _take_turns(connection: Connection) -> None:
    """Let one process at a time create or remove partitions."""
    connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _exists(connection: Connection, name: str) -> bool:
    return connection.scalar(text("select to_regclass(:name)"), {"name": name}) is not None


def _after(month: Month) -> Month:
    year, number = month
    return (year + 1, 1) if number == 12 else (year, number + 1)


def _begin(month: Month) -> int:
    if month[0] > MAXYEAR:
        return 2**62
    return clock.to_micros(datetime(month[0], month[1], 1, tzinfo=UTC))


def _name(month: Month) -> str:
    return f"facts_{month[0]:04d}_{month[1]:02d}"
