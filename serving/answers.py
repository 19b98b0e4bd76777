"""From a decision to the answer of its call: what buyers read, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from mersalg.engine.catalogue import Catalogue
from mersalg.engine.fact_values import amount_text, quantity_text
from mersalg.engine.facts import Arm, Change, Decision, Evidence, Kind, Offer, Step, Tracking
from mersalg.engine.locales import Language, language_of
from mersalg.engine.model import Model
from mersalg.engine.texts import Wording, change_texts, labels_of_list, money_text
from mersalg.serving.checkout import prepared_for
from mersalg.serving.schemas import SuggestionRequest


class ReplacedItem(Struct):
    """The item an upsell would replace."""

    item_id: str
    quantity: int | str
    price_difference: str | None


class OfferDisplay(Struct):
    """An offer as buyers read it, in the language of the answer."""

    price: str | None
    difference: str | None
    gains: Sequence[str]
    losses: Sequence[str]


class SuggestedOffer(Struct, frozen=True):
    """Fields that both kinds of offers have."""

    offer_id: str
    kind: Kind
    item_id: str
    name: str
    position: int
    unit_price: str | None
    currency: str
    score: float


class CrossSellOffer(SuggestedOffer, frozen=True, omit_defaults=True):
    """An item that complements the cart."""

    kind: Literal["cross_sell"]
    evidence: Evidence
    text: str
    image_url: str | None = None
    display: OfferDisplay | None = None


class UpsellOffer(SuggestedOffer, frozen=True, omit_defaults=True):
    """A better version of something in the cart."""

    kind: Literal["upsell"]
    unit_price: str
    replaces: ReplacedItem
    gains: Sequence[Change]
    losses: Sequence[Change]
    text: str
    image_url: str | None = None
    display: OfferDisplay | None = None
    step: Step | None = None
    total_difference: str | None = None


class SuggestionResponse(Struct, omit_defaults=True):
    """One decision. In the control arm, and where nothing fits, `offers` is empty."""

    decision_id: str
    arm: Arm
    model_version: str | None
    tracking: Tracking
    # A tagged union of `msgspec` would write `kind` first; `openapi` says which kinds there are.
    offers: Sequence[Any]
    language: str = ""
    labels: Mapping[str, str] = {}
    warnings: Sequence[str] = ()
    unknown_item_ids: Sequence[str] = ()


_ADDRESSES = ("https://", "http://", "/")
"""Begins of addresses that are answered: a picture has no other kind of address."""


class ShownOffer(NamedTuple):
    """An offer's picture, and the offer as buyers read it."""

    image_url: str | None
    display: OfferDisplay


class Display(Struct, frozen=True):
    """Answer of one decision, its offers in their order."""

    language: Language
    labels: Mapping[str, str]
    offers: Sequence[ShownOffer] = ()


def display_of(model: Model | None, request: SuggestionRequest, decision: Decision) -> Display:
    """Return what buyers read of a decision; without a model there are no offers."""
    language = language_of(request.locale, model and model.settings.shop.locale)
    labels = labels_of_list(decision.placement, language)
    if model is None:
        return Display(language, labels)
    wording = prepared_for(model).wording
    offers = [_shown(model.catalogue, wording, offer, language) for offer in decision.offers]
    return Display(language, labels, offers)


def _shown(catalogue: Catalogue, wording: Wording, offer: Offer, language: Language) -> ShownOffer:
    price, more = offer.unit_price_minor, offer.replaces and offer.replaces.price_difference_minor
    currency, address = catalogue.currency, ""
    display = OfferDisplay(
        None if price is None else money_text(price, currency, language),
        None if more is None else f"+{money_text(more, currency, language)}",
        change_texts(offer.gains, language, wording),
        change_texts(offer.losses, language, wording, lost=True),
    )
    if catalogue.image_urls is not None:
        item = catalogue.items.index_of(offer.item_id)
        address = "" if item is None else catalogue.image_urls[item]
    return ShownOffer(address if address.startswith(_ADDRESSES) else None, display)


_DECIMALS = 6

_encoder = msgspec.json.Encoder()


def answer_json(
    decision: Decision,
    tracking: Tracking,
    display: Display,
    warnings: Sequence[str] = (),
    unknown_item_ids: Sequence[str] = (),
) -> bytes:
    """Return what the shop is answered, as JSON; it is not shown ghosts."""
    shown = decision.offers if decision.arm == "treatment" else ()
    answer = SuggestionResponse(
        decision.decision_id,
        decision.arm,
        decision.model_version,
        tracking,
        [
            _offer(offer, decision.currency, seen)
            for offer, seen in zip(shown, display.offers, strict=False)
        ],
        display.language,
        display.labels,
        tuple(warnings),
        tuple(unknown_item_ids),
    )
    return _encoder.encode(answer)


def _offer(offer: Offer, currency: str | None, seen: ShownOffer) -> CrossSellOffer | UpsellOffer:
    assert currency is not None, "offers are made by a model, which has one"
    names = (offer.item_id, offer.name, offer.position)
    price = amount_text(offer.unit_price_minor, currency)
    worth = (currency, round(offer.score, _DECIMALS))
    if offer.replaces is None:
        assert offer.evidence is not None
        evidence = _rounded(offer.evidence)
        return CrossSellOffer(
            offer.offer_id, "cross_sell", *names, price, *worth, evidence, offer.text, *seen
        )
    assert price is not None, "an upgrade is a comparison of prices"
    replaced = ReplacedItem(
        offer.replaces.item_id,
        quantity_text(offer.replaces.quantity),
        amount_text(offer.replaces.price_difference_minor, currency),
    )
    total = amount_text(offer.total_difference_minor, currency)
    compared = (replaced, offer.gains, offer.losses, offer.text)
    return UpsellOffer(
        offer.offer_id, "upsell", *names, price, *worth, *compared, *seen, offer.step, total
    )


def _rounded(evidence: Evidence) -> Evidence:
    return Evidence(
        evidence.antecedent_item_ids,
        evidence.n_joint,
        evidence.n_antecedent,
        round(evidence.confidence, _DECIMALS),
        round(evidence.lift, _DECIMALS),
        round(evidence.lift_lower, _DECIMALS),
    )


def unknown_item_ids(model: Model | None, request: SuggestionRequest) -> list[str]:
    """Return the items of a call's cart that the model does not know, each once."""
    if model is None or not request.lines:
        return []
    item_ids = [line.item_id for line in request.lines]
    items = zip(item_ids, model.catalogue.items.indices_of(item_ids), strict=True)
    return list(dict.fromkeys(item_id for item_id, index in items if index < 0))
