"""Batches of facts into the tables: each in one transaction, on disk when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    delete,
    insert,
    select,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError

from engine.clock import MICROS_PER_DAY
from engine.storage import connection as database
from engine.storage.apart import Channel, Started
from engine.storage.batch import OCCURRED_AT, Batch, Row
from engine.storage.loading import Rows
from engine.storage.months import Months
from engine.storage.notes import keep_note
from engine.storage.quick import QuickWay
from engine.storage.rollups import note_days, note_fresh
from engine.storage.tables import decisions, fact_ids, facts, named_offers, offers
from engine.storage.upserts import insert_into

_AT_ONCE = 2_000
_MANY = 500
"""Rows from which copying into PostgreSQL is faster than inserting."""

Taken = set[tuple[str, str]] | None
"""(key, event_id) of rows that were new; None where all were, as they mostly are."""


def writer_for(engine: Engine, apart: URL | None = None) -> Writer:
    """`apart`: where the database is, for batches to be written there by a process of its own."""
    kind = PostgresWriter if engine.dialect.name == "postgresql" else Writer
    return kind(engine, apart)


class Writer:
    """Writes to one database; this one to SQLite, whose writer is alone."""

    keyed: tuple[Table, ...] = (offers, decisions, facts)
    """Tables that hold an `event_id` once recorded, in the order they let go of it."""

    def __init__(self, engine: Engine, apart: URL | None) -> None:
        self._engine = engine
        self._quick = QuickWay(engine, apart)

    def connect(self) -> None:
        """Have the connection for batches before one waits for it."""
        self._quick.connect()

    def close(self) -> None:
        self._quick.close()

    def begin(self, batch: Batch) -> Started | None:
        """Start to record a batch that seems to be new all through; None where only `write` can."""
        return self._quick.begin(batch)

    def channel(self, kind: str) -> Channel | None:
        """For questions of one kind to the process that writes; None where there is none."""
        return self._quick.channel(kind)

    def write(self, batch: Batch) -> None:
        """Record what is new of a batch, and tell it what was not."""
        if self._quick.write(batch):
            return
        with database.writing(self._engine) as connection:
            recorded = self._record(connection, batch.rows)
            if recorded is not None:
                for ids in chunks(batch.keep_new({key for key, _ in recorded})):
                    digests = connection.execute(
                        select(facts.c.event_id, facts.c.digest).where(facts.c.event_id.in_(ids))
                    )
                    batch.compare({row.event_id: bytes(row.digest) for row in digests})
            clashing = set[str]()
            taken = self._taken(connection, decisions, batch.decision_rows)
            if taken is not None:
                clashing |= batch.without_decisions({event_id for _, event_id in taken})
            taken = self._taken(connection, offers, batch.offer_rows)
            if taken is not None:
                clashing |= batch.without_offers(taken)
            for ids in chunks(sorted(clashing)):
                for table in self.keyed:
                    connection.execute(delete(table).where(table.c.event_id.in_(ids)))
            self._insert(connection, named_offers, batch.named_rows)
            note_fresh(connection, batch.new_instants)

    def load(
        self,
        pieces: Sequence[Rows],
        entry: tuple[str, str] | None = None,
        allowed: Callable[[Connection], bool] | None = None,
    ) -> bool:
        """Record rows all of which are new, in one transaction, or nothing; whether they were.

        Args:
            entry: a note to be kept with them, its name and text.
            allowed: asked inside the transaction.
        """
        try:
            with database.writing(self._engine) as connection:
                if allowed is not None and not allowed(connection):
                    return False
                for rows in pieces:
                    self._load(connection, rows)
                note_days(connection, sorted({day for rows in pieces for day in rows.days}))
                if entry is not None:
                    keep_note(connection, *entry)
        except (IntegrityError, self._clash):
            return False
        return True

    def _load(self, connection: Connection, rows: Rows) -> None:
        self._insert(connection, facts, rows.facts)
        self._insert(connection, decisions, rows.decisions)
        self._insert(connection, offers, rows.offers)
        self._insert(connection, named_offers, rows.named)

    @property
    def _clash(self) -> type[Exception]:
        """What the driver itself raises, where it is asked without SQLAlchemy between."""
        driver: Any = self._engine.dialect.loaded_dbapi
        return driver.IntegrityError

    def _record(self, connection: Connection, rows: Sequence[Row]) -> Taken:
        """Insert the facts that are new, and tell which these are."""
        return self._taken(connection, facts, rows)

    def _insert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows of new facts, which cannot be known."""
        if rows:
            compiled = str(insert(table).compile(dialect=self._engine.dialect))
            connection.exec_driver_sql(compiled, list(rows))

    def _taken(self, connection: Connection, table: Table, rows: Sequence[Row]) -> Taken:
        """Insert rows, whose first column is the key; what is known stays as it is."""
        if not rows:
            return None
        # Mostly all are new: then nobody has to ask which. Handed to the driver as they are.
        statement = insert_into(connection, table).on_conflict_do_nothing()
        compiled = str(statement.compile(dialect=self._engine.dialect))
        connection.exec_driver_sql("SAVEPOINT all_new")
        if connection.exec_driver_sql(compiled, list(rows)).rowcount == len(rows):
            connection.exec_driver_sql("RELEASE all_new")
            return None
        connection.exec_driver_sql("ROLLBACK TO all_new")
        connection.exec_driver_sql("RELEASE all_new")
        key = table.primary_key.columns[0]
        fresh: dict[object, Row] = {}
        for row in rows:
            fresh.setdefault(row[0], row)
        for keys in chunks(cast("list[str]", list(fresh))):
            for known in connection.scalars(select(key).where(key.in_(keys))).all():
                del fresh[known]
        if fresh:
            connection.exec_driver_sql(compiled, list(fresh.values()))
        return {(cast("str", row[0]), cast("str", row[1])) for row in fresh.values()}


class PostgresWriter(Writer):
    """Writes to PostgreSQL, where others write meanwhile and facts are apart by the month."""

    keyed = (offers, decisions, facts, fact_ids)

    def __init__(self, engine: Engine, apart: URL | None) -> None:
        super().__init__(engine, apart)
        self._months = Months(engine)

    def begin(self, batch: Batch) -> Started | None:
        if not self._months.are_known(row[OCCURRED_AT] for row in batch.rows):
            return None
        return super().begin(batch)

    def write(self, batch: Batch) -> None:
        instants = [row[OCCURRED_AT] for row in batch.rows]
        self._months.ensure(instants)
        try:
            super().write(batch)
        except IntegrityError as error:
            if "no partition" not in str(error.orig):
                raise
            # Another process dropped an old month; nothing of the batch was written yet.
            self._months.forget()
            self._months.ensure(instants)
            super().write(batch)

    def load(
        self,
        pieces: Sequence[Rows],
        entry: tuple[str, str] | None = None,
        allowed: Callable[[Connection], bool] | None = None,
    ) -> bool:
        self._months.ensure(day * MICROS_PER_DAY for rows in pieces for day in rows.days)
        return super().load(pieces, entry, allowed)

    def _load(self, connection: Connection, rows: Rows) -> None:
        ids: list[Row] = [(row[0], row[OCCURRED_AT]) for row in rows.facts]
        self._insert(connection, fact_ids, ids)
        super()._load(connection, rows)

    def _record(self, connection: Connection, rows: Sequence[Row]) -> Taken:
        ids: list[Row] = [(row[0], row[OCCURRED_AT]) for row in rows]
        taken = self._taken(connection, fact_ids, ids)
        if taken is not None:
            recorded = {key for key, _ in taken}
            rows = [row for row in rows if row[0] in recorded]
        self._insert(connection, facts, rows)
        return taken

    def _insert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        if len(rows) > _MANY:
            self._copy(connection, table.name, table, rows)
        elif rows:
            connection.execute(insert(table), _named(table, rows))

    def _taken(self, connection: Connection, table: Table, rows: Sequence[Row]) -> Taken:
        if not rows:
            return None
        key, other = table.columns[0], table.columns[1]
        if len(rows) <= _MANY:
            statement = (
                insert_into(connection, table).on_conflict_do_nothing().returning(key, other)
            )
            returned = connection.execute(statement, _named(table, rows)).all()
            return None if len(returned) == len(rows) else {(row[0], row[1]) for row in returned}
        connection.execute(text(f"create temp table incoming (like {table.name}) on commit drop"))
        self._copy(connection, "incoming", table, rows)
        columns: list[Column[Any]] = [Column(each.name) for each in table.columns]
        incoming = Table("incoming", MetaData(), *columns)
        ordered = select(incoming).order_by(incoming.c[key.name])
        names = [column.name for column in table.columns]
        statement = insert_into(connection, table).from_select(names, ordered)
        returned = connection.execute(
            statement.on_conflict_do_nothing().returning(key, other)
        ).all()
        connection.execute(text("drop table incoming"))
        return None if len(returned) == len(rows) else {(row[0], row[1]) for row in returned}

    def _copy(self, connection: Connection, into: str, table: Table, rows: Sequence[Row]) -> None:
        names = ", ".join(column.name for column in table.columns)
        # Copying is the driver's own: SQLAlchemy has no word for it.
        cursor: Any = connection.connection.cursor()
        with cursor, cursor.copy(f"copy {into} ({names}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)


def _named(table: Table, rows: Sequence[Row]) -> list[dict[str, object]]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many that one statement takes them."""
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
