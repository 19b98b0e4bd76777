"""Retention: the facts of old months are dropped, and their counts stay in the roll-ups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from mersalg.engine.errors import ConfigError
from mersalg.engine.progress import Progress
from mersalg.engine.storage.store import Store
from mersalg.engine.tracking.local_days import starts_at
from mersalg.engine.tracking.query import ReportQuery
from mersalg.engine.tracking.rollups.stored import folded, refresh


@dataclass(frozen=True, slots=True)
class Retained:
    """The first day whose facts are stored, and how many facts were deleted and days are final."""

    since: date
    dropped: int
    days: int


def first_kept(today: date, months: int) -> date:
    """Return the first day of the month `months` whole months before the present one.

    Raise ConfigError where there is no such month, or it is the present one.
    """
    months_since_0 = today.year * 12 + today.month - 1 - months
    if months < 1:
        raise ConfigError(f"keep-months: at least the month before this one stays, not {months}")
    if months_since_0 < 12:
        raise ConfigError(f"keep-months: {months} months ago there was no calendar")
    return date(months_since_0 // 12, months_since_0 % 12 + 1, 1)


def would_drop(store: Store, since: date) -> int:
    """Return the number of facts before `since`."""
    return store.facts.count_before(_instant(store, since))


def drop_before(store: Store, since: date, progress: Progress) -> Retained:
    """Roll up, seal the days before `since` and drop their facts, month by month.

    A checkout that days share is from then on counted in its first, as far as it was decided before
    `since`. If interrupted, run it again and it resumes. Raise ConfigError where a later month was
    dropped before, or the roll-ups cannot be brought up to date.
    """
    own = ReportQuery().filled(store.reports.settings())
    rollups, day = store.reports.rollups, since.isoformat()
    sealed = rollups.facts_since()
    if sealed is not None and day < sealed:
        raise ConfigError(f"the facts before {sealed} are gone already; {day} is earlier")
    if not refresh(store, own, progress):
        raise ConfigError("the roll-ups could not be brought up to date; nothing was dropped")
    if sealed != day:
        shared = {
            checkout_id: days
            for checkout_id, days in rollups.spanning(None, None).items()
            if days[0] < day
        }
        shared_days = sorted({each for days in shared.values() for each in _days_until(*days, day)})
        with progress.task("Sealing days", total=len(shared_days)) as task:
            bodies: dict[str, bytes] = {}
            for each in shared_days:
                bodies[each] = folded(store, own, each, day)
                task.advance()
        until = max((last for _, last in shared.values()), default="")
        opened = (
            [stored_day for stored_day, _ in rollups.bodies(day, until)] if until >= day else []
        )
        rollups.seal(day, bodies, opened)
    with progress.task("Dropping facts") as task:
        dropped = store.facts.drop_before(_instant(store, since), task.advance)
    days = sum(1 for stored_day, _ in rollups.bodies(None, None) if stored_day < day)
    return Retained(since, dropped, days)


def _days_until(first: str, last: str, before: str) -> list[str]:
    """Return the days from `first` to `last` that are before another."""
    begin, n_days = date.fromisoformat(first), 1
    n_days += (date.fromisoformat(last) - begin).days
    days = [(begin + timedelta(days=n)).isoformat() for n in range(n_days)]
    return [day for day in days if day < before]


def _instant(store: Store, since: date) -> int:
    instant = starts_at(since, ReportQuery.from_store(store).zone)
    assert instant is not None, "a date has a first instant"
    return instant
