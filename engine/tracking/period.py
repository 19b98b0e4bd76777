"""The facts of one question put in order: what falls into the period asked about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.errors import ConfigError
from engine.facts import Decision, Fact
from engine.tracking import counting
from engine.tracking.attribution import Outcome, outcomes
from engine.tracking.history import Order
from engine.tracking.periods import Buckets, ends_at, starts_at, zone_of
from engine.tracking.query import ReportQuery
from engine.tracking.reading import build_history

NOT_FILLED = "the query was not filled"


@dataclass(slots=True)
class Part:
    """What falls into one time bucket."""

    decisions: list[Decision] = field(default_factory=list[Decision])
    orders: list[Order] = field(default_factory=list[Order])
    outcomes: list[Outcome] = field(default_factory=list[Outcome])


def bounds_of(query: ReportQuery) -> tuple[int | None, int | None]:
    """First instant of the period and first after it; None where unbounded."""
    assert query.timezone is not None, NOT_FILLED
    zone = zone_of(query.timezone)
    since, until = starts_at(query.since, zone), ends_at(query.until, zone)
    if since is not None and until is not None and since > until:
        raise ConfigError(f"from: {query.since} is after {query.until}")
    return since, until


class Period:
    """Facts, in any order and number, and what of them the filled `query` asks about.

    Attributes:
        history: everything that was handed over.
        all: what falls into the period.
    """

    def __init__(self, facts: Iterable[Fact], query: ReportQuery) -> None:
        assert query.impressions is not None, NOT_FILLED
        assert query.attribution_window_days is not None, NOT_FILLED
        assert query.timezone is not None, NOT_FILLED
        self._buckets = Buckets(zone_of(query.timezone))
        self._since, self._until = bounds_of(query)
        self.history = build_history(facts, query.bot_decisions_per_hour or 0)
        found = outcomes(self.history, query.impressions, query.attribution_window_days)
        self.all = Part(
            [each for each in self.history.decisions if self._inside(each.occurred_at)],
            [each for each in self.history.orders if self._inside(each.placed_at)],
            [each for each in found.values() if self._inside(each.placed.decision.occurred_at)],
        )

    def _inside(self, instant: int) -> bool:
        return counting.inside(instant, self._since, self._until)

    def day(self, instant: int) -> str:
        return self._buckets.text("day", instant)

    def parts(self, time_keys: Sequence[str]) -> Mapping[tuple[str, ...], Part]:
        """The period split by local days, weeks or months; no part is empty."""
        parts: defaultdict[tuple[str, ...], Part] = defaultdict(Part)

        def bucket(instant: int) -> tuple[str, ...]:
            return tuple(self._buckets.text(key, instant) for key in time_keys)

        for decision in self.all.decisions:
            parts[bucket(decision.occurred_at)].decisions.append(decision)
        for order in self.all.orders:
            parts[bucket(order.placed_at)].orders.append(order)
        for outcome in self.all.outcomes:
            parts[bucket(outcome.placed.decision.occurred_at)].outcomes.append(outcome)
        return parts

    def quality(self) -> dict[str, int]:
        """Facts of the period that count for nothing."""
        troubles = self.history.troubles

        def within(instants: Iterable[int]) -> int:
            return sum(map(self._inside, instants))

        return {
            "duplicates": within(troubles.duplicates),
            "late": within(troubles.late),
            "unmatched": within(troubles.unmatched),
            "bots_excluded": within(troubles.bots),
            "bots_by_rate": within(troubles.hasty),
        }

    def unpriced(self, kinds: Sequence[str]) -> int:
        """Bought lines owed to offers of some kinds whose worth is not known."""
        return sum(
            credit.revenue_minor is None
            for outcome in self.all.outcomes
            if outcome.placed.offer.kind in kinds
            for credit in outcome.credits
        )

    def currencies(self) -> frozenset[str]:
        return counting.currencies(self.history, self.all.decisions, self.all.orders)
