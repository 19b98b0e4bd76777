"""One suggestion call: from a cart to a decision; `mersalg.serving.answers` writes its answer.

The HTTP API and `mersalg suggest` both go through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from mersalg.engine import clock
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.config import ExperimentSection
from mersalg.engine.experiment import PUBLIC_SALT, assign_arm, unit_of
from mersalg.engine.fact_values import to_minor, to_price
from mersalg.engine.facts import (
    OWN_OFFER_PREFIX,
    Arm,
    CartLine,
    Decision,
    Evidence,
    Limits,
    Mode,
    Offer,
    Replaces,
    Scope,
)
from mersalg.engine.locales import Language, language_of
from mersalg.engine.merchandising.placement import Complement
from mersalg.engine.model import Model
from mersalg.engine.ranking.purchases import MAX_ORDERS, Past
from mersalg.engine.slate import Recommenders, Slate, build_slate
from mersalg.engine.storage.questions import Bought
from mersalg.engine.texts import Extra, Wording, cross_sell_text, picked_text, upsell_text
from mersalg.engine.upsell.recommender import Upgrade
from mersalg.engine.upsell.tiers import LEARNED
from mersalg.serving.ids import new_id
from mersalg.serving.offer_cache import CachedOffers, OfferCache
from mersalg.serving.schemas import SuggestionRequest

_MAX_NAMED = 100
"""Items of a call's own lists that are kept with its decision."""

_MAX_RECORDED = 300
"""Lines of a cart that are kept with its decision, besides those that an upsell would replace."""

_LONGEST_REMEMBERED = 100
"""Lines of a cart, and items of a call's own lists, beyond which its offers are made each time."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Parts that serve a model."""

    recommenders: Recommenders
    remembered: OfferCache
    wording: Wording


_prepared: WeakKeyDictionary[Model, Prepared] = WeakKeyDictionary()


def prepared_for(model: Model) -> Prepared:
    """Return what is prepared once for a model, for as long as the model is referred to."""
    if (prepared := _prepared.get(model)) is None:
        wording = Wording(model.settings.attributes)
        prepared = _prepared[model] = Prepared(Recommenders.prepare(model), OfferCache(), wording)
    return prepared


def consents(model: Model | None, request: SuggestionRequest) -> bool:
    """Return whether what is known of the buyer may be used and stored."""
    if request.consent is not None:
        return request.consent
    return model is None or model.settings.tracking.consent == "assumed"


def decide(
    model: Model | None,
    request: SuggestionRequest,
    *,
    holdout: bool = True,
    known_arm: Arm | None = None,
    bought: Sequence[Bought] = (),
    dismissed: Sequence[str] = (),
    paused: bool = False,
    recall: bool = True,
    scope: Scope | None = None,
    salt: str | None = PUBLIC_SALT,
) -> Decision:
    """Draw the arm and choose the offers; in the control arm they are ghosts.

    Parameters
    ----------
    model
        None where none is published: nothing is offered then.
    holdout
        False puts every unit in treatment.
    known_arm
        The arm the session was given before, which a login must not change.
    bought
        The customer's purchases that the shop reported since the model was trained.
    dismissed
        Items of the offers that the buyer dismissed recently, by the events.
    paused
        Nothing is offered, nor would be in the control arm; the decision counts all the same.
    recall
        Whether what the model remembers of the customer may be used for this caller.
    scope
        Of the caller, to be recorded.
    salt
        That of the database, for models that set none; where it is not known nobody is held out.
    """
    experiment = model.settings.experiment if model else ExperimentSection()
    salt = experiment.salt_of(salt)
    share = experiment.holdout if holdout and salt is not None else 0.0
    # Units are counted as they are drawn: where nobody may be remembered, by the checkout.
    remembered = consents(model, request)
    customer_id = request.customer_id if remembered else None
    session_id = request.session_id if remembered else None
    arm: Arm = "treatment"
    if holdout and salt is not None:
        unit = unit_of(customer_id, session_id, request.checkout_id)
        arm = known_arm or assign_arm(unit, salt=salt, holdout=share)
    currency = model.catalogue.currency if model else request.currency
    foreign = request.currency is not None and request.currency != currency
    lines = _cart_lines(request, None if foreign else currency)
    decision_id = new_id("dec_")
    occurred_at = clock.now()
    limits, made, row = None, CachedOffers(), None
    mode = request.mode or "discovery"
    if model is not None:
        limits = _limits(model, request, foreign_currency=foreign)
        row = row_of(model, customer_id) if recall else None
    if model is not None and limits is not None and not paused:
        call = _Call(
            lines,
            limits,
            request.exclude_item_ids or (),
            (*(request.declined_item_ids or ()), *dismissed),
            mode,
            language_of(request.locale, model.settings.shop.locale),
            row,
            tuple(bought) if customer_id else (),
        )
        made = _make_offers(model, call, occurred_at)
    recorded = _recorded_lines(lines, made.offers)
    return Decision(
        event_id=decision_id,
        decision_id=decision_id,
        occurred_at=occurred_at,
        checkout_id=request.checkout_id,
        session_id=session_id,
        customer_id=customer_id,
        arm=arm,
        model_version=model.version if model else None,
        placement=request.placement or "checkout",
        currency=currency,
        lines=recorded,
        offers=tuple([replace(offer, offer_id=new_id(OWN_OFFER_PREFIX)) for offer in made.offers]),
        control_share=share,
        limits=limits,
        excluded_item_ids=made.excluded_item_ids,
        declined_item_ids=made.declined_item_ids,
        mode=mode,
        model_customer=row,
        store_id=request.store_id,
        segment=request.segment,
        lines_omitted=len(lines) - len(recorded),
        scope=scope,
    )


def _recorded_lines(lines: tuple[CartLine, ...], offers: Sequence[Offer]) -> tuple[CartLine, ...]:
    replaced = {offer.replaces.item_id for offer in offers if offer.replaces is not None}
    rest = [line for line in lines[_MAX_RECORDED:] if line.item_id in replaced]
    return (*lines[:_MAX_RECORDED], *rest)


def row_of(model: Model, customer_id: str | None) -> int | None:
    """Return where the model remembers the customer; None where it does not."""
    if customer_id is None or model.customers is None:
        return None
    row = model.customers.row_of(customer_id, model.customer_key)
    return None if row < 0 else row


def past_of(model: Model, row: int | None, bought: Sequence[Bought], now: int) -> Past:
    """Return what a buyer bought: what the model remembers in `row`, and what was bought since.

    It is empty where neither is known.
    """
    if row is None or model.customers is None:
        past = Past.unknown()
    else:
        past = Past.of_customer(model.customers.purchases, row, now)
    if not bought:
        return past
    index, n_items = model.catalogue.items.index_of, len(model.ladders.family)
    orders: list[tuple[float, np.ndarray]] = []
    for occurred_at, item_ids in bought[-MAX_ORDERS:]:
        items = {item for item in map(index, item_ids) if item is not None and item < n_items}
        age = max(now - occurred_at, 0) / clock.MICROS_PER_DAY
        orders.append((age, np.array(sorted(items), dtype=np.int32)))
    return past.joined(Past.of_orders(orders))


def _cart_lines(request: SuggestionRequest, currency: str | None) -> tuple[CartLine, ...]:
    return tuple(
        CartLine(
            line.item_id,
            line.quantity,
            None
            if line.unit_price is None or currency is None
            else to_price(line.unit_price, currency),
            0 if line.discount is None or currency is None else to_minor(line.discount, currency),
        )
        for line in request.lines or ()
    )


def _item_ids(model: Model, items: Sequence[int]) -> tuple[str, ...]:
    return tuple(model.catalogue.items[item] for item in items[:_MAX_NAMED])


def _limits(model: Model, request: SuggestionRequest, *, foreign_currency: bool) -> Limits:
    """Return the call's limits, else the shop's; a cart in another currency gets no upsell."""
    defaults, limits = model.settings.offers, request.limits
    cross_sell = limits.cross_sell if limits else None
    upsell = limits.upsell if limits else None
    if foreign_currency:
        upsell = 0
    return Limits(
        defaults.cross_sell if cross_sell is None else cross_sell,
        defaults.upsell if upsell is None else upsell,
    )


class _Call(Struct, frozen=True, gc=False):
    """All that the offers of a call depend on, besides the model and the moment."""

    lines: tuple[CartLine, ...]
    limits: Limits
    excluded: tuple[str, ...]
    declined: tuple[str, ...]
    mode: Mode
    language: Language
    row: int | None
    bought: tuple[Bought, ...]


def _make_offers(model: Model, call: _Call, at: int) -> CachedOffers:
    prepared = prepared_for(model)

    def make() -> CachedOffers:
        slate = build_slate(
            prepared.recommenders,
            call.lines,
            cross_sell=call.limits.cross_sell,
            upsell=call.limits.upsell,
            at=at,
            excluded_item_ids=call.excluded,
            declined_item_ids=call.declined,
            past=past_of(model, call.row, call.bought, at),
            mode=call.mode,
        )
        offers = _offers(model, prepared.wording, call.language, slate)
        return CachedOffers(
            offers,
            _item_ids(model, slate.excluded),
            _item_ids(model, slate.declined),
        )

    if len(call.lines) + len(call.excluded) + len(call.declined) > _LONGEST_REMEMBERED:
        return make()
    # The shop's own rules come into force and end: which hold is known by the period.
    key = (call, prepared.recommenders.policy.period_of(at))
    with_past = call.row is not None or bool(call.bought)
    return prepared.remembered.of(key, at, make, with_past=with_past)


def _offers(model: Model, wording: Wording, language: Language, slate: Slate) -> tuple[Offer, ...]:
    """Return the offers of a slate, still without ids."""
    offers = [
        _cross_sell_offer(model, complement, position, language)
        for position, complement in enumerate(slate.cross_sell, start=1)
    ]
    offers += [
        _upsell_offer(model, wording, upgrade, position, language)
        for position, upgrade in enumerate(slate.upsell, start=1)
    ]
    return tuple(offers)


def _cross_sell_offer(
    model: Model, complement: Complement, position: int, language: Language
) -> Offer:
    catalogue, counts = model.catalogue, complement.counts
    ids = [catalogue.items[item] for item in counts.antecedent]
    names = [
        catalogue.names[item] or item_id
        for item, item_id in zip(counts.antecedent, ids, strict=True)
    ]
    price = catalogue.price_minor.item(complement.item)
    item_id = catalogue.items[complement.item]
    # Orders say nothing of an item that is newer than all of them.
    if not names and (complement.pinned or not counts.n_joint):
        text = picked_text(model.settings.shop.name, language)
    else:
        text = cross_sell_text(names, counts.n_joint, counts.n_antecedent, language)
    return Offer(
        offer_id="",
        kind="cross_sell",
        item_id=item_id,
        position=position,
        unit_price_minor=price if price >= 0 else None,
        name=catalogue.names[complement.item] or item_id,
        score=complement.score,
        text=text,
        evidence=Evidence(tuple(ids), *counts[1:]),
        family=_family(model, complement.item),
    )


def _upsell_offer(
    model: Model, wording: Wording, upgrade: Upgrade, position: int, language: Language
) -> Offer:
    catalogue, comparison = model.catalogue, upgrade.comparison
    item_id = catalogue.items[upgrade.item]
    return Offer(
        offer_id="",
        kind="upsell",
        item_id=item_id,
        position=position,
        unit_price_minor=catalogue.price_minor.item(upgrade.item),
        name=catalogue.names[upgrade.item] or item_id,
        score=upgrade.score,
        text=upsell_text(
            comparison.gains,
            comparison.differs,
            _extra(catalogue, upgrade),
            language,
            wording,
        ),
        replaces=Replaces(
            catalogue.items[upgrade.base.item],
            upgrade.base.quantity,
            upgrade.price_difference_minor,
        ),
        gains=comparison.gains,
        losses=comparison.losses,
        step=upgrade.step,
        total_difference_minor=upgrade.total_difference_minor,
        family=_family(model, upgrade.item),
    )


def _family(model: Model, item: int) -> str | None:
    """Return the item's family by the catalogue, else as learned, None where it has none."""
    catalogue, ladders = model.catalogue, model.ladders
    if (family := catalogue.family.item(item)) >= 0:
        return catalogue.family_names[family]
    ladder = ladders.family.item(item) if item < len(ladders.family) else UNKNOWN
    if ladder < 0 or ladders.families is None or ladders.families.method[ladder] != LEARNED:
        return None
    return ladders.families.names[ladder]


def _extra(catalogue: Catalogue, upgrade: Upgrade) -> Extra:
    base, difference = upgrade.base, upgrade.price_difference_minor
    quantity = base.quantity
    if not isinstance(quantity, int):
        # Nobody means one kilogram of 1.5 by "more": the text says what the whole adds.
        quantity, difference = 1, upgrade.total_difference_minor
    names = (catalogue.names[upgrade.item], catalogue.names[base.item])
    return Extra(difference, catalogue.currency, quantity, upgrade.step, upgrade.saving, names)
