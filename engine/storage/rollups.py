"""The stored roll-ups of days, and the notes of which of them are out of date.

A recorded fact is noted as fresh in the transaction that records it, so that none is missed.
Before a report the fresh facts are sorted into the local days whose counts they may change; such a
day is stale until it is rolled up again. A day gets a new token each time it becomes stale: a
process that rolled it up from facts read earlier finds another token, and saves nothing. Events
that match nothing make no day stale (see `strays`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, select, union, update

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.storage import settings, strays
from mersalg.engine.storage.connection import Database, in_binary, insert_into, speaking
from mersalg.engine.storage.facts import follow_indexes, keep_statistics
from mersalg.engine.storage.linked_facts import linked_to
from mersalg.engine.storage.settings import FACTS_SINCE, ROLLUP_SETTINGS, keep_note, note
from mersalg.engine.storage.tables import (
    facts,
    fresh_days,
    fresh_facts,
    rollup_units,
    rollups,
    spanning_checkouts,
    stale_days,
    stray_events,
)

_AT_ONCE = 2_000

DayOf = Callable[[int], str]
"""The local day of an instant."""


@dataclass(frozen=True, slots=True)
class StaleDay:
    """A local day whose roll-up is out of date."""

    day: str
    """The date, as `YYYY-MM-DD`."""
    token: str
    """A new one each time the day becomes stale."""
    spreads: bool
    """Whether facts came in bulk, so that days linked to them were not marked one by one."""


class Reports:
    """The data of reports beside the facts: `rollups` of days, and the settings of the shop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.rollups = Rollups(database)

    def settings(self) -> Mapping[str, str]:
        """Return the settings of the shop (currency, time zone, ...) by name."""
        with self._database.reading() as connection:
            return settings.of_shop(connection)

    def save_settings(self, given: Mapping[str, str]) -> None:
        """Store settings of the shop; the others do not change."""
        chosen = {name: given[name] for name in sorted(given) if settings.is_of_shop(name)}
        if not chosen:
            return
        with self._database.writing() as connection:
            for name, value in chosen.items():
                settings.keep_note(connection, name, value)


class Rollups:
    """The tables of the roll-ups of one database; raises StorageUnavailable as the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def settings(self) -> str | None:
        """Return the `made_with` of the last `begin`; None where there are no roll-ups."""
        with self._database.reading() as connection:
            return note(connection, ROLLUP_SETTINGS)

    def facts_since(self) -> str | None:
        """Return the first local day whose facts are stored; None where none were dropped."""
        with self._database.reading() as connection:
            return note(connection, FACTS_SINCE)

    def begin(
        self,
        made_with: str,
        *,
        keeps_units: bool = False,
        renewed: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """Mark every day as stale, except those whose facts were dropped: their roll-ups stay.

        `settings` returns `made_with` from now on; `keeps_units` says whether units keep their
        numbers, and `renewed` brings a roll-up that stays into the present format.
        """
        since = self.facts_since()
        with self._database.writing() as connection:
            for table in (rollups, stale_days, stray_events):
                forgotten = delete(table)
                connection.execute(
                    forgotten if since is None else forgotten.where(table.c.day >= since)
                )
            connection.execute(delete(spanning_checkouts))
            connection.execute(delete(fresh_facts))
            if since is None and not keeps_units:
                connection.execute(delete(rollup_units))
            if renewed is not None:
                for row in connection.execute(select(rollups.c.day, rollups.c.body)).all():
                    changed = update(rollups).where(rollups.c.day == row.day)
                    connection.execute(changed.values(body=renewed(row.body)))
            keep_note(connection, ROLLUP_SETTINGS, made_with)
            lowest, highest = connection.execute(
                select(func.min(facts.c.occurred_at), func.max(facts.c.occurred_at))
            ).one()
            if lowest is not None:
                self._note_days(connection, lowest, highest)

    def _note_days(self, connection: Connection, lowest: int, highest: int) -> None:
        """Note every UTC day with a fact as fresh; one lookup in the index for each."""
        noted: list[dict[str, object]] = []
        at: int | None = lowest
        while at is not None and at <= highest:
            day = at // MICROS_PER_DAY
            noted.append({"day": day, "token": _token()})
            following = (day + 1) * MICROS_PER_DAY
            at = connection.scalar(
                select(func.min(facts.c.occurred_at)).where(facts.c.occurred_at >= following)
            )
        connection.execute(insert_into(connection, fresh_days).on_conflict_do_nothing(), noted)

    def sort_fresh(self, day_of: DayOf) -> None:
        """Turn fresh facts and days into stale local days."""
        with speaking(self._database.url):
            keep_statistics(self._database.engine)
        while self._sort_some(day_of):
            pass

    def _sort_some(self, day_of: DayOf) -> bool:
        with self._database.reading() as connection:
            # Most reports find nothing here, and need no transaction that writes.
            some = connection.scalar(select(fresh_facts.c.event_id).limit(1)) is not None
            some = some or connection.scalar(select(fresh_days.c.day).limit(1)) is not None
        if not some:
            return False
        with self._database.writing() as connection:
            fresh = fresh_facts.c
            rows = connection.execute(select(fresh_facts).order_by(fresh.id).limit(_AT_ONCE)).all()
            follow_indexes(connection)
            if rows:
                alone = strays.list_among(connection, [row.event_id for row in rows], day_of)
                sorted_ids = [row.id for row in rows if row.event_id in alone]
                connection.execute(delete(fresh_facts).where(fresh.id.in_(sorted_ids)))
                # No list of ids: SQLite would copy it for every use of every part of the statement.
                among = fresh.id.between(rows[0].id, rows[-1].id)
                seeds = select(fresh.event_id).where(among)
                strays.match(connection, seeds)
                days = _days_of(connection, linked_to(seeds), day_of)
                self._stale(connection, days, spreads=False)
                connection.execute(
                    delete(fresh_facts).where(fresh.id.in_([row.id for row in rows]))
                )
            for row in connection.execute(select(fresh_days)).all():
                self._sort_day(connection, row.day * MICROS_PER_DAY, day_of)
                connection.execute(
                    delete(fresh_days)
                    .where(fresh_days.c.day == row.day)
                    .where(fresh_days.c.token == row.token)
                )
        return True

    def _sort_day(self, connection: Connection, begin: int, day_of: DayOf) -> None:
        """Make the local days of a UTC day stale, unless all its facts are strays."""
        end = begin + MICROS_PER_DAY
        among = (facts.c.occurred_at >= begin) & (facts.c.occurred_at < end)
        alone = strays.list_days(connection, among, day_of)
        if alone is None:
            strays.match(connection, select(facts.c.event_id).where(among))
            days = {day_of(begin + part * MICROS_PER_DAY // 2) for part in (0, 1)}
            self._stale(connection, {*days, day_of(end - 1)}, spreads=True)
            return
        # A roll-up that is there, or is being made, may have counted them.
        rolled_up = union(select(rollups.c.day), select(stale_days.c.day))
        self._stale(connection, alone & {*connection.scalars(rolled_up)}, spreads=False)

    def left_out(self, day: str) -> set[str]:
        """Return the facts that the roll-up of a day leaves out; see `strays.left_out`."""
        with self._database.reading() as connection:
            return strays.left_out(connection, day)

    def count_strays(self, first: str | None, last: str | None) -> dict[str, int]:
        """Return how many strays of a period each cause has, bounds inclusive."""
        with self._database.reading() as connection:
            return strays.count(connection, first, last)

    def _stale(self, connection: Connection, days: Iterable[str], *, spreads: bool) -> None:
        statement = insert_into(connection, stale_days)
        statement = statement.on_conflict_do_update(
            index_elements=["day"],
            set_={
                "token": statement.excluded.token,
                "spreads": stale_days.c.spreads | statement.excluded.spreads
                if connection.dialect.name == "sqlite"
                else stale_days.c.spreads.op("or")(statement.excluded.spreads),
            },
        )
        rows = [{"day": day, "token": _token(), "spreads": spreads} for day in sorted(days)]
        if rows:
            connection.execute(statement, rows)

    def stale(self) -> list[StaleDay]:
        """Return the days to roll up, in order; none of those whose facts were dropped."""
        with self._database.reading() as connection:
            since = note(connection, FACTS_SINCE)
            days = select(stale_days).order_by(stale_days.c.day)
            days = days if since is None else days.where(stale_days.c.day >= since)
            rows = connection.execute(days).all()
        return [StaleDay(row.day, row.token, row.spreads) for row in rows]

    def any_saved(self) -> bool:
        """Return whether there is a roll-up of any day."""
        with self._database.reading() as connection:
            return connection.scalar(select(rollups.c.day).limit(1)) is not None

    def spread(self, since: int, until: int, day_of: DayOf, beside: frozenset[str]) -> None:
        """Mark days linked to the facts of a period as stale too, except those in `beside`."""
        seeds = (
            select(facts.c.event_id)
            .where(facts.c.occurred_at >= since)
            .where(facts.c.occurred_at < until)
        )
        with self._database.writing() as connection:
            follow_indexes(connection)
            days = _days_of(connection, linked_to(seeds), day_of) - beside
            self._stale(connection, days, spreads=False)

    def save(
        self,
        stale: StaleDay,
        body: bytes | None,
        offers: bytes | None,
        spanning: Mapping[str, tuple[str, str]],
        whole: Iterable[str],
    ) -> bool:
        """Store the roll-up of a day, which is no longer stale, with its single offers.

        There is no `body` where the day has no facts; `spanning` are first and last day of each
        checkout that the day shares with others, and `whole` its other checkouts. Return False,
        with nothing stored, where the day became stale again in the meantime.
        """
        with self._database.writing() as connection:
            current = select(stale_days.c.token).where(stale_days.c.day == stale.day)
            if connection.scalar(current.with_for_update()) != stale.token:
                return False
            connection.execute(delete(stale_days).where(stale_days.c.day == stale.day))
            connection.execute(delete(rollups).where(rollups.c.day == stale.day))
            if body is not None:
                connection.execute(
                    rollups.insert(), {"day": stale.day, "body": body, "offers": offers}
                )
            for ids in _chunks(sorted({*spanning, *whole})):
                connection.execute(
                    delete(spanning_checkouts).where(spanning_checkouts.c.checkout_id.in_(ids))
                )
            if spanning:
                connection.execute(
                    insert_into(connection, spanning_checkouts).on_conflict_do_nothing(),
                    [
                        {"checkout_id": each, "first_day": first, "last_day": last}
                        for each, (first, last) in sorted(spanning.items())
                    ],
                )
        return True

    def seal(self, since: str, folded: Mapping[str, bytes], opened: Iterable[str]) -> None:
        """Make the roll-ups of the days before `since` final: later facts do not change them.

        Those that are `folded` also count the checkouts that they share with later days, of which
        those that are `opened` are rolled up again.
        """
        with self._database.writing() as connection:
            for day, body in folded.items():
                connection.execute(update(rollups).where(rollups.c.day == day).values(body=body))
            connection.execute(update(rollups).where(rollups.c.day < since).values(offers=None))
            connection.execute(
                delete(spanning_checkouts).where(spanning_checkouts.c.first_day < since)
            )
            connection.execute(delete(stale_days).where(stale_days.c.day < since))
            self._stale(connection, opened, spreads=False)
            keep_note(connection, FACTS_SINCE, since)

    def bodies(self, first: str | None, last: str | None) -> Iterator[tuple[str, bytes]]:
        """Yield (day, roll-up) of a period, bounds inclusive, in order."""
        return self._column(rollups.c.body, first, last)

    def offers(self, first: str | None, last: str | None) -> Iterator[tuple[str, bytes]]:
        """Yield (day, its single offers) of a period, as `bodies`; those of which they are kept."""
        return self._column(rollups.c.offers, first, last)

    def _column(
        self, column: ColumnElement[Any], first: str | None, last: str | None
    ) -> Iterator[tuple[str, bytes]]:
        query = select(rollups.c.day, column).where(column.is_not(None)).order_by(rollups.c.day)
        query = query if first is None else query.where(rollups.c.day >= first)
        query = query if last is None else query.where(rollups.c.day <= last)
        with self._database.reading() as connection:
            in_binary(connection)
            for row in connection.execution_options(yield_per=16).execute(query):
                yield row[0], row[1]

    def spanning(self, first: str | None, last: str | None) -> dict[str, tuple[str, str]]:
        """Return first and last day of each checkout of the period that several days share."""
        query = select(spanning_checkouts)
        query = query if first is None else query.where(spanning_checkouts.c.last_day >= first)
        query = query if last is None else query.where(spanning_checkouts.c.first_day <= last)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(spanning_checkouts.c.checkout_id))
            return {row.checkout_id: (row.first_day, row.last_day) for row in rows}

    def numbers(self, names: Sequence[str]) -> dict[str, int]:
        """Return the number of each unit, after adding units without one."""
        numbers = self._known(names)
        missing = sorted({*names} - numbers.keys())
        if missing:
            with self._database.writing() as connection:
                connection.execute(
                    insert_into(connection, rollup_units).on_conflict_do_nothing(),
                    [{"name": name} for name in missing],
                )
            numbers |= self._known(missing)
        return numbers

    def _known(self, names: Sequence[str]) -> dict[str, int]:
        numbers: dict[str, int] = {}
        with self._database.reading() as connection:
            for some in _chunks(names):
                query = select(rollup_units.c.name, rollup_units.c.id)
                for row in connection.execute(query.where(rollup_units.c.name.in_(some))):
                    numbers[row.name] = row.id
        return numbers


def _days_of(connection: Connection, ids: Select[tuple[str]], day_of: DayOf) -> set[str]:
    query = select(facts.c.occurred_at).where(facts.c.event_id.in_(ids)).distinct()
    return {day_of(instant) for instant in connection.scalars(query)}


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]


def _token() -> str:
    return secrets.token_hex(8)
