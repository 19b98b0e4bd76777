"""When a rule of the shop holds: half-open periods, by the shop's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Self
from zoneinfo import ZoneInfo

from mersalg.engine import clock

_BEGINNING, _END = -(2**62), 2**62
"""Long before and after every instant that can be written."""


@dataclass(frozen=True, slots=True)
class Validity:
    """From `start` (included) until `end` (not), microseconds since the epoch."""

    start: int = _BEGINNING
    end: int = _END

    @classmethod
    def between(cls, start: date | None, end: date | None, zone: ZoneInfo) -> Self:
        """None is open; a date is its first instant in `zone`, as are times without offset."""
        return cls(
            _BEGINNING if start is None else _instant(start, zone),
            _END if end is None else _instant(end, zone),
        )

    @property
    def lasts(self) -> bool:
        """Whether it holds at any moment at all."""
        return self.start < self.end

    @property
    def turns(self) -> frozenset[int]:
        """The moments at which it begins or ceases to hold."""
        return frozenset({self.start, self.end} - {_BEGINNING, _END})

    def __contains__(self, moment: int) -> bool:
        return self.start <= moment < self.end


def _instant(moment: date, zone: ZoneInfo) -> int:
    local = moment if isinstance(moment, datetime) else datetime.combine(moment, time())
    return clock.to_micros(local if local.tzinfo else local.replace(tzinfo=zone))


def parse_moment(value: object) -> object:
    """Return the instant of a TOML or ISO 8601 date, or date and time; raises ValueError."""
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a date such as 2026-11-01, or a date and time")
    try:
        return date.fromisoformat(value)
    except ValueError:
        return datetime.fromisoformat(value)
