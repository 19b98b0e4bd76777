"""From itemsets to single-consequent rules, and tests which of them are more than chance.

Thresholds are compared in integers. The tests are exact, and the false discovery rate is that of
all of them. A rule must say more than how full baskets are, and a longer one more than its parts.

An order that holds a is a fuller one than most, so anything else is more likely in it: where the
items of a year's groceries are dealt to its orders at random, nearly every pair that meets often
looks significant against plain independence. One more test is therefore asked of every rule A -> c,
and two of those with two or more items in A; a rule is as certain as the weakest of its tests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise

import numpy as np

from mersalg.engine.arrays import Bools, Float64s, Int32s, Int64s, Ragged
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.errors import ConfigError
from mersalg.engine.native import kernels
from mersalg.training.mining.protocol import Fullness, Itemsets

_NOT_CLOSED = "a subset of a listed itemset is not listed"
_BIGGEST = int(np.iinfo(np.int64).max)
_VASTEST, _LONGEST_EXPONENT = 1_000, 6
_PARTS_A_THREAD = 4
_WORTH_A_THREAD = 10_000


def parse_threshold(text: str, *, name: str, at_most: Fraction | None = None) -> Fraction:
    """Return the exact number that `text` writes: `0.25`, `1e-3` or `1/4`.

    Raises ConfigError: no number, below zero, above `at_most`, or written with a vast exponent.
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

    Entry k of `levels` holds the sets of k items, int32 (n_k, k); entry 0 the empty set.

    Raises ValueError: the items of a listed set but the last are not listed.
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

        Raises ValueError: one is not listed.
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

        Raises ValueError: one is not listed.
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


def rules_from_itemsets(itemsets: Itemsets, *, ranks: Ranks | None = None) -> RuleTable:
    """Every rule A -> c, A not empty, whose items together are a listed set; canonical order.

    `ranks`: those of `itemsets`, where they are at hand.

    Raises ValueError: a subset of a listed set is not listed.
    """
    ranks = ranks or Ranks(itemsets)
    lengths = range(2, itemsets.max_length + 1)
    n_rules = [
        np.bincount(ranks.parts(length).ravel(), minlength=len(itemsets.counts[length - 2]))
        for length in lengths
    ]
    sizes = [0, *(int(each.sum()) for each in n_rules)]
    total, n_items = sum(sizes), np.repeat(np.arange(len(sizes)), sizes)
    joint, antecedent, consequent = (np.empty(total, dtype=np.int64) for _ in range(3))
    table = RuleTable(
        Ragged.of_lengths(n_items, np.empty(int(n_items.sum()), dtype=np.int32)),
        np.empty(total, dtype=np.int32),
        *(joint, antecedent, consequent, itemsets.n_orders),
    )
    singles, single_counts = itemsets.of_length(1)
    n_of_item = np.zeros(int(singles.max(initial=-1)) + 1, dtype=np.int64)
    n_of_item[singles[:, 0]] = single_counts
    stops = np.cumsum(sizes)
    for length, of_antecedent in zip(lengths, n_rules, strict=True):
        here = slice(stops[length - 2], stops[length - 1])
        flat = slice(*table.antecedents.indptr[[here.start, here.stop]].tolist())
        kernels.write_rules(
            *(ranks.levels[length], ranks.parts(length), itemsets.counts[length - 1]),
            *(ranks.levels[length - 1], itemsets.counts[length - 2], n_of_item),
            np.cumsum(of_antecedent) - of_antecedent,
            table.antecedents.values[flat].reshape(-1, length - 1),
            table.consequent[here],
            *(column[here] for column in (joint, antecedent, consequent)),
        )
    return table


def at_least(table: RuleTable, min_confidence: Fraction | None, min_lift: Fraction | None) -> Bools:
    """Return which rules reach both thresholds, or are exactly on them; bool, shape (n,)."""
    n_joint, n_antecedent, n_consequent, n_orders = table.counts()
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


def n_hypotheses(itemsets: Itemsets) -> int:
    """Return the number of possible rules A -> c: every listed A with every listed item outside.

    Mining lists only the rules whose items meet often, and to choose by the joint count is to
    choose by the outcome: on pure noise the listed rules are the luckiest of all that were looked
    at. So the family of tests is the whole search space, as in Webb, "Discovering Significant
    Patterns" (2007): its size depends on how often A and c occur alone, which Fisher's test holds
    fixed, and not on how often they meet. Both directions of a pair count, since both are listed.
    """
    n_items = len(itemsets.of_length(1)[1])
    return sum(
        len(itemsets.of_length(length)[1]) * (n_items - length)
        for length in range(1, itemsets.max_length)
    )


def p_values(table: RuleTable) -> Float64s:
    """One-sided Fisher exact p-value of each rule, shape (n,).

    P(joint >= n_joint) where n_antecedent and n_consequent are fixed: the upper tail of the
    hypergeometric distribution.
    """
    n_joint, n_antecedent, n_consequent, n_orders = table.counts()
    return upper_tails(n_joint, np.full(len(table), n_orders), n_consequent, n_antecedent)


def upper_tails(at_least: Int64s, total: Int64s, marked: Int64s, drawn: Int64s) -> Float64s:
    """P(X >= at_least), X being the marked ones among `drawn` of `total`; all of shape (n,)."""
    tails = np.empty(len(at_least))
    least, n, hits, draws = (
        np.ascontiguousarray(a, dtype=np.int64) for a in (at_least, total, marked, drawn)
    )
    _in_parts(
        len(tails), lambda low, high: kernels.upper_tails(low, high, least, n, hits, draws, tails)
    )
    return tails


def _in_parts(n: int, do: Callable[[int, int], object]) -> None:
    """Call `do(low, high)` for parts of 0..n on all cores; it must write to its part alone."""
    n_threads = os.cpu_count() or 1
    n_parts = _PARTS_A_THREAD * n_threads if n > _WORTH_A_THREAD else 1
    bounds = np.linspace(0, n, n_parts + 1).astype(np.int64).tolist()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="mersalg-mining") as threads:
        list(threads.map(lambda bound: do(*bound), pairwise(bounds)))


def combined_p_values(
    table: RuleTable,
    p: Float64s,
    itemsets: Itemsets,
    fullness: Fullness,
    ranks: Ranks,
) -> Float64s:
    """Return the largest of the tests that each rule must pass, shape (n,).

    Two for single antecedents (`p`, and against the size of orders), three for longer ones.
    """
    combined = p.copy()
    for rules, part, antecedents in by_length(table):
        tests = [p[rules], _against_size(part, antecedents, itemsets, ranks, fullness)]
        if antecedents.shape[1] > 1:
            tests.append(_against_parts(part, antecedents, itemsets, ranks))
        combined[rules] = np.max(tests, axis=0)
    return combined


def by_length(table: RuleTable) -> Iterator[tuple[Int64s, RuleTable, Int32s]]:
    """Yield the places of the rules of each length, these rules, and their antecedents as rows."""
    for length in np.unique(table.lengths).tolist():
        rules = np.flatnonzero(table.lengths == length)
        part = table.take(rules)
        yield rules, part, part.antecedents.values.reshape(-1, length)


def _against_parts(
    table: RuleTable, antecedents: Int32s, itemsets: Itemsets, ranks: Ranks
) -> Float64s:
    """Fisher's test that each item of A adds to the others: Webb's productive rules (2007).

    For each a in A, among the orders that hold the rest of A: is c more frequent where a is too?
    """
    length = antecedents.shape[1]
    worst = np.zeros(len(table))
    for index in range(length):
        rest = np.delete(antecedents, index, axis=1)
        with_consequent = np.sort(np.column_stack([rest, table.consequent]), axis=1)
        n_rest = itemsets.counts[length - 2][ranks.of(rest)]
        n_rest_and_consequent = itemsets.counts[length - 1][ranks.of(with_consequent)]
        tail = upper_tails(table.n_joint, n_rest, n_rest_and_consequent, table.n_antecedent)
        worst = np.maximum(worst, tail)
    return worst


def _against_size(
    table: RuleTable, antecedents: Int32s, itemsets: Itemsets, ranks: Ranks, fullness: Fullness
) -> Float64s:
    """P(joint >= n_joint) were the other places of the orders with A filled by popularity alone.

    An order of s items that holds A has s - |A| other places, each c with probability
    p_c / (1 - sum of p over A), p being shares of all entries. The sum over orders is Poisson
    binomial; the Poisson tail of the same mean is above its upper tail, so the test errs on
    the side of caution.
    """
    length = antecedents.shape[1]
    singles, item_counts = itemsets.of_length(1)
    share = np.zeros(int(singles.max(initial=-1)) + 1)
    share[singles[:, 0]] = item_counts / max(fullness.n_entries, 1)
    rank = ranks.of(antecedents)
    places = fullness.entries[length - 1][rank] - table.n_antecedent * length
    beside = 1.0 - share[antecedents].sum(axis=1)
    expected = places * share[table.consequent] / np.maximum(beside, 1e-12)
    tails, n_joint = np.empty(len(table)), np.ascontiguousarray(table.n_joint, dtype=np.int64)
    _in_parts(
        len(table), lambda low, high: kernels.poisson_tails(low, high, n_joint, expected, tails)
    )
    return tails
