"""What an answer says to buyers besides its offers' texts: prices, gains, pictures, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mersalg.engine.facts import Decision, Offer
from mersalg.engine.locales import Language, language_of
from mersalg.engine.model import Model
from mersalg.engine.texts import change_texts, labels_of_list, money_text
from mersalg.serving.checkout import prepared_for
from mersalg.serving.schemas import SuggestionRequest
from mersalg.serving.suggested_offers import OfferDisplay

_ADDRESSES = ("https://", "http://", "/")
"""Begins of addresses that are answered: a picture has no other kind of address."""


class ShownOffer(NamedTuple):
    """An offer's picture, and the offer as buyers read it."""

    image_url: str | None
    display: OfferDisplay


@dataclass(frozen=True, slots=True)
class Display:
    """What is shown of one decision, its offers in their order."""

    language: Language
    labels: Mapping[str, str]
    offers: Sequence[ShownOffer] = ()


def display_of(model: Model | None, request: SuggestionRequest, decision: Decision) -> Display:
    """Return what buyers read of a decision; without a model there are no offers."""
    language = language_of(request.locale, model and model.settings.shop.locale)
    labels = labels_of_list(decision.placement, language)
    if model is None:
        return Display(language, labels)
    offers = [_shown(model, offer, language) for offer in decision.offers]
    return Display(language, labels, offers)


def _shown(model: Model, offer: Offer, language: Language) -> ShownOffer:
    catalogue, wording = model.catalogue, prepared_for(model).wording

    def money(minor: int | None) -> str | None:
        return None if minor is None else money_text(minor, catalogue.currency, language)

    more = money(offer.replaces and offer.replaces.price_difference_minor)
    display = OfferDisplay(
        money(offer.unit_price_minor),
        more and f"+{more}",
        change_texts(offer.gains, language, wording),
        change_texts(offer.losses, language, wording, lost=True),
    )
    place = catalogue.items.index_of(offer.item_id)
    address = ""
    if catalogue.image_urls is not None and place is not None:
        address = catalogue.image_urls[place]
    return ShownOffer(address if address.startswith(_ADDRESSES) else None, display)
