"""Facts by the month: partitions in PostgreSQL, and dropping what is old in both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import MAXYEAR, UTC, datetime

from sqlalchemy import Connection, delete, func, select, text

from engine import clock
from engine.storage.connection import Database
from engine.storage.tables import decisions, fact_ids, facts, named_offers, offers

Month = tuple[int, int]
"""Year and month, of UTC."""

_LOCK = 7_305_102  # any number, the same in every process


def month_of(instant: int) -> Month:
    """Return the month of an instant (microseconds)."""
    moment = clock.to_datetime(instant)
    return moment.year, moment.month


def months_between(earliest: int, latest: int) -> Iterator[Month]:
    """Yield the months of two instants and all between them."""
    month, last = month_of(earliest), month_of(latest)
    while month <= last:
        yield month
        month = _after(month)


def create_month(connection: Connection, month: Month) -> None:
    """Create the partition of a month, where there is none yet.

    It is created by itself and then attached, for which neither readers nor writers have to wait.
    """
    name = _name(month)
    # Of two processes that meet a new month, one makes it.
    connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if connection.scalar(text("select to_regclass(:name)"), {"name": name}) is not None:
        return
    begin, end = _begin(month), _begin(_after(month))
    connection.exec_driver_sql(f"create table {name} (like facts including all)")
    connection.exec_driver_sql(
        f"alter table facts attach partition {name} for values from ({begin}) to ({end})"
    )


class Months:
    """Which months of one PostgreSQL database are known to have a partition."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[Month] = set()

    def ensure(self, instants: Iterable[int]) -> None:
        """Create partitions for facts of these instants, where there are none."""
        missing = {month_of(instant) for instant in instants} - self._known
        for month in sorted(missing):
            with self._database.writing() as connection:
                create_month(connection, month)
            self._known.add(month)

    def forget(self) -> None:
        """Look in the database again next time: a month may have been dropped."""
        self._known.clear()


def count_before(connection: Connection, instant: int) -> int:
    """Return the number of facts before an instant."""
    query = select(func.count()).select_from(facts).where(facts.c.occurred_at < instant)
    return connection.scalar(query) or 0


def drop_before(database: Database, instant: int, dropped: Callable[[int], None]) -> int:
    """Delete all facts before an instant and return their number; see `Facts.drop_before`.

    PostgreSQL drops whole months; rows are deleted of the last month only.
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
            whole = connection.dialect.name == "postgresql" and end == _begin(_after(month))
            _forget_names(connection, end)
            if whole:
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


def _after(month: Month) -> Month:
    year, number = month
    return (year + 1, 1) if number == 12 else (year, number + 1)


def _begin(month: Month) -> int:
    if month[0] > MAXYEAR:
        return 2**62
    return clock.to_micros(datetime(month[0], month[1], 1, tzinfo=UTC))


def _name(month: Month) -> str:
    return f"facts_{month[0]:04d}_{month[1]:02d}"
