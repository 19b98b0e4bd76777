"""Random small histories for Hypothesis: few ids, so that everything meets everything."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace

from mersalg.engine import clock
from mersalg.engine.fact_bodies import decision_body, event_body, pack, without_explanation
from mersalg.engine.fact_json import unpack
from mersalg.engine.fact_values import STOREFRONT_PREFIX
from mersalg.engine.facts import (
    CartLine,
    Decision,
    Event,
    Evidence,
    Fact,
    Limits,
    Offer,
    PurchaseItem,
    Replaces,
)

START = clock.to_micros(datetime.fromisoformat("2026-03-28T20:00:00+00:00"))
"""Four hours before the day that loses an hour in Oslo."""

_STEP = 90 * 60 * 1_000_000
_LATER = [steps * _STEP for steps in range(9)]
_ITEMS = ("cup", "mug", "jug", "pot")
_MAYBE = {"customer_id": ("ann", "bob", None), "session_id": ("s1", "s2", None)}

ITEMS = st.sampled_from(_ITEMS)
QUANTITIES = st.sampled_from([1, 2, 3, Decimal("0.5")])
PRICES = st.sampled_from([100, 250, 999, None])
FINE_PRICES = st.sampled_from([100, 250, 999, Decimal("0.42"), Decimal("33.335"), None])
"""Of lines: a unit may cost less than the smallest coin."""
DISCOUNTS = st.sampled_from([0, 0, 30])
TAXES = st.sampled_from([None, None, 0, 20, 70])
"""Of lines, some of which cost less."""
SCOPES = st.sampled_from([None, None, "server", "token", "storefront"])
REVISIONS = st.sampled_from([0, 0, 1, 2])
INCLUDE_TAX = st.sampled_from([None, None, None, True, False])


def _instants(earliest: int, latest: int) -> st.SearchStrategy[int]:
    """Mostly in the order things happen in, with room for clocks that disagree."""
    return st.integers(earliest, latest).map(lambda steps: START + steps * _STEP)


def _seldom(usual: object, rare: object) -> st.SearchStrategy[object]:
    return st.integers(0, 19).map(lambda draw: rare if draw == 19 else usual)


def _who() -> st.SearchStrategy[dict[str, str | None]]:
    return st.fixed_dictionaries({name: st.sampled_from(ids) for name, ids in _MAYBE.items()})


@st.composite
def decisions(draw: st.DrawFn, number: int) -> Decision:
    cart = st.sampled_from(["cup", "cup", "mug", "pot"])
    lines = draw(
        st.lists(st.builds(CartLine, cart, QUANTITIES, FINE_PRICES, DISCOUNTS), max_size=3)
    )
    offers = []
    for place in range(draw(st.sampled_from([1, 2, 2, 3, 0]))):
        kind = draw(st.sampled_from(["cross_sell", "upsell"]))
        base = draw(st.sampled_from(["cup", "cup", "mug"]))
        antecedent = draw(st.sampled_from([None, (), ("cup",), ("cup", "mug")]))
        offers.append(
            Offer(
                offer_id=f"o{number}.{place}",
                kind=kind,
                item_id=draw(st.sampled_from(["jug", "jug", "mug", "pot"])),
                position=place + 1,
                unit_price_minor=draw(PRICES),
                family=draw(st.sampled_from([None, "vessels"])),
                evidence=None if antecedent is None else Evidence(antecedent, 1, 2, 0.5, 2.0, 1.1),
                replaces=Replaces(base, 1, draw(st.sampled_from([None, 50])))
                if kind == "upsell"
                else None,
            )
        )
    return Decision(
        event_id=f"e-d{number}",
        decision_id=f"d{number}",
        occurred_at=draw(_instants(0, 20)),
        checkout_id=draw(st.sampled_from(["k1", "k1", "k2"])),
        arm=draw(st.sampled_from(["treatment", "treatment", "treatment", "control"])),
        model_version=draw(st.sampled_from(["v1", "v2", None])),
        placement=draw(st.sampled_from(["checkout", "checkout", "cart", "cart", "offer log"])),
        currency=draw(st.sampled_from(["NOK", "NOK", "NOK", "EUR", None])),
        lines=tuple(lines),
        offers=tuple(offers),
        control_share=draw(st.sampled_from([None, 0.1, 0.5, 0.5, 0.0, 1.0])),
        is_bot=draw(st.integers(0, 9)) == 9,
        limits=draw(st.sampled_from([None, Limits(3, 1), Limits(0, 0)])),
        excluded_item_ids=draw(st.sampled_from([(), (), ("jug",), ("pot", "mug")])),
        declined_item_ids=draw(st.sampled_from([(), (), ("mug",)])),
        store_id=draw(st.sampled_from([None, "oslo"])),
        segment=draw(st.sampled_from([None, "new", "loyal"])),
        scope=draw(SCOPES),
        **draw(_who()),
    )


UNKNOWN_OFFERS = ["off_unknown", "CAMPAIGN-7"]


@st.composite
def promotions(draw: st.DrawFn, number: int, offers: list[Offer]) -> Event:
    kinds = ["view_promotion"] * 3 + ["select_promotion", "add_to_cart"]
    offer_ids = [offer.offer_id for offer in offers] or UNKNOWN_OFFERS
    scope = draw(SCOPES)
    return Event(
        event_id=f"{'' if scope in (None, 'server') else STOREFRONT_PREFIX}e-p{number}",
        scope=scope,
        type=draw(st.sampled_from([*kinds, "dismiss_promotion"])),
        occurred_at=draw(_instants(5, 30)),
        offer_id=draw(st.sampled_from([*offer_ids, *offer_ids, *UNKNOWN_OFFERS])),
        is_bot=draw(_seldom(False, True)),
        stated_at=draw(st.sampled_from([*[None] * 18, -1, 7])),
        **draw(_who()),
    )


@st.composite
def bought(draw: st.DrawFn, offers: list[Offer]) -> PurchaseItem:
    """A line of anything, or of an offered item that may name its offer."""
    item_id, offer_id = draw(ITEMS), None
    if offers and draw(st.booleans()):
        offer = draw(st.sampled_from(offers))
        item_id = draw(_seldom(offer.item_id, item_id))
        offer_id = draw(st.sampled_from([None, None, offer.offer_id]))
        offer_id = draw(_seldom(offer_id, draw(st.sampled_from(UNKNOWN_OFFERS))))
    price, discount, tax = draw(FINE_PRICES), draw(DISCOUNTS), draw(TAXES)
    return PurchaseItem(item_id, draw(QUANTITIES), price, discount, offer_id, tax)


@st.composite
def _refunded(draw: st.DrawFn) -> dict[str, object]:
    refund: dict[str, object] = {"refund_id": draw(st.sampled_from([None, None, "r1"]))}
    amount = draw(st.sampled_from([None, None, None, 0, 70, 5_000]))
    return refund if amount is None else refund | {"amount_minor": amount, "currency": "NOK"}


@st.composite
def orders(draw: st.DrawFn, number: int, offers: list[Offer], kind: str) -> Event:
    """A purchase, refund or cancellation."""
    smallest = 1 if kind == "purchase" else draw(st.sampled_from([1, 1, 0]))
    items = draw(st.lists(bought(offers), min_size=smallest, max_size=4))
    return Event(
        event_id=f"e-t{number}",
        type=kind,
        occurred_at=draw(_instants(10, 45)),
        checkout_id=draw(st.sampled_from(["k1", "k1", "k2", "k3", None])),
        transaction_id=draw(st.sampled_from(["t1", "t1", "t2", "t3"])),
        items=() if kind == "cancel" else tuple(items),
        prices_include_tax=draw(INCLUDE_TAX) if kind == "purchase" else None,
        revision=draw(REVISIONS) if kind == "purchase" else 0,
        **draw(_who())
        | {"currency": draw(st.sampled_from(["NOK", "NOK", "NOK", "EUR", None]))}
        | (draw(_refunded()) if kind == "refund" else {}),
    )


@st.composite
def visits(draw: st.DrawFn, number: int, decision: Decision) -> list[Fact]:
    """What a buyer usually does after a decision: see the offers, buy some of them."""
    later = st.sampled_from([*_LATER, *(-minutes * 60_000_000 for minutes in (4, 6))])
    later = later.map(lambda passed: decision.occurred_at + passed)
    who = {"customer_id": decision.customer_id, "session_id": decision.session_id}
    facts: list[Fact] = [
        Event(f"e-v{offer.offer_id}", "view_promotion", draw(later), offer.offer_id, **who)
        for offer in decision.offers
        if draw(_seldom(True, False))
    ]
    items = st.lists(bought(list(decision.offers)), min_size=1, max_size=4)
    purchase = Event(
        event_id=f"e-b{number}",
        type="purchase",
        occurred_at=draw(later),
        checkout_id=decision.checkout_id,
        transaction_id=draw(st.sampled_from([f"t{number}", f"t{number}", "t1"])),
        currency=decision.currency,
        items=tuple(draw(items)),
        prices_include_tax=draw(INCLUDE_TAX),
        revision=draw(REVISIONS),
        **who,
    )
    facts.append(purchase)
    if draw(st.booleans()):
        edited = draw(st.lists(st.sampled_from(purchase.items), min_size=1, max_size=4))
        purchase = replace(
            purchase,
            event_id=f"e-b{number}-edited",
            occurred_at=draw(later),
            items=tuple(edited),
            revision=purchase.revision + draw(REVISIONS),
        )
        facts.append(purchase)
    if draw(st.booleans()):
        lines = draw(st.lists(st.sampled_from(purchase.items), max_size=2))
        kept = tuple(replace(line, quantity=draw(QUANTITIES)) for line in lines)
        transaction = purchase.transaction_id
        facts.append(
            Event(
                event_id=f"e-r{number}",
                type="refund",
                occurred_at=draw(later),
                transaction_id=transaction,
                items=kept,
                **draw(_refunded()),
            )
        )
    return facts


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """Up to thirty facts, in random order: visits as they go, and things that never should."""
    decided = [draw(decisions(number)) for number in range(draw(st.integers(1, 3)))]
    offers = [offer for each in decided for offer in each.offers]
    facts: list[Fact] = list(decided)
    for number, decision in enumerate(decided):
        if draw(_seldom(True, False)):
            facts += draw(visits(number, decision))
    facts += [draw(promotions(number, offers)) for number in range(draw(st.integers(0, 4)))]
    kinds = draw(st.lists(st.sampled_from(["purchase", "refund", "cancel"]), max_size=3))
    facts += [draw(orders(number, offers, kind)) for number, kind in enumerate(kinds)]
    # As they come through any door: there is no price without a currency, for one.
    return draw(st.permutations([unpack(pack(fact)) for fact in facts]))


@st.composite
def returning(draw: st.DrawFn) -> list[Fact]:
    """Two customers with many checkouts over some days, of which few are offered anything.

    A checkout may have several decisions, also on several days, and several orders.
    """
    facts: list[Fact] = []
    for number in range(draw(st.integers(3, 8))):
        kinds = draw(st.sampled_from([(), (), ("cross_sell",), ("upsell",)]))
        at = START + draw(st.integers(0, 36)) * 2 * _STEP
        who: dict[str, object] = {
            "customer_id": draw(st.sampled_from(["ann", "ann", "bob"])),
            "checkout_id": draw(st.sampled_from([f"k{number}", f"k{number}", "k0", "k1"])),
            "currency": "NOK",
        }
        decision = Decision(
            event_id=f"e-d{number}",
            decision_id=f"d{number}",
            occurred_at=at,
            session_id=None,
            arm=draw(st.sampled_from(["treatment", "control"])),
            model_version=None,
            placement="checkout",
            lines=(CartLine("cup", 1, 100),),
            offers=tuple(
                Offer(f"o{number}.{kind}", kind, "jug", 1, 250,  # type: ignore[arg-type]
                      replaces=Replaces("cup", 1, 150) if kind == "upsell" else None)
                for kind in kinds
            ),
            control_share=draw(st.sampled_from([0.5, 0.5, 0.5, 0.1, 0.0, None])),
            **who,
        )  # fmt: skip
        facts.append(decision)
        if draw(st.integers(0, 3)):
            facts.append(
                Event(
                    event_id=f"e-b{number}",
                    type="purchase",
                    occurred_at=at + draw(st.sampled_from([-6, -4, 1, 60, 3_000])) * 60_000_000,
                    transaction_id=f"t{number}",
                    items=(PurchaseItem(draw(st.sampled_from(["jug", "pot"])), 1, number + 1),),
                    **who | {"currency": draw(_seldom("NOK", "EUR"))},
                )
            )
        if draw(_seldom(False, True)):
            facts.append(Event(f"e-c{number}", "cancel", at, transaction_id=f"t{number}"))
    return draw(st.permutations([unpack(pack(fact)) for fact in facts]))


def fact_to_json(fact: Fact) -> dict[str, object]:
    """A fact in the outward schema, without what explains the offers of a decision."""
    if isinstance(fact, Event):
        return msgspec.to_builtins(event_body(fact))
    body = decision_body(fact)
    return msgspec.to_builtins(msgspec.structs.replace(body, offers=without_explanation(body)))
