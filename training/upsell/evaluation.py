"""The back-test of upsell: which dearer sibling, and whether at all, against plain yardsticks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Float64s, Int32s
from mersalg.engine.catalogue import UNKNOWN
from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.native.signals import SIBLING
from mersalg.engine.progress import Progress, SilentProgress
from mersalg.training.keyed import rank_by_key
from mersalg.training.reading.dataset import Dataset, usual_prices
from mersalg.training.upsell.events import Questions, protocol_ladders
from mersalg.training.upsell.families import groups_of
from mersalg.training.upsell.memory import Memory, facts_of
from mersalg.training.upsell.model_fit import WARM_UP, Asker, drawn, shares
from mersalg.training.upsell.tiers import fit_ladders, former_cuts, price_changes

TRAIN_SHARE = 292 / 366
"""Of the days: those before the split are learned from."""
_MAX_TESTED = 40_000
_BINS = 10
_MIN_LINES = 5
"""Lines of each period that an item's usual price is read from."""


def evaluate_upsell(dataset: Dataset, progress: Progress) -> dict[str, Any] | None:
    """Return the table of the protocol (see `events`); None where no history can be followed.

    Everything is asked as of its own moment: what sells and who moved is counted up to it, the
    models, tiers and prices are those of the days before the split.
    """
    if not len(dataset.customer_ids) or not (dataset.ordered_at > 0).any():
        return None
    begin = int(dataset.ordered_at.min())
    days = (dataset.ordered_at - begin) // MICROS_PER_DAY
    split = int(np.ceil((int(days.max()) + 1) * TRAIN_SHARE))
    before = dataset.select_orders(days < split)
    family = dataset.catalogue.family
    if not (family >= 0).any():
        family = dataset.catalogue.category
    with progress.task("Evaluating which upgrade is chosen"):
        which = _which(dataset, before, family, split)
    with progress.task("Evaluating whether customers upgrade"):
        whether = _whether(dataset, before, family, split)
    if which is None and whether is None:
        return None
    return {"split_day": split, "which": which, "whether": whether}


def _asker(dataset: Dataset, before: Dataset, family: Int32s, kind: Any) -> Asker:
    ladders, price = protocol_ladders(before, family, kind)
    facts = facts_of(dataset.catalogue, ladders, price)
    return Asker(Memory.of(dataset, ladders, facts), ladders, price)


def _which(dataset: Dataset, before: Dataset, family: Int32s, split: int) -> dict[str, Any] | None:
    asker = _asker(dataset, before, family, "terciles")
    turns, days = asker.turns, asker.turns.seconds // 86_400
    new = asker.upgrades() & turns.is_new
    scorer = asker.which(np.flatnonzero(new & (days < split) & (days >= WARM_UP * split)))
    chosen = np.flatnonzero(new & (days >= split))
    if scorer is None or not len(chosen):
        return None
    tested = turns.take(chosen)
    asked = asker.ask(tested)
    _, rows = asker.memory.signals(tested.customer, asked, tested.seconds)
    taken = asked.sibling == tested.item[asked.owner]
    probability = shares(scorer.raw(rows), asked, scorer.slope)
    popular = before.baskets.item_counts()[asked.sibling].astype(np.float64)
    # Upgrades asked about are to items new to the customer: a ranking may know that much too.
    signals = dict(zip(SIBLING, rows.T, strict=True))
    known_before = signals["bought_times"] > 0
    cheapest = -signals["step"] * 1e3 - signals["ratio"]
    ranked = {
        "random": np.random.default_rng(7).random(len(taken)),
        "cheapest_next_tier": cheapest,
        "cheapest_next_tier_unbought": np.where(known_before, -np.inf, cheapest),
        "popular": popular,
        "popular_unbought": np.where(known_before, -np.inf, popular),
        "recently_popular": signals["orders_60"],
        "transitions": signals["moved_share"],
        "mersalg": probability,
        "mersalg_unbought": np.where(known_before, -np.inf, probability),
    }
    return {
        "n": len(tested),
        "hit_rate": {name: hit_rates(score, taken, asked) for name, score in ranked.items()},
        "expected_calibration_error": calibration_error(probability, taken),
    }


def hit_rates(score: NDArray[np.floating], taken: Bools, asked: Questions) -> dict[str, float]:
    """HitRate@1 and @3 with standard errors; ties are broken at random."""
    lot, size = np.random.default_rng(3).random(len(score)), len(asked.base)
    index = rank_by_key(asked.owner, -score, lot)[taken]
    rates: dict[str, float] = {}
    for most in (1, 3):
        share = float((index < most).sum() / size)
        rates[f"at_{most}"] = share
        rates[f"at_{most}_se"] = float(np.sqrt(share * (1 - share) / size))
    return rates


def _whether(
    dataset: Dataset, before: Dataset, family: Int32s, split: int
) -> dict[str, Any] | None:
    asker = _asker(dataset, before, family, "k_means")
    turns, days = asker.turns, asker.turns.seconds // 86_400
    up, below = asker.goes_up(), asker.below_top()
    learned = below & (days < split)
    scorer = asker.whether(np.flatnonzero(learned & (days >= WARM_UP * split)), up)
    chosen = np.flatnonzero(below & (days >= split))
    if scorer is None or not len(chosen):
        return None
    chosen = drawn(chosen, _MAX_TESTED)
    tested = turns.take(chosen)
    signals, _ = asker.memory.signals(tested.customer, asker.ask(tested), tested.seconds)
    went_up = up[chosen]
    ladder = asker.ladders.family
    n_ladders = asker.ladders.n_ladders
    ups = np.bincount(ladder[turns.base[learned]], up[learned], n_ladders)
    of_ladder = np.bincount(ladder[turns.base[learned]], minlength=n_ladders)
    base_rate = float(up[learned].mean())
    rate = (ups + 10 * base_rate) / (of_ladder + 10)
    scores = {
        "base_rate": np.full(len(chosen), base_rate),
        "ladder_rate": rate[ladder[tested.base]],
        "mersalg": scorer.probability(signals),
    }
    tier = asker.ladders.tier
    every = days >= split
    return {
        "n": len(chosen),
        "base_rate": float(went_up.mean()),
        "moves_up": float(up[every].mean()),
        "moves_down": float((tier[turns.item] < tier[turns.base])[every].mean()),
        "quality": {name: _quality(score, went_up) for name, score in scores.items()},
    }


def _quality(score: Float64s, observed: Bools) -> Mapping[str, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    area = float(roc_auc_score(observed, score))
    n_up = int(observed.sum())
    n_not = len(observed) - n_up
    # Hanley and McNeil, "The meaning and use of the area under a ROC curve", 1982.
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (n_up - 1) * (q1 - area**2) + (n_not - 1) * (q2 - area**2)
    return {
        "auc": area,
        "auc_se": float(np.sqrt(variance / (n_up * n_not))),
        "pr_auc": float(average_precision_score(observed, score)),
        "ece": calibration_error(score, observed),
    }


def calibration_error(score: NDArray[np.floating], observed: Bools) -> float:
    """Mean distance between prediction and outcome, over ten equally filled bins."""
    parts = np.array_split(np.argsort(score, kind="stable"), _BINS)
    return float(
        sum(len(p) * abs(score[p].mean() - observed[p].mean()) for p in parts if len(p))
        / max(len(score), 1)
    )


def tier_stability(dataset: Dataset, *, first_later_day: int) -> dict[str, float | int | None]:
    """Compare tiers on the prices before day `first_later_day` with those from it on.

    Day 0 begins with the first order. Items are priced by `_MIN_LINES` lines in both parts. The
    shares of items that stand on the same tier are None where there are none: `alone` derives the
    later tiers from later prices only, `with_former` is given the earlier ladders as training is.
    `mean_tiers` is how many tiers an item's ladder has, on average.
    """
    start = int(dataset.ordered_at.min()) if dataset.n_orders else 0
    later = (dataset.ordered_at - start) // MICROS_PER_DAY >= first_later_day
    before = dataset.select_orders(~later)
    parts = (before, dataset.select_orders(later))
    prices = [usual_prices(part, _MIN_LINES) for part in parts]
    both = (prices[0] > 0) & (prices[1] > 0)
    catalogues = [
        replace(dataset.catalogue, price_minor=np.where(both, price, UNKNOWN)) for price in prices
    ]
    groups, unpaid = groups_of(dataset.catalogue), np.full(len(both), UNKNOWN, dtype=np.int64)
    changes, silent = price_changes(before), SilentProgress()
    first, _ = fit_ladders(catalogues[0], unpaid, silent, groups=groups, changes=changes)
    alone, _ = fit_ladders(catalogues[1], unpaid, silent, groups=groups, changes=changes)
    former = former_cuts(catalogues[0], first)
    given, _ = fit_ladders(
        catalogues[1], unpaid, silent, groups=groups, changes=changes, former=former
    )
    compared = (first.tier >= 0) & (alone.tier >= 0) & (given.tier >= 0)
    if not compared.any():
        return {"n_items": 0, "alone": None, "with_former": None, "mean_tiers": None}
    highest = np.array([first.tier[first.members[one]].max() for one in range(first.n_ladders)])
    return {
        "n_items": int(compared.sum()),
        "alone": float((first.tier == alone.tier)[compared].mean()),
        "with_former": float((first.tier == given.tier)[compared].mean()),
        "mean_tiers": float(highest[first.family[compared]].mean() + 1),
    }
