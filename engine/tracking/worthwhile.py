"""Changes that the data carry: what to stop offering, and what to offer more often."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.facts import KINDS, Decision, Kind
from mersalg.engine.tracking.intervals import Interval
from mersalg.engine.tracking.many import holm

Report = Mapping[str, Any]

MAXIMUM_ACTIONS = 5
ERROR = 0.05
"""Chance that any action of a shop is listed without an effect behind it."""
WEEK = 7


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may be stopped or pinned: one kind of one row of a report.

    `key` is as in the report by `by`: `item`, `rule` or `upgrade`. `antecedent` is what the cart
    must hold, empty for an item; `item_id` is offered; `measured` are the entries of the report.
    """

    key: str
    by: str
    kind: Kind
    antecedent: tuple[str, ...]
    item_id: str
    measured: Report


@dataclass(frozen=True, slots=True)
class Action:
    """One change, what it brings a week, and how many carts a week lack a pinned item."""

    action: Literal["stop", "pin"]
    candidate: Candidate
    gain: Interval
    carts: float


def worthwhile(
    candidates: Sequence[Candidate],
    total: Report,
    days: float,
    decisions: Iterable[Decision],
) -> list[Action]:
    """Return at most `MAXIMUM_ACTIONS` changes with their gain a week, the greatest first.

    Items and upgrades may be stopped: that gains what the offer loses. Rules may be pinned: that
    gains what they bring in carts that lacked the item, less what the offer brings that makes room,
    taken for an average one; it assumes that it works there as it did elsewhere. A change is listed
    where its effect is significant among all candidates together (S. Holm, 1979, "A simple
    sequentially rejective multiple test procedure") and the whole interval of its gain is above 0.

    `total` has the entries of both kinds over all offers, in `days`. Recent `decisions` show how
    often a pinned item would be new.
    """
    tested = [
        candidate for candidate in candidates if _money(candidate.measured)["p_value"] is not None
    ]
    significant = holm([_money(each.measured)["p_value"] for each in tested], ERROR)
    chosen = [each for each, is_so in zip(tested, significant, strict=True) if is_so]
    pins = [each for each in chosen if each.by == "rule" and each.antecedent]
    missing = _missing(pins, decisions)
    displaced = _of_average_offer(candidates, total)
    actions: list[Action] = []
    for each in chosen:
        effect = _interval(_money(each.measured))
        checkouts = _checkouts(each.measured) * WEEK / days
        if each.by != "rule":
            gain = _times(Interval(-effect.value, -effect.upper, -effect.lower), checkouts)
            actions.append(Action("stop", each, gain, checkouts))
        elif each in pins:
            carts = missing[each.key]
            net = Interval(
                effect.value - displaced.value,
                effect.lower - max(0.0, displaced.upper),
                effect.upper - min(0.0, displaced.lower),
            )
            actions.append(Action("pin", each, _times(net, carts), carts))
    certain = [action for action in actions if action.gain.lower > 0]
    return sorted(certain, key=lambda each: -each.gain.value)[:MAXIMUM_ACTIONS]


def _money(measured: Report) -> Report:
    return measured["net_incremental"]["offer_revenue_per_checkout"]


def _interval(entry: Report) -> Interval:
    return Interval(*(float(entry[name]) for name in ("value", "lower", "upper")))


def _times(interval: Interval, factor: float) -> Interval:
    return Interval(interval.value * factor, interval.lower * factor, interval.upper * factor)


def _checkouts(measured: Report) -> int:
    arms = (measured["net_incremental"][arm] for arm in ("treatment", "control"))
    return sum(arm["denominator"] for arm in arms)


def _of_average_offer(candidates: Iterable[Candidate], total: Report) -> Interval:
    """Return the effect of one cross-sell offer in one checkout, on average."""
    kind = KINDS[0]
    offers = sum(
        _checkouts(candidate.measured)
        for candidate in candidates
        if candidate.by == "item" and candidate.kind == kind
    )
    entry = _money(total[kind]) if kind in total else {"value": None}
    if entry["value"] is None or not offers:
        return Interval(0.0, 0.0, 0.0)
    return _times(_interval(entry), _checkouts(total[kind]) / offers)


def _missing(pins: Sequence[Candidate], decisions: Iterable[Decision]) -> Mapping[str, float]:
    """Return for how many checkouts a week the item of each rule was not offered, but could be."""
    carts: defaultdict[str, set[str]] = defaultdict(set)
    offered: defaultdict[str, set[str]] = defaultdict(set)
    instants: list[int] = []
    for decision in decisions:
        instants.append(decision.occurred_at)
        carts[decision.checkout_id].update(line.item_id for line in decision.lines)
        offered[decision.checkout_id].update(offer.item_id for offer in decision.offers)
    if len(instants) < 2:
        return defaultdict(float)
    days = (max(instants) - min(instants)) / MICROS_PER_DAY
    n_lacking = {
        pin.key: sum(
            held.issuperset(pin.antecedent)
            and pin.item_id not in held
            and pin.item_id not in offered[checkout_id]
            for checkout_id, held in carts.items()
        )
        for pin in pins
    }
    return {key: n * WEEK / max(days, 1.0) for key, n in n_lacking.items()}
