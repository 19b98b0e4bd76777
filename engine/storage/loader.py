"""Writes large files of facts, into an empty database without its indexes and keys.

What sees to it then that every id stands once is `KnownIds`, and that nobody else writes: whoever
records facts one by one, or serves, says so in the database first (`write_singly`), which ends
the time without keys; and of two loaders the later one leaves a mark by which the earlier knows.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from itertools import chain

from sqlalchemy import Column, Connection, Engine, select
from sqlalchemy.engine import URL

from engine.progress import SilentProgress
from engine.storage import connection as database
from engine.storage import indexes
from engine.storage.batch import Row
from engine.storage.known import Crowded, KnownIds
from engine.storage.loading import Rows, merged
from engine.storage.notes import held_note, keep_note, note
from engine.storage.tables import decisions, facts, offers
from engine.storage.writing import Writer

SERVED = "served"
LOADER = "loader"
_READ_AHEAD = 50_000


class Loader:
    """Loads rows of facts where all are new.

    Args:
        expected: ids to come, about.
    """

    def __init__(self, engine: Engine, writer: Writer, url: URL, expected: int) -> None:
        self._writer, self._url = writer, url
        self._mark = secrets.token_hex(8)
        self._known: KnownIds | None = None
        with database.writing(engine) as connection:
            database.lock_schema(connection)
            # First: where another loads just now, its transaction is waited for, and then seen.
            keep_note(connection, LOADER, self._mark)
            if note(connection, SERVED) is None and _is_empty(connection):
                indexes.defer(connection)
            if not indexes.missing_keys(connection):
                return
        self._known = _those_of(engine, expected)
        database.begin_appending(engine)

    def load(self, pieces: Sequence[Rows], entry: tuple[str, str] | None) -> bool:
        """Record rows in one transaction with the note that says so, or nothing; whether all were
        new.

        Where they were not, what is new of them has to be told apart by `Writer.write`.
        """
        with database.speaking(self._url):
            if self._known is None:
                return self._writer.load([merged(pieces)], entry)
            if _are_new(self._known, pieces) and self._writer.load(pieces, entry, self.is_alone):
                return True
        # From now on the database itself tells: keys are built before anything else is written.
        self._known = None
        return False

    def is_alone(self, connection: Connection) -> bool:
        """Whether no other began to load since."""
        # Held until the transaction ends: a later loader, who looks up what is there, waits for it.
        return held_note(connection, LOADER) == self._mark


def write_singly(engine: Engine) -> None:
    """Say that facts are recorded by somebody who relies on keys, and build those left out."""
    with engine.connect() as connection:
        said = note(connection, SERVED) is not None
    if not said:
        with database.writing(engine) as connection:
            # Whoever just begins to load without keys has done so, or will find this.
            database.lock_schema(connection)
            keep_note(connection, SERVED, "yes")
    with SilentProgress().task("") as task:
        indexes.complete(engine, task, keys_alone=True)


def _is_empty(connection: Connection) -> bool:
    return connection.scalar(select(facts.c.event_id).limit(1)) is None


_KINDS: tuple[Column[str], ...] = (facts.c.event_id, decisions.c.decision_id, offers.c.offer_id)


def _those_of(engine: Engine, expected: int) -> KnownIds | None:
    known = KnownIds(expected)
    try:
        with engine.connect() as connection:
            streamed = connection.execution_options(yield_per=_READ_AHEAD)
            for kind, column in enumerate(_KINDS):
                for ids in streamed.scalars(select(column)).partitions():
                    if not known.add(ids, kind):
                        return None
    except Crowded:
        return None
    return known


def _are_new(known: KnownIds, pieces: Sequence[Rows]) -> bool:
    tables = ("facts", "decisions", "offers")
    try:
        return all(
            known.add([row[0] for row in _rows_of(pieces, table)], kind)
            for kind, table in enumerate(tables)
        )
    except Crowded:
        return False


def _rows_of(pieces: Sequence[Rows], table: str) -> Iterator[Row]:
    return chain.from_iterable(getattr(piece, table) for piece in pieces)
