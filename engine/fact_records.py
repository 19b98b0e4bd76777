"""Facts with all that explains them as JSON: for the spool and for people who ask why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import orjson

from engine import fields
from engine.errors import FactRejected
from engine.events import Fact, decision_head, fact_to_json, parse_fact, record_digest
from engine.offers import Change, Decision, Evidence, Offer, Step

if TYPE_CHECKING:
    from engine.fragments import Fragments

_EXPLAINS = frozenset({"score", "text", "evidence", "gains", "losses", "step", "total_difference"})
_STEPS: Mapping[object, Step] = {"size": "size", "tier": "tier"}
_LONGEST_TEXT = 2_000
_LARGEST_COUNT = 2**53


def explained(decision: Decision) -> dict[str, object]:
    """The decision in the outward schema, each offer with its score, text, evidence, changes."""
    return _explained(decision, fact_to_json(decision))


def _explained(decision: Decision, outward: Mapping[str, object]) -> dict[str, object]:
    offers = cast("list[dict[str, object]]", outward["offers"])
    pairs = zip(offers, decision.offers, strict=True)
    return {
        **outward,
        "offers": [{**entry, **explanation(offer, decision.currency)} for entry, offer in pairs],
    }


def explanation(offer: Offer, currency: str | None) -> dict[str, object]:
    """What a fact holds of an offer beyond the outward schema."""
    explained: dict[str, object] = {"score": _written(offer.score), "text": _shown(offer.text)}
    evidence = offer.evidence
    if evidence is not None:
        explained["evidence"] = {
            "antecedent_item_ids": [_shown(item) for item in evidence.antecedent_item_ids],
            "n_joint": evidence.n_joint,
            "n_antecedent": evidence.n_antecedent,
            "confidence": _written(evidence.confidence),
            "lift": _written(evidence.lift),
            "lift_lower": _written(evidence.lift_lower),
        }
    if offer.kind == "upsell":
        explained["gains"] = [_change_to_json(change) for change in offer.gains]
        explained["losses"] = [_change_to_json(change) for change in offer.losses]
        if offer.step is not None:
            explained["step"] = offer.step
        if offer.total_difference_minor is not None:
            explained["total_difference"] = fields.money_text(
                offer.total_difference_minor, currency
            )
    return explained


def _change_to_json(change: Change) -> dict[str, str]:
    return {
        "attribute": _shown(change.attribute),
        "from": _shown(change.before),
        "to": _shown(change.after),
    }


def _shown(text: str) -> str:
    return fields.display(text, _LONGEST_TEXT)


def _written(number: float) -> float:
    # JSON has no word for what is not finite: null would stand there, and could not be read.
    return number if math.isfinite(number) else 0.0


def pack(fact: Fact) -> bytes:
    """A fact as bytes that `unpack` gives back whole."""
    return digest_and_pack(fact)[1]


def digest_and_pack(fact: Fact) -> tuple[bytes, bytes]:
    """`body_digest` and `pack` at the price of one."""
    if isinstance(fact, Decision) and fact.fragments is not None:
        return digest_and_put_together(fact, fact.fragments, fact.session_id, fact.customer_id)
    record = fact_to_json(fact)
    whole = _explained(fact, record) if isinstance(fact, Decision) else record
    return record_digest(record), orjson.dumps(whole)


def digest_and_put_together(
    decision: Decision, fragments: Fragments, session_id: str | None, customer_id: str | None
) -> tuple[bytes, bytes]:
    """The same from what was written of a decision before, under the session and customer given."""
    head = decision_head(decision, session_id, customer_id)
    offers = decision.offers
    head["lines"] = orjson.Fragment(fragments.lines)
    head["offers"] = fragments.body.under(offers)
    whole = orjson.dumps(head)
    head["lines"] = orjson.Fragment(fragments.digest_lines)
    head["offers"] = fragments.digest.under(offers)
    return record_digest(head), whole


def unpack(record: bytes | str) -> Fact:
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
    if all(_EXPLAINS.isdisjoint(entry) for entry in entries):
        return fact
    offers = zip(fact.offers, entries, strict=True)
    return replace(
        fact,
        offers=tuple(_with_explanation(offer, entry, fact.currency) for offer, entry in offers),
    )


def _with_explanation(offer: Offer, entry: Mapping[str, object], currency: str | None) -> Offer:
    try:
        evidence = entry.get("evidence")
        upsell = offer.kind == "upsell"
        return Offer(
            offer_id=offer.offer_id,
            kind=offer.kind,
            item_id=offer.item_id,
            position=offer.position,
            unit_price_minor=offer.unit_price_minor,
            name=offer.name,
            score=_number(entry.get("score", 0.0)),
            text=_text(entry.get("text", "")),
            evidence=None if evidence is None else _evidence(evidence),
            replaces=offer.replaces,
            family=offer.family,
            gains=_changes(entry.get("gains")) if upsell else (),
            losses=_changes(entry.get("losses")) if upsell else (),
            step=_STEPS.get(str(entry.get("step"))) if upsell else None,
            total_difference_minor=fields.amount(
                entry, "total_difference", offer.offer_id, currency
            )
            if upsell
            else None,
        )
    except (KeyError, ValueError, OverflowError) as error:
        raise FactRejected("invalid", f"the explanation of {offer.offer_id} is damaged") from error


def _evidence(data: object) -> Evidence:
    record = _object(data)
    return Evidence(
        antecedent_item_ids=tuple(_text(item) for item in _list(record["antecedent_item_ids"])),
        n_joint=_count(record["n_joint"]),
        n_antecedent=_count(record["n_antecedent"]),
        confidence=_number(record["confidence"]),
        lift=_number(record["lift"]),
        lift_lower=_number(record["lift_lower"]),
    )


def _changes(data: object) -> tuple[Change, ...]:
    entries = [] if data is None else [_object(entry) for entry in _list(data)]
    return tuple(
        Change(_text(entry["attribute"]), _text(entry["from"]), _text(entry["to"]))
        for entry in entries
    )


def _object(data: object) -> Mapping[str, object]:
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return cast("dict[str, object]", data)


def _list(data: object) -> list[object]:
    if not isinstance(data, list):
        raise ValueError("not a list")
    return cast("list[object]", data)


def _text(data: object) -> str:
    if not isinstance(data, str) or len(data) > _LONGEST_TEXT or not fields.is_text(data):
        raise ValueError("not a text")
    return data


def _count(data: object) -> int:
    if not isinstance(data, int) or isinstance(data, bool) or not 0 <= data <= _LARGEST_COUNT:
        raise ValueError("not a count")
    return data


def _number(data: object) -> float:
    number = float(cast(float, data)) if fields.is_number(data) else math.nan
    if not math.isfinite(number):
        raise ValueError("not a number")
    return number
