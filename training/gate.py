"""The publish gate: whether a new version may take the place of the published one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mersalg.engine.config import GateSection
from mersalg.engine.cross_sell.measures import Z_95
from mersalg.engine.facts import CartLine
from mersalg.engine.manifest import Manifest
from mersalg.engine.model import Model
from mersalg.engine.orders import Baskets
from mersalg.engine.slate import Recommenders, build_slate
from mersalg.engine.words import counted

SAMPLED_CARTS = 500
HIT_RATE = ("hit_rate_at_10", "mersalg")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One question of the gate and its answer, in words."""

    check: str
    passed: bool
    reason: str


def judge(
    model: Model,
    *,
    counts: Mapping[str, Any],
    metrics: Mapping[str, Any],
    previous: Manifest | None,
    settings: GateSection,
) -> list[Verdict]:
    """Every verdict on a model that loaded and passed its self-check; `previous` is published."""
    verdicts = [
        Verdict("self_check", True, "its files verify and its arrays agree"),
        _something_to_offer(model),
        _carts_offered(counts, previous, settings.max_shrink),
    ]
    if previous is None:
        return [*verdicts, Verdict("comparison", True, "nothing is published to compare with")]
    now = model.catalogue.currency
    before = previous.configuration.get("shop", {}).get("currency")
    return [
        *verdicts,
        Verdict("currency", before == now, f"{now}, published: {before}"),
        *(_not_shrunk(name, counts, previous, settings.max_shrink) for name in ("orders", "items")),
        _as_good(metrics, previous, settings.max_hit_rate_drop),
    ]


def offered_carts(model: Model, baskets: Baskets) -> dict[str, int]:
    """Count the carts that are offered anything, of orders spread evenly over all of them.

    Of an order of several items the last is left out, so that the cart is one before its end.
    """
    recommenders, offers = Recommenders.prepare(model), model.settings.offers
    ids, offered = model.catalogue.items.ids, 0
    orders = np.unique(np.linspace(0, baskets.n_orders - 1, SAMPLED_CARTS).astype(np.int64))
    for order in orders.tolist():
        basket = baskets[order]
        slate = build_slate(
            recommenders,
            [CartLine(ids[item], 1, None) for item in basket[: max(len(basket) - 1, 1)].tolist()],
            cross_sell=max(offers.cross_sell, 1),
            upsell=max(offers.upsell, 1),
        )
        offered += bool(slate.cross_sell or slate.upsell)
    return {"carts_sampled": len(orders), "carts_offered": offered}


def _something_to_offer(model: Model) -> Verdict:
    n_rules = len(model.rules)
    n_ladders = len(set(model.ladders.family[model.ladders.tier > 0].tolist()))
    return Verdict(
        "something_to_offer",
        n_rules > 0 or n_ladders > 0,
        f"{counted(n_rules, 'rule')} and {counted(n_ladders, 'ladder')} of two or more tiers",
    )


def _carts_offered(
    counts: Mapping[str, Any], previous: Manifest | None, max_shrink: float
) -> Verdict:
    now, before = _offered_share(counts), _offered_share(previous.counts if previous else {})
    if now is None:
        return Verdict("carts", True, "no carts were tried")
    words = f"offers for {now:.0%} of {counted(counts['carts_sampled'], 'cart')}"
    if before is None:
        return Verdict("carts", now > 0, words)
    words += f", published: {before:.0%}"
    if now < (1 - max_shrink) * before or not now:
        return Verdict("carts", False, f"{words}; a fall by {max_shrink:.0%} is allowed")
    return Verdict("carts", True, words)


def _offered_share(counts: Mapping[str, Any]) -> float | None:
    sampled = counts.get("carts_sampled")
    return counts["carts_offered"] / sampled if sampled else None


def _not_shrunk(
    name: str, counts: Mapping[str, Any], previous: Manifest, max_shrink: float
) -> Verdict:
    before, now = previous.counts.get(name), counts[name]
    if not before:
        return Verdict(name, True, f"{now}; the published version does not say")
    shrunk = 1 - now / before
    words = f"{now}, published: {before}"
    if shrunk > max_shrink:
        return Verdict(name, False, f"{words}: {shrunk:.0%} fewer, {max_shrink:.0%} allowed")
    return Verdict(name, True, words)


def _as_good(metrics: Mapping[str, Any], previous: Manifest, max_drop: float) -> Verdict:
    """Refused only where the fall is both larger than allowed and more than chance (95%)."""
    before, now = _hit_rate(previous.metrics), _hit_rate(metrics)
    if before is None or now is None:
        return Verdict("hit_rate", True, "no back-test on both sides to compare")
    drop = before["value"] - now["value"]
    noise = Z_95 * math.hypot(before["standard_error"], now["standard_error"])
    words = (
        f"{now['value']:.4f} ± {now['standard_error']:.4f}, "
        f"published: {before['value']:.4f} ± {before['standard_error']:.4f}"
    )
    if drop > max_drop * before["value"] and drop > noise:
        share = drop / before["value"]
        return Verdict("hit_rate", False, f"{words}: {share:.0%} lower, {max_drop:.0%} allowed")
    return Verdict("hit_rate", True, words)


def _hit_rate(metrics: Mapping[str, Any]) -> Mapping[str, float] | None:
    measure, ranker = HIT_RATE
    entry = metrics.get(measure, {}).get(ranker)
    return entry if entry and entry["value"] is not None else None
