"""The definitions of the rates read off the page, slowly: an oracle that shares no code.

Everything is found by scanning all facts; only the plain data classes of facts are imported.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from statistics import NormalDist
from typing import Any

from msgspec.structs import replace

from mersalg.engine.facts import Decision, Event, Fact, Offer, PurchaseItem

DAY = 86_400_000_000
EFFECTS = (
    *("converted", "kept", "completed", "orders", "kept_orders", "offered_units", "kept_units"),
    *("order_revenue", "net_order_revenue", "offer_revenue", "net_offer_revenue"),
)
"""Measures of an eligible checkout."""
OF_OFFERS = ("converted", "kept", "offered_units", "kept_units")
OF_OFFERS += ("offer_revenue", "net_offer_revenue")
"""Those of what was offered: of a unit's other checkouts there are none."""


class ReferenceReport:
    """Numerators, denominators, money and quality of one period; `matches` picks the offers."""

    def __init__(
        self,
        facts: Iterable[Fact],
        *,
        since: int,
        until: int,
        impressions: str,
        window_days: int,
        currency: str,
        checkout_days: int = 30,
        prices_include_tax: bool = True,
        bot_rate: int = 0,
        holdout: float = 0.1,
        open_from: int = 2**63,
        only_vouched: bool = False,
    ) -> None:
        self.holdout, self.open_from = holdout, open_from
        self.shop_includes = prices_include_tax
        everything = sorted(
            {fact.event_id: fact for fact in facts}.values(),
            key=lambda fact: (fact.occurred_at, fact.event_id),
        )
        self.since, self.until, self.currency = since, until, currency
        self.asked = [fact for fact in everything if isinstance(fact, Decision)]
        self.strangers = {
            offer.offer_id
            for each in self.asked
            if only_vouched and each.scope == "storefront"
            for offer in each.offers
        }
        everything = [
            fact
            for fact in everything
            if not (only_vouched and isinstance(fact, Decision) and fact.scope == "storefront")
        ]
        self.tying = [
            fact for fact in everything if not (only_vouched and fact.scope == "storefront")
        ]
        self.hasty = [fact for fact in everything if self._too_fast(fact, everything, bot_rate)]
        everything = [
            replace(fact, is_bot=True) if fact in self.hasty else fact for fact in everything
        ]
        self.impressions, self.window = impressions, window_days * DAY
        self.checkout_time = checkout_days * DAY
        self.everything = everything
        self.bots = [fact for fact in everything if self._is_bots(fact)]
        self.facts = [fact for fact in everything if not self._is_bots(fact)]
        self.decisions = sorted(
            (fact for fact in self.facts if isinstance(fact, Decision)),
            key=lambda each: (each.occurred_at, each.decision_id),
        )
        self.offers: dict[str, tuple[Offer, Decision]] = {
            offer.offer_id: (offer, decision)
            for decision in self.decisions
            for offer in decision.offers
        }
        self.events = [fact for fact in self.facts if isinstance(fact, Event)]
        purchases = [event for event in self.events if event.type == "purchase"]
        self.first: list[Event] = []
        self.second: list[Event] = []
        for event in purchases:
            state = (event.transaction_id, event.revision)
            seen = any(state == (each.transaction_id, each.revision) for each in self.first)
            (self.second if seen else self.first).append(event)
        self.orders: list[Event] = []
        self.superseded: list[Event] = []
        for event in self.first:
            theirs = [each for each in self.first if each.transaction_id == event.transaction_id]
            if event.revision < max(each.revision for each in theirs):
                self.superseded.append(event)
                continue
            placed = min(theirs, key=lambda each: each.revision).occurred_at
            self.orders.append(replace(event, occurred_at=placed))
        self.orders.sort(key=lambda order: (order.occurred_at, order.event_id))
        self.credits = self._credits()

    def _too_fast(self, fact: Fact, everything: list[Fact], most: int) -> bool:
        """Some hour of the session (or checkout) holds it and more than `most` decisions."""
        if not most or not isinstance(fact, Decision) or fact.is_bot:
            return False
        theirs = [
            other.occurred_at
            for other in everything
            if isinstance(other, Decision)
            and not other.is_bot
            and other.session_id == fact.session_id
            and (fact.session_id is not None or other.checkout_id == fact.checkout_id)
        ]
        hour = 3_600 * 10**6
        return any(
            begin <= fact.occurred_at < begin + hour
            and sum(begin <= at < begin + hour for at in theirs) > most
            for begin in theirs
        )

    def _decided(self, *, is_bot: bool) -> list[Decision]:
        return [
            fact for fact in self.everything if isinstance(fact, Decision) and fact.is_bot == is_bot
        ]

    def _offered(self, *, is_bot: bool) -> set[str]:
        return {offer.offer_id for each in self._decided(is_bot=is_bot) for offer in each.offers}

    def _is_bots(self, fact: Fact) -> bool:
        """A bot's own fact, or one that belongs to a checkout in which there were only bots."""
        if fact.is_bot or isinstance(fact, Decision):
            return fact.is_bot
        if fact.type in ("refund", "cancel"):
            purchases = [
                other
                for other in self.everything
                if isinstance(other, Event)
                and other.type == "purchase"
                and other.transaction_id == fact.transaction_id
            ]
            if purchases and all(self._is_bots(purchase) for purchase in purchases):
                return True
        if fact.type in ("purchase", "refund", "cancel") and fact.checkout_id is not None:
            decided = [
                each
                for is_bot in (True, False)
                for each in self._decided(is_bot=is_bot)
                if each.checkout_id == fact.checkout_id
            ]
            return bool(decided) and all(each.is_bot for each in decided)
        named = {fact.offer_id} | {line.offer_id for line in fact.items}
        to_people = self._offered(is_bot=False)
        return bool(named & (self._offered(is_bot=True) - to_people)) and not named & to_people

    def inside(self, fact: Fact) -> bool:
        return self.since <= fact.occurred_at < self.until

    def unit(self, fact: Fact) -> str:
        """The customer, by name or by checkout or by session; the session; the checkout."""
        if fact.customer_id:
            return f"customer {fact.customer_id}"
        checkout = fact.checkout_id if isinstance(fact, Decision) else self.checkout(fact)
        for alike in (
            lambda other: checkout is not None and checkout in self.spoken_of(other),
            lambda other: fact.session_id is not None and other.session_id == fact.session_id,
        ):
            customers = {
                other.customer_id for other in self.tying if other.customer_id and alike(other)
            }
            if len(customers) == 1:
                return f"customer {customers.pop()}"
        if fact.session_id:
            return f"session {fact.session_id}"
        if isinstance(fact, Event):
            for decision in self.decisions:
                if checkout is not None and decision.checkout_id == checkout:
                    return self.unit(decision)
            if checkout is None:
                return f"transaction {fact.transaction_id}"
        return f"checkout {checkout}"

    def spoken_of(self, fact: Fact) -> set[str]:
        """The checkouts that a fact names, or an offer of which it names, bots' too."""
        named = (
            {fact.offer_id, *(line.offer_id for line in fact.items)}
            if isinstance(fact, Event)
            else set()
        )
        of_offers = {
            each.checkout_id
            for each in self.tying
            if isinstance(each, Decision)
            for offer in each.offers
            if offer.offer_id in named
        }
        return of_offers | ({fact.checkout_id} if fact.checkout_id else set())

    def checkout(self, order: Event) -> str | None:
        if order.checkout_id is not None:
            return order.checkout_id
        for line in order.items:
            if line.offer_id in self.offers:
                return self.offers[line.offer_id][1].checkout_id
        return None

    def line_checkout(self, order: Event, place: int) -> str | None:
        known = self.offers.get(order.items[place].offer_id or "")
        return self.checkout(order) if known is None else known[1].checkout_id

    def touched(self, order: Event) -> set[str | None]:
        lines = {self.line_checkout(order, place) for place in range(len(order.items))}
        return (lines | {self.checkout(order)}) - {None}

    def money_of(self, order: Event) -> str | None:
        if order.currency is not None:
            return order.currency
        for decision in self.decisions:
            if decision.checkout_id == self.checkout(order) and decision.currency is not None:
                return decision.currency
        return None

    def shown_at(self, offer_id: str) -> int | None:
        _, decision = self.offers[offer_id]
        if decision.arm == "control":
            return None
        if self.impressions == "served":
            return decision.occurred_at
        instants = [
            event.occurred_at
            for event in self.events
            if event.offer_id == offer_id
            and event.type in ("view_promotion", "select_promotion", "add_to_cart")
        ]
        instants += [
            order.occurred_at
            for order in self.orders
            for line in order.items
            if line.offer_id == offer_id
        ]
        return min(instants, default=None)

    def accepted_at(self, offer_id: str) -> int | None:
        return min(
            (
                event.occurred_at
                for event in self.events
                if event.offer_id == offer_id and event.type in ("select_promotion", "add_to_cart")
            ),
            default=None,
        )

    @staticmethod
    def in_cart(decision: Decision, item: str) -> Fraction:
        return sum(
            (Fraction(line.quantity) for line in decision.lines if line.item_id == item),
            Fraction(0),
        )

    def rule(
        self, offer: Offer, decision: Decision, order: Event, place: int, *, credited: bool
    ) -> bool:
        """`credited`: by attribution; effects look neither at windows nor at named offers."""
        if order.items[place].item_id != offer.item_id:
            return False
        passed, named = order.occurred_at - decision.occurred_at, order.items[place].offer_id
        mine = self.line_checkout(order, place) if credited else order.checkout_id
        if mine == decision.checkout_id:
            earliest = 0 if credited and named != offer.offer_id else -5 * 60 * 10**6
            if passed < earliest or (credited and passed > self.checkout_time):
                return False
        elif not credited or not 0 <= passed <= self.window or self.window == 0:
            return False
        if offer.replaces is None:
            return all(line.item_id != offer.item_id for line in decision.lines)
        return self.gone(offer, decision, credited=credited) > 0

    def gone(self, offer: Offer, decision: Decision, *, credited: bool) -> Fraction:
        """Base units that were in the cart and in no order that ended it."""
        assert offer.replaces is not None
        base = offer.replaces.item_id
        left = self.in_cart(decision, base)
        for order in self.orders:
            passed = order.occurred_at - decision.occurred_at
            in_time = not credited or passed <= self.checkout_time
            of_unit = (
                credited
                and self.window > 0
                and self.unit(order) == self.unit(decision)
                and 0 <= passed <= self.window
            )
            for place, line in enumerate(order.items):
                mine = self.line_checkout(order, place) if credited else order.checkout_id
                here = mine == decision.checkout_id
                if line.item_id == base and (in_time if here else of_unit):
                    left -= Fraction(line.quantity)
        return left

    def _creditor(self, order: Event, place: int) -> str | None:
        line = order.items[place]
        if line.offer_id in self.offers:
            if self.offers[line.offer_id][0].item_id != line.item_id:
                return None
            return line.offer_id if self.shown_at(line.offer_id) is not None else None
        candidates = []
        for offer_id, (offer, decision) in self.offers.items():
            shown = self.shown_at(offer_id)
            if offer.item_id != line.item_id or shown is None:
                continue
            if max(shown, decision.occurred_at) <= order.occurred_at:
                same_time = (decision.decision_id, offer.kind, offer.position, offer_id)
                candidates.append(((decision.occurred_at, *same_time), decision))
        here = [
            (key, decision)
            for key, decision in candidates
            if decision.checkout_id == self.checkout(order)
            and order.occurred_at - decision.occurred_at <= self.checkout_time
        ]
        if not here and self.window:
            here = [
                (key, decision)
                for key, decision in candidates
                if self.unit(decision) == self.unit(order)
                and order.occurred_at - decision.occurred_at <= self.window
            ]
        return max(here)[0][-1] if here else None

    def _sold(
        self, lines: list[tuple[Event, int, str]], *, credited: bool
    ) -> list[tuple[Event, int, str, Fraction, Fraction]]:
        """Of each line how many better units its offer sold, and how many base units they cost."""
        sold = []
        carts: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        for order, place, offer_id in lines:
            offer, decision = self.offers[offer_id]
            if offer.replaces is None:
                whole = Fraction(order.items[place].quantity)
                sold.append((order, place, offer_id, whole, Fraction(0)))
                continue
            turn = (offer.position, decision.occurred_at, decision.decision_id, offer_id)
            turn = (*turn, order.occurred_at, order.event_id, place)
            cart = carts.setdefault((decision.checkout_id, offer.replaces.item_id), [])
            cart.append((turn, order, place, offer_id))
        for cart in carts.values():
            shared: list[list[Any]] = []
            for _, order, place, offer_id in sorted(cart, key=lambda each: each[0]):
                left = self.gone(*self.offers[offer_id], credited=credited)
                left -= sum((each[-1] for each in shared), Fraction(0))
                mine = min(left, Fraction(order.items[place].quantity))
                if mine > 0:
                    shared.append([order, place, offer_id, mine, mine])
            if shared:
                gone = self.gone(*self.offers[shared[-1][2]], credited=credited)
                rest = gone - sum((each[-1] for each in shared), Fraction(0))
                shared[-1][-1] += max(rest, Fraction(0))
            sold += [tuple(each) for each in shared]
        return sold

    def _credits(self) -> list[dict[str, Any]]:
        lines = []
        for order in self.orders:
            for place in range(len(order.items)):
                offer_id = self._creditor(order, place)
                if offer_id and self.rule(*self.offers[offer_id], order, place, credited=True):
                    lines.append((order, place, offer_id))
        sold, found = self._sold(lines, credited=True), []
        for order, place, offer_id, better, base in sold:
            credited = {other[1] for other in sold if other[0] is order}
            left, beyond = self._left(order, credited)[place]
            gross, net = self._worth(order, place, offer_id, left, better, base)
            if net is not None:
                net -= round(beyond * better / Fraction(order.items[place].quantity))
            offered = self.offers[offer_id][0].unit_price_minor
            paid = order.items[place].price_minor
            known = base > 0 and paid is not None and offered is not None
            money = self.offers[offer_id][1].currency
            known = known and money in (None, self.money_of(order))
            known = known and self.includes(order) == self.shop_includes
            found.append(
                {
                    "order": order,
                    "offer": offer_id,
                    "left": left,
                    "gross": gross,
                    "net": net,
                    "repriced": known and paid != offered,
                    "untaxed": gross is not None
                    and self.tax(order, place) is None
                    and (self.includes(order) or (base > 0 and self.shop_includes)),
                }
            )
        return found

    def _returns(self, order: Event) -> list[Event]:
        """Refunds and cancellations of an order; of those with one refund_id the first."""
        theirs: list[Event] = []
        for event in self.events:
            if event.type in ("refund", "cancel") and event.transaction_id == order.transaction_id:
                again = [each for each in theirs if each.refund_id == event.refund_id]
                if event.refund_id is None or not again:
                    theirs.append(event)
        return theirs

    @staticmethod
    def stated(line: PurchaseItem) -> int | None:
        """What a line cost by its price, which may include tax."""
        if line.price_minor is None:
            return None
        return round(Fraction(line.price_minor) * Fraction(line.quantity)) - line.discount_minor

    def includes(self, order: Event) -> bool:
        if order.prices_include_tax is None:
            return self.shop_includes
        return order.prices_include_tax

    def tax(self, order: Event, place: int) -> int | None:
        """Nothing is known where a price is said to include more tax than the line cost."""
        line = order.items[place]
        stated = self.stated(line)
        if stated is None or (self.includes(order) and (line.tax_minor or 0) > stated):
            return None
        return line.tax_minor

    def line_worth(self, order: Event, place: int) -> int | None:
        """Without tax, as far as it is known."""
        stated = self.stated(order.items[place])
        if stated is None or not self.includes(order):
            return stated
        return stated - (self.tax(order, place) or 0)

    def line_paid(self, order: Event, place: int) -> int | None:
        """With tax; nothing is known where it is not in the price and not stated."""
        stated, tax = self.stated(order.items[place]), order.items[place].tax_minor
        if stated is None or self.includes(order):
            return stated
        return None if tax is None else stated + tax

    @staticmethod
    def places(order: Event) -> range:
        return range(len(order.items))

    def _too_much(self, order: Event) -> list[Event]:
        found: list[Event] = []
        returns = self._returns(order)
        worth = [self.line_paid(order, place) for place in self.places(order)]
        for n, event in enumerate(returns, start=1):
            so_far = [item for each in returns[:n] for item in each.items]
            more_units = any(
                sum(Fraction(i.quantity) for i in so_far if i.item_id == item.item_id)
                > sum(Fraction(i.quantity) for i in order.items if i.item_id == item.item_id)
                for item in event.items
            )
            money = sum(
                each.amount_minor or 0 for each in returns[:n] if each.currency == order.currency
            )
            foreign = event.currency != order.currency
            more_money = None not in worth and money > sum(max(each or 0, 0) for each in worth)
            if more_units or (event.amount_minor is not None and (foreign or more_money)):
                found.append(event)
        return found

    def _again(self) -> int:
        """Refunds of the period whose refund_id an earlier one of their transaction had."""
        returns = [each for each in self.events if each.type in ("refund", "cancel")]
        return sum(
            self.inside(event)
            and event.refund_id is not None
            and any(
                (each.refund_id, each.transaction_id) == (event.refund_id, event.transaction_id)
                for each in returns[:n]
            )
            for n, event in enumerate(returns)
        )

    def _left(
        self, order: Event, credited: set[int], *, by_offer: bool = True
    ) -> list[tuple[Fraction, Fraction]]:
        """Of each line the units kept, and the money given back beyond the price of the others."""
        bought = [Fraction(line.quantity) for line in order.items]
        left = list(bought)
        bare = [max(self.line_worth(order, p) or 0, 0) for p in self.places(order)]
        paid = [self.line_paid(order, p) for p in self.places(order)]
        cost = [
            Fraction(bare[p] if paid[p] is None else max(paid[p] or 0, 0))
            for p in self.places(order)
        ]
        back = [Fraction(0) for _ in cost]
        for event in self._returns(order):
            before = list(left)
            if event.type == "cancel" or (not event.items and event.amount_minor is None):
                left = [Fraction(0) for _ in left]
            for item in event.items:
                places = [p for p, line in enumerate(order.items) if line.item_id == item.item_id]
                same = [
                    p
                    for p in places
                    if by_offer and item.offer_id and order.items[p].offer_id == item.offer_id
                ]
                theirs = [p for p in places if p in credited and p not in same]
                rest = [p for p in places if p not in same and p not in theirs]
                wanted = Fraction(item.quantity)
                for place in [*same, *theirs, *rest]:
                    taken = min(left[place], wanted)
                    left[place], wanted = left[place] - taken, wanted - taken
            gone = [cost[p] * (before[p] - left[p]) / bought[p] for p in range(len(cost))]
            if event.amount_minor is None or event.currency != order.currency:
                back = [back[p] + gone[p] for p in range(len(cost))]
                continue
            for_goods = min(Fraction(event.amount_minor), sum(gone))
            goodwill = event.amount_minor - for_goods
            for p in range(len(cost)):
                if gone[p]:
                    back[p] += for_goods * gone[p] / sum(gone)
                if cost[p]:
                    back[p] += goodwill * cost[p] / sum(cost)
        if not any(left) and any(
            event.type == "cancel" or (not event.items and event.amount_minor is None)
            for event in self._returns(order)
        ):
            back = list(cost)
        beyond = [
            min(back[p], cost[p]) - cost[p] * (bought[p] - left[p]) / bought[p]
            for p in range(len(cost))
        ]
        return [
            (left[p], beyond[p] * bare[p] / cost[p] if cost[p] else Fraction(0))
            for p in range(len(cost))
        ]

    def _worth(
        self,
        order: Event,
        place: int,
        offer_id: str,
        left: Fraction,
        better: Fraction,
        base: Fraction,
    ) -> tuple[int | None, int | None]:
        """What the bill rose by: for the better units, less for the base units they replaced."""
        offer, decision = self.offers[offer_id]
        line = order.items[place]
        if line.price_minor is None:
            return None, None
        quantity = Fraction(line.quantity)
        cost = Fraction(line.price_minor) * quantity - line.discount_minor
        tax = self.tax(order, place)
        with_tax = cost if self.includes(order) else cost + (tax or 0)
        share = (tax or 0) / with_tax if with_tax and self.shop_includes else Fraction(0)
        rose = (with_tax - (tax or 0)) * better / quantity
        if offer.replaces is not None:
            if decision.currency not in (None, self.money_of(order)):
                return None, None
            item = offer.replaces.item_id
            theirs = [each for each in decision.lines if each.item_id == item]
            stated = offer.replaces.price_difference_minor
            if all(each.unit_price_minor is not None for each in theirs):
                paid = [
                    Fraction(each.unit_price_minor or 0) * Fraction(each.quantity)
                    - each.discount_minor
                    for each in theirs
                ]
                whole = sum(max(each, Fraction(0)) for each in paid)
                rose -= (1 - share) * whole * base / self.in_cart(decision, item)
            elif stated is not None and offer.unit_price_minor is not None:
                rose -= (1 - share) * (offer.unit_price_minor - stated) * base
            else:
                return None, None
        gross = round(rose)
        return gross, round(gross * min(left, better) / better)

    def measured(self, kind: str, matches: Any = lambda offer, decision: True) -> dict[str, Any]:
        chosen = {
            offer_id: (offer, decision)
            for offer_id, (offer, decision) in self.offers.items()
            if offer.kind == kind and self.inside(decision) and matches(offer, decision)
        }
        shown = {i for i in chosen if self.shown_at(i) is not None}
        owed = [credit for credit in self.credits if credit["offer"] in shown]
        kept = [credit for credit in owed if credit["left"] > 0]

        def offers(rows: list[dict[str, Any]]) -> set[str]:
            return {row["offer"] for row in rows}

        def units(ids: set[str]) -> set[str]:
            return {self.unit(chosen[i][1]) for i in ids}

        def checkouts(ids: set[str]) -> set[str]:
            return {chosen[i][1].checkout_id for i in ids}

        def transactions(rows: list[dict[str, Any]]) -> set[str]:
            return {row["order"].transaction_id for row in rows}

        decided = {each.checkout_id for each in self.decisions if self.inside(each)}
        buying = units(offers(owed))
        for order in self.orders:
            if self.inside(order) or self.touched(order) & decided:
                buying.add(self.unit(order))
                buying |= {
                    self.unit(each)
                    for each in self.decisions
                    if each.checkout_id in self.touched(order)
                }
        orders_shown = transactions(owed) | {
            order.transaction_id for order in self.orders if self.touched(order) & checkouts(shown)
        }
        clicked = {
            credit["offer"]
            for credit in owed
            if (at := self.accepted_at(credit["offer"])) is not None
            and at <= credit["order"].occurred_at
        }
        paid = [each for each in owed if self.money_of(each["order"]) == self.currency]
        n_accepted = sum(self.accepted_at(i) is not None for i in shown)
        n_shown = len({self.unit(chosen[i][1]) for i in shown if self._bought(i, chosen[i][1])})
        return {
            "customer": (len(units(offers(owed))), n_shown),
            "offer": (len(offers(owed)), len(shown)),
            "order": (len(transactions(owed)), len(orders_shown)),
            "checkout": (len(checkouts(offers(owed))), len(checkouts(shown))),
            "penetration": (len(units(offers(owed))), len(buying)),
            "click_through": (n_accepted, len(shown)),
            "net_customer": (len(units(offers(kept))), n_shown),
            "net_offer": (len(offers(kept)), len(shown)),
            "net_order": (len(transactions(kept)), len(orders_shown)),
            "net_checkout": (len(checkouts(offers(kept))), len(checkouts(shown))),
            "net_penetration": (len(units(offers(kept))), len(buying)),
            "conversions": (len(clicked), len(offers(owed)) - len(clicked)),
            "revenue": self._sum(owed, paid, "gross"),
            "net_revenue": self._sum(owed, paid, "net"),
            "unpriced": (sum(each["gross"] is None for each in owed), len(owed)),
            "treatment": self._arm("treatment", chosen),
            "control": self._arm("control", chosen),
            "srm_p_value": self.sample_ratio(kind),
        }

    def trials(
        self, kind: str, matches: Any = lambda offer, decision: True
    ) -> dict[str, list[tuple[int, int]]]:
        """Successes and trials of each unit, for the rates of which a unit may have several.

        A checkout or order is that of the first unit that was shown an offer in it.
        """
        shown = {
            offer_id: decision
            for offer_id, (offer, decision) in self.offers.items()
            if offer.kind == kind and self.inside(decision) and matches(offer, decision)
            if self.shown_at(offer_id) is not None
        }
        owed = [credit for credit in self.credits if credit["offer"] in shown]
        kept = [credit for credit in owed if credit["left"] > 0]

        def first(offers: Iterable[str]) -> str:
            of_trial = set(offers)
            return next(self.unit(each) for i, each in shown.items() if i in of_trial)

        offers = {i: self.unit(decision) for i, decision in shown.items()}
        checkouts = {
            decision.checkout_id: first(
                i for i, each in shown.items() if each.checkout_id == decision.checkout_id
            )
            for decision in shown.values()
        }
        orders = {}
        for order in self.orders:
            credited = {credit["offer"] for credit in owed if credit["order"] is order}
            here = {i for i, each in shown.items() if each.checkout_id in self.touched(order)}
            if credited | here:
                orders[order.transaction_id] = first(credited | here)
        ids: dict[str, Any] = {
            "offer": lambda credit: credit["offer"],
            "checkout": lambda credit: shown[credit["offer"]].checkout_id,
            "order": lambda credit: credit["order"].transaction_id,
        }
        accepted = {i for i in shown if self.accepted_at(i) is not None}
        wanted = [("click_through", offers, accepted)]
        for name, owners in (("offer", offers), ("checkout", checkouts), ("order", orders)):
            for prefix, credited in (("", owed), ("net_", kept)):
                wanted.append((prefix + name, owners, {ids[name](each) for each in credited}))
        return {
            name: [
                (
                    sum(owner == unit and trial in hits for trial, owner in owners.items()),
                    sum(owner == unit for owner in owners.values()),
                )
                for unit in sorted(set(owners.values()))
            ]
            for name, owners, hits in wanted
        }

    def _bought(self, offer_id: str, decision: Decision) -> bool:
        """Whether the unit bought in the offer's checkout, after its decision, or by the offer."""
        unit = self.unit(decision)
        for order in self.orders:
            touched = self.touched(order)
            buyers = {self.unit(order)} | {
                self.unit(each) for each in self.decisions if each.checkout_id in touched
            }
            later = self.inside(order) and order.occurred_at >= decision.occurred_at
            if decision.checkout_id in touched or (later and unit in buyers):
                return True
        return any(credit["offer"] == offer_id for credit in self.credits)

    @staticmethod
    def _sum(owed: list[dict[str, Any]], paid: list[dict[str, Any]], which: str) -> int | None:
        """Nothing is known of the money where no credited line has a price."""
        if owed and all(each["gross"] is None for each in owed):
            return None
        return sum(each[which] or 0 for each in paid)

    def _arm(self, arm: str, chosen: dict[str, tuple[Offer, Decision]]) -> dict[str, Any]:
        """Of each measure its sum over the eligible checkouts, and the number that it is of."""
        judged: dict[str, list[str]] = {}
        for offer_id, (offer, decision) in chosen.items():
            first = self._first(offer.kind, decision)
            share = self._share(first)
            if decision.decision_id == first.decision_id and first.arm == arm and 0 < share < 1:
                judged.setdefault(first.checkout_id, []).append(offer_id)
        sums: Counter[str] = Counter()
        for offer_ids in judged.values():
            sums.update(self._checkout(self.offers[offer_ids[0]][1], offer_ids))
        n, n_money = len(judged), len(judged) - sums["foreign"]
        return {
            **{name: (sums[name], n_money if "revenue" in name else n) for name in EFFECTS},
            **self._units(arm, chosen),
        }

    def _units(self, arm: str, chosen: dict[str, tuple[Offer, Decision]]) -> dict[str, Any]:
        """Of each measure its sum over the units of an arm, and the number that it is of."""
        first: dict[str, Decision] = {}
        totals: dict[str, Counter[str]] = {}
        begun: dict[str, Decision] = {}
        judged: set[str] = set()
        for decision in filter(self.inside, self.decisions):
            begun.setdefault(decision.checkout_id, decision)
            mine = [i for i, (_, of) in chosen.items() if of.decision_id == decision.decision_id]
            if not mine or self._first(self.offers[mine[0]][0].kind, decision) is not decision:
                continue
            judged.add(decision.checkout_id)
            if 0 < self._share(decision) < 1:
                unit = self.unit(decision)
                first.setdefault(unit, decision)
                totals.setdefault(unit, Counter()).update(self._checkout(decision, mine))
        for checkout, decision in begun.items():
            unit = self.unit(decision)
            if checkout in judged or unit not in first or not 0 < self._share(decision) < 1:
                continue
            if decision.occurred_at >= first[unit].occurred_at:
                found = self._checkout(decision, [])
                assert not any(found[name] for name in OF_OFFERS)
                totals[unit].update(found)
        mine = [totals[unit] for unit, decision in first.items() if decision.arm == arm]
        found: dict[str, Any] = {}
        for name in EFFECTS:
            of = [each for each in mine if not (each["foreign"] and "revenue" in name)]
            yes_or_no = name in ("converted", "kept", "completed")
            total = sum(each[name] > 0 if yes_or_no else each[name] for each in of)
            found[f"unit_{name}"] = (total, len(of))
        return found

    def _share(self, decision: Decision) -> float:
        return self.holdout if decision.control_share is None else decision.control_share

    def _first(self, kind: str, decision: Decision) -> Decision:
        """The decision that the checkout of another one is judged by."""
        return next(
            each
            for each in self.decisions
            if each.checkout_id == decision.checkout_id
            and any(offer.kind == kind for offer in each.offers)
        )

    def sample_ratio(self, kind: str) -> float | None:
        """How likely as many units in control are as there were, or any number less likely."""
        units: dict[str, Decision] = {}
        for decision in filter(self.inside, self.decisions):
            offered = any(offer.kind == kind for offer in decision.offers)
            may_be_drawn = decision.control_share not in (0, 1)
            if offered and may_be_drawn and self._first(kind, decision) is decision:
                units.setdefault(self.unit(decision), decision)
        if not units:
            return None
        chances = [1.0]
        for decision in units.values():
            share = self._share(decision)
            chances = [
                without * (1 - share) + one_less * share
                for without, one_less in zip([*chances, 0.0], [0.0, *chances], strict=True)
            ]
        seen = chances[sum(each.arm == "control" for each in units.values())]
        return sum(chance for chance in chances if chance <= seen * (1 + 1e-7))

    def _checkout(self, decision: Decision, offer_ids: list[str]) -> Counter[str]:
        """What came of one checkout, and of the items of a kind that it was offered or denied."""
        orders = [
            order
            for order in self.orders
            if order.checkout_id == decision.checkout_id
            and order.occurred_at >= decision.occurred_at - 5 * 60 * 10**6
        ]
        lines = []
        for order in orders:
            for place in self.places(order):
                holding = [
                    (self.offers[i][0].position, i)
                    for i in offer_ids
                    if self.rule(*self.offers[i], order, place, credited=False)
                ]
                if holding:
                    lines.append((order, place, max(holding)[1]))
        sold = self._sold(lines, credited=False)
        found = Counter[str](orders=len(orders), checkouts=1)
        foreign = any(self.money_of(order) not in (None, self.currency) for order in orders)
        found["foreign"] += foreign
        for order in orders:
            mine = [each for each in sold if each[0] is order]
            lefts = self._left(order, {each[1] for each in mine}, by_offer=False)
            found["kept_orders"] += any(left > 0 for left, _ in lefts)
            found["completed"] |= not any(
                event.type == "cancel" and event.transaction_id == order.transaction_id
                for event in self.events
            )
            for place, (left, beyond) in enumerate(lefts):
                if not foreign:
                    worth = self.line_worth(order, place) or 0
                    found["order_revenue"] += worth
                    kept = worth * left / Fraction(order.items[place].quantity)
                    found["net_order_revenue"] += round(kept) - round(beyond)
            for _, place, offer_id, better, base in mine:
                left, beyond = min(lefts[place][0], better), lefts[place][1]
                found["converted"] = 1
                found["kept"] |= left > 0
                found["offered_units"] += better
                found["kept_units"] += left
                gross, net = self._worth(order, place, offer_id, left, better, base)
                if gross is not None and net is not None and not foreign:
                    found["offer_revenue"] += gross
                    part = better / Fraction(order.items[place].quantity)
                    found["net_offer_revenue"] += net - round(beyond * part)
        return found

    def _begun(self, checkout: str | None) -> int | None:
        """When the first decision of a checkout was made."""
        instants = [each.occurred_at for each in self.decisions if each.checkout_id == checkout]
        return min(instants, default=None)

    def _is_reused(self, checkout: str) -> bool:
        """Its decisions and orders are of several customers, or too far apart."""
        facts: list[Fact] = [each for each in self.decisions if each.checkout_id == checkout]
        facts += [order for order in self.orders if self.checkout(order) == checkout]
        customers = {each.customer_id for each in facts if each.customer_id}
        instants = [each.occurred_at for each in facts]
        return len(customers) > 1 or max(instants) - min(instants) > self.checkout_time

    def quality(self) -> dict[str, int]:
        transactions = {order.transaction_id for order in self.orders}
        unmatched = campaigns = late = early = reused = 0
        for event in filter(self.inside, self.second):
            (first,) = (
                each
                for each in self.first
                if (each.transaction_id, each.revision) == (event.transaction_id, event.revision)
            )
            reused += (
                None not in (first.customer_id, event.customer_id)
                and first.customer_id != event.customer_id
            ) or event.occurred_at - first.occurred_at > DAY
        to_bots = self._offered(is_bot=True) | self.strangers
        others = [event for event in self.events if event.type != "purchase"]
        for event in filter(self.inside, [*others, *self.orders]):
            named = set() if event.type in ("refund", "cancel") else {event.offer_id}
            if event.type == "purchase":
                named = {line.offer_id for line in event.items}
            since = [self.offers[each][1].occurred_at for each in named if each in self.offers]
            if event.type == "purchase":
                decided = self._begun(self.checkout(event))
                since += [] if decided is None else [decided]
            early += any(event.occurred_at < instant - 5 * 60 * 10**6 for instant in since)
            if event.type in ("refund", "cancel"):
                again = event.refund_id is not None and any(
                    (each.refund_id, each.transaction_id) == (event.refund_id, event.transaction_id)
                    for each in self.events[: self.events.index(event)]
                )
                unmatched += event.transaction_id not in transactions and not again
            else:
                unknown = named - {None} - self.offers.keys() - to_bots
                unmatched += any(each[:4] == "off_" for each in unknown)
                campaigns += any(each[:4] != "off_" for each in unknown)
                placed = self.offers.get(None if event.type == "purchase" else event.offer_id)
                late += placed is not None and any(
                    placed[1].checkout_id in self.touched(order)
                    and order.occurred_at < event.occurred_at
                    for order in self.orders
                )
        of_checkouts = {
            each.checkout_id: [
                other for other in self.asked if other.checkout_id == each.checkout_id
            ]
            for each in self.asked
        }
        begun = [
            (min(each.occurred_at for each in asked), {each.scope for each in asked})
            for asked in of_checkouts.values()
        ]
        return {
            "checkouts": sum(self.since <= at < self.until for at, _ in begun),
            "unvouched": sum(
                self.since <= at < self.until and scopes == {"storefront"} for at, scopes in begun
            ),
            "duplicates": sum(map(self.inside, self.second)) + self._again(),
            "superseded": sum(map(self.inside, self.superseded)),
            "reused_transactions": reused,
            "reused_checkouts": sum(
                self.since <= begin < self.until
                for checkout in {each.checkout_id for each in self.decisions}
                if (begin := self._begun(checkout)) is not None and self._is_reused(checkout)
            ),
            "orders": sum(map(self.inside, self.orders)),
            "without_decision": sum(
                all(self._begun(checkout) is None for checkout in self.touched(order))
                for order in filter(self.inside, self.orders)
            ),
            "immature": sum(
                each.occurred_at >= self.open_from for each in filter(self.inside, self.decisions)
            ),
            "refund_mismatch": sum(
                self.inside(event) for order in self.orders for event in self._too_much(order)
            ),
            "orders_without_checkout": sum(
                self.inside(order) and order.checkout_id is None for order in self.orders
            ),
            "late": late,
            "early": early,
            "unmatched": unmatched,
            "other_promotions": campaigns,
            "bots_excluded": sum(map(self.inside, self.bots)),
            "bots_by_rate": sum(map(self.inside, self.hasty)),
            "dated_on_arrival": sum(
                event.stated_at not in (None, -1) for event in filter(self.inside, self.events)
            ),
            "unpriced": sum(
                credit["gross"] is None and self.inside(self.offers[credit["offer"]][1])
                for credit in self.credits
            ),
            "repriced": sum(
                credit["repriced"] and self.inside(self.offers[credit["offer"]][1])
                for credit in self.credits
            ),
            "untaxed": sum(
                credit["untaxed"] and self.inside(self.offers[credit["offer"]][1])
                for credit in self.credits
            ),
            "other_currency": sum(
                self.money_of(order) not in (None, self.currency)
                for order in self.orders
                if self.inside(order)
            ),
        }


def clustered_bounds(trials: list[tuple[int, int]]) -> tuple[float, float]:
    """Return Wilson's 95% limits on as many trials as units make of (successes, trials) of each."""
    successes, n = sum(x for x, _ in trials), sum(m for _, m in trials)
    z, share, units = NormalDist().inv_cdf(0.975), successes / n, len(trials)
    effect = 1.0
    if 0 < successes < n != units:
        effect = float(n)
        if units > 1:
            spread = sum((x - m * Fraction(successes, n)) ** 2 for x, m in trials)
            variance = float(spread * units / (units - 1) / n**2)
            effect = variance / (share * (1 - share) / n)
            differing = min(sum(x > 0 for x, _ in trials), sum(x < m for x, m in trials))
            wide, wider = (
                (student(z, degrees) / z) ** 2
                for degrees in (units - 1, min(max(2, differing - 1), units - 1))
            )
            effect = effect * wide + max(0.0, effect - 1) * (wider - wide)
        effect = min(max(effect, 1.0), float(n))
    trials_left = n / effect
    middle = share + z * z / (2 * trials_left)
    spread_of = z * math.sqrt(share * (1 - share) / trials_left + (z / (2 * trials_left)) ** 2)
    scale = 1 + z * z / trials_left
    return (middle - spread_of) / scale, (middle + spread_of) / scale


def student(z: float, degrees: int) -> float:
    """Return the 97.5% quantile of Student's t, by the expansion the report documents."""
    if degrees == 1:
        return math.tan(math.pi * 0.475)
    if degrees == 2:
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    return (
        z
        + (z**3 + z) / (4 * degrees)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92_160 * degrees**4)
    )
