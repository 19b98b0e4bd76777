"""Ranking one cart in NumPy, item by item: what the compiled ranking is compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.native.signals import COMPLEMENT
from mersalg.engine.ranking.purchases import NEVER, Past
from mersalg.engine.ranking.ranking import Mode, Neighbours, Ranking

Floats = NDArray[np.float32]
Items = NDArray[np.int32]
_SINGLE = np.float32


def _called(near: Neighbours, rows: list[int], n: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the sum of the weights from `rows`, and what they call for at all."""
    weight, called = np.zeros(n, _SINGLE), np.zeros(n, np.bool_)
    for row in rows:
        part = slice(near.items.indptr[row], near.items.indptr[row + 1])
        np.add.at(weight, near.items.values[part], near.weight[part])
        called[near.items.values[part]] = True
    return weight, called


class Habits:
    """What a customer is used to buying, of each code: an item, or its group."""

    def __init__(self, past: Past, codes: NDArray[np.integer], n: int, cart: Items) -> None:
        self.times, self.decayed, self.alike = (np.zeros(n, _SINGLE) for _ in range(3))
        self.last, self.first = np.full(n, NEVER, _SINGLE), np.zeros(n, _SINGLE)
        for order in np.unique(past.order):
            entries = np.flatnonzero(past.order == order)
            age = past.age[entries[0]]
            shared = np.isin(past.item[entries], cart).sum()
            likeness = _SINGLE(shared / np.sqrt(len(entries) + 1.0))
            for code in codes[past.item[entries]].tolist():
                if code < 0:
                    continue
                first_time = self.times[code] == 0
                self.times[code] += 1
                self.decayed[code] += np.exp2(age * _SINGLE(-1 / 45))
                self.alike[code] += likeness * np.exp2(age * _SINGLE(-1 / 120))
                self.last[code] = min(self.last[code], age)
                self.first[code] = age if first_time else max(self.first[code], age)


class Scene:
    """Everything about all items beside one cart; each array has shape (n_items,)."""

    def __init__(self, ranking: Ranking, cart: Items, past: Past) -> None:
        signals, near = ranking.signals, ranking.neighbours
        n, n_groups = signals.n_items, signals.n_groups
        self.ranking, self.cart = ranking, cart
        self.weight, self.called = _called(near, cart.tolist(), n)
        self.confidence, self.cosine, self.lift = (np.zeros(n, _SINGLE) for _ in range(3))
        self.doubt = np.ones(n)
        for held in cart.tolist():
            for entry in range(near.items.indptr[held], near.items.indptr[held + 1]):
                item, joint = near.items.values[entry], _SINGLE(near.n_joint[entry])
                if joint <= 0:
                    continue
                share = joint / (signals.n_orders[held] + 10)
                chance = 1 / max(signals.n_orders[held] * signals.n_orders[item], _SINGLE(1))
                self.doubt[item] *= 1 - float(share)
                self.confidence[item] = max(self.confidence[item], share)
                self.cosine[item] += joint * np.sqrt(chance)
                lift = (joint - 1) * signals.n_orders_all[0] * chance
                self.lift[item] = max(self.lift[item], lift)
        held_groups = signals.group[cart]
        self.held = np.bincount(held_groups[held_groups >= 0], minlength=n_groups)
        groups = list(dict.fromkeys(group for group in held_groups.tolist() if group >= 0))
        self.group_weight, self.group_called = _called(ranking.groups, groups, n_groups)
        self.habits = Habits(past, np.arange(n), n, cart)
        self.group_habits = Habits(past, signals.group, n_groups, cart)
        self.n_orders = len(np.unique(past.order))
        self.since = past.age.min(initial=NEVER)
        prices = signals.log_price[past.item]
        self.log_price = _SINGLE(prices.astype(np.float64).sum() / max(len(prices), 1))

    def pool(self, mode: Mode) -> Items:
        """Return the items worth ranking, ascending."""
        signals, discovery = self.ranking.signals, mode == "discovery"
        bought = self.habits.times > 0
        usual = self.group_habits.times > 0
        by_group = self.group_weight.copy()
        by_group[usual] += _SINGLE(0.5) * self.group_habits.decayed[usual] / (self.n_orders + 5)
        found = [
            _highest(self.weight, self.called, 120),
            _highest(-self.doubt.astype(_SINGLE), self.called, 40),
            signals.popular,
            *(signals.leaders[g] for g in _highest(by_group, self.group_called | usual, 12)),
        ]
        if not discovery:
            found.append(_highest(self.habits.decayed + self.habits.alike, bought, 120))
        items = np.unique(np.concatenate(found)).astype(np.int32)
        barred = np.isin(items, self.cart) | (bought[items] & discovery)
        return items[~barred]

    def features(self, items: Items) -> Floats:
        """Return float32 (n, len(COMPLEMENT)) of some items."""
        signals, habits, size = self.ranking.signals, self.habits, len(self.cart)
        group = signals.group[items]

        def of_group(values: NDArray[np.floating], otherwise: float = 0) -> Floats:
            return np.append(values, otherwise)[group].astype(_SINGLE)

        s: dict[str, Floats] = {}
        s["weight"] = weight = self.weight[items]
        s["weight_root"] = np.sign(weight) * np.sqrt(np.abs(weight))
        s["weight_log"] = np.log(np.maximum(weight, 0) + 0.003)
        s["confidence"], s["noisy_or"] = self.confidence[items], -np.log(self.doubt[items])
        s["cosine_log"] = np.log(self.cosine[items] + 0.01)
        s["lift_log"] = np.log1p(self.lift[items])
        s["group_weight"] = of_group(self.group_weight)
        s["group_weight_log"] = np.log(np.maximum(s["group_weight"], 0) + 0.003)
        s["share"] = signals.share[items]
        s["group_to_item_log"] = np.log(np.maximum(s["group_weight"], 0) * s["share"] + 0.001)
        s["group_held"] = np.log1p(of_group(self.held))
        overall = signals.n_orders[items] / max(signals.n_orders_all[0], 1)
        s["popular"] = np.log(overall + 1e-5)
        s["recent"] = np.log(signals.recent[items] + 1e-5)
        s["latest"] = np.log(signals.latest[items] + 1e-5)
        s["trend"] = s["recent"] - s["popular"]
        times, last, alike = habits.times[items], habits.last[items], habits.alike[items]
        s["bought"], s["repeated"] = times > 0, times > 1
        s["times"], s["decayed"], s["alike"] = np.log1p(times), habits.decayed[items], alike
        s["often"] = times / (self.n_orders + 3)
        s["alike_each"] = np.log(alike / (times + 1) + 0.01)
        rhythm = (habits.first[items] - last) / np.maximum(times - 1, 1)
        due = np.log(np.maximum(last / np.maximum(rhythm, 1), 0.05))
        s["due"] = np.where(times > 1, due, 0)
        s["due_now"] = np.where(times > 1, np.exp(-np.abs(due)), 0)
        group_times, group_last = (
            of_group(self.group_habits.times),
            of_group(self.group_habits.last, NEVER),
        )
        s["group_times"], s["group_bought"] = np.log1p(group_times), group_times > 0
        s["group_often"] = np.log(group_times / (self.n_orders + 3) + 0.01)
        s["group_decayed"] = of_group(self.group_habits.decayed)
        for prefix, days in (("", last), ("group_", group_last)):
            s[f"{prefix}last"] = np.log1p(days)
            s[f"{prefix}last_week"], s[f"{prefix}last_month"] = (
                np.exp(days / -7),
                np.exp(days / -30),
            )
        s["loyalty"] = (times + 2 * s["share"]) / (group_times + 2)
        for name in (
            *("confidence", "noisy_or", "share", "decayed", "alike", "group_decayed", "loyalty"),
        ):
            s[f"{name}_log"] = np.log(s[name] + 0.01)
        for name, value in (
            ("n_orders", self.n_orders),
            ("n_items", (habits.times > 0).sum()),
            ("since", self.since),
            ("cart_size", size),
        ):
            s[name] = np.full(len(items), np.log1p(value))
        s["weight_by_size"] = weight * size
        s["price"], s["margin"] = signals.log_price[items], signals.margin[items]
        step = s["price"] - self.log_price
        s["price_step"] = np.where(s["price"] * self.log_price > 0, step, 0)
        s["price_far"] = np.abs(s["price_step"])
        return np.stack([np.asarray(s[name], _SINGLE) for name in COMPLEMENT], axis=1)


def _highest(score: Floats, wanted: NDArray[np.bool_], limit: int) -> NDArray[np.int64]:
    """Return the wanted places of the highest scores, of equal ones the first."""
    order = np.argsort(-score, kind="stable")
    return order[wanted[order]][:limit]


def rank(
    ranking: Ranking, cart: Items, past: Past, mode: Mode
) -> tuple[Items, NDArray[np.float64]]:
    """Return the candidates, ascending, and how likely each is bought next."""
    scene = Scene(ranking, cart, past)
    items = scene.pool(mode)
    return items, ranking.scorers[mode].probability(scene.features(items))
