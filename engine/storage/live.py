"""Items and rules of a shop as they are now, and what changed of them since a reader last looked.

Every change takes the next revision, of one counter that its transaction holds until it is
committed: a reader that has all up to a revision misses nothing that comes later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Connection, Text, and_, cast, delete, select

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.live_catalogue import LiveRule
from mersalg.engine.live_items import LiveItem, Stated
from mersalg.engine.storage import settings
from mersalg.engine.storage.connection import Database, insert_into
from mersalg.engine.storage.facts import follow_indexes
from mersalg.engine.storage.tables import live_entries
from mersalg.engine.storage.tables import price_changes as repricings
from mersalg.engine.storage.tables import settings as notes

_Kind = Literal["item", "rule"]
_NONE: Mapping[Any, Any] = MappingProxyType({})
_QUARTER = MICROS_PER_DAY // 96
_KEPT_DAYS = 1_100
"""Of changes of prices: three years, at most some hundred thousand short rows."""
_item_decoder = msgspec.json.Decoder(LiveItem)
_rule_decoder = msgspec.json.Decoder(LiveRule)


class Changes(NamedTuple):
    """Changes since a revision; `whole` where earlier knowledge is to be forgotten first."""

    revision: int
    whole: bool
    items: Mapping[str, LiveItem]
    rules: Mapping[str, LiveRule]


class LiveEntries:
    """The entries of one database; raises StorageUnavailable as `Facts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self, stated: Sequence[Stated], prices: Mapping[str, str] = _NONE
    ) -> list[LiveItem | None]:
        """Keep what is stated of items, in one transaction, and when their prices changed.

        Each item is returned as it is now; None where nothing that was stated of it was newer. The
        `prices` are those before, of items of which none was stated: the first price of an item
        without one is no change.
        """
        results: list[LiveItem | None] = []
        repriced: Counter[int] = Counter()

        def change(items: dict[str, LiveItem]) -> set[str]:
            changed: set[str] = set()
            for each in stated:
                item = items.setdefault(each.item_id, LiveItem())
                before = item.get("price") or prices.get(each.item_id)
                is_newer = item.take(each)
                results.append(item if is_newer else None)
                if is_newer:
                    changed.add(each.item_id)
                    now = item.get("price")
                    if before and now and Decimal(before) != Decimal(now):
                        repriced[each.at - each.at % _QUARTER] += 1
            return changed

        self._change_items({each.item_id for each in stated}, change, repriced)
        return results

    def price_changes(self, since: int, until: int) -> list[tuple[int, int]]:
        """Return when how many prices changed between two instants, to a quarter of an hour."""
        query = select(repricings.c.at, repricings.c.n).where(repricings.c.at.between(since, until))
        with self._database.reading() as connection:
            return [(row.at, row.n) for row in connection.execute(query.order_by(repricings.c.at))]

    def delete_item(self, item_id: str, at: int) -> None:
        """Forget all that was stated of an item until an instant."""

        def change(items: dict[str, LiveItem]) -> Collection[str]:
            items.setdefault(item_id, LiveItem()).delete(at)
            return items

        self._change_items({item_id}, change)

    def item(self, item_id: str) -> LiveItem:
        """Return what is known of an item; without fields where nothing is."""
        with self._database.reading() as connection:
            return self._items(connection, {item_id}).get(item_id, LiveItem())

    def put_rule(self, rule_id: str, rule: LiveRule) -> None:
        """Keep a rule in place of an earlier one of its id; an ended one has no fields."""
        with self._database.writing() as connection:
            body = msgspec.json.encode(rule).decode()
            _upsert(connection, "rule", _next_revision(connection), [(rule_id, body)])

    def since(self, revision: int) -> Changes:
        """Return what changed after a revision, -1 for all there is.

        A database that was exchanged for an earlier one has all changed.
        """
        with self._database.reading() as connection, self._watched(connection):
            now = int(settings.note(connection, settings.LIVE_REVISION) or 0)
            if now == revision:
                return Changes(now, False, {}, {})
            whole = not 0 <= revision < now
            columns = (live_entries.c.kind, live_entries.c.id, live_entries.c.body)
            query = select(*columns)
            if not whole:
                query = query.where(live_entries.c.revision > revision)
            items: dict[str, LiveItem] = {}
            rules: dict[str, LiveRule] = {}
            for kind, key, body in connection.execute(query):
                if kind == "item":
                    items[key] = _item_decoder.decode(body)
                else:
                    rules[key] = _rule_decoder.decode(body)
            return Changes(now, whole, items, rules)

    def _watched(self, connection: Connection) -> AbstractContextManager[None]:
        """Have what a connection does in the block given up where the database hangs."""
        return self._database.watched.running(connection.connection.driver_connection)

    def _change_items(
        self,
        item_ids: Collection[str],
        change: Callable[[dict[str, LiveItem]], Collection[str]],
        repriced: Mapping[int, int] = _NONE,
    ) -> None:
        """Write those items that `change` names after it changed them, and what it repriced."""
        with self._database.writing() as connection:
            # First: who changes items waits here for those who change them now.
            revision = _next_revision(connection)
            items = self._items(connection, item_ids)
            changed = change(items)
            bodies = ((key, msgspec.json.encode(items[key]).decode()) for key in changed)
            _upsert(connection, "item", revision, bodies)
            _count(connection, repriced)

    def _items(self, connection: Connection, item_ids: Collection[str]) -> dict[str, LiveItem]:
        follow_indexes(connection)
        query = select(live_entries.c.id, live_entries.c.body)
        query = query.where(and_(live_entries.c.kind == "item", live_entries.c.id.in_(item_ids)))
        return {key: _item_decoder.decode(body) for key, body in connection.execute(query)}


def _next_revision(connection: Connection) -> int:
    statement = insert_into(connection, notes)
    following = cast(cast(notes.c.value, BigInteger) + 1, Text)
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_={"value": following}
    ).returning(notes.c.value)
    revision = connection.scalar(statement.values(name=settings.LIVE_REVISION, value="1"))
    return int(revision or 0)


def _count(connection: Connection, repriced: Mapping[int, int]) -> None:
    if not repriced:
        return
    statement = insert_into(connection, repricings)
    statement = statement.on_conflict_do_update(
        index_elements=["at"], set_={"n": repricings.c.n + statement.excluded.n}
    )
    connection.execute(statement, [{"at": at, "n": n} for at, n in repriced.items()])
    forgotten = max(repriced) - _KEPT_DAYS * MICROS_PER_DAY
    connection.execute(delete(repricings).where(repricings.c.at < forgotten))


def _upsert(
    connection: Connection, kind: _Kind, revision: int, entries: Iterable[tuple[str, str]]
) -> None:
    rows = [{"kind": kind, "id": key, "revision": revision, "body": body} for key, body in entries]
    if not rows:
        return
    statement = insert_into(connection, live_entries)
    taken = {name: statement.excluded[name] for name in ("revision", "body")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["id", "kind"], set_=taken), rows
    )
