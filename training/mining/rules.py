"""From itemsets to single-consequent rules, thresholds compared in integers."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np

from mersalg.engine.arrays import Bools, Int32s, Int64s, Ragged
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.errors import ConfigError
from mersalg.engine.native import kernels
from mersalg.training.mining.protocol import Itemsets

_NOT_CLOSED = "a subset of a listed itemset is not listed"
_BIGGEST = int(np.iinfo(np.int64).max)
_VASTEST, _LONGEST_EXPONENT = 1_000, 6


def parse_threshold(text: str, *, name: str, at_most: Fraction | None = None) -> Fraction:
    """Return the exact number that `text` writes: `0.25`, `1e-3` or `1/4`.

    Raises
    ------
    ConfigError
        No number, below zero, above `at_most`, or written with a vast exponent.
    """
    exponent = re.search(r"[eE]([-+]?\d+)\s*$", text)
    if exponent is not None and abs(int(exponent[1][:_LONGEST_EXPONENT])) > _VASTEST:
        raise ConfigError(f"{name} is too far from 1 to mean anything: {text!r}")
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigError(f"{name} is not a number: {text!r}") from error
    if value < 0 or (at_most is not None and value > at_most):
        limit = f" and at most {at_most}" if at_most is not None else ""
        raise ConfigError(f"{name} must be at least 0{limit}, not {text}")
    return value


class Ranks:
    """Look-ups of sets in itemsets that are closed downward, by binary search item by item.

    Attributes
    ----------
    levels
        Entry k holds the sets of k items, int32 (n_k, k); entry 0 the empty set.

    Raises
    ------
    ValueError
        The items of a listed set but the last are not listed.
    """

    def __init__(self, itemsets: Itemsets) -> None:
        self.levels = [np.zeros((1, 0), dtype=np.int32)]
        self._first: list[Int64s] = []
        for rows in itemsets.items:
            level = np.ascontiguousarray(rows, dtype=np.int32)
            first = np.empty(len(self.levels[-1]) + 1, dtype=np.int64)
            if not kernels.first_children(level, self.levels[-1], first):
                raise ValueError(_NOT_CLOSED)
            self._first.append(first)
            self.levels.append(level)
        # A single item without itself is the empty set, which begins every other.
        self._parts = [np.zeros((len(self.levels[1]), 1), dtype=np.int64)]

    def of(self, rows: Int32s) -> Int64s:
        """Ranks of `rows`, shape (n, k), ascending inside a row.

        Raises
        ------
        ValueError
            One is not listed.
        """
        rank = np.zeros(len(rows), dtype=np.int64)
        for index in range(rows.shape[1]):
            items = np.ascontiguousarray(rows[:, index], dtype=np.int32)
            rows_of_sets = np.empty(len(rows), dtype=np.int64)
            level = self.levels[index + 1]
            if not kernels.step_down(rank, items, self._first[index], level, rows_of_sets):
                raise ValueError(_NOT_CLOSED)
            rank = rows_of_sets
        return rank

    def parts(self, length: int) -> Int64s:
        """int64 (n, length): the rank of each set of `length` items without each of its items.

        Raises
        ------
        ValueError
            One is not listed.
        """
        while len(self._parts) < length:
            longer = len(self._parts) + 1
            rows, shorter = self.levels[longer], self.levels[longer - 1]
            first, shorter_first = self._first[longer - 1], self._first[longer - 2]
            above, parts = self._parts[-1], np.empty(rows.shape, dtype=np.int64)
            if not kernels.drop_each(rows, first, above, shorter_first, shorter, parts):
                raise ValueError(_NOT_CLOSED)
            self._parts.append(parts)
        return self._parts[length - 1]


def rules_from_itemsets(
    itemsets: Itemsets,
    n_orders: int,
    *,
    min_confidence: Fraction | None = None,
    min_lift: Fraction | None = None,
    ranks: Ranks | None = None,
) -> RuleTable:
    """Every rule A -> c, A not empty, whose items together are a listed set; canonical order.

    A rule exactly on a threshold is kept. `ranks`: those of `itemsets`, where they are at hand.

    Raises
    ------
    ValueError
        A subset of a listed set is not listed.
    """
    ranks = ranks or Ranks(itemsets)
    asked: list[tuple[Int64s, Int64s]] = []
    sizes = [0]
    for length in range(2, itemsets.max_length + 1):
        counts, shorter_counts = itemsets.counts[length - 1], itemsets.counts[length - 2]
        least = np.zeros(len(shorter_counts), dtype=np.int64)
        if min_confidence is not None:
            least = _least(shorter_counts, min_confidence)
        n_rules = np.zeros(len(shorter_counts), dtype=np.int64)
        kernels.count_rules(ranks.parts(length), counts, least, n_rules)
        asked.append((least, n_rules))
        sizes.append(int(n_rules.sum()))
    table = _room(sizes, n_orders)
    singles, single_counts = itemsets.of_length(1)
    n_of_item = np.zeros(int(singles.max(initial=-1)) + 1, dtype=np.int64)
    n_of_item[singles[:, 0]] = single_counts
    stops = np.cumsum(sizes)
    for length, (least, n_rules) in enumerate(asked, 2):
        here = slice(stops[length - 2], stops[length - 1])
        flat = slice(*table.antecedents.indptr[[here.start, here.stop]].tolist())
        kernels.write_rules(
            *(ranks.levels[length], ranks.parts(length), itemsets.counts[length - 1], least),
            *(ranks.levels[length - 1], itemsets.counts[length - 2], n_of_item),
            np.cumsum(n_rules) - n_rules,
            table.antecedents.values[flat].reshape(-1, length - 1),
            table.consequent[here],
            *(column[here] for column in table.counts()[:3]),
        )
    if min_lift is None:
        return table
    return table.take(np.flatnonzero(at_least(*table.counts(), None, min_lift)))


def _room(sizes: list[int], n_orders: int) -> RuleTable:
    """Return a table for `sizes[k]` rules with k items in the antecedent, otherwise unwritten."""
    total = sum(sizes)
    lengths = np.repeat(np.arange(len(sizes)), sizes)
    antecedents = Ragged.of_lengths(lengths, np.empty(int(lengths.sum()), dtype=np.int32))
    joint, antecedent, consequent = (np.empty(total, dtype=np.int64) for _ in range(3))
    items = np.empty(total, dtype=np.int32)
    return RuleTable(antecedents, items, joint, antecedent, consequent, n_orders)


def at_least(
    n_joint: Int64s,
    n_antecedent: Int64s,
    n_consequent: Int64s,
    n_orders: int,
    min_confidence: Fraction | None,
    min_lift: Fraction | None,
) -> Bools:
    """Return which rules reach both thresholds; bool, shape (n,)."""
    passes = np.ones(len(n_joint), dtype=np.bool_)
    if min_confidence is not None:
        passes &= n_joint >= _least(n_antecedent, min_confidence)
    if min_lift is not None and n_orders:
        # lift >= t means n_joint >= t * n_antecedent * n_consequent / n_orders.
        passes &= n_joint >= _least(n_antecedent * n_consequent, min_lift / n_orders)
    return passes


def _least(wholes: Int64s, share: Fraction) -> Int64s:
    """Return the smallest integers not below `share` * `wholes`, exactly."""
    numerator, denominator = share.numerator, share.denominator
    if denominator <= _BIGGEST and numerator * int(wholes.max(initial=0)) <= _BIGGEST:
        return -(-numerator * wholes // denominator)
    distinct, inverse = np.unique(wholes, return_inverse=True)
    least = [min(-(-numerator * whole // denominator), _BIGGEST) for whole in distinct.tolist()]
    return np.array(least, dtype=np.int64)[inverse]
