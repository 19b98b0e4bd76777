"""Short questions by ids that buyers wait for: straight to the driver, one statement each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.pool import PoolProxiedConnection

from engine.fact_json import unpack
from engine.facts import Arm, Decision, Event
from engine.storage import connection as database
from engine.storage.pseudonyms import Pseudonyms

Question = tuple[str, tuple[Any, ...]]
"""A statement and the values of its places."""
Rows = Sequence[tuple[Any, ...]]
Answers = Sequence[Rows]
"""The rows that each of several questions found."""
Bought = tuple[int, tuple[str, ...]]
"""When (microseconds), and the ids of the items."""

_WHO_BOUGHT = (
    "select distinct customer_id from facts"
    " where customer_id in ? and type = 'purchase' and occurred_at > ?"
)
_PURCHASES = (
    "select body from facts where customer_id = ? and type = 'purchase' and occurred_at > ?"
    " order by occurred_at desc, event_id limit 250"
)
_FIRST_DECISION = (
    "select body from facts where session_id = ? and type = 'decision'"
    " order by occurred_at, event_id limit 1"
)

_AT_ONCE = 256
_BUSY_MILLISECONDS = 1_000


class Asking:
    """One connection kept for questions, outside of any transaction; safe from several threads."""

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine, self._url = engine, url
        self._driver: Any = engine.dialect.loaded_dbapi
        self._postgres = engine.dialect.name == "postgresql"
        self._lock = threading.Lock()
        self._pooled: PoolProxiedConnection | None = None

    def rows(self, statement: str, ids: Sequence[str], *others: object) -> list[tuple[Any, ...]]:
        """All rows of a statement, whose first place `in ?` takes the ids, and the rest `others`.

        Raises:
            StorageUnavailable: the next question goes over a new connection.
        """
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(ids), _AT_ONCE):
            found += self._answer(*self._spelt(statement, ids[start : start + _AT_ONCE], others))
        return found

    def each(self, statement: str, values: Sequence[tuple[Any, ...]]) -> Answers:
        """The rows of a statement for each of several values, one after the other; raises as
        `rows`."""
        return [self._answer(*question) for question in self.singly(statement, values)]

    def _answer(self, asked: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._connected().execute(asked, values).fetchall()
            except self._driver.Error as error:
                self._let_go()
                if not database.is_connection_lost(error):
                    raise database.unavailable(self._url, error) from error
            # The kept connection is older than its server, which was restarted: ask over a new one.
            try:
                return self._connected().execute(asked, values).fetchall()
            except self._driver.Error as error:
                self._let_go()
                raise database.unavailable(self._url, error) from error

    def _spelt(self, statement: str, ids: Sequence[str], others: Sequence[object]) -> Question:
        if self._postgres:
            asked = statement.replace("in ?", "= any(%s)").replace("?", "%s")
            return asked, (list(ids), *others)
        # A few lengths only, so that each statement is prepared once.
        length = 1 << (len(ids) - 1).bit_length()
        places = ", ".join("?" * length)
        values = [*ids, *([ids[-1]] * (length - len(ids))), *others]
        return statement.replace("in ?", f"in ({places})"), tuple(values)

    def singly(self, statement: str, values: Sequence[tuple[Any, ...]]) -> list[Question]:
        """The same question of each of several values."""
        asked = statement.replace("?", "%s") if self._postgres else statement
        return [(asked, each) for each in values]

    def close(self) -> None:
        with self._lock:
            self._let_go()

    def _connected(self) -> Any:
        if self._pooled is None:
            with database.speaking(self._url):
                self._pooled = self._engine.raw_connection()
            connection: Any = self._pooled.driver_connection
            if self._postgres:
                connection.rollback()
                connection.autocommit = True
            else:
                connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
        return self._pooled.driver_connection

    def _let_go(self) -> None:
        pooled, self._pooled = self._pooled, None
        if pooled is not None:
            pooled.invalidate()


def who_bought(
    asking: Asking, pseudonyms: Pseudonyms, customer_ids: Sequence[str], after: int
) -> set[str]:
    """Those of the customers that bought anything after a moment (microseconds)."""
    named = {pseudonyms.of("customer", each): each for each in customer_ids}
    return {named[row[0]] for row in asking.rows(_WHO_BOUGHT, list(named), after)}


def purchases(
    asking: Asking, pseudonyms: Pseudonyms, customer_id: str, after: int, *, is_pseudonym: bool
) -> list[Bought]:
    """The last that a customer bought after a moment (microseconds), oldest first."""
    customer = pseudonyms.of("customer", customer_id, trusted=is_pseudonym)
    return _bought(asking.each(_PURCHASES, [(customer, after)])[0])


def session_arms(
    asking: Asking, pseudonyms: Pseudonyms, session_ids: Sequence[str]
) -> dict[str, Arm]:
    """The arm of the first decision of each session; those without any are left out."""
    answers = asking.each(_FIRST_DECISION, _sessions(pseudonyms, session_ids))
    arms: list[Arm | None] = [_arm(rows) for rows in answers]
    found = zip(session_ids, arms, strict=True)
    return {session: arm for session, arm in found if arm is not None}


def _sessions(pseudonyms: Pseudonyms, session_ids: Sequence[str]) -> list[tuple[str]]:
    return [(pseudonyms.of("session", each),) for each in session_ids]


def _arm(rows: Rows) -> Arm | None:
    """Of the body of a first decision, where there is one."""
    return cast(Decision, unpack(rows[0][0])).arm if rows else None


def _bought(rows: Rows) -> list[Bought]:
    """Of the bodies of purchases, the latest first; oldest first."""
    events = [cast(Event, unpack(row[0])) for row in reversed(rows)]
    return [
        (event.occurred_at, tuple(dict.fromkeys(line.item_id for line in event.items)))
        for event in events
    ]
