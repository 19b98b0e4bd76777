"""Upgrades in plain NumPy, question by question: what the kernels have to agree with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.catalogue import Catalogue
from mersalg.engine.native.signals import QUESTION, SIBLING
from mersalg.engine.ranking.purchases import NEVER, Past
from mersalg.engine.upsell.likelihood import WINDOWS, Likelihood, Standing, log_odds
from mersalg.engine.upsell.recommender import BaseItem
from mersalg.engine.upsell.tiers import Ladders
from mersalg.engine.vocabulary import StringTable
from mersalg.training.upsell.events import Questions
from mersalg.training.upsell.model_fit import shares

Signals = dict[str, float]


def times_moved(standing: Standing, item: int, following: int) -> float:
    """How often `following` was bought after `item`."""
    places = np.flatnonzero(standing.move_keys == item * len(standing.ups) + following)
    return float(standing.move_times[places].sum())


def signals(
    likelihood: Likelihood, past: Past, base: int, siblings: Sequence[int], ratios: Sequence[float]
) -> tuple[Signals, list[Signals]]:
    """The signals of one question, and of each of its better items."""
    facts, now = likelihood.facts, likelihood.standing
    mine = np.flatnonzero(facts.category[past.item] == facts.category[base])
    mine = mine if facts.category[base] >= 0 else mine[:0]
    item, age = past.item[mine], past.age[mine].astype(np.float64)
    fresh = np.exp2(-age / 60)

    def of_item(which: int) -> tuple[float, float, float]:
        bought = item == which
        return float(bought.sum()), float(fresh[bought].sum()), float(age[bought].min(initial=999))

    def of_brand(code: int) -> float:
        return float(fresh[facts.brand[item] == code].sum())

    category_fresh = fresh.sum()
    category_level = (fresh * facts.level[item]).sum() / (category_fresh + 1)
    on = facts.ladder[item] == facts.ladder[base]
    steps = facts.tier[item[on]].astype(float) - facts.tier[base]
    levels = facts.level[item[on]] - facts.level[base]
    weight, when = fresh[on], age[on]
    latest = when.min(initial=NEVER)
    last = when == latest
    n_last, entries, ladder_fresh = max(last.sum(), 1), on.sum(), weight.sum()
    above, below = weight[steps > 0].sum(), weight[steps < 0].sum()
    up_rate = (now.ups[base] + 1.7) / (now.moves[base] + 10)
    level_gap = (weight * levels).sum() / (ladder_fresh + 1)
    totals = now.orders[list(siblings)].sum(axis=0)
    heavy = now.orders[list(siblings), 1] / max(totals[1], 1)
    promotion, usual = now.promotion[list(siblings)], now.usual[list(siblings)]
    bought = [of_item(each) for each in siblings]
    base_times, base_fresh, base_age = of_item(base)
    buyer_level = facts.level[past.item].mean() if len(past.item) else 0.0
    asked = {
        "ladder_entries": np.log1p(entries),
        "ladder_fresh": np.log1p(ladder_fresh),
        "share_above": (above + up_rate) / (ladder_fresh + 1),
        "share_same": (ladder_fresh - above - below) / (ladder_fresh + 1),
        "share_below": below / (ladder_fresh + 1),
        "ladder_age": np.log1p(latest),
        "last_step": steps[last].sum() / n_last,
        "level_gap": level_gap,
        "level_last": levels[last].sum() / n_last,
        "distinct_items": np.log1p(len(set(item[on].tolist()))),
        "base_times": np.log1p(base_times),
        "base_fresh": np.log1p(base_fresh),
        "base_age": np.log1p(base_age),
        "category_level": category_level - facts.level[base],
        "category_entries": np.log1p(category_fresh),
        "buyer_level": buyer_level,
        "buyer_entries": np.log1p(len(past.item)),
        "buyer_since": np.log1p(past.age.min() if len(past.age) else NEVER),
        "level": facts.level[base],
        "tier": facts.tier[base],
        "tiers_above": max([0, *(facts.tier[each] - facts.tier[base] for each in siblings)]),
        "siblings": np.log1p(len(siblings)),
        "base_promotion": now.promotion[base],
        "above_promotion": (heavy * promotion).sum(),
        "base_promotion_gap": now.promotion[base] - now.usual[base],
        "above_promotion_gap": (heavy * (promotion - usual)).sum(),
        "up_rate": up_rate,
        "down_rate": (now.downs[base] + 1.7) / (now.moves[base] + 10),
        "moves": np.log1p(now.moves[base]),
        "base_brand_share": of_brand(facts.brand[base]) / (category_fresh + 1),
        "above_bought": sum(each[1] for each in bought),
        "log_price": facts.log_price[base],
        "share_above_long": ((steps > 0).sum() + up_rate) / (entries + 1),
        "steps_up_before": np.log1p((steps > 0).sum()),
        "above_age": np.log1p(min([NEVER, *(each[2] for each in bought)])),
    }
    for window, days in enumerate(WINDOWS):
        orders = np.log1p(now.orders[base, window])
        asked[f"base_orders_{days:g}"] = orders
        asked[f"above_share_{days:g}"] = np.log1p(totals[window]) - orders
    ratio = np.log(np.asarray(ratios, dtype=np.float32)).astype(np.float64)
    rank, popular = np.empty(len(siblings)), np.empty(len(siblings))
    rank[np.argsort(ratio, kind="stable")] = np.arange(len(siblings))
    popular[np.argsort(-now.orders[list(siblings), 2], kind="stable")] = np.arange(len(siblings))
    moved = [times_moved(now, base, each) for each in siblings]
    from_past = [
        sum(
            f * times_moved(now, i, each)
            for i, f in zip(item[on].tolist(), weight.tolist(), strict=True)
        )
        for each in siblings
    ]
    amounts = facts.log_amount[list(siblings)].astype(np.float64) - facts.log_amount[base]
    rows: list[Signals] = []
    for row, each in enumerate(siblings):
        share = np.log((now.orders[each] + 0.5) / (totals + 0.5 * len(siblings)))
        level, known = facts.level[each], np.isfinite(amounts[row])
        step = float(facts.tier[each]) - facts.tier[base]
        of_row = {
            "ratio": ratio[row],
            "step": step,
            "level": level,
            "rank": np.log1p(rank[row]),
            "siblings": asked["siblings"],
            "trend": share[0] - share[2],
            "moved": np.log1p(moved[row]),
            "moved_share": np.log((moved[row] + 3 * np.exp(share[2])) / (sum(moved) + 3)),
            "moved_from_past": np.log((from_past[row] + np.exp(share[2])) / (sum(from_past) + 1)),
            "same_brand": float(facts.brand[each] == facts.brand[base] >= 0),
            "brand_share": of_brand(facts.brand[each]) / (category_fresh + 1),
            "brand_entries": np.log1p(of_brand(facts.brand[each])),
            "level_gap": level - facts.level[base] - level_gap,
            "level_far": abs(level - facts.level[base] - level_gap),
            "category_gap": level - category_level,
            "buyer_gap": level - buyer_level,
            "bought_times": np.log1p(bought[row][0]),
            "bought_fresh": bought[row][1],
            "bought_age": np.log1p(bought[row][2]),
            "promotion": promotion[row],
            "promotion_gap": promotion[row] - usual[row],
            "amount_ratio": amounts[row] if known else 0,
            "same_amount": float(known and abs(amounts[row]) < 0.02),
            "amount_known": float(known),
            "same_amount_share": (np.abs(amounts) < 0.02).sum() / max(len(siblings), 1),
            "base_times": asked["base_times"],
            "next_tier": float(step == 1),
            "ratio_squared": ratio[row] ** 2,
            "popular_rank": np.log1p(popular[row]),
        }
        for window, days in enumerate(WINDOWS):
            of_row[f"share_{days:g}"] = share[window]
            of_row[f"orders_{days:g}"] = np.log1p(now.orders[each, window])
        rows.append(of_row)
    return asked, rows


def of_cart(likelihood: Likelihood, past: Past, questions: Questions) -> NDArray[np.float64]:
    """P(upgrade | customer, base) x P(item | upgrade), float64 (n_rows,), for one cart."""
    found = [np.zeros(0)]
    for place, base in enumerate(questions.base.tolist()):
        rows = slice(questions.indptr[place], questions.indptr[place + 1])
        asked, of_rows = signals(
            likelihood, past, base, questions.sibling[rows].tolist(), questions.ratio[rows].tolist()
        )
        if of_rows:
            which = likelihood.which.raw(matrix(of_rows, SIBLING))
            alone = Questions(
                questions.base[place : place + 1],
                np.array([0, len(of_rows)]),
                questions.sibling[rows],
                questions.ratio[rows],
            )
            up = likelihood.whether.probability(matrix([asked], QUESTION))
            found.append(up * shares(which, alone, likelihood.which.slope))
    return as_offered(likelihood, np.concatenate(found))


def matrix(rows: Sequence[Signals], table: Mapping[str, str]) -> NDArray[np.float32]:
    """Signals in the order of the table, float32 (n_rows, n_signals)."""
    assert all(row.keys() == table.keys() for row in rows)
    return np.array([[row[name] for name in table] for row in rows], dtype=np.float32)


def as_offered(likelihood: Likelihood, score: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how offers that were shown were taken; the same shape."""
    if likelihood.offer_slope == 1.0 and likelihood.offer_intercept == 0.0:
        return score
    odds = likelihood.offer_slope * log_odds(score) + likelihood.offer_intercept
    return 1.0 / (1.0 + np.exp(-np.clip(odds, -30, 30)))


class Found(NamedTuple):
    """What `NativeUpgrades.find` says of a better item."""

    difference: int
    worth: int
    score: float
    bound: float


def known_losses(
    catalogue: Catalogue, amounts: Sequence[tuple[StringTable, bool]], base: int, better: int
) -> tuple[int, int]:
    """How many losses plain numbers show, and how many gains there can be at most."""
    losses, no_gain = 0, 0
    for texts, lower_is_better in amounts:
        before, after = texts[base], texts[better]
        if all(re.fullmatch("[0-9]{1,15}", text) for text in (before, after)):
            change = int(before) - int(after) if lower_is_better else int(after) - int(before)
            losses += change < 0
            no_gain += change <= 0
    return losses, len(catalogue.attributes) - no_gain


def better_items(
    ladders: Ladders,
    catalogue: Catalogue,
    n_orders_of_item: NDArray[np.int64],
    given: Sequence[Sequence[int]],
    ratios: tuple[float, float],
    likelihood: Likelihood | None,
    past: Past,
    bases: Sequence[BaseItem],
    marks: NDArray[np.uint8],
    amounts: Sequence[tuple[StringTable, bool]],
    each_loss: float,
) -> dict[tuple[int, int], Found]:
    """(place of the base, better item) -> what is found of it, as `NativeUpgrades.find`."""
    found: dict[tuple[int, int], Found] = {}
    for place, base in enumerate(bases):
        paid, price = base.unit_price_minor or 0, catalogue.price_minor
        if paid <= 0:
            continue
        named = [item for item in given[base.item] if price[item] > paid]
        family = int(ladders.family[base.item])
        rest = [
            item
            for item in (ladders.members[family].tolist() if family >= 0 else [])
            if ladders.tier[item] > ladders.tier[base.item]
            and price[item] > paid
            and ratios[0] <= price[item] / paid <= ratios[1]
            and item not in named
        ]
        rows = [*named, *rest]
        if not rows:
            continue
        ratio = np.array([price[item] / paid for item in rows])
        if likelihood is not None:
            questions = Questions(
                np.array([base.item], dtype=np.int32),
                np.array([0, len(rows)]),
                np.array(rows, dtype=np.int32),
                ratio.astype(np.float32),
            )
            scores = of_cart(likelihood, past, questions)
        else:
            bought = n_orders_of_item[rows]
            steps = np.array(
                [1] * len(named)
                + [int(ladders.tier[item]) - int(ladders.tier[base.item]) for item in rest]
            )
            share = (bought + 1) / (bought + n_orders_of_item[base.item] + 10)
            scores = share / ratio * 0.6 ** (steps - 1.0)
        settled = any(marks[item] == 0 for item in named)
        for row, item in enumerate(rows):
            difference = worth = int(price[item]) - paid
            cost, base_cost = int(catalogue.cost_minor[item]), int(catalogue.cost_minor[base.item])
            if likelihood is not None and cost >= 0 and base_cost >= 0:
                worth -= cost - base_cost
            if marks[item] or worth <= 0 or (settled and row >= len(named)):
                continue
            losses, gains = known_losses(catalogue, amounts, base.item, item)
            if losses > gains and item not in named:
                continue
            score = float(scores[row])
            bound = score * worth * float(base.quantity) * each_loss**losses
            found[place, item] = Found(difference, worth, score, bound)
    return found
