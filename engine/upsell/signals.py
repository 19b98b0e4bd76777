"""The numbers by which an upgrade is judged: of the item that may go, and of each better one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.ranking.keyed import Grouping, look_up
from engine.ranking.purchases import NEVER
from engine.upsell.history import History
from engine.upsell.standing import WINDOWS, Facts

Floats = NDArray[np.float32]
Keys = NDArray[np.int64]
_PRIOR = 1.0

_DAYS = tuple(f"{days:g}" for days in WINDOWS)
QUESTION_NAMES = (
    *("ladder_entries", "ladder_fresh", "share_above", "share_same", "share_below"),
    *("ladder_age", "last_step", "level_gap", "level_last", "distinct_items"),
    *("base_times", "base_fresh", "base_age", "category_level", "category_entries"),
    *("buyer_level", "buyer_entries", "buyer_since", "level", "tier", "tiers_above"),
    *("siblings", *(f"base_orders_{days}" for days in _DAYS)),
    *(f"above_share_{days}" for days in _DAYS),
    *("base_promotion", "above_promotion", "base_promotion_gap", "above_promotion_gap"),
    *("up_rate", "down_rate", "moves", "base_brand_share", "above_bought", "log_price"),
    *("share_above_long", "steps_up_before", "above_age"),
)
SIBLING_NAMES = (
    *("ratio", "step", "level", "rank", "siblings"),
    *(f"share_{days}" for days in _DAYS),
    *(f"orders_{days}" for days in _DAYS),
    *("trend", "moved", "moved_share", "moved_from_past", "same_brand", "brand_share"),
    *("brand_entries", "level_gap", "level_far", "category_gap", "buyer_gap"),
    *("bought_times", "bought_fresh", "bought_age", "promotion", "promotion_gap"),
    *("amount_ratio", "same_amount", "amount_known", "same_amount_share", "base_times"),
    *("next_tier", "ratio_squared", "popular_rank"),
)


@dataclass(frozen=True, slots=True)
class Now:
    """What `Standing` says of the items in question, row by row, as of each question's moment.

    Attributes:
        base_*: of each question's item, float32 (n_questions,); base_orders (n_questions, windows).
        orders: float32 (n_rows, windows) of each better item; promotion, usual (n_rows,).
        moved: float32 (n_rows,), how often the better item followed the base item.
    """

    base_orders: Floats
    base_promotion: Floats
    base_usual: Floats
    ups: Floats
    downs: Floats
    moves: Floats
    orders: Floats
    promotion: Floats
    usual: Floats
    moved: Floats
    moved_from_past: Floats


@dataclass(frozen=True, slots=True)
class Questions:
    """Items that may be replaced, and the better ones of each.

    Attributes:
        base: int32 (n_questions,).
        indptr: int64 (n_questions + 1,), the rows of each question.
        sibling: int32 (n_rows,).
        ratio: float32 (n_rows,), the better item's price over the base item's.
    """

    base: NDArray[np.int32]
    indptr: Keys
    sibling: NDArray[np.int32]
    ratio: Floats

    @property
    def owner(self) -> Keys:
        """int64 (n_rows,), the question of each row."""
        return np.repeat(np.arange(len(self.base)), np.diff(self.indptr))


def _sums(question: Keys, values: NDArray[np.floating], size: int) -> Floats:
    return np.bincount(question, weights=values, minlength=size).astype(np.float32)


def _least(question: Keys, values: Floats, size: int, start: float) -> Floats:
    least = np.full(size, start, dtype=np.float32)
    np.minimum.at(least, question, values)
    return least


def _logs(values: Floats) -> Floats:
    return np.log1p(values).astype(np.float32)


def _found(group: Grouping, values: Floats, wanted: Keys, otherwise: float) -> Floats:
    if not len(group.keys):
        return np.full(len(wanted), otherwise, dtype=np.float32)
    place, known = look_up(group.keys, wanted)
    return np.where(known, values[place], np.float32(otherwise)).astype(np.float32)


def _each(owner: Keys, values: Floats, questions: Questions) -> Floats:
    return _sums(owner, values, len(questions.base))


def moves_from_past(
    ladder: NDArray[np.int32],
    history: History,
    questions: Questions,
    times_moved: Callable[[NDArray[np.int32], NDArray[np.int32], Keys], Floats],
) -> Floats:
    """float32 (n_rows,): moves to each better item from everything its buyer bought of the ladder.

    Args:
        times_moved: how often one went from an item to another, of arrays (n,) of items, of better
            items, and of the questions these belong to.
    """
    same = (ladder[history.item] == ladder[questions.base][history.question]).nonzero()[0]
    question = history.question[same]
    lengths = np.diff(questions.indptr)[question]
    entry = np.repeat(same, lengths)
    shift = questions.indptr[question] - (np.cumsum(lengths) - lengths)
    row = np.arange(len(entry)) + np.repeat(shift, lengths)
    times = times_moved(history.item[entry], questions.sibling[row], history.question[entry])
    return np.bincount(row, history.fresh[entry] * times, len(questions.sibling)).astype(np.float32)


def signals(
    facts: Facts, history: History, questions: Questions, now: Now
) -> tuple[Floats, Floats]:
    """(of questions: float32 (n_questions, len(QUESTION_NAMES)), of rows: likewise)."""
    base, sibling, owner = questions.base, questions.sibling, questions.owner
    size, n_items = len(base), len(facts.ladder)
    asked, item, age = history.question, history.item, history.age
    fresh = history.fresh
    category_fresh = _sums(asked, fresh, size)
    category_level = _sums(asked, fresh * facts.level[item], size) / (category_fresh + _PRIOR)
    # Brands: what share of the category's purchases carried the base's or the sibling's.
    brand = facts.brand[item].astype(np.int64)
    width = int(facts.brand.max(initial=0)) + 2
    by_brand = Grouping.of(asked * width + brand + 1)
    brand_sum = by_brand.sum(fresh)
    base_brand = _found(
        by_brand, brand_sum, np.arange(size) * width + facts.brand[base] + 1, 0.0
    ) / (category_fresh + _PRIOR)
    by_item = Grouping.of(asked * n_items + item)
    times, item_fresh, item_age = by_item.size(), by_item.sum(fresh), by_item.min(age)
    base_keys = np.arange(size) * n_items + base
    row_keys = owner * n_items + sibling
    # Of the same ladder only.
    same = facts.ladder[item] == facts.ladder[base][asked]
    q, inside, when, weight = asked[same], item[same], age[same], fresh[same]
    entries, ladder_fresh = (
        np.bincount(q, minlength=size).astype(np.float32),
        _sums(q, weight, size),
    )
    steps = facts.tier[inside].astype(np.float32) - facts.tier[base][q]
    above = _sums(q, weight * (steps > 0), size)
    below = _sums(q, weight * (steps < 0), size)
    n_above = _sums(q, (steps > 0).astype(np.float32), size)
    last = _least(q, when, size, NEVER)
    is_last = when == last[q]
    n_last = np.maximum(_sums(q, is_last, size), 1)
    levels = facts.level[inside] - facts.level[base][q]
    distinct_key = by_item.keys // max(n_items, 1)
    distinct_item = (by_item.keys - distinct_key * n_items).astype(np.int64)
    on_ladder = facts.ladder[distinct_item] == facts.ladder[base][distinct_key]
    n_siblings = np.diff(questions.indptr).astype(np.float32)
    totals = np.stack(
        [_each(owner, now.orders[:, w], questions) for w in range(len(WINDOWS))], axis=1
    )
    heavy = now.orders[:, 1] / np.maximum(totals[owner, 1], 1)
    bought = _found(by_item, times, row_keys, 0.0)
    bought_fresh = _found(by_item, item_fresh, row_keys, 0.0)
    bought_age = _found(by_item, item_age, row_keys, NEVER)
    tiers_above = np.zeros(size, dtype=np.float32)
    row_steps = facts.tier[sibling].astype(np.float32) - facts.tier[base][owner]
    np.maximum.at(tiers_above, owner, row_steps)
    base_times = _found(by_item, times, base_keys, 0.0)
    prior_up = (now.ups + 1.7) / (now.moves + 10)
    level_gap = _sums(q, weight * levels, size) / (ladder_fresh + _PRIOR)
    of_questions = np.stack(
        [
            _logs(entries),
            _logs(ladder_fresh),
            (above + prior_up * _PRIOR) / (ladder_fresh + _PRIOR),
            (ladder_fresh - above - below) / (ladder_fresh + _PRIOR),
            below / (ladder_fresh + _PRIOR),
            _logs(last),
            _sums(q, is_last * steps, size) / n_last,
            level_gap,
            _sums(q, is_last * levels, size) / n_last,
            np.log1p(_sums(distinct_key[on_ladder], np.ones(int(on_ladder.sum())), size)),
            _logs(base_times),
            _logs(_found(by_item, item_fresh, base_keys, 0.0)),
            _logs(_found(by_item, item_age, base_keys, NEVER)),
            category_level - facts.level[base],
            _logs(category_fresh),
            history.level,
            _logs(history.n_entries),
            _logs(history.since),
            facts.level[base],
            facts.tier[base].astype(np.float32),
            tiers_above,
            _logs(n_siblings),
            *_logs(now.base_orders).T,
            *(_logs(totals) - _logs(now.base_orders)).T,
            now.base_promotion,
            _each(owner, heavy * now.promotion, questions),
            now.base_promotion - now.base_usual,
            _each(owner, heavy * (now.promotion - now.usual), questions),
            prior_up,
            (now.downs + 1.7) / (now.moves + 10),
            _logs(now.moves),
            base_brand,
            _each(owner, bought_fresh, questions),
            facts.log_price[base],
            (n_above + prior_up) / (entries + 1),
            _logs(n_above),
            _logs(_least(owner, bought_age, size, NEVER)),
        ],
        axis=1,
    ).astype(np.float32)
    ratio = np.log(questions.ratio).astype(np.float32)
    start = np.repeat(questions.indptr[:-1], np.diff(questions.indptr))
    place = np.arange(len(sibling))
    cheap_rank = np.empty(len(sibling), dtype=np.float32)
    cheap_rank[np.lexsort((ratio, owner))] = place - start
    popular_rank = np.empty(len(sibling), dtype=np.float32)
    popular_rank[np.lexsort((-now.orders[:, 2], owner))] = place - start
    share = np.log((now.orders + 0.5) / (totals[owner] + 0.5 * n_siblings[owner][:, None]))
    moved_total = _each(owner, now.moved, questions)
    long_share = np.exp(share[:, 2])
    brand_of = facts.brand[sibling]
    sibling_brand = _found(by_brand, brand_sum, owner * width + brand_of + 1, 0.0)
    amount = facts.log_amount[sibling] - facts.log_amount[base][owner]
    amount_known = np.isfinite(amount)
    amount = np.where(amount_known, amount, 0).astype(np.float32)
    same_amount = amount_known & (np.abs(amount) < 0.02)
    n_same = _each(owner, same_amount.astype(np.float32), questions)
    of_rows = np.stack(
        [
            ratio,
            row_steps,
            facts.level[sibling],
            _logs(cheap_rank),
            _logs(n_siblings[owner]),
            *share.T,
            *_logs(now.orders).T,
            share[:, 0] - share[:, 2],
            _logs(now.moved),
            np.log((now.moved + 3 * long_share) / (moved_total[owner] + 3)),
            np.log(
                (now.moved_from_past + long_share)
                / (_each(owner, now.moved_from_past, questions)[owner] + 1)
            ),
            (brand_of == facts.brand[base][owner]) & (brand_of >= 0),
            sibling_brand / (category_fresh[owner] + _PRIOR),
            _logs(sibling_brand),
            facts.level[sibling] - facts.level[base][owner] - level_gap[owner],
            np.abs(facts.level[sibling] - facts.level[base][owner] - level_gap[owner]),
            facts.level[sibling] - category_level[owner],
            facts.level[sibling] - history.level[owner],
            _logs(bought),
            bought_fresh,
            _logs(bought_age),
            now.promotion,
            now.promotion - now.usual,
            amount,
            same_amount,
            amount_known,
            n_same[owner] / np.maximum(n_siblings[owner], 1),
            _logs(base_times)[owner],
            row_steps == 1,
            ratio * ratio,
            _logs(popular_rank),
        ],
        axis=1,
    ).astype(np.float32)
    return of_questions, of_rows
