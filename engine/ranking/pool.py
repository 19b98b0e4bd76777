"""Which items are scored at all for a cart: those that anything speaks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.ranking.evidence import Carts, Evidence
from engine.ranking.habits import Habits
from engine.ranking.keyed import Floats, Keys, best_of_each, distinct, look_up
from engine.ranking.signals import ItemSignals

BY_WEIGHT = 120
BY_COUNTS = 40
BY_HABIT = 120
GROUPS = 12
"""Candidates of each kind for one cart; the groups each bring their leaders."""


def pool(
    carts: Carts, evidence: Evidence, habits: Habits, signals: ItemSignals, *, discovery: bool
) -> Keys:
    """Keys `cart * n_items + item`, ascending; nothing in the cart, nothing twice.

    `discovery` leaves out what the customer has bought before.
    """
    n_items = signals.n_items
    cart = evidence.keys // max(n_items, 1)
    found: list[Keys] = [
        evidence.keys[best_of_each(cart, evidence.weight, BY_WEIGHT)],
        evidence.keys[best_of_each(cart, evidence.noisy_or, BY_COUNTS)],
        _leaders(evidence, habits, signals),
        (np.arange(carts.n_carts)[:, None] * n_items + signals.popular).ravel(),
    ]
    if not discovery:
        by_habit = habits.decayed + habits.alike
        found.append(habits.keys[best_of_each(habits.keys // max(n_items, 1), by_habit, BY_HABIT)])
    keys = distinct(np.concatenate(found))
    taken = look_up(carts.owner() * n_items + carts.items, keys)[1]
    if discovery:
        taken |= look_up(habits.keys, keys)[1]
    return keys[~taken]


def _leaders(evidence: Evidence, habits: Habits, signals: ItemSignals) -> Keys:
    """The leaders of the groups that the cart, or the customer's habit, calls for most."""
    width = signals.n_groups + 1
    known = habits.n_orders[habits.group_keys // width]
    by_habit = (0.5 * habits.group_decayed / (known + 5.0)).astype(np.float32)
    keys, score = _added(
        [evidence.group_keys, habits.group_keys], [evidence.group_weight, by_habit]
    )
    cart = keys // width
    best = best_of_each(cart, score, GROUPS)
    entries, place = signals.leaders.gather(keys[best] % width - 1)
    return cart[best][place] * signals.n_items + signals.leaders.values[entries]


def _added(keys: Sequence[Keys], values: Sequence[Floats]) -> tuple[Keys, Floats]:
    """Ascending distinct keys, and the sum of what several tables hold for each."""
    every = distinct(np.concatenate(keys))
    total = np.zeros(len(every), dtype=np.float32)
    for part, value in zip(keys, values, strict=True):
        total[np.searchsorted(every, part)] += value
    return every, total
