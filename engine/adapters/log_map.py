"""The map of another system's offer log: which column says what, as a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from mersalg.engine import clock
from mersalg.engine.errors import ConfigError, FactRejected
from mersalg.engine.facts import KINDS, Kind

Step = Literal["received", "viewed", "completed", "purchased"]
STEPS: tuple[Step, ...] = ("received", "viewed", "completed", "purchased")
Outcome = Literal["accepted", "declined"]
OUTCOMES: tuple[Outcome, ...] = ("accepted", "declined")

_USUAL: Mapping[Outcome, str] = {
    "accepted": "accepted accept yes y true t 1 ja j sant",
    "declined": "declined decline rejected refused no n false f 0 nei usann",
}
"""Words of outcomes where the map names none, whatever their case."""

_Meaning = TypeVar("_Meaning", Step, Outcome)

_UNITS = {
    "milliseconds": 1_000,
    "seconds": 1_000_000,
    "minutes": 60_000_000,
    "hours": 3_600_000_000,
    "days": clock.MICROS_PER_DAY,
}


@dataclass(frozen=True, slots=True)
class LogMap:
    """Columns and words of an offer log, and the facts that its rows become.

    A log has either a column `event`, of what happened to an offer, or a column `outcome`: one row
    for each offer, with whether it was accepted.

    Attributes
    ----------
    event, customer, offer, time : str or None
        Columns. Without `customer` each row has a unit of its own; without `time` rows are in the
        order of the file, from `start` on.
    steps : mapping
        A word in the event column -> what it means; rows of other words are left out.
    amount, duration, segment : str or None
        Columns of a purchase's worth, of the days an offer stays open, and of what offers are
        grouped by.
    outcome : str or None
        Column of the outcome.
    outcomes : mapping
        A word in it -> what it means; empty for the usual words.
    id : str or None
        Column that tells rows apart: a second row of an id is a copy of the first. Without it equal
        rows are different offers.
    unit : int or None
        Microseconds of one unit of a time that is a number, counted from `start`; None where times
        are ISO 8601.
    durations : mapping
        offer -> days it stays open; `days` for all others.
    kind : Kind
        What the offers are.
    currency : str or None
        Of the amounts.
    """

    event: str | None
    customer: str | None
    offer: str
    time: str | None
    steps: Mapping[str, Step]
    amount: str | None = None
    duration: str | None = None
    segment: str | None = None
    outcome: str | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict[str, Outcome])
    id: str | None = None
    unit: int | None = None
    start: int = 0
    days: Decimal = Decimal(7)
    durations: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    kind: Kind = "cross_sell"
    currency: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that the map names."""
        named = (self.event, self.outcome, self.customer, self.offer, self.time, self.amount)
        return [each for each in (*named, self.duration, self.segment, self.id) if each is not None]

    def outcome_of(self, word: str) -> Outcome | None:
        """Return what a word of the outcome column means; None for an unknown one."""
        if self.outcomes:
            return self.outcomes.get(word)
        for outcome, words in _USUAL.items():
            if word.strip().lower() in words.split():
                return outcome
        return None

    def instant(self, text: str) -> int:
        """Return the instant of a time; raises FactRejected for what is no time."""
        try:
            if self.unit is None:
                return clock.parse_instant(text)
            instant = self.start + int(Decimal(text) * self.unit)
            clock.to_datetime(instant)
        except (ValueError, OverflowError, InvalidOperation) as error:
            raise FactRejected("invalid", f"{self.time}: {text!r} is no time: {error}") from error
        return instant

    def open_for(self, offer: str, duration: str | None) -> int:
        """Return how many microseconds an offer stays open.

        Raises
        ------
        FactRejected
            The duration is no number of days.
        """
        days = self.durations.get(offer, self.days)
        if duration:
            try:
                days = Decimal(duration)
            except InvalidOperation as error:
                message = f"{self.duration}: {duration!r} is no number of days"
                raise FactRejected("invalid", message) from error
        if not days.is_finite() or days < 0:
            raise FactRejected("invalid", f"{days} is no number of days")
        return int(days * clock.MICROS_PER_DAY)


def load_map(path: Path) -> LogMap:
    """Read a map; see `docs/how-to/offer-logs.md` for one.

    Raises
    ------
    ConfigError
        Missing file, broken TOML, or keys that are missing, unknown or impossible.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return _Reading(path, data).map()


class _Reading:
    def __init__(self, path: Path, data: Mapping[str, Any]) -> None:
        self._path, self._data = path, data
        self._only("", data, ("columns", "events", "outcomes", "time", "offers"))

    def map(self) -> LogMap:
        columns = self._table("columns")
        known = ("event", "outcome", "customer", "offer", "time", "amount", "duration", "segment")
        self._only("columns.", columns, (*known, "id"))
        named: dict[str, Any] = dict.fromkeys(("event", "customer", "time"))
        named |= {name: self._text("columns.", columns, name) for name in columns}
        if "offer" not in named:
            raise self._wrong("columns.offer is missing")
        if ("event" in columns) == ("outcome" in columns):
            raise self._wrong(
                "columns must name either event (what happened to an offer) or outcome (whether the"
                " offer of the row was accepted)"
            )
        time, offers = self._table("time"), self._table("offers")
        self._only("time.", time, ("unit", "start"))
        self._only("offers.", offers, ("kind", "days", "durations", "currency"))
        unit = self._text("time.", time, "unit") if "unit" in time else None
        if unit is not None and unit not in _UNITS:
            raise self._wrong(f"time.unit: {unit!r} is none of {', '.join(_UNITS)}")
        kind = offers.get("kind", "cross_sell")
        if kind not in KINDS:
            raise self._wrong(f"offers.kind: {kind!r} is none of {', '.join(KINDS)}")
        durations = offers.get("durations", {})
        if not isinstance(durations, dict):
            raise self._wrong("offers.durations is not a table of days by offer")
        return LogMap(
            **named,
            steps=self._words("events", STEPS) if "event" in columns else {},
            outcomes=self._words("outcomes", OUTCOMES) if "outcomes" in self._data else {},
            unit=None if unit is None else _UNITS[unit],
            start=self._start(time.get("start")),
            days=self._days("offers.days", offers.get("days", 7)),
            durations={
                offer: self._days(f"offers.durations.{offer}", days)
                for offer, days in cast("dict[str, object]", durations).items()
            },
            kind=kind,
            currency=self._text("offers.", offers, "currency") if "currency" in offers else None,
        )

    def _words(self, name: str, meanings: tuple[_Meaning, ...]) -> dict[str, _Meaning]:
        """Return what each word means, by a table of the words for each meaning."""
        table = self._table(name)
        self._only(f"{name}.", table, meanings)
        found: dict[str, _Meaning] = {}
        for meaning in meanings:
            words = table.get(meaning, [])
            words = [words] if isinstance(words, str) else words
            if not isinstance(words, list) or not all(
                isinstance(word, str) for word in cast("list[object]", words)
            ):
                raise self._wrong(f"{name}.{meaning} is neither a word nor a list of words")
            for word in cast("list[str]", words):
                if word in found:
                    raise self._wrong(f"{name}: {word!r} is both {found[word]} and {meaning}")
                found[word] = meaning
        if meanings[0] not in found.values():
            raise self._wrong(f"{name}.{meanings[0]} is missing: which words mean that?")
        return found

    def _table(self, name: str) -> Mapping[str, Any]:
        table = self._data.get(name, {})
        if not isinstance(table, dict):
            raise self._wrong(f"{name} is not a table")
        return cast("dict[str, Any]", table)

    def _only(self, where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for name in table:
            if name not in known:
                raise self._wrong(f"{where}{name} does not exist; there are {', '.join(known)}")

    def _text(self, where: str, table: Mapping[str, Any], name: str) -> str:
        value = table[name]
        if not isinstance(value, str) or not value:
            raise self._wrong(f"{where}{name} is not a text")
        return value

    def _days(self, where: str, value: object) -> Decimal:
        if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
            raise self._wrong(f"{where} is not a number of days")
        return Decimal(str(value))

    def _start(self, value: object) -> int:
        if value is None:
            return 0
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        except ValueError as error:
            raise self._wrong(f"time.start: {error}") from error
        if isinstance(moment, date) and not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        if not isinstance(moment, datetime):
            raise self._wrong("time.start is not a date")
        return clock.to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))

    def _wrong(self, message: str) -> ConfigError:
        return ConfigError(f"{self._path}: {message}")
