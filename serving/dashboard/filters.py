"""What a page is asked for: the period and the filters of its address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from mersalg.engine import clock
from mersalg.engine.facts import KINDS, Decision, Kind
from mersalg.engine.storage.facts import Facts
from mersalg.engine.tracking.local_days import ends_at, starts_at
from mersalg.engine.tracking.query import ReportQuery

NARROWING = ("store", "segment", "placement")
"""Filters that are keys of a report's groups."""
_PARTS, _OF_A_PART = 20, 50
"""Parts of a period, and decisions of each, whose stores, segments and placements filters list."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a page is asked for, as its address says it; both days are inclusive."""

    since: date
    until: date
    store: str | None = None
    segment: str | None = None
    placement: str | None = None
    kind: Kind | None = None

    @property
    def days(self) -> int:
        """Length of the period."""
        return (self.until - self.since).days + 1

    @property
    def narrowed(self) -> Mapping[str, str]:
        """The filters of `NARROWING` that are set."""
        return {name: value for name in NARROWING if (value := getattr(self, name))}

    def query(self, *by: str, **settings: Any) -> ReportQuery:
        """Return the question of a page, split `by` keys and those of the filters."""
        return ReportQuery(
            since=self.since,
            until=self.until,
            by=(*by, *(key for key in self.narrowed if key not in by)),
            kinds=(self.kind,) if self.kind else KINDS,
            watched=True,
            **settings,
        )

    def rows(self, report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the groups of a report of `query` that the filters let through."""
        wanted = self.narrowed.items()
        return [row for row in report["groups"] if wanted <= row["key"].items()]

    def texts(self) -> dict[str, str]:
        """Return the filters as parameters of an address."""
        texts = {"from": self.since.isoformat(), "to": self.until.isoformat(), **self.narrowed}
        return texts | ({"kind": self.kind} if self.kind else {})

    def known(self, facts: Facts, zone: ZoneInfo) -> Mapping[str, Sequence[str]]:
        """Return the values of each of `NARROWING` in the period, and the one that is set.

        An empty text stands for those that may be missing: of a busy part of the period only the
        newest decisions are read.
        """
        first, now = starts_at(self.since, zone) or 0, clock.now()
        last = min(ends_at(self.until, zone) or now, now)
        step = max(1, (last - first) // _PARTS)
        read, missing = list[Decision](), set[str]()
        for begin in range(first, last, step):
            newest = facts.newest_decisions(_OF_A_PART, begin, begin + step)
            read += newest
            missing |= {""} if len(newest) == _OF_A_PART else set()
        fields = {name: "store_id" if name == "store" else name for name in NARROWING}
        return {
            name: [
                *sorted(({getattr(each, field) for each in read} | {getattr(self, name)}) - {None}),
                *missing,
            ]
            for name, field in fields.items()
        }
