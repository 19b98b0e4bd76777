"""From evidence, habits and signals to numbers a scorer can weigh, one row a candidate."""

from __future__ import annotations

import numpy as np

from engine.native.signals import COMPLEMENT
from engine.ranking.evidence import Carts, Evidence
from engine.ranking.habits import Habits
from engine.ranking.keyed import Floats, Keys, look_up
from engine.ranking.purchases import NEVER
from engine.ranking.signals import ItemSignals

_LITTLE = np.float32(0.01)
"""Added under logarithms of shares and sums, below which differences mean nothing."""


def features(
    keys: Keys, carts: Carts, evidence: Evidence, habits: Habits, signals: ItemSignals
) -> Floats:
    """float32 (n, len(NAMES)); unknown things are zero, unless said otherwise."""
    n_items, width = signals.n_items, signals.n_groups + 1
    cart, item = np.divmod(keys, max(n_items, 1))
    group_key = cart * width + signals.group[item].astype(np.int64) + 1
    columns: dict[str, Floats] = {}
    _say_evidence(columns, keys, group_key, evidence, signals.share[item])
    _say_popularity(columns, item, signals)
    _say_habits(columns, keys, group_key, cart, habits, signals.share[item])
    size = np.diff(carts.indptr).astype(np.float32)[cart]
    columns["cart_size"] = np.log1p(size)
    columns["weight_by_size"] = columns["weight"] * size
    price = signals.log_price[item]
    columns["price"] = price
    step = np.where(price * habits.log_price[cart] > 0, price - habits.log_price[cart], 0)
    columns["price_step"] = step
    columns["price_far"] = np.abs(step)
    columns["margin"] = signals.margin[item]
    if tuple(columns) != NAMES:
        raise AssertionError("features do not come in their order")
    return np.stack([column.astype(np.float32) for column in columns.values()], axis=1)


def _say_evidence(
    columns: dict[str, Floats], keys: Keys, group_key: Keys, evidence: Evidence, share: Floats
) -> None:
    place, known = look_up(evidence.keys, keys)

    def told(values: Floats) -> Floats:
        return np.where(known, values[place], 0) if len(values) else np.zeros(len(keys), np.float32)

    weight = told(evidence.weight)
    columns["weight"] = weight
    columns["weight_root"] = np.sign(weight) * np.sqrt(np.abs(weight))
    columns["weight_log"] = np.log(np.maximum(weight, 0) + np.float32(0.003))
    for name, values in (("confidence", evidence.confidence), ("noisy_or", evidence.noisy_or)):
        columns[name] = told(values)
        columns[f"{name}_log"] = np.log(columns[name] + _LITTLE)
    columns["cosine_log"] = np.log(told(evidence.cosine) + _LITTLE)
    columns["lift_log"] = np.log1p(told(evidence.lift))
    group_weight = _of_group(evidence.group_keys, evidence.group_weight, group_key)
    columns["group_weight"] = group_weight
    columns["group_weight_log"] = np.log(np.maximum(group_weight, 0) + np.float32(0.003))
    columns["group_to_item_log"] = np.log(np.maximum(group_weight, 0) * share + np.float32(0.001))
    columns["group_held"] = np.log1p(_of_group(evidence.held_keys, evidence.held, group_key))


def _of_group(keys: Keys, values: Floats, wanted: Keys, otherwise: float = 0.0) -> Floats:
    place, known = look_up(keys, wanted)
    if not len(values):
        return np.full(len(wanted), otherwise, dtype=np.float32)
    return np.where(known, values[place], np.float32(otherwise))


def item_logs(signals: ItemSignals) -> dict[str, Floats]:
    """float32 (n_items,) each: features that depend on nothing but the item."""
    overall = signals.n_orders / np.maximum(signals.n_orders_all[0], 1)
    floor = np.float32(1e-5)
    return {
        "popular_log": np.log(overall + floor),
        "recent_log": np.log(signals.recent + floor),
        "latest_log": np.log(signals.latest + floor),
        "share_log": np.log(signals.share + _LITTLE),
    }


def _say_popularity(columns: dict[str, Floats], item: Keys, signals: ItemSignals) -> None:
    overall = signals.n_orders[item] / np.maximum(signals.n_orders_all[0], 1)
    floor = np.float32(1e-5)
    columns["popular"] = np.log(overall + floor)
    columns["recent"] = np.log(signals.recent[item] + floor)
    columns["latest"] = np.log(signals.latest[item] + floor)
    columns["trend"] = columns["recent"] - columns["popular"]
    columns["share"] = signals.share[item]
    columns["share_log"] = np.log(columns["share"] + _LITTLE)


def _say_habits(
    columns: dict[str, Floats],
    keys: Keys,
    group_key: Keys,
    cart: Keys,
    habits: Habits,
    share: Floats,
) -> None:
    place, known = look_up(habits.keys, keys)

    def told(values: Floats, otherwise: float = 0.0) -> Floats:
        if not len(values):
            return np.full(len(keys), otherwise, dtype=np.float32)
        return np.where(known, values[place], np.float32(otherwise))

    times, decayed, last = told(habits.times), told(habits.decayed), told(habits.last, NEVER)
    alike = told(habits.alike)
    n_orders = habits.n_orders[cart]
    group_times = _of_group(habits.group_keys, habits.group_times, group_key)
    group_decayed = _of_group(habits.group_keys, habits.group_decayed, group_key)
    group_last = _of_group(habits.group_keys, habits.group_last, group_key, NEVER)
    columns["bought"] = known.astype(np.float32)
    columns["times"] = np.log1p(times)
    columns["decayed"] = decayed
    columns["decayed_log"] = np.log(decayed + _LITTLE)
    columns["often"] = times / (n_orders + 3)
    columns["last"] = np.log1p(last)
    columns["last_week"] = np.exp(last / -7)
    columns["last_month"] = np.exp(last / -30)
    columns["alike"] = alike
    columns["alike_log"] = np.log(alike + _LITTLE)
    columns["alike_each"] = np.log(alike / (times + 1) + _LITTLE)
    # How far the customer's own interval between purchases of the item has gone by.
    rhythm = (told(habits.first) - last) / np.maximum(times - 1, 1)
    due = np.where(times > 1, np.log(np.maximum(last / np.maximum(rhythm, 1), 0.05)), 0)
    columns["repeated"] = (times > 1).astype(np.float32)
    columns["due"] = due
    columns["due_now"] = np.where(times > 1, np.exp(-np.abs(due)), 0)
    columns["group_times"] = np.log1p(group_times)
    columns["group_bought"] = (group_times > 0).astype(np.float32)
    columns["group_often"] = np.log(group_times / (n_orders + 3) + _LITTLE)
    columns["group_decayed"] = group_decayed
    columns["group_decayed_log"] = np.log(group_decayed + _LITTLE)
    columns["group_last"] = np.log1p(group_last)
    columns["group_last_week"] = np.exp(group_last / -7)
    columns["group_last_month"] = np.exp(group_last / -30)
    loyalty = (times + 2 * share) / (group_times + 2)
    columns["loyalty"] = loyalty
    columns["loyalty_log"] = np.log(loyalty + _LITTLE)
    columns["n_orders"] = np.log1p(n_orders)
    columns["n_items"] = np.log1p(habits.n_items[cart])
    columns["since"] = np.log1p(habits.since[cart])


NAMES = tuple(COMPLEMENT)
"""What the columns of a feature matrix say, in their order."""
