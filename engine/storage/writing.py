"""Batches of facts into the tables: each in one transaction, on disk when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from sqlalchemy import Connection, Engine, Table, delete, insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError

from engine.storage import connection as database
from engine.storage.batch import Batch, Row
from engine.storage.months import Months
from engine.storage.rollups import note_fresh
from engine.storage.tables import decisions, fact_ids, facts, named_offers, offers

_AT_ONCE = 2_000


class Writer:
    """Writes to one database, SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._months = Months(engine) if engine.dialect.name == "postgresql" else None

    def write(self, batch: Batch) -> None:
        """Record what is new of a batch, and tell it what was not."""
        if self._months is None:
            with database.writing(self._engine) as connection:
                self._write(connection, batch)
            return
        instants = [cast("int", row["occurred_at"]) for row in batch.rows]
        self._months.ensure(instants)
        try:
            with database.writing(self._engine) as connection:
                self._write(connection, batch)
        except IntegrityError as error:
            if "no partition" not in str(error.orig):
                raise
            # Another process dropped an old month; nothing of the batch was written yet.
            self._months.forget()
            self._months.ensure(instants)
            with database.writing(self._engine) as connection:
                self._write(connection, batch)

    def _write(self, connection: Connection, batch: Batch) -> None:
        known = batch.keep_new(self._record(connection, batch.rows))
        for ids in chunks(known):
            digests = connection.execute(
                select(facts.c.event_id, facts.c.digest).where(facts.c.event_id.in_(ids))
            )
            batch.compare({row.event_id: bytes(row.digest) for row in digests})
        taken = self._taken(connection, decisions, batch.decision_rows)
        clashing = batch.without_decisions(_event_ids(taken))
        clashing |= batch.without_offers(self._taken(connection, offers, batch.offer_rows))
        for ids in chunks(sorted(clashing)):
            tables = (offers, decisions, facts)
            for table in tables if self._months is None else (*tables, fact_ids):
                connection.execute(delete(table).where(table.c.event_id.in_(ids)))
        if named_rows := batch.named_rows:
            connection.execute(insert(named_offers), named_rows)
        note_fresh(connection, batch.new_instants)

    def _record(self, connection: Connection, rows: Sequence[Row]) -> set[str]:
        """Insert the facts that are new, and tell which these are."""
        if self._months is None:
            return _event_ids(self._taken(connection, facts, rows))
        ids = [{name: row[name] for name in ("event_id", "occurred_at")} for row in rows]
        taken = _event_ids(self._taken(connection, fact_ids, ids))
        fresh = [row for row in rows if row["event_id"] in taken]
        if fresh:
            connection.execute(insert(facts), fresh)
        return taken

    def _taken(
        self, connection: Connection, table: Table, rows: Sequence[Row]
    ) -> set[tuple[str, str]]:
        """(key, event_id) of the rows that were new; what is known stays as it is."""
        key = table.primary_key.columns[0]
        if not rows:
            return set()
        if self._engine.dialect.name == "postgresql":
            statement = postgresql.insert(table).on_conflict_do_nothing()
            returned = connection.execute(statement.returning(key, table.c.event_id), rows)
            return {(row[0], row[1]) for row in returned}
        # SQLite's writer is alone: what it misses stays missing, and plain inserts are far faster.
        fresh: dict[str, Row] = {}
        for row in rows:
            fresh.setdefault(str(row[key.name]), row)
        for ids in chunks(list(fresh)):
            for known in connection.scalars(select(key).where(key.in_(ids))).all():
                del fresh[known]
        if fresh:
            # Handed to the driver as it is: SQLAlchemy's own loop costs as much as the insert.
            compiled = insert(table).compile(dialect=self._engine.dialect)
            names = compiled.positiontup or []
            values = [tuple(row[name] for name in names) for row in fresh.values()]
            connection.exec_driver_sql(compiled.string, values)
        return {(name, str(row["event_id"])) for name, row in fresh.items()}


def _event_ids(taken: set[tuple[str, str]]) -> set[str]:
    return {event_id for _, event_id in taken}


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many that one statement takes them."""
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
