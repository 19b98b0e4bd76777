"""Compiled look-ups of given rules in given orders; see `training.mining.tallies`."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def orders_by_item(indptr, items, n_items):
    """(first int64 (n_items + 1,), orders int64): those of item i ascend from `first[i]` on."""
    first = np.zeros(n_items + 1, np.int64)
    for item in items:
        first[item + 1] += 1
    for item in range(n_items):
        first[item + 1] += first[item]
    fill = first[:-1].copy()
    orders = np.empty(len(items), np.int64)
    for order in range(len(indptr) - 1):
        for entry in range(indptr[order], indptr[order + 1]):
            orders[fill[items[entry]]] = order
            fill[items[entry]] += 1
    return first, orders


@njit(cache=True, nogil=True)
def tally_items(first, orders, wanted, part, n_parts):
    """int64 (n_wanted, n_parts): the orders that hold each of `wanted`, by part."""
    n_held = np.zeros((len(wanted), n_parts), np.int64)
    for place in range(len(wanted)):
        for position in range(first[wanted[place]], first[wanted[place] + 1]):
            n_held[place, part[orders[position]]] += 1
    return n_held


@njit(cache=True, nogil=True)
def _holds(row, wanted):
    """Whether an ascending row holds every one of an ascending few."""
    place = 0
    for item in row:
        if item == wanted[place]:
            place += 1
            if place == len(wanted):
                return True
        elif item > wanted[place]:
            return False
    return False


@njit(cache=True, nogil=True)
def tally(
    indptr,
    items,
    first,
    orders,
    antecedents,
    bounds,
    consequents,
    part,
    weight,
    slot,
    n_antecedent,
    n_joint,
):
    """Add up the weights of the orders that hold each antecedent, and each rule, by part.

    Args:
        antecedents: int32 (n_distinct, length), ascending inside a row; rules
            `bounds[a]:bounds[a + 1]` begin with antecedent a.
        consequents: int32 (n_rules,).
        part, weight: int64 (n_orders,), of each order.
        slot: int64 (n_items,), all -1, and so again afterwards.
        n_antecedent, n_joint: int64 (n_rules, n_parts), zeros; the answer.
    """
    for antecedent in range(len(antecedents)):
        wanted = antecedents[antecedent]
        rarest = wanted[0]
        for item in wanted[1:]:
            if first[item + 1] - first[item] < first[rarest + 1] - first[rarest]:
                rarest = item
        begin, end = bounds[antecedent], bounds[antecedent + 1]
        for rule in range(begin, end):
            slot[consequents[rule]] = rule
        for position in range(first[rarest], first[rarest + 1]):
            order = orders[position]
            row = items[indptr[order] : indptr[order + 1]]
            if len(wanted) > 1 and not _holds(row, wanted):
                continue
            n_antecedent[begin, part[order]] += weight[order]
            for item in row:
                if slot[item] >= 0:
                    n_joint[slot[item], part[order]] += weight[order]
        for rule in range(begin, end):
            slot[consequents[rule]] = -1
            if rule > begin:
                n_antecedent[rule] = n_antecedent[begin]
