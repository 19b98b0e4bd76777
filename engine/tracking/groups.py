"""What a report can be split by: the instant of the decision, or a property of the offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter

from engine.facts import Decision
from engine.tracking.history import PlacedOffer
from engine.tracking.periods import TIME_KEYS

OFFER_KEYS = (
    *("item", "family", "rule"),
    *("placement", "model_version", "arm", "store", "segment"),
)
GROUP_KEYS = (*TIME_KEYS, *OFFER_KEYS)

UNKNOWN = "unknown"

_OF_DECISION: Mapping[str, Callable[[Decision], str | None]] = {
    "placement": attrgetter("placement"),
    "model_version": attrgetter("model_version"),
    "arm": attrgetter("arm"),
    "store": attrgetter("store_id"),
    "segment": attrgetter("segment"),
}


def offer_key(key: str, placed: PlacedOffer) -> str:
    """The group of an offer under one of `OFFER_KEYS`."""
    if key == "item":
        return placed.offer.item_id
    if key == "family":
        return placed.offer.family or UNKNOWN
    if key in _OF_DECISION:
        return _OF_DECISION[key](placed.decision) or UNKNOWN
    evidence = placed.offer.evidence
    if evidence is None:
        return UNKNOWN
    antecedent = " + ".join(evidence.antecedent_item_ids) or "popular"
    return f"{antecedent} -> {placed.offer.item_id}"
