"""Outcomes and checkouts of a period, and the counts of a set of its offers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from operator import attrgetter

from mersalg.engine.errors import ConfigError
from mersalg.engine.facts import Decision, Fact, Kind
from mersalg.engine.tracking.attribution import Outcome, outcomes
from mersalg.engine.tracking.cuped import Spending
from mersalg.engine.tracking.extra_sales import Between
from mersalg.engine.tracking.history import History, Order, PlacedOffer, build_history
from mersalg.engine.tracking.local_days import Buckets, ends_at, starts_at
from mersalg.engine.tracking.quality import counted_at, n_logged
from mersalg.engine.tracking.query import UNKNOWN, ReportQuery
from mersalg.engine.tracking.rates import Counts, Ratios
from mersalg.engine.tracking.sample_ratio import Drawn
from mersalg.engine.tracking.strata import Strata

NOT_FILLED = "the query was not filled"
SPENT = ("order_revenue", "net_order_revenue")
"""What units spent, gross and net of returns."""

_OF_DECISION: Mapping[str, Callable[[Decision], str | None]] = {
    "placement": attrgetter("placement"),
    "model_version": attrgetter("model_version"),
    "arm": attrgetter("arm"),
    "store": attrgetter("store_id"),
    "segment": attrgetter("segment"),
}


def offer_key(key: str, placed: PlacedOffer) -> str:
    """Return the group of an offer by one of `OFFER_KEYS`."""
    if key == "item":
        return placed.offer.item_id
    if key == "family":
        return placed.offer.family or UNKNOWN
    if key in _OF_DECISION:
        return _OF_DECISION[key](placed.decision) or UNKNOWN
    if key == "upgrade":
        replaces = placed.offer.replaces
        return UNKNOWN if replaces is None else f"{replaces.item_id} -> {placed.offer.item_id}"
    evidence = placed.offer.evidence
    if evidence is None:
        return UNKNOWN
    antecedent = " + ".join(evidence.antecedent_item_ids) or "popular"
    return f"{antecedent} -> {placed.offer.item_id}"


@dataclass(slots=True)
class Part:
    """Outcomes and checkouts of a period, or of one bucket of time of it."""

    history: History
    decisions: list[Decision] = field(default_factory=list[Decision])
    orders: list[Order] = field(default_factory=list[Order])
    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    def split(self, checkouts: Container[str]) -> tuple[Part, Part]:
        """Return the decisions and outcomes in some checkouts, and the others."""
        parts = Part(self.history), Part(self.history)
        for decision in self.decisions:
            parts[decision.checkout_id not in checkouts].decisions.append(decision)
        for outcome in self.outcomes:
            parts[outcome.placed.decision.checkout_id not in checkouts].outcomes.append(outcome)
        return parts

    def buying_units(self) -> frozenset[str]:
        """Return units with an order of the part, or in a checkout decided for in it.

        The order of such a checkout may come after the period.
        """
        buyers = self.history.buyers
        return frozenset[str]().union(*map(buyers, self.orders), *map(buyers, self._followed()))

    def last_orders(self) -> Mapping[str, int]:
        """Return when each unit last bought in the part; microseconds."""
        return {
            unit: order.placed_at for order in self.orders for unit in self.history.buyers(order)
        }

    def currencies(self) -> frozenset[str]:
        """Return the currencies named by the part's decisions and orders, and orders of these."""
        facts = (*self.orders, *self.decisions, *self._followed())
        return frozenset(fact.currency for fact in facts if fact.currency is not None)

    def _followed(self) -> list[Order]:
        """Return the orders of checkouts that were decided for in the part."""
        checkouts = {decision.checkout_id for decision in self.decisions}
        return [
            order
            for checkout_id in checkouts
            for order in self.history.orders_of.get(checkout_id, ())
        ]


class Period:
    """Facts, in any order and number, and what of them falls into the period of a filled query.

    There are more than those of the period where others belong to its checkouts: `history` and
    `outcomes` have all, `all` what falls into the period, `quality` each of `COUNTED` as far as it
    is of the period.
    """

    def __init__(self, facts: Iterable[Fact], query: ReportQuery) -> None:
        assert query.impressions is not None, NOT_FILLED
        assert query.attribution_window_days is not None, NOT_FILLED
        assert query.checkout_days is not None, NOT_FILLED
        assert query.prices_include_tax is not None, NOT_FILLED
        self._buckets, self._time_keys = Buckets(query.zone), query.time_keys
        self._since, self._until = bounds_of(query)
        history = build_history(
            facts,
            query.bot_decisions_per_hour or 0,
            prices_include_tax=query.prices_include_tax,
            only_vouched=query.count == "vouched",
        )
        window, days = query.attribution_window_days, query.checkout_days
        self.outcomes = outcomes(history, query.impressions, window, days).values()
        self.history = history
        self.all = Part(
            history,
            [decision for decision in history.decisions if self._has(decision.occurred_at)],
            [order for order in history.orders if self._has(order.placed_at)],
            [each for each in self.outcomes if self._has(each.placed.decision.occurred_at)],
        )
        self.quality = {
            cause: sum(map(self._has, instants))
            for cause, instants in counted_at(history, query.checkout_days).items()
        }
        self._n_logged = n_logged(history, self.all.decisions, self.all.orders)

    @cached_property
    def shared_checkouts(self) -> Mapping[str, tuple[str, str]]:
        """First and last day of each checkout of the period that several days share.

        These have decisions on several days, or are tied to checkouts of other days: by an order
        that ended both, which counts once.
        """
        shared: dict[str, tuple[str, str]] = {}
        of_order = self._tied()
        for checkout_id in {decision.checkout_id for decision in self.all.decisions}:
            days = {checkout_id: self._days_of(checkout_id)}
            unseen = [checkout_id]
            while unseen:
                for other in of_order.get(unseen.pop(), set[str]()) - days.keys():
                    days[other] = self._days_of(other)
                    unseen.append(other)
            if len({*days.values()}) > 1 or days[checkout_id][0] != days[checkout_id][1]:
                shared[checkout_id] = days[checkout_id]
        return shared

    def _tied(self) -> Mapping[str, set[str]]:
        """Return the checkouts with decisions that share an order with each checkout."""
        tied: defaultdict[str, set[str]] = defaultdict(set)
        for order in self.history.orders:
            ended = {checkout for checkout in order.checkouts if checkout in self.history.checkouts}
            for checkout_id in ended if len(ended) > 1 else ():
                tied[checkout_id] |= ended
        return tied

    def _days_of(self, checkout_id: str) -> tuple[str, str]:
        decided = self.history.checkouts[checkout_id]
        return self.day(decided[0].occurred_at), self.day(decided[-1].occurred_at)

    def _has(self, instant: int) -> bool:
        since, until = self._since, self._until
        return (since is None or instant >= since) and (until is None or instant < until)

    def day(self, instant: int) -> str:
        """Return the local day of an instant."""
        return self._buckets.text("day", instant)

    def ends(self) -> tuple[date | None, date | None]:
        """Return the local days of the first and the last decision or order; None without any."""
        instants = [decision.occurred_at for decision in self.all.decisions]
        instants += [order.placed_at for order in self.all.orders]
        if not instants:
            return None, None
        return self._buckets.day(min(instants)), self._buckets.day(max(instants))

    def knows_only_accepted(self) -> bool:
        """Return whether all decisions and orders are of offer logs; see `without_buyers`."""
        return 0 < self._n_logged == len(self.all.decisions) + len(self.all.orders)

    def currencies(self) -> frozenset[str]:
        """Return all that facts of the period name."""
        return self.all.currencies()

    def other_currency(self, currency: str | None) -> int:
        """Return how many orders of the period are in another currency."""
        return sum(order.currency not in (None, currency) for order in self.all.orders)

    def immature(self, since: date) -> Counter[tuple[str, ...]]:
        """Return how many decisions of each bucket of time are not before a day; see `open_since`.

        Buckets are by the query's keys of time.
        """
        instants = [decision.occurred_at for decision in self.all.decisions]
        return Counter(
            tuple(self._buckets.text(key, instant) for key in self._time_keys)
            for instant in instants
            if self._buckets.day(instant) >= since
        )

    def parts(self, time_keys: Sequence[str]) -> Mapping[tuple[str, ...], Part]:
        """Split the period by local days, weeks or months; no part is empty."""
        parts: defaultdict[tuple[str, ...], Part] = defaultdict(lambda: Part(self.history))

        def part_of(instant: int) -> Part:
            return parts[tuple(self._buckets.text(key, instant) for key in time_keys)]

        for decision in self.all.decisions:
            part_of(decision.occurred_at).decisions.append(decision)
        for order in self.all.orders:
            part_of(order.placed_at).orders.append(order)
        for outcome in self.all.outcomes:
            part_of(outcome.placed.decision.occurred_at).outcomes.append(outcome)
        return parts


def bounds_of(query: ReportQuery) -> tuple[int | None, int | None]:
    """Return the first instant of the period and the first after it; None where unbounded."""
    since, until = starts_at(query.since, query.zone), ends_at(query.until, query.zone)
    if since is not None and until is not None and since > until:
        raise ConfigError(f"from: {query.since} is after {query.until}")
    return since, until


@dataclass(frozen=True, slots=True)
class Measures:
    """Counts of both kinds and both arms; `drawn` are the units of the part, whatever its offers.

    `ratios` are the sums of the rates over units, `of_units` the strata with units as trials (see
    `strata`). `spending` is, by kind and each of `SPENT`, what units spent and had spent before,
    by share and arm, where the query is `adjusted`. `between` is of units that have both kinds (see
    `extra_sales`).
    """

    counts: Mapping[Kind, Counts]
    ratios: Mapping[Kind, Ratios]
    strata: Mapping[Kind, Strata]
    of_units: Mapping[Kind, Strata]
    drawn: Mapping[Kind, Drawn]
    between: Between
    spending: Mapping[tuple[Kind, str], Spending] | None = None
