"""Count offers and the checkouts they were made in, as rows that any set of offers adds up from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mersalg.engine.facts import KINDS, Decision, Kind
from mersalg.engine.tracking.attribution import Outcome
from mersalg.engine.tracking.clusters import (
    bought_of,
    checkout_of,
    first_with_offers,
    is_drawn,
    orders_after,
    stratum_of,
)
from mersalg.engine.tracking.conversion import Bought, ConversionRule
from mersalg.engine.tracking.history import History, PlacedOffer
from mersalg.engine.tracking.measures import Part, offer_key
from mersalg.engine.tracking.quality import currency_of
from mersalg.engine.tracking.query import OFFER_KEYS
from mersalg.engine.tracking.rollups.columns import Ints
from mersalg.engine.tracking.rollups.offer_table import (
    AMOUNTS,
    OF_OFFERS,
    OFFERS,
    TALLIES,
    VISIT,
    OfferTable,
    write_offers,
)
from mersalg.engine.tracking.strata import OF_BASKET, Stratum

_Row = Counter[str]


class OfferCounter:
    """Counts sets of offers of some checkouts, which it makes a table of.

    `decisions` are those of the checkouts, in order; `last_orders` says when each unit last bought,
    `day` returns the number of the day of an instant.
    """

    def __init__(
        self,
        history: History,
        decisions: Iterable[Decision],
        currency: str | None,
        last_orders: Mapping[str, int],
        day: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self._history, self._currency, self._day = history, currency, day
        self._last_orders = last_orders
        # Only treatment can name an offer, so what a line names ties nothing to a checkout here.
        self._rule = ConversionRule(history, by_offers=False)
        self._visits: dict[str, tuple[Decision, bool]] = {}
        self._home: dict[tuple[str, str], str] = {}
        self._judging: dict[tuple[str, Kind], Decision | None] = {}
        self._rows: dict[tuple[Hashable, Kind, str, str], _Row] = {}
        self._judged: dict[int, str] = {}
        self.places: dict[str, int] = {}
        seen: set[str] = set()
        for decision in decisions:
            if decision.checkout_id not in seen:
                self.visit(decision, begun=is_drawn(decision))
            seen.add(decision.checkout_id)

    def visit(self, decision: Decision, *, begun: bool = False) -> None:
        """Add a decision to the visits."""
        unit = self._history.units[decision.decision_id]
        self._home.setdefault((decision.checkout_id, unit), decision.decision_id)
        self._visits.setdefault(decision.decision_id, (decision, begun))

    def add(self, outcomes: Iterable[Outcome], key_of: Callable[[Outcome], Hashable]) -> None:
        """Count offers, in the order of decisions; checkouts are judged by all of them together."""
        of_checkout: dict[tuple[Hashable, Kind, str], _Row] = {}
        of_order: dict[tuple[Hashable, Kind, str], _Row] = {}
        seen: set[tuple[Hashable, Kind, str, str]] = set()
        judged: defaultdict[tuple[str, Kind], dict[str, PlacedOffer]] = defaultdict(dict)
        row_of: dict[str, _Row] = {}
        for each in outcomes:
            placed = each.placed
            decision, kind, key = placed.decision, placed.offer.kind, key_of(each)
            row = self._row(each, key)
            if each.shown:
                first = of_checkout.setdefault((key, kind, decision.checkout_id), row)
                first["checkouts_shown"] = 1
                self._count(each, row, first, of_order, seen, (key, kind))
            if self._judges(decision, kind):
                judged[decision.checkout_id, kind][placed.offer.offer_id] = placed
                row_of[placed.offer.offer_id] = row
                self.visit(decision)
                self._judged[id(row)] = decision.decision_id
        for of_kind in judged.values():
            self._judge(list(of_kind.values()), row_of)

    def _row(self, outcome: Outcome, key: Hashable) -> _Row:
        placed = outcome.placed
        checkout_id = placed.decision.checkout_id
        if (checkout_id, placed.unit) not in self._home:
            self.visit(placed.decision)
        at = (key, placed.offer.kind, checkout_id, placed.unit)
        return self._rows.setdefault(at, _Row())

    def _has_bought(self, outcome: Outcome) -> bool:
        placed = outcome.placed
        return bool(
            outcome.credits
            or placed.decision.checkout_id in self._history.orders_of
            or self._last_orders.get(placed.unit, -1) >= placed.decision.occurred_at
        )

    def _judges(self, decision: Decision, kind: Kind) -> bool:
        at = (decision.checkout_id, kind)
        if at not in self._judging:
            self._judging[at] = first_with_offers(self._history, *at)
        return self._judging[at] is decision

    def _count(
        self,
        outcome: Outcome,
        row: _Row,
        first: _Row,
        of_order: dict[tuple[Hashable, Kind, str], _Row],
        seen: set[tuple[Hashable, Kind, str, str]],
        within: tuple[Hashable, Kind],
    ) -> None:
        """Count an offer that was shown, the checkout in its `first` row.

        An order in which a shown offer converted counts as an order that was shown one, also where
        a window credits it to another checkout. Checkouts and orders that several units share are
        those of the first that was shown an offer in them.
        """
        placed = outcome.placed
        orders = self._history.orders_of.get(placed.decision.checkout_id, ())
        row["shown"] = 1
        row["bought"] |= self._has_bought(outcome)
        row["offers_shown"] += 1
        row["offers_accepted"] += outcome.accepted
        for order in (*orders, *(credit.order for credit in outcome.credits)):
            if (*within, order.transaction_id) not in of_order:
                of_order[*within, order.transaction_id] = row
                row["orders_shown"] += 1
        row["offers_clicked_first"] += outcome.converted and outcome.clicked_first
        for name, credited in (
            ("converted", outcome.credits),
            ("kept", [each for each in outcome.credits if each.remaining > 0]),
        ):
            row[f"offers_{name}"] += bool(credited)
            first[f"checkouts_{name}"] |= bool(credited)
            for each in credited:
                transaction = each.order.transaction_id
                if (*within, name, transaction) not in seen:
                    seen.add((*within, name, transaction))
                    of_order[*within, transaction][f"orders_{name}"] += 1
        for credit in outcome.credits:
            row["lines_credited"] += 1
            row["lines_unpriced"] += credit.revenue_minor is None
            row["lines_repriced"] += credit.repriced
            row["lines_untaxed"] += credit.untaxed
            if credit.order.currency == self._currency:
                row["revenue_minor"] += credit.revenue_minor or 0
                row["net_revenue_minor"] += credit.net_revenue_minor or 0

    def _judge(self, offers: Sequence[PlacedOffer], row_of: Mapping[str, _Row]) -> None:
        """Judge a checkout by offers of one decision and kind."""
        orders = orders_after(self._history, offers[0].decision)
        latest_first = sorted(offers, key=lambda placed: placed.recency, reverse=True)
        of_rows: dict[int, list[Bought]] = {}
        for each in bought_of(self._rule, latest_first, orders):
            of_rows.setdefault(id(row_of[each.placed.offer.offer_id]), []).append(each)
        for placed in offers if of_rows else ():
            row = row_of[placed.offer.offer_id]
            own = of_rows.pop(id(row), ())
            if own:
                cluster = checkout_of(self._history, orders, own, self._currency)
                row.update({name: int(getattr(cluster, name)) for name in OF_OFFERS})
                basket = checkout_of(self._history, orders, (), self._currency)
                row["net_order_revenue"] = cluster.net_order_revenue - basket.net_order_revenue

    def mark(self, outcomes: Iterable[Outcome], key_of: Callable[[Outcome], Hashable]) -> None:
        """Note whether units were shown offers that are counted elsewhere, and bought."""
        for each in outcomes:
            row = self._row(each, key_of(each))
            row["shown"] |= each.shown
            row["bought"] |= each.shown and self._has_bought(each)

    def converted(self) -> Mapping[tuple[Hashable, Kind], set[str]]:
        """Return the units with a conversion, by key and kind."""
        checkouts: defaultdict[tuple[Hashable, Kind], set[str]] = defaultdict(set)
        for (key, kind, _, unit), row in self._rows.items():
            if row["offers_converted"]:
                checkouts[key, kind].add(unit)
        return checkouts

    def units(self) -> Sequence[str]:
        """Return the units of all visits, in order."""
        history = self._history
        return sorted({history.units[decision_id] for decision_id in self._visits})

    def table(self, number_of: Mapping[str, int]) -> OfferTable:
        """Return what was counted; `number_of` has the number of each of `units`."""
        history = self._history
        decided = [
            (number_of[history.units[each.decision_id]], each.occurred_at, each.decision_id)
            for each, _ in self._visits.values()
        ]
        visits = list[tuple[int, ...]]()
        strata, checkouts = dict[Stratum, int](), dict[str, int]()
        places = self.places
        last, rank = (-1, -1, -1), 0
        for unit, instant, decision_id in sorted(decided):
            decision, begun = self._visits[decision_id]
            day = self._day(instant)
            rank = rank + (instant > last[2]) if (unit, day) == last[:2] else 0
            last = (unit, day, instant)
            basket = checkout_of(history, orders_after(history, decision), (), self._currency)
            places[decision_id] = len(visits)
            visits.append(
                (
                    *(unit, day, rank),
                    checkouts.setdefault(decision.checkout_id, len(checkouts)),
                    strata.setdefault(stratum_of(decision), len(strata)),
                    begun,
                    *(int(getattr(basket, name)) for name in OF_BASKET),
                )
            )
        keys: dict[Any, int] = {}
        tallies: dict[tuple[int, ...], int] = {}
        offers = [
            (
                places[self._home[checkout_id, unit]],
                places.get(self._judged.get(id(row), ""), -1),
                KINDS.index(kind),
                keys.setdefault(key, len(keys)),
                tallies.setdefault(tuple(int(row[name]) for name in TALLIES), len(tallies)),
                *(row[name] for name in AMOUNTS),
            )
            for (key, kind, checkout_id, unit), row in self._rows.items()
        ]
        return OfferTable(
            list(strata),
            _columns(VISIT, visits),
            _columns(OFFERS, sorted(offers)),
            np.array(list(tallies), np.int64).reshape(-1, len(TALLIES)),
            list(keys),
        )


def offers_of_day(
    part: Part,
    shared: Collection[str],
    currency: str | None,
    numbers: Callable[[Sequence[str]], Mapping[str, int]],
) -> bytes:
    """Return the single offers of a day, in a form that can be added up by any keys.

    Checkouts that it shares with other days and those that are ambiguous are left out, with all
    others of the same units: whether these began before or after is known from facts alone.
    """
    history = part.history
    currency, _ = currency_of(part.currencies(), currency)
    left_out = {*shared, *_ambiguous(part)}
    units = {
        history.units[each.decision_id] for each in part.decisions if each.checkout_id in left_out
    }
    left_out |= {
        each.checkout_id for each in part.decisions if history.units[each.decision_id] in units
    }
    outside, inside = part.split(left_out)
    counter = OfferCounter(history, inside.decisions, currency, part.last_orders())
    counter.add(inside.outcomes, _keys_of)
    counter.mark(outside.outcomes, _keys_of)
    return write_offers(counter.table(numbers(counter.units())), left_out)


def _keys_of(outcome: Outcome) -> tuple[str, ...]:
    return tuple(offer_key(key, outcome.placed) for key in OFFER_KEYS)


def _ambiguous(part: Part) -> set[str]:
    """Return the checkouts of a day in which sets of offers have more or less than their offers.

    They have several units or orders, an order that ended others too, offers that compete for what
    was bought, or returns that may be of either of two lines.
    """
    history = part.history
    units: defaultdict[str, set[str]] = defaultdict(set)
    for decision in part.decisions:
        units[decision.checkout_id].add(history.units[decision.decision_id])
    return {
        checkout_id
        for checkout_id, own in units.items()
        if len(own) > 1 or _is_ambiguous(history, checkout_id)
    }


def _is_ambiguous(history: History, checkout_id: str) -> bool:
    orders = history.orders_of.get(checkout_id, ())
    if len(orders) != 1:
        return bool(orders)
    (order,) = orders
    if sum(each in history.checkouts for each in order.checkouts) > 1:
        return True
    items = [line.item_id for line in order.purchase.items]
    if len({*items}) < len(items) and order.transaction_id in history.returns:
        return True
    for kind in KINDS:
        decision = first_with_offers(history, checkout_id, kind)
        matches = [
            offer
            for offer in (decision.offers if decision else ())
            if offer.kind == kind and offer.item_id in items
        ]
        bases = [each.replaces.item_id for each in matches if each.replaces is not None]
        if len({each.item_id for each in matches}) < len(matches) or len({*bases}) < len(bases):
            return True
    return False


def _columns(names: Sequence[str], rows: Sequence[Sequence[int]]) -> Mapping[str, Ints]:
    matrix = np.array(rows, np.int64).reshape(-1, len(names))
    return {name: matrix[:, at].copy() for at, name in enumerate(names)}
