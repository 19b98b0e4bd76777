"""From a decision to the answer of its call."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from engine.fact_fields import amount_text, quantity_text
from engine.facts import Change, Decision, Offer, Tracking
from serving.schemas import SuggestionResponse

_DECIMALS = 6


def answer(decision: Decision, tracking: Tracking) -> SuggestionResponse:
    """What the shop is told; ghosts are not shown to it."""
    return SuggestionResponse.model_validate(_answer_record(decision, tracking))


def answer_json(decision: Decision, tracking: Tracking) -> bytes:
    """The same as UTF-8 JSON, without the detour over the schema: the hot path."""
    return orjson.dumps(_answer_record(decision, tracking))


def _answer_record(decision: Decision, tracking: Tracking) -> dict[str, object]:
    shown = decision.offers if decision.arm == "treatment" else ()
    return {
        **_answer_head(decision, tracking),
        "offers": [offer_record(offer, decision.currency) for offer in shown],
    }


def _answer_head(decision: Decision, tracking: Tracking) -> dict[str, object]:
    return {
        "decision_id": decision.decision_id,
        "arm": decision.arm,
        "model_version": decision.model_version,
        "tracking": tracking,
    }


def offer_record(offer: Offer, currency: str | None) -> Mapping[str, object]:
    """One offer as the shop is told of it."""
    record: dict[str, object] = {
        "offer_id": offer.offer_id,
        "kind": offer.kind,
        "item_id": offer.item_id,
        "name": offer.name,
        "position": offer.position,
        "unit_price": amount_text(offer.unit_price_minor, currency),
        "currency": currency,
        "score": round(offer.score, _DECIMALS),
    }
    if offer.evidence is not None:
        evidence = offer.evidence
        record["evidence"] = {
            "antecedent_item_ids": evidence.antecedent_item_ids,
            "n_joint": evidence.n_joint,
            "n_antecedent": evidence.n_antecedent,
            "confidence": round(evidence.confidence, _DECIMALS),
            "lift": round(evidence.lift, _DECIMALS),
            "lift_lower": round(evidence.lift_lower, _DECIMALS),
        }
    if offer.replaces is not None:
        replaces = offer.replaces
        record["replaces"] = {
            "item_id": replaces.item_id,
            "quantity": quantity_text(replaces.quantity),
            "price_difference": amount_text(replaces.price_difference_minor, currency),
        }
        record["gains"] = [_change_record(change) for change in offer.gains]
        record["losses"] = [_change_record(change) for change in offer.losses]
    record["text"] = offer.text
    if offer.step is not None:
        record["step"] = offer.step
        record["total_difference"] = amount_text(offer.total_difference_minor, currency)
    return record


def _change_record(change: Change) -> dict[str, str]:
    return {"attribute": change.attribute, "from": change.before, "to": change.after}
