"""The map of another system's offer log: which column says what, as a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, cast

from engine import clock
from engine.errors import ConfigError, FactRejected
from engine.facts import KINDS, Kind

Step = Literal["received", "viewed", "completed", "purchased"]
STEPS: tuple[Step, ...] = ("received", "viewed", "completed", "purchased")

_UNITS = {
    "milliseconds": 1_000,
    "seconds": 1_000_000,
    "minutes": 60_000_000,
    "hours": 3_600_000_000,
    "days": clock.MICROS_PER_DAY,
}


@dataclass(frozen=True, slots=True)
class LogMap:
    """How rows of an offer log are read.

    Attributes:
        event, customer, offer, time: columns; `amount` that of a purchase's worth, `duration` that
            of the days an offer stays open and `segment` that of what offers are grouped by, None
            where there is no such column.
        steps: a word in the event column -> what it means; rows of other words are passed over.
        unit: microseconds of one unit of a time that is a number, counted from `start`; None where
            times are ISO 8601.
        durations: offer -> days it stays open; `days` for all others.
        kind: what the offers are; `currency` of the amounts.
    """

    event: str
    customer: str
    offer: str
    time: str
    steps: Mapping[str, Step]
    amount: str | None = None
    duration: str | None = None
    segment: str | None = None
    unit: int | None = None
    start: int = 0
    days: Decimal = Decimal(7)
    durations: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    kind: Kind = "cross_sell"
    currency: str | None = None

    def instant(self, text: str) -> int:
        """Raises FactRejected for what is no time."""
        try:
            if self.unit is None:
                return clock.parse_instant(text)
            instant = self.start + int(Decimal(text) * self.unit)
            clock.to_datetime(instant)
        except (ValueError, OverflowError, InvalidOperation) as error:
            raise FactRejected("invalid", f"{self.time}: {text!r} is no time: {error}") from error
        return instant

    def open_for(self, offer: str, duration: str | None) -> int:
        """Microseconds an offer stays open; raises FactRejected for what is no number of days."""
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
    """Read a map; see `README.md` for one.

    Raises:
        ConfigError: missing file, broken TOML, or keys that are missing, unknown or impossible.
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
        self._only("", data, ("columns", "events", "time", "offers"))

    def map(self) -> LogMap:
        columns = self._table("columns")
        required = ("event", "customer", "offer", "time")
        self._only("columns.", columns, (*required, "amount", "duration", "segment"))
        named = {name: self._text("columns.", columns, name) for name in columns}
        for name in required:
            if name not in named:
                raise self._wrong(f"columns.{name} is missing")
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
            steps=self._steps(),
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

    def _steps(self) -> dict[str, Step]:
        events = self._table("events")
        self._only("events.", events, STEPS)
        steps: dict[str, Step] = {}
        for step in STEPS:
            words = events.get(step, [])
            words = [words] if isinstance(words, str) else words
            if not isinstance(words, list) or not all(
                isinstance(word, str) for word in cast("list[object]", words)
            ):
                raise self._wrong(f"events.{step} is neither a word nor a list of words")
            for word in cast("list[str]", words):
                if word in steps:
                    raise self._wrong(f"events: {word!r} is both {steps[word]} and {step}")
                steps[word] = step
        if "received" not in steps.values():
            raise self._wrong("events.received is missing: what says that an offer was made?")
        return steps

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
