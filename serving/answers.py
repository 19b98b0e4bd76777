"""From a decision to the answer of its call."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mersalg.engine.fact_fields import amount_text, quantity_text
from mersalg.engine.facts import Decision, Evidence, Offer, Tracking
from mersalg.engine.model import Model
from mersalg.serving.display import Display, ShownOffer
from mersalg.serving.schemas import SuggestionRequest
from mersalg.serving.suggested_offers import (
    CrossSellOffer,
    ReplacedItem,
    SuggestionResponse,
    UpsellOffer,
)

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
    places = zip(item_ids, model.catalogue.items.indices_of(item_ids), strict=True)
    return list(dict.fromkeys(item_id for item_id, place in places if place < 0))
