"""Facts in and out of the database: appending, and reading what a report of a period needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import cast

from msgspec.structs import replace
from sqlalchemy import Connection, Engine, Select, select, text
from sqlalchemy.exc import DBAPIError

from mersalg.engine.fact_bodies import pack
from mersalg.engine.fact_json import unpack
from mersalg.engine.facts import Decision, Fact
from mersalg.engine.storage import months, settings
from mersalg.engine.storage.connection import Database
from mersalg.engine.storage.fact_rows import AppendResult, FactRow, row_of
from mersalg.engine.storage.linked_facts import FactScope, event_ids_in, of_checkouts
from mersalg.engine.storage.pseudonyms import Pseudonyms
from mersalg.engine.storage.tables import decisions, facts, named_offers, offers
from mersalg.engine.storage.writer import NoteOf, Writer

Committing = Callable[[Sequence[FactRow]], AbstractContextManager[object]]
"""Makes the context in which a batch of facts is written, as the span of a trace."""

ERASED = "p1.00000000."
"""How the random pseudonyms of erased people and of their sessions begin: no secret's do."""
_REVISION = '"revision":'
"""In the body of a purchase that has one, and in no text of it, where quotes are escaped."""
_READ_AHEAD = 2_000
_IDS_AT_ONCE = 2_000
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


class Facts:
    """Append-only facts, idempotent by `event_id`; safe from several threads.

    Customer and session ids are stored as keyed hashes only: facts that are read hold pseudonyms.
    Every method raises StorageUnavailable where the database cannot answer. `pseudonyms` is called
    for the first row, as readers need no secret; `committing` surrounds each batch that is written.
    """

    def __init__(
        self,
        database: Database,
        writers: Sequence[Writer],
        pseudonyms: Callable[[], Pseudonyms],
        committing: Committing,
    ) -> None:
        self._database, self._writers = database, writers
        self._pseudonyms, self._committing = pseudonyms, committing

    def append(self, batch: Sequence[Fact], *, trusted: bool = False) -> AppendResult:
        """Record a batch in one transaction; it is on disk when this returns.

        The same fact again counts as a duplicate; the same `event_id` (or `decision_id`,
        `offer_id`) with another body is rejected with code `conflict`. The facts have the ids as
        the shop knows them; only of a `trusted` source, a file exported here, ids in the form of a
        pseudonym are pseudonyms.
        """
        return self.append_rows(self.rows_of(batch, trusted=trusted))

    def rows_of(self, batch: Sequence[Fact], *, trusted: bool = False) -> list[FactRow]:
        """Return facts as rows for `append_rows`, in any thread; for `trusted` see `append`."""
        pseudonyms = self._pseudonyms()
        return [row_of(fact, pseudonyms, trusted=trusted) for fact in batch]

    def append_rows(self, rows: Sequence[FactRow], note: NoteOf | None = None) -> AppendResult:
        """Record rows as `append` does facts; for `note` see `Writer.write`."""
        writer = next((each for each in self._writers if not each.is_busy), self._writers[0])
        with self._committing(rows):
            return writer.write(self._untied(rows), note)

    @property
    def n_writers(self) -> int:
        """Number of batches that the database takes at the same time from this process."""
        return len(self._writers)

    def _untied(self, rows: Sequence[FactRow]) -> Sequence[FactRow]:
        """Return rows of which none names the person of an order that was erased.

        A refund, cancellation or revision that comes later names the person as the shop knows
        them; it gets the pseudonyms that the order has now. Its digest stays, as that of all facts
        of an erased person.
        """
        late = [
            row
            for row in rows
            if row.transaction_id is not None
            and (row.customer_id or row.session_id)
            and (row.type != "purchase" or _REVISION in row.body)
        ]
        if not late:
            return rows
        transactions = {row.transaction_id for row in late}
        columns = (
            *(facts.c.transaction_id, facts.c.checkout_id),
            *(facts.c.customer_id, facts.c.session_id),
        )
        with self._database.reading() as connection:
            stored = select(*columns).where(facts.c.transaction_id.in_(transactions))
            of_orders = connection.execute(stored).all()
            checkouts = {each.checkout_id for each in (*of_orders, *late)} - {None}
            beside = select(*columns).where(facts.c.checkout_id.in_(checkouts))
            of_checkouts = connection.execute(beside).all()
        names: dict[str | None, tuple[str | None, str | None]] = {}
        for each in (*of_checkouts, *of_orders):
            if ERASED in f"{each.customer_id} {each.session_id}":
                pair = (each.customer_id, each.session_id)
                names[f"checkout {each.checkout_id}"] = pair
                names[f"order {each.transaction_id}"] = pair
        of_order = {order.transaction_id: order.checkout_id for order in of_orders}

        def untied(row: FactRow) -> FactRow:
            pair = (
                names.get(f"order {row.transaction_id}")
                or names.get(f"checkout {of_order.get(row.transaction_id)}")
                or names.get(f"checkout {row.checkout_id}")
            )
            if pair is None:
                return row
            customer_id, session_id = row.customer_id and pair[0], row.session_id and pair[1]
            fact = replace(unpack(row.body), customer_id=customer_id, session_id=session_id)
            return row._replace(
                customer_id=customer_id, session_id=session_id, body=pack(fact).decode()
            )

        changed = {id(row): untied(row) for row in late}
        return [changed.get(id(row), row) for row in rows]

    def read(self, scope: FactScope) -> Iterator[Fact]:
        """Yield the facts in scope, ordered by (occurred_at, event_id)."""
        return self.read_ids(event_ids_in(scope), few=scope.is_narrow)

    def read_checkouts(self, checkout_ids: Sequence[str]) -> Iterator[Fact]:
        """Yield the facts in scope of these checkouts, as `read`; one may come several times."""
        for start in range(0, len(checkout_ids), _IDS_AT_ONCE):
            ids = checkout_ids[start : start + _IDS_AT_ONCE]
            chosen = select(facts.c.checkout_id).where(facts.c.checkout_id.in_(ids))
            yield from self.read_ids(of_checkouts(chosen), few=True)

    def read_ids(self, wanted: Select[tuple[str]] | None, *, few: bool) -> Iterator[Fact]:
        """Yield the facts whose event ids a query finds (None: all), as `read`.

        A `few` of all facts are read along indexes.
        """
        query = select(facts.c.body).order_by(facts.c.occurred_at, facts.c.event_id)
        if wanted is not None:
            query = query.where(facts.c.event_id.in_(wanted))
        with self._database.reading() as connection:
            keep_statistics(self._database.engine)
            if few:
                follow_indexes(connection)
            streamed = connection.execution_options(yield_per=_READ_AHEAD)
            for body in streamed.scalars(query):
                yield unpack(body)

    def decision(self, decision_id: str) -> Decision | None:
        """Return a decision with all that explains it (evidence, gains, texts, scores)."""
        query = (
            select(facts.c.body)
            .join(decisions, decisions.c.event_id == facts.c.event_id)
            .where(decisions.c.decision_id == decision_id)
        )
        with self._database.reading() as connection:
            body = connection.scalar(query)
        return None if body is None else cast(Decision, unpack(body))

    def newest_decisions(
        self, n: int, since: int | None = None, until: int | None = None
    ) -> list[Decision]:
        """Return the last `n` decisions, of a period (microseconds), the newest first."""
        query = (
            select(facts.c.body)
            .where(facts.c.type == "decision")
            .order_by(facts.c.occurred_at.desc())
            .limit(n)
        )
        if since is not None:
            query = query.where(facts.c.occurred_at >= since)
        if until is not None:
            query = query.where(facts.c.occurred_at < until)
        with self._database.reading() as connection:
            return [cast(Decision, unpack(body)) for body in connection.scalars(query)]

    def newest(self, type_: str | None = None, since: int | None = None) -> int | None:
        """Return the time of the newest fact, of a type, from an instant on (microseconds).

        None without any.
        """
        query = select(facts.c.occurred_at).order_by(facts.c.occurred_at.desc()).limit(1)
        if type_ is not None:
            query = query.where(facts.c.type == type_)
        if since is not None:
            query = query.where(facts.c.occurred_at >= since)
        with self._database.reading() as connection:
            return connection.scalar(query)

    def count_refusal(self, instant: int) -> None:
        """Count a webhook that was refused, which its sender does not hear of."""
        with self._database.writing() as connection:
            settings.count_refusal(connection, instant)

    def n_refused(self, since: int | None, until: int | None) -> int:
        """Return how many webhooks were refused in a period, by the hour."""
        with self._database.reading() as connection:
            return settings.n_refused(connection, since, until)

    def count_before(self, instant: int) -> int:
        """Return the number of facts that occurred before an instant (microseconds)."""
        with self._database.reading() as connection:
            return months.count_before(connection, instant)

    def drop_before(self, instant: int, dropped: Callable[[int], None]) -> int:
        """Delete every fact before an instant (microseconds) and return their number.

        Only `mersalg.engine.tracking.rollups` may: reports of that time need their roll-ups
        sealed. `dropped` is called after each step with the number of facts that it deleted.
        """
        return months.drop_before(self._database, instant, dropped)


def follow_indexes(connection: Connection) -> None:
    """Have PostgreSQL follow indexes for the rest of the transaction; SQLite does so anyway.

    The planner guesses the number of rows of each step so high that reading the whole table, once
    for each step, looks cheaper to it.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_ALONG_INDEXES)


def keep_statistics(engine: Engine) -> None:
    """Analyse the tables of PostgreSQL where the facts have doubled since they were analysed.

    By itself it analyses single months only, and estimates all of them together so badly that a
    day takes longer to read than the whole. A user who may only read goes without.
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
