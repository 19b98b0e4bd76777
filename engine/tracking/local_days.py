"""Days, weeks and months of a time zone, and the instants at which they begin and end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mersalg.engine import clock
from mersalg.engine.errors import ConfigError, shown


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name; raise ConfigError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"timezone: {shown(name)} is not a time zone; give an IANA name such as Europe/Oslo"
        ) from error


def starts_at(bound: date | datetime | None, zone: ZoneInfo) -> int | None:
    """Return the first instant of a local day, or the instant itself, in microseconds."""
    if bound is None:
        return None
    if isinstance(bound, datetime):
        return clock.to_micros(bound if bound.tzinfo else bound.replace(tzinfo=zone))
    return clock.to_micros(datetime(bound.year, bound.month, bound.day, tzinfo=zone))


def ends_at(bound: date | datetime | None, zone: ZoneInfo) -> int | None:
    """Return the first instant after a local day, or the instant itself, in microseconds."""
    if bound is None or isinstance(bound, datetime):
        return starts_at(bound, zone)
    if bound == date.max:
        return None  # nothing comes after it
    return starts_at(bound + timedelta(days=1), zone)


def bound_text(bound: date | datetime | None) -> str | None:
    """Return a bound as the report repeats it: a day as such, an instant with its offset."""
    return None if bound is None else bound.isoformat()


class Buckets:
    """The texts of local days, weeks and months; instants of one minute share a look-up."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._days: dict[int, date] = {}

    def day(self, instant: int) -> date:
        """Return the local day of an instant."""
        # No offset in use since 1972 holds seconds, so no midnight falls inside a minute.
        minute = instant // 60_000_000
        local_day = self._days.get(minute)
        if local_day is None:
            moment = clock.to_datetime(minute * 60_000_000)
            try:
                local_day = moment.astimezone(self._zone).date()
            except OverflowError:
                local_day = moment.astimezone(UTC).date()
            self._days[minute] = local_day
        return local_day

    def text(self, key: str, instant: int) -> str:
        """Return the bucket of an instant."""
        return bucket_of(key, self.day(instant))


def bucket_of(key: str, day: date) -> str:
    """Return the bucket of a day: `2026-01-31`, `2026-W05` or `2026-01`."""
    if key == "day":
        return day.isoformat()
    if key == "week":
        year, week, _ = day.isocalendar()
        return f"{year:04d}-W{week:02d}"
    return f"{day.year:04d}-{day.month:02d}"
