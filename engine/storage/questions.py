"""Ask one question of the facts for all buyers whose suggestion calls wait."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple, cast

import msgspec
from sqlalchemy.pool import PoolProxiedConnection

from mersalg.engine.fact_json import unpack
from mersalg.engine.facts import Arm, Decision, Event
from mersalg.engine.storage.connection import Database, is_connection_lost, speaking, unavailable
from mersalg.engine.storage.pseudonyms import Pseudonyms
from mersalg.engine.storage.tables import OF_BUYERS

Bought = tuple[int, tuple[str, ...]]
"""Microseconds of a purchase, and the ids of its items."""

MAXIMUM_PURCHASES = 250
_BUSY_MILLISECONDS = 1_000


class BuyerQuery(NamedTuple):
    """Question of a suggestion call about its buyer; moments are microseconds.

    Attributes
    ----------
    session_id, customer_id
        Whose dismissed offers and purchases are wanted.
    arm_session_id
        The session whose first arm is wanted, None where none is.
    bought_after
        The moment after which purchases are wanted, None where none are.
    dismissed_after
        The same of dismissed offers.
    """

    checkout_id: str
    session_id: str | None = None
    customer_id: str | None = None
    arm_session_id: str | None = None
    bought_after: int | None = None
    dismissed_after: int | None = None


class KnownBuyer(NamedTuple):
    """The answer to a `BuyerQuery`; what was not asked for is empty.

    Attributes
    ----------
    arm
        None where the session has no decision.
    purchases
        Of the last 250 purchases the latest revisions, the oldest first. Returned and cancelled
        ones count: they show what was wanted.
    dismissed_item_ids
        Items of the offers that were dismissed, the oldest first, each once. A dismissal is the
        buyer's where it or its decision names the checkout, the session or the customer. What a
        storefront key sent without a valid token names no customer, for anybody may send it.
    any_dismissed
        Whether any buyer dismissed an offer; True where this one's dismissals were not asked for.
    """

    arm: Arm | None = None
    purchases: tuple[Bought, ...] = ()
    dismissed_item_ids: tuple[str, ...] = ()
    any_dismissed: bool = True


class _Asked(msgspec.Struct):
    """A row of the CTE `asked`; ids of sessions and customers are pseudonyms."""

    number: int
    checkout_id: str
    session_id: str | None
    customer_id: str | None
    arm_session_id: str | None
    bought_after: int | None
    dismissed_after: int | None


_ARM, _PURCHASE, _ANY_DISMISSED = "arm", "purchase", "any_dismissed"

_ASKED = {
    "sqlite": """
select
    json_extract(value, '$.number') as number,
    json_extract(value, '$.checkout_id') as checkout_id,
    json_extract(value, '$.session_id') as session_id,
    json_extract(value, '$.customer_id') as customer_id,
    json_extract(value, '$.arm_session_id') as arm_session_id,
    json_extract(value, '$.bought_after') as bought_after,
    json_extract(value, '$.dismissed_after') as dismissed_after
from json_each(?)
""",
    "postgresql": """
select * from json_to_recordset(%s::json) as rows (
    number bigint, checkout_id text, session_id text, customer_id text, arm_session_id text,
    bought_after bigint, dismissed_after bigint
)
""",
}
_FIRST_DECISION = f"""
select number, '{_ARM}', 0, '', (
    select body from facts where session_id = asked.arm_session_id and type = 'decision'
    order by occurred_at, event_id limit 1
) from asked where arm_session_id is not null
"""  # noqa: S608 - words of our own
_LAST_PURCHASES = f"""
    from facts where customer_id = asked.customer_id and {OF_BUYERS} and type = 'purchase'
    and occurred_at > asked.bought_after order by occurred_at desc, event_id
    limit {MAXIMUM_PURCHASES}
"""
_PURCHASES = {
    "sqlite": f"""
select number, '{_PURCHASE}', occurred_at, event_id, body from asked
cross join facts on event_id in (select event_id {_LAST_PURCHASES})
""",  # noqa: S608
    "postgresql": f"""
select number, '{_PURCHASE}', occurred_at, event_id, body from asked
cross join lateral (select occurred_at, event_id, body {_LAST_PURCHASES}) as purchases
""",  # noqa: S608
}
# The type is spelt out: SQLite uses the index of dismissals only where it sees it.
_ANYBODY = f"""
select 0, '{_ANY_DISMISSED}', 0, '', null where exists (
    select 1 from facts where type = 'dismiss_promotion'
    and occurred_at > (select min(dismissed_after) from asked)
)
"""  # noqa: S608

# Each column that may name the buyer, in the dismissal or in its decision, has a query of its own,
# led by the index on that column; a dismissal found twice comes twice. The type is added as a
# value, so that no plan goes through everybody's dismissals first.
_BY_DISMISSAL = """
facts as dismissal {join} offers on offers.offer_id = dismissal.offer_id
{join} facts as decision on decision.event_id = offers.event_id
where dismissal.{column} = asked.{column}
"""
_BY_DECISION = """
facts as decision {join} offers on offers.event_id = decision.event_id
{join} facts as dismissal on dismissal.offer_id = offers.offer_id
where decision.{column} = asked.{column}
"""
_DISMISSED = " and dismissal.type = {type} and dismissal.occurred_at > asked.dismissed_after"
_VOUCHED = {
    "sqlite": " and coalesce(json_extract({0}.body, '$.scope'), '') <> 'storefront'",
    "postgresql": " and coalesce({0}.body::json ->> 'scope', '') <> 'storefront'",
}
_FOUND = "dismissal.occurred_at as at, dismissal.offer_id, decision.body"


@lru_cache
def _question(dialect: str, parts: frozenset[str]) -> str:
    """Return the statement of the `parts` that are asked for; its one value is the JSON of rows."""
    selects = {
        _ARM: _FIRST_DECISION,
        _PURCHASE: _PURCHASES[dialect],
        _ANY_DISMISSED: _ANYBODY,
    }
    united = " union all ".join(selects[part] for part in sorted(parts))
    return f"with asked as materialized ({_ASKED[dialect]}) {united}"


@lru_cache
def _dismissals(dialect: str) -> str:
    """Return the statement of buyers' dismissals: number, moment, offer, body of the decision."""
    # SQLite keeps the order of a cross join; PostgreSQL goes through a lateral one row by row.
    is_sqlite = dialect == "sqlite"
    join, place = ("cross join", "?2") if is_sqlite else ("join", "%s")
    selects = [
        source.format(join=join, column=column) + _DISMISSED.format(type=place)
        for column in ("checkout_id", "session_id", "customer_id")
        for source in (_BY_DISMISSAL, _BY_DECISION)
    ]
    vouched = [_VOUCHED[dialect].format(each) for each in ("dismissal", "decision")]
    selects[-2] += f"{vouched[0]} and dismissal.{OF_BUYERS}"
    selects[-1] += f"{''.join(vouched)} and decision.{OF_BUYERS}"
    if is_sqlite:
        selects = [f"select number, {_FOUND} from asked cross join {each}" for each in selects]  # noqa: S608
        united = " union all ".join(selects)
    else:
        selects = [f"select {_FOUND} from {each}" for each in selects]  # noqa: S608
        rows = " union all ".join(selects)
        united = f"select number, found.* from asked cross join lateral ({rows}) as found"  # noqa: S608
    return f"with asked as materialized ({_ASKED[dialect]}) {united}"


class Questions:
    """Answer the queries of several calls together; safe from several threads.

    Connections are kept for the next question. `pseudonyms` is called at the first question.
    """

    def __init__(self, database: Database, pseudonyms: Callable[[], Pseudonyms]) -> None:
        self._database, self._pseudonyms = database, pseudonyms
        self._driver: Any = database.engine.dialect.loaded_dbapi
        self._dialect = database.engine.dialect.name
        self._idle: list[PoolProxiedConnection] = []

    def known_buyers(
        self, queries: Sequence[BuyerQuery], *, trusted: bool = False
    ) -> list[KnownBuyer]:
        """Return what the facts say about each buyer.

        The database is asked once; a second time only where someone dismissed an offer. From a
        `trusted` caller ids that have the form of a pseudonym are pseudonyms. After a
        StorageUnavailable the next question goes over a new connection.
        """
        asked = [self._asked(number, query, trusted) for number, query in enumerate(queries)]
        parts: set[str] = set()
        for query in queries:
            if query.arm_session_id is not None:
                parts.add(_ARM)
            if query.bought_after is not None and query.customer_id is not None:
                parts.add(_PURCHASE)
            if query.dismissed_after is not None:
                parts.add(_ANY_DISMISSED)
        if not parts:
            return [KnownBuyer()] * len(queries)
        rows = self._rows(_question(self._dialect, frozenset(parts)), _json(asked))
        bodies: dict[tuple[int, str], list[tuple[Any, ...]]] = defaultdict(list)
        for number, part, *columns in rows:
            bodies[number, part].append(tuple(columns))
        dismissed: dict[int, tuple[str, ...]] = {}
        any_dismissed = (0, _ANY_DISMISSED) in bodies
        if any_dismissed:
            dismissed = self._dismissed([row for row in asked if row.dismissed_after is not None])
        return [
            KnownBuyer(
                _arm_of(bodies.get((number, _ARM), ())),
                _purchases_of(bodies.get((number, _PURCHASE), ())),
                dismissed.get(number, ()),
                any_dismissed or query.dismissed_after is None,
            )
            for number, query in enumerate(queries)
        ]

    def close(self) -> None:
        """Close the idle connections; the next question opens another one."""
        while self._idle:
            self._idle.pop().invalidate()

    def _asked(self, number: int, query: BuyerQuery, trusted: bool) -> _Asked:
        def pseudonym(kind: str, identifier: str | None) -> str | None:
            if identifier is None:
                return None
            return self._pseudonyms().of(kind, identifier, trusted=trusted)

        return _Asked(
            number,
            query.checkout_id,
            pseudonym("session", query.session_id),
            pseudonym("customer", query.customer_id),
            pseudonym("session", query.arm_session_id),
            query.bought_after,
            query.dismissed_after,
        )

    def _dismissed(self, asked: Sequence[_Asked]) -> dict[int, tuple[str, ...]]:
        rows = self._rows(
            _dismissals(self._dialect), _json(asked), *["dismiss_promotion"] * self._n_types
        )
        offers: dict[int, dict[str, str]] = defaultdict(dict)
        for number, _, offer_id, body in sorted(rows, key=lambda row: row[:3]):
            offers[number].setdefault(offer_id, body)
        return {
            number: tuple(
                dict.fromkeys(
                    offer.item_id
                    for dismissed, body in bodies.items()
                    for offer in cast(Decision, unpack(body)).offers
                    if offer.offer_id == dismissed
                )
            )
            for number, bodies in offers.items()
        }

    @property
    def _n_types(self) -> int:
        """How often the type of a dismissal is a value: SQLite numbers its values."""
        return 1 if self._dialect == "sqlite" else 6

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        for is_last in (False, True):
            pooled = self._connection()
            try:
                connection: Any = pooled.driver_connection
                with self._database.watched.running(connection):
                    rows = connection.execute(statement, values).fetchall()
            except self._driver.Error as error:
                pooled.invalidate()
                # A kept connection may be older than its server, which was restarted.
                if is_last or not is_connection_lost(error):
                    raise unavailable(self._database.url, error) from error
                self.close()
            else:
                self._idle.append(pooled)
                return rows
        raise AssertionError("unreachable")

    def _connection(self) -> PoolProxiedConnection:
        with suppress(IndexError):
            while not self._database.is_current(pooled := self._idle.pop()):
                pooled.invalidate()
            return pooled
        try:
            with speaking(self._database.url):
                pooled = self._database.engine.raw_connection()
        except self._driver.Error as error:
            raise unavailable(self._database.url, error) from error
        connection: Any = pooled.driver_connection
        if self._dialect == "postgresql":
            connection.rollback()
            connection.autocommit = True
        else:
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
        return pooled


def _json(asked: Sequence[_Asked]) -> str:
    return msgspec.json.encode(asked).decode()


def _arm_of(rows: Sequence[tuple[Any, ...]]) -> Arm | None:
    """Return the arm of a first decision, where there is one."""
    bodies = [body for _, _, body in rows if body is not None]
    return cast(Decision, unpack(bodies[0])).arm if bodies else None


def _purchases_of(rows: Sequence[tuple[Any, ...]]) -> tuple[Bought, ...]:
    latest: dict[str | None, tuple[int, Event]] = {}
    for at, _, body in sorted(rows):
        event = cast(Event, unpack(body))
        first, latest_event = latest.get(event.transaction_id, (at, event))
        latest[event.transaction_id] = (
            first,
            max(latest_event, event, key=lambda each: each.revision),
        )
    return tuple(
        (at, tuple(dict.fromkeys(line.item_id for line in event.items)))
        for at, event in latest.values()
    )
