"""Instants: integer microseconds since 1970 in UTC inside, ISO 8601 with offset outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from mersalg.engine.errors import shown

_LONGEST = 64
"""Characters of an instant; the longest that is read has 32."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MICROS_PER_DAY = 86_400_000_000


def now() -> int:
    """Microseconds since the epoch, UTC."""
    return to_micros(datetime.now(UTC))


def to_micros(moment: datetime) -> int:
    """Microseconds since the epoch of an aware datetime, exact."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


_EARLIEST = to_micros(datetime.min.replace(tzinfo=UTC))
_LATEST = to_micros(datetime.max.replace(tzinfo=UTC))


def to_datetime(micros: int) -> datetime:
    """Return the aware UTC datetime of `micros`."""
    return _EPOCH + timedelta(microseconds=micros)


def to_iso(micros: int) -> str:
    """`2026-01-31T12:00:00+00:00`, with microseconds only where there are any."""
    second, part = divmod(micros, 1_000_000)
    return f"{_written(second)}{f'.{part:06}' if part else ''}+00:00"


@lru_cache(64)  # of one second there are many facts
def _written(second: int) -> str:
    return to_datetime(second * 1_000_000).isoformat()[:19]


def parse_instant(text: str) -> int:
    """Microseconds of an ISO 8601 date and time with an offset.

    Raises
    ------
    ValueError
        Not ISO 8601, or without an offset (a local time is not an instant), or carried by its
        offset out of the years that can be written.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"{shown(text)} is too long")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{shown(text)} has no UTC offset")
    micros = to_micros(moment)
    if not _EARLIEST <= micros <= _LATEST:
        raise ValueError(f"{shown(text)} is out of range")
    return micros
