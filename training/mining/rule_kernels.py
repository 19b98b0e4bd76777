"""Compiled kernels from itemsets to rules; see `training.mining.rules` and `training.mining.ranks`.

The sets of each length, in lexicographic order, are the leaves of a trie: the parent of a set is
the set of its items but the last, and the children of a set lie side by side, their last items
ascending.
"""

from __future__ import annotations

import numpy as np

from training.mining.compiled import compiled


@compiled
def first_children(rows, shorter):
    """Where the sets that begin with each row of `shorter` begin: int64 (n_shorter + 1,).

    The last entry is -1 where a row begins with nothing listed, or the rows are out of order.
    """
    n_rows, length = rows.shape
    n_shorter = len(shorter)
    first = np.zeros(n_shorter + 1, np.int64)
    parent = 0
    for row in range(n_rows):
        while parent < n_shorter:
            same = True
            for place in range(length - 1):
                if shorter[parent, place] != rows[row, place]:
                    same = False
                    break
            if same:
                break
            parent += 1
            first[parent] = row
        if parent == n_shorter:
            first[n_shorter] = -1
            return first
    for after in range(parent + 1, n_shorter + 1):
        first[after] = n_rows
    return first


@compiled
def _child(rows, begin, end, item):
    """The row of [begin, end) whose last item is `item`, or -1."""
    last = rows.shape[1] - 1
    while begin < end:
        middle = (begin + end) // 2
        if rows[middle, last] < item:
            begin = middle + 1
        elif rows[middle, last] > item:
            end = middle
        else:
            return middle
    return -1


@compiled
def step_down(parents, items, first, rows, found):
    """The children of `parents` by their last items into int64 `found`; False where one lacks."""
    for place in range(len(parents)):
        parent = parents[place]
        found[place] = _child(rows, first[parent], first[parent + 1], items[place])
        if found[place] < 0:
            return False
    return True


@compiled
def drop_each(rows, first, above, shorter_first, shorter, parts):
    """Where each set without each of its items stands among the sets one item shorter.

    Args:
        rows, first: int32 (n, length) sets, and `first_children` of the shorter ones.
        above: int64 (n_shorter, length - 1), the same answer one length shorter.
        shorter_first, shorter: `first_children` of the sets two items shorter, and int32
            (n_shorter, length - 1).
        parts: int64 (n, length), the answer: entry (s, p) is set s without the item at place p.

    Returns:
        False where one is not listed.
    """
    length = rows.shape[1]
    for parent in range(len(first) - 1):
        for row in range(first[parent], first[parent + 1]):
            parts[row, length - 1] = parent
            for place in range(length - 1):
                without = above[parent, place]
                item = rows[row, length - 1]
                found = _child(shorter, shorter_first[without], shorter_first[without + 1], item)
                if found < 0:
                    return False
                parts[row, place] = found
    return True


@compiled
def count_rules(parts, counts, least, n_rules):
    """Of each antecedent how many of its rules stand in at least `least` orders.

    Args:
        parts: int64 (n, length), see `drop_each`.
        counts: int64 (n,), orders of the whole sets.
        least: int64 (n_shorter,), the fewest orders for the rules of each antecedent.
        n_rules: int64 (n_shorter,), zeros; the answer.
    """
    for row in range(len(parts)):
        for place in range(parts.shape[1]):
            if counts[row] >= least[parts[row, place]]:
                n_rules[parts[row, place]] += 1


@compiled
def write_rules(
    rows,
    parts,
    counts,
    least,
    shorter,
    shorter_counts,
    n_of_item,
    fill,
    antecedent_items,
    consequent,
    n_joint,
    n_antecedent,
    n_consequent,
):
    """Write the rules that `count_rules` counted, by antecedent and then by consequent.

    Sets in lexicographic order bring each antecedent's consequents in ascending order, since sets
    that differ in one item alone stand in the order of that item.

    Args:
        rows, shorter: int32 (n, length) and (n_shorter, length - 1).
        n_of_item: int64 (greatest item + 1,), orders of each single item.
        fill: int64 (n_shorter,), where the rules of each antecedent begin; moved on.
        antecedent_items: int32 (n_rules, length - 1); written, as are the columns after it.
    """
    length = rows.shape[1]
    for row in range(len(rows)):
        for place in range(length):
            antecedent = parts[row, place]
            if counts[row] < least[antecedent]:
                continue
            rule = fill[antecedent]
            fill[antecedent] = rule + 1
            for column in range(length - 1):
                antecedent_items[rule, column] = shorter[antecedent, column]
            consequent[rule] = rows[row, place]
            n_joint[rule] = counts[row]
            n_antecedent[rule] = shorter_counts[antecedent]
            n_consequent[rule] = n_of_item[rows[row, place]]
