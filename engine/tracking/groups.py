"""What a report can be split by: the instant of the decision, or a property of the offer."""

from __future__ import annotations

from engine.tracking.history import PlacedOffer
from engine.tracking.periods import TIME_KEYS

OFFER_KEYS = ("item", "rule", "placement", "model_version")
GROUP_KEYS = (*TIME_KEYS, *OFFER_KEYS)

UNKNOWN = "unknown"


def offer_key(key: str, placed: PlacedOffer) -> str:
    """The group of an offer under one of `OFFER_KEYS`."""
    if key == "item":
        return placed.offer.item_id
    if key == "placement":
        return placed.decision.placement
    if key == "model_version":
        return placed.decision.model_version or UNKNOWN
    evidence = placed.offer.evidence
    if evidence is None:
        return UNKNOWN
    antecedent = " + ".join(evidence.antecedent_item_ids) or "popular"
    return f"{antecedent} -> {placed.offer.item_id}"
