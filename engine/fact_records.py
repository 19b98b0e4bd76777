"""Facts with all that explains them as JSON: for the spool and for people who ask why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import cast

import orjson

from engine.errors import FactRejected
from engine.events import Fact, fact_to_json, parse_fact
from engine.offers import Change, Decision, Evidence, Offer


def explained(decision: Decision) -> dict[str, object]:
    """The decision in the outward schema, each offer with its score, text, evidence, changes."""
    record = fact_to_json(decision)
    offers = cast("list[dict[str, object]]", record["offers"])
    record["offers"] = [
        {**outward, **_explanation(offer)}
        for outward, offer in zip(offers, decision.offers, strict=True)
    ]
    return record


def _explanation(offer: Offer) -> dict[str, object]:
    explanation: dict[str, object] = {"score": offer.score, "text": offer.text}
    if offer.evidence is not None:
        explanation["evidence"] = asdict(offer.evidence)
    if offer.kind == "upsell":
        explanation["gains"] = [_change_to_json(change) for change in offer.gains]
        explanation["losses"] = [_change_to_json(change) for change in offer.losses]
    return explanation


def _change_to_json(change: Change) -> dict[str, str]:
    return {"attribute": change.attribute, "from": change.before, "to": change.after}


def pack(fact: Fact) -> bytes:
    """A fact as bytes that `unpack` gives back whole."""
    return orjson.dumps(explained(fact) if isinstance(fact, Decision) else fact_to_json(fact))


def unpack(record: bytes) -> Fact:
    """Raises FactRejected where the bytes are no fact."""
    try:
        data = orjson.loads(record)
    except orjson.JSONDecodeError as error:
        raise FactRejected("invalid", f"not JSON: {error}") from error
    return from_record(data)


def from_record(data: object) -> Fact:
    """A fact from its JSON object, a decision with its explanation where there is one.

    Raises:
        FactRejected: as `parse_fact`, or where the explanation is damaged.
    """
    fact = parse_fact(data)
    if not isinstance(fact, Decision) or not fact.offers:
        return fact
    entries = cast("dict[str, list[Mapping[str, object]]]", data)["offers"]
    offers = zip(fact.offers, entries, strict=True)
    return replace(fact, offers=tuple(_with_explanation(offer, entry) for offer, entry in offers))


def _with_explanation(offer: Offer, entry: Mapping[str, object]) -> Offer:
    try:
        evidence = cast("dict[str, object] | None", entry.get("evidence"))
        return replace(
            offer,
            score=float(cast(float, entry.get("score", 0.0))),
            text=str(entry.get("text", "")),
            evidence=None if evidence is None else _evidence(evidence),
            gains=_changes(entry.get("gains")),
            losses=_changes(entry.get("losses")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FactRejected("invalid", f"the explanation of {offer.offer_id} is damaged") from error


def _evidence(data: dict[str, object]) -> Evidence:
    antecedent = cast("list[str]", data["antecedent_item_ids"])
    return Evidence(
        antecedent_item_ids=tuple(str(item) for item in antecedent),
        n_joint=int(cast(int, data["n_joint"])),
        n_antecedent=int(cast(int, data["n_antecedent"])),
        confidence=float(cast(float, data["confidence"])),
        lift=float(cast(float, data["lift"])),
        lift_lower=float(cast(float, data["lift_lower"])),
    )


def _changes(data: object) -> tuple[Change, ...]:
    entries = cast("Sequence[Mapping[str, str]]", data or ())
    return tuple(Change(entry["attribute"], entry["from"], entry["to"]) for entry in entries)
