"""Firing rules and finding pairs in NumPy: what the compiled kernels are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Float64s, Int32s
from mersalg.engine.cross_sell import measures
from mersalg.engine.cross_sell.recommender import _OTHER_RULES_WEIGHT, CrossSell, RuleCounts
from mersalg.engine.ranking.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Fired:
    """The rules whose antecedent lies in the cart; all arrays have shape (n_fired,)."""

    consequent: Int32s
    strength: NDArray[np.float32]
    rule: NDArray[np.int32]

    def combined(self) -> tuple[Int32s, Float64s]:
        """Each consequent once, ascending, with its score.

        The score is 1 - (1 - c) * prod(1 - c_i)**w over the strongest confidence c and the others
        c_i: a noisy-or in which the others are discounted, for rules of one cart share orders.
        """
        if not len(self.consequent):
            return np.zeros(0, dtype=np.int32), np.zeros(0)
        # One sort of packed keys groups the consequents and orders each group by strength:
        # the bits of non-negative floats sort as the floats do.
        keys = self.consequent.astype(np.uint64) << np.uint64(32)
        keys |= self.strength.view(np.uint32)
        keys.sort()
        items = (keys >> np.uint64(32)).astype(np.int32)
        strength = keys.astype(np.uint32).view(np.float32).astype(np.float64)
        last = np.flatnonzero(np.append(items[1:] != items[:-1], True))
        first = np.append(0, last[:-1] + 1)
        best, total = strength[last], np.add.reduceat(strength, first)
        return items[last], -np.expm1(-(best + _OTHER_RULES_WEIGHT * (total - best)))


def fire(cross_sell: CrossSell, cart: Int32s) -> Fired:
    """Return the rules that attract and whose antecedent is in an ascending, distinct `cart`."""
    parts = cross_sell.index.single.consequents.slices(cart)
    consequents = [cross_sell.index.single.consequents.values[part] for part in parts]
    strengths = [cross_sell.index.single.strength[part] for part in parts]
    rules = [cross_sell.index.single.rule[part] for part in parts]
    if len(cross_sell.index.several.rule) and len(cart) > 1:
        # The extra place stands for the filler of shorter antecedents and is always held.
        held = np.zeros(cross_sell.n_items + 1, dtype=np.bool_)
        held[cart] = True
        held[-1] = True
        for part in cross_sell.index.several.consequents.slices(cart):
            fires = held[cross_sell.index.several.rest[part]].all(axis=1)
            consequents.append(cross_sell.index.several.consequents.values[part][fires])
            strengths.append(cross_sell.index.several.strength[part][fires])
            rules.append(cross_sell.index.several.rule[part][fires])
    if not len(cart):
        none = np.zeros(0, dtype=np.int32)
        return Fired(none, np.zeros(0, dtype=np.float32), none)
    return Fired(np.concatenate(consequents), np.concatenate(strengths), np.concatenate(rules))


def counts_behind(antecedent: tuple[int, ...], *counts: int) -> RuleCounts:
    """The counts of a rule: its joint orders, its antecedent's, its consequent's, all."""
    lift, lower = float(measures.lift(*counts)), float(measures.lift_lower(*counts))
    return RuleCounts(antecedent, counts[0], counts[1], counts[0] / counts[1], lift, lower)


def strongest(cross_sell: CrossSell, cart: Int32s, item: int) -> RuleCounts | None:
    """The most confident rule that fires for an item, the first of ties."""
    fired, table = fire(cross_sell, cart), cross_sell.table
    behind = np.flatnonzero(fired.consequent == item)
    if not len(behind):
        return None
    rule = int(fired.rule[behind[fired.strength[behind].argmax()]])
    counts = (int(each[rule]) for each in table.counts()[:3])
    return counts_behind(tuple(table.antecedents[rule].tolist()), *counts, table.n_orders)


def best_pair(ranking: Ranking, cart: Int32s, item: int) -> RuleCounts | None:
    """The pair of `item` with something in the cart whose lower bound of lift is highest."""
    near, signals = ranking.neighbours, ranking.signals
    best = None
    for held, part in zip(cart.tolist(), near.items.slices(cart), strict=True):
        n_joint = int(near.n_joint[part][near.items.values[part] == item].sum())
        if n_joint <= 0 or signals.n_orders[held] < 1 or signals.n_orders[item] < 1:
            continue
        orders = (int(signals.n_orders[held]), int(signals.n_orders[item]))
        pair = counts_behind((held,), n_joint, *orders, int(signals.n_orders_all[0]))
        if pair.lift_lower > (best.lift_lower if best else 1):
            best = pair
    return best
