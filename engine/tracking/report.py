"""The report: both rates in total and by group, from nothing but the facts.

The same set of facts gives the same report, byte for byte, in whatever order and however often
they arrive; there is no time stamp of its making in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from engine import money
from engine.clock import MICROS_PER_DAY
from engine.errors import ConfigError
from engine.events import Fact
from engine.offers import Decision
from engine.storage.store import FactScope, Store
from engine.tracking import counting, incremental
from engine.tracking.attribution import Outcome, outcomes
from engine.tracking.comparison import compared, other_period
from engine.tracking.drawing import drawing_of, mismatch_p_value, mismatch_reason
from engine.tracking.groups import offer_key
from engine.tracking.history import History, Order
from engine.tracking.many import Measured, judge_together
from engine.tracking.periods import TIME_KEYS, Buckets, bound_text, ends_at, starts_at, zone_of
from engine.tracking.query import ReportQuery, parse_query
from engine.tracking.rates import rates_of
from engine.tracking.reading import build_history

__all__ = ["ReportQuery", "build_report", "parse_query", "report_of"]

_NOT_FILLED = "the query was not filled"


def build_report(store: Store, query: ReportQuery) -> dict[str, object]:
    """The report JSON over the facts of a store; settings left open are the shop's own.

    Raises:
        ConfigError: a question that cannot be answered, or a wrong setting in the database.
        StorageUnavailable: the database does not answer.
    """
    filled = query.filled(store.settings())
    if filled.compare is None:
        return _of_period(store, filled)
    other = other_period(filled)
    report = _of_period(store, replace(filled, compare=None))
    return {**report, "comparison": compared(report, _of_period(store, other))}


def _of_period(store: Store, filled: ReportQuery) -> dict[str, object]:
    since, until = _bounds(filled)
    # Checkouts come whole from the store; what a window ties together may lie this far apart.
    margin = (filled.attribution_window_days or 0) * MICROS_PER_DAY
    scope = FactScope(
        None if since is None else since - margin, None if until is None else until + margin
    )
    return report_of(store.facts(scope), filled)


def report_of(facts: Iterable[Fact], query: ReportQuery) -> dict[str, object]:
    """The report JSON over `facts`, in any order; see `build_report`."""
    return _Report(facts, query.filled({})).json()


def _bounds(query: ReportQuery) -> tuple[int | None, int | None]:
    assert query.timezone is not None, _NOT_FILLED
    zone = zone_of(query.timezone)
    since, until = starts_at(query.since, zone), ends_at(query.until, zone)
    if since is not None and until is not None and since > until:
        raise ConfigError(f"from: {query.since} is after {query.until}")
    return since, until


@dataclass(slots=True)
class _Part:
    """What falls into one time bucket."""

    decisions: list[Decision] = field(default_factory=list[Decision])
    orders: list[Order] = field(default_factory=list[Order])
    outcomes: list[Outcome] = field(default_factory=list[Outcome])


class _Report:
    def __init__(self, facts: Iterable[Fact], query: ReportQuery) -> None:
        assert query.impressions is not None, _NOT_FILLED
        assert query.attribution_window_days is not None, _NOT_FILLED
        assert query.holdout is not None, _NOT_FILLED
        assert query.timezone is not None, _NOT_FILLED
        self._query, self._holdout = query, query.holdout
        self._buckets = Buckets(zone_of(query.timezone))
        self._since, self._until = _bounds(query)
        self._history = build_history(facts)
        self._currency, self._currency_status = _currency(self._history, query.currency)
        found = outcomes(self._history, query.impressions, query.attribution_window_days)
        self._all = _Part(
            [each for each in self._history.decisions if self._inside(each.occurred_at)],
            [each for each in self._history.orders if self._inside(each.placed_at)],
            [each for each in found.values() if self._inside(each.placed.decision.occurred_at)],
        )

    def _inside(self, instant: int) -> bool:
        return counting.inside(instant, self._since, self._until)

    def json(self) -> dict[str, object]:
        query = self._query
        return {
            "from": bound_text(query.since),
            "to": bound_text(query.until),
            "timezone": query.timezone,
            "currency": self._currency,
            "impressions": query.impressions,
            "attribution_window_days": query.attribution_window_days,
            "level": query.level,
            "watched": query.watched,
            "total": self._measured(self._all).kinds(self._all.outcomes),
            "groups": self._groups() if query.by else [],
            "quality": self._quality(),
        }

    def _measured(self, part: _Part) -> _Measured:
        return _Measured(
            self._history, self._query, self._currency, self._holdout, part.decisions, part.orders
        )

    def _groups(self) -> list[dict[str, object]]:
        """One row for each bucket of time with a decision or order, split by keys of offers."""
        time_keys = [key for key in self._query.by if key in TIME_KEYS]
        offer_keys = [key for key in self._query.by if key not in TIME_KEYS]
        rows: list[tuple[tuple[str, ...], dict[str, object]]] = []
        for bucket, part in self._parts(time_keys).items():
            measured = self._measured(part)
            groups: Mapping[tuple[str, ...], list[Outcome]] = {(): part.outcomes}
            if offer_keys:
                groups = defaultdict(list)
                for outcome in part.outcomes:
                    group = tuple(offer_key(key, outcome.placed) for key in offer_keys)
                    groups[group].append(outcome)
            beside: list[dict[str, object]] = []
            for group, members in groups.items():
                named = dict(zip((*time_keys, *offer_keys), (*bucket, *group), strict=True))
                key = {name: named[name] for name in self._query.by}
                beside.append(measured.kinds(members))
                rows.append((tuple(key.values()), {"key": key, **beside[-1]}))
            for kind in self._query.kinds if offer_keys else ():
                judge_together([cast("Measured", each[kind]) for each in beside])
        return [row for _, row in sorted(rows, key=lambda each: each[0])]

    def _parts(self, time_keys: Sequence[str]) -> Mapping[tuple[str, ...], _Part]:
        parts: defaultdict[tuple[str, ...], _Part] = defaultdict(_Part)

        def bucket(instant: int) -> tuple[str, ...]:
            return tuple(self._buckets.text(key, instant) for key in time_keys)

        for decision in self._all.decisions:
            parts[bucket(decision.occurred_at)].decisions.append(decision)
        for order in self._all.orders:
            parts[bucket(order.placed_at)].orders.append(order)
        for outcome in self._all.outcomes:
            parts[bucket(outcome.placed.decision.occurred_at)].outcomes.append(outcome)
        return parts

    def _quality(self) -> dict[str, object]:
        troubles = self._history.troubles

        def within(instants: Iterable[int]) -> int:
            return sum(map(self._inside, instants))

        return {
            "duplicates": within(troubles.duplicates),
            "late": within(troubles.late),
            "unmatched": within(troubles.unmatched),
            "bots_excluded": within(troubles.bots),
            "srm_p_value": mismatch_p_value(
                drawing_of(self._all.decisions, self._history.units, self._holdout)
            ),
            "unpriced": sum(
                credit.revenue_minor is None
                for outcome in self._all.outcomes
                if outcome.placed.offer.kind in self._query.kinds
                for credit in outcome.credits
            ),
            "other_currency": sum(
                order.currency is not None and order.currency != self._currency
                for order in self._all.orders
            ),
            "currency": self._currency_status,
        }


class _Measured:
    """One period, ready to be measured over sets of its offers."""

    def __init__(
        self,
        history: History,
        query: ReportQuery,
        currency: str | None,
        holdout: float,
        decisions: Sequence[Decision],
        orders: Sequence[Order],
    ) -> None:
        self._history, self._query, self._currency = history, query, currency
        self._buying = counting.buying_units(history, decisions, orders)
        self._mismatch = mismatch_reason(drawing_of(decisions, history.units, holdout))

    def kinds(self, members: Sequence[Outcome]) -> dict[str, object]:
        return {
            kind: self._kind([each for each in members if each.placed.offer.kind == kind])
            for kind in self._query.kinds
        }

    def _kind(self, members: Sequence[Outcome]) -> dict[str, object]:
        counts = counting.count(members, self._buying, self._history.orders_of, self._currency)
        arms = incremental.arms_of(self._history, [each.placed for each in members], self._currency)
        return {
            **rates_of(counts, self._query.level),
            "conversions": {
                "accepted_click": counts.offers_clicked_first,
                "view_through": counts.offers_converted - counts.offers_clicked_first,
                "total": counts.offers_converted,
            },
            "revenue": self._money(counts.revenue_minor),
            "net_revenue": self._money(counts.net_revenue_minor),
            "incremental": incremental.incremental_of(
                arms,
                reason=self._mismatch,
                currency=self._currency,
                level=self._query.level,
                watched=self._query.watched,
            ),
        }

    def _money(self, minor: int) -> str | None:
        return None if self._currency is None else money.to_text(minor, self._currency)


def _currency(history: History, wanted: str | None) -> tuple[str | None, str]:
    """The currency money is added in, and how it was found."""
    if wanted is not None:
        return wanted, "ok"
    named = sorted(history.currencies())
    if len(named) == 1:
        return named[0], "ok"
    if not named:
        return None, "unknown: no fact names one"
    return None, f"several: {', '.join(named)}; choose one"
