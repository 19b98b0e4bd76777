"""Instants: integer microseconds since 1970 in UTC inside, ISO 8601 with offset outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MICROS_PER_DAY = 86_400_000_000


def now() -> int:
    """Microseconds since the epoch, UTC."""
    return to_micros(datetime.now(UTC))


def to_micros(moment: datetime) -> int:
    """Microseconds since the epoch of an aware datetime, exact."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


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
