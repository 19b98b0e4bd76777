"""Count given rules in given orders, and find those that the stores contradict.

Mining lists what is frequent; this looks up what is asked for, each order with a weight or in a
part (a store). Time decay is one use of it: every order weighs 2^(-age / half-life), age being
counted from the last order. Weights are whole numbers of 1/1024 order, so that sums of them are
exact in whatever sequence they are added.

Two questions are asked of a rule A -> c that holds in all orders together (lift above 1).

*Do the stores together contradict it?* Their common odds ratio (Mantel and Haenszel 1959) is
below 1, and the odds ratio of all orders is above what that estimate allows: a normal test of the
difference of their logarithms by the variance of Robins, Breslow and Greenland (1986), which errs
on the side of caution, for the two are positively correlated (Hausman 1978). Such a rule says that
stores differ, and nothing of what goes together: it is not offered.

*Does any store oppose it?* Fisher's exact test of the lower tail in each store.

Both by the false discovery rate of Benjamini and Hochberg, over all rules, or all rules and stores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine import clock
from mersalg.engine.arrays import Float64s, Int32s, Int64s, Ragged
from mersalg.engine.cross_sell.rules import UNIT, Recency, RuleTable
from mersalg.engine.cross_sell.stores import AGREES, CONTRADICTED, MIXED, StoreCounts
from mersalg.engine.native import kernels
from mersalg.engine.orders import Baskets
from mersalg.engine.tracking.many import q_values
from mersalg.training.mining.rules import by_length

MAX_CELLS = 6_000_000
"""Rules by stores that are kept: of the largest stores, where a shop has more."""
_CELLS_AT_A_TIME = 2_000_000
_WORTH_A_TEST = -1.0
"""Standard deviations below chance from which on a store is tested exactly."""


class Tallies:
    """Baskets, filed by item."""

    def __init__(self, baskets: Baskets) -> None:
        self._indptr = np.ascontiguousarray(baskets.indptr, dtype=np.int64)
        self._items = np.ascontiguousarray(baskets.items, dtype=np.int32)
        self._slot = np.full(baskets.n_items, -1, dtype=np.int64)
        first = np.zeros(baskets.n_items + 2, dtype=np.int64)
        self._orders = np.empty(len(self._items), dtype=np.int64)
        kernels.orders_by_item(self._indptr, self._items, first, self._orders)
        self._first = first[:-1]

    def of_rules(
        self,
        antecedents: Int32s,
        consequents: Int32s,
        *,
        part: Int64s | None = None,
        n_parts: int = 1,
        weight: Int64s | None = None,
    ) -> tuple[Int64s, Int64s]:
        """Return the orders with each antecedent, and with each rule: two int64 (n, n_parts).

        `antecedents` is (n, length >= 1), each row ascending; `consequents`, (n,), are not in their
        row, and no rule is listed twice. Of each order `part`, int64 (n_orders,), is in
        0..n_parts - 1, and `weight` what it counts; without them there is one part, and every order
        counts 1.
        """
        n_rules = len(consequents)
        sequence = np.lexsort(antecedents.T[::-1])
        rows = np.ascontiguousarray(antecedents[sequence], dtype=np.int32)
        starts = np.flatnonzero(np.append(True, (rows[1:] != rows[:-1]).any(axis=1)))
        n_antecedent, n_joint = np.zeros((2, n_rules, n_parts), dtype=np.int64)
        if n_rules:
            last = np.ascontiguousarray(consequents[sequence], dtype=np.int32)
            kernels.tally(
                *(self._indptr, self._items, self._first, self._orders),
                *(rows[starts], np.append(starts, n_rules), last),
                *(self._of_orders(part, 0), self._of_orders(weight, 1), self._slot),
                *(n_antecedent, n_joint),
            )
        back = np.empty(n_rules, dtype=np.int64)
        back[sequence] = np.arange(n_rules)
        return n_antecedent[back], n_joint[back]

    def of_items(self, items: Int32s, *, part: Int64s, n_parts: int) -> Int64s:
        """Return the orders with each of `items`, (n,), in each part; int64 (n, n_parts)."""
        wanted = np.ascontiguousarray(items, dtype=np.int32)
        n_held = np.zeros((len(wanted), n_parts), dtype=np.int64)
        kernels.tally_items(self._first, self._orders, wanted, self._of_orders(part, 0), n_held)
        return n_held

    def _of_orders(self, values: Int64s | None, otherwise: int) -> Int64s:
        if values is None:
            return np.full(len(self._indptr) - 1, otherwise, dtype=np.int64)
        return np.ascontiguousarray(values, dtype=np.int64)


def weights(ordered_at: Int64s, half_life_days: float) -> Int64s:
    """Return the weight of each order, int64 (n_orders,) in 1/UNIT; 0 after eleven half-lives.

    `ordered_at`, int64 (n_orders,): microseconds.
    """
    age_days = (ordered_at.max(initial=0) - ordered_at) / clock.MICROS_PER_DAY
    return np.rint(UNIT * np.exp2(-age_days / half_life_days)).astype(np.int64)


def recency_of(table: RuleTable, baskets: Baskets, weight: Int64s) -> Recency:
    """Return the weights of the orders behind every count of `table`.

    `weight`, int64 (n_orders,): of each basket.
    """
    n_joint = np.zeros(len(table), dtype=np.int64)
    n_antecedent = np.zeros(len(table), dtype=np.int64)
    tallies = Tallies(baskets)
    for rules, part, antecedents in by_length(table):
        tally = tallies.of_rules(antecedents, part.consequent, weight=weight)
        n_antecedent[rules], n_joint[rules] = tally[0][:, 0], tally[1][:, 0]
    sizes = baskets.lengths
    of_entry = np.repeat(weight, sizes)
    several = np.repeat(sizes > 1, sizes)
    return Recency(
        n_joint=n_joint,
        n_antecedent=n_antecedent,
        n_orders_of_item=_sums(baskets.items, of_entry, baskets.n_items),
        n_added_of_item=_sums(baskets.items[several], of_entry[several], baskets.n_items),
        n_orders=int(weight.sum()),
    )


def _sums(groups: NDArray[np.integer], weight: Int64s, n_groups: int) -> Int64s:
    # Sums of integers in floating point are exact up to 2^53.
    return np.bincount(groups, weight, minlength=n_groups).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Tables:
    """The 2 x 2 tables of `n` rules in S strata, int64 (n, S) but `n_orders` (S,)."""

    n_joint: Int64s
    n_antecedent: Int64s
    n_consequent: Int64s
    n_orders: Int64s

    def cells(self) -> tuple[Float64s, Float64s, Float64s, Float64s]:
        """Orders with both, A alone, c alone and neither."""
        both = self.n_joint.astype(np.float64)
        only_a, only_c = self.n_antecedent - both, self.n_consequent - both
        return both, only_a, only_c, self.n_orders - both - only_a - only_c


def tables_by_stratum(
    table: RuleTable, baskets: Baskets, stratum: Int64s, n_strata: int
) -> Iterator[tuple[Int64s, Tables]]:
    """Positions of some rules and their tables, until all have been given; memory is bounded.

    `stratum`, int64 (n_orders,): in 0..n_strata - 1.
    """
    tallies = Tallies(baskets)
    n_orders = np.bincount(stratum, minlength=n_strata).astype(np.int64)
    at_a_time = max(_CELLS_AT_A_TIME // max(n_strata, 1), 1)
    for rules, part, antecedents in by_length(table):
        for start in range(0, len(rules), at_a_time):
            some = slice(start, start + at_a_time)
            consequents = part.consequent[some]
            n_antecedent, n_joint = tallies.of_rules(
                antecedents[some], consequents, part=stratum, n_parts=n_strata
            )
            items, which = np.unique(consequents, return_inverse=True)
            n_consequent = tallies.of_items(items, part=stratum, n_parts=n_strata)[which]
            yield rules[some], Tables(n_joint, n_antecedent, n_consequent, n_orders)


def mantel_haenszel(tables: Tables) -> tuple[Float64s, Float64s]:
    """(log of the common odds ratio, its standard error); float64 (n,).

    Infinite or undefined where no stratum has orders of one of the diagonals.
    """
    both, only_a, only_c, neither = tables.cells()
    n_orders = np.maximum(tables.n_orders, 1)
    agree, differ = both * neither / n_orders, only_a * only_c / n_orders
    agree_share, differ_share = (both + neither) / n_orders, (only_a + only_c) / n_orders
    up, down = agree.sum(axis=1), differ.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (
            (agree_share * agree).sum(axis=1) / (2 * up**2)
            + (agree_share * differ + differ_share * agree).sum(axis=1) / (2 * up * down)
            + (differ_share * differ).sum(axis=1) / (2 * down**2)
        )
        return np.log(up / down), np.sqrt(variance)


def crude_log_odds(table: RuleTable) -> Float64s:
    """Log of the odds ratio in all orders together; infinite where A or c never is alone."""
    n_joint, n_antecedent, n_consequent, n_orders = table.counts()
    both = n_joint.astype(np.float64)
    only_a, only_c = n_antecedent - both, n_consequent - both
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(both * (n_orders - both - only_a - only_c) / (only_a * only_c))


def count_by_store(
    table: RuleTable, baskets: Baskets, store: Int64s, n_stores: int, max_q: float
) -> StoreCounts:
    """Return the counts of every rule in every store, and its flag.

    `store`, int64 (n_orders,): -1 where it is not known: those orders are a stratum of their own.
    """
    from scipy.stats import norm

    n_rules, n_strata = len(table), n_stores + 1
    stratum = np.where(store < 0, n_stores, store)
    room = max(MAX_CELLS // max(n_rules, 1), 1)
    largest = np.argsort(-np.bincount(stratum, minlength=n_strata), kind="stable")[:room]
    listed = np.isin(np.arange(n_strata), largest)
    log_odds, error = np.full(n_rules, np.nan), np.full(n_rules, np.nan)
    parts: list[tuple[Int64s, ...]] = []
    against: list[tuple[Int64s, Float64s]] = []
    n_cells = 0
    for rules, tables in tables_by_stratum(table, baskets, stratum, n_strata):
        log_odds[rules], error[rules] = mantel_haenszel(tables)
        rows, p = _against(tables)
        against.append((rules[rows], p))
        n_cells += int((tables.n_antecedent > 0).sum())
        rows, columns = np.nonzero((tables.n_antecedent > 0) & listed)
        counts = (tables.n_joint, tables.n_antecedent, tables.n_consequent)
        parts.append((rules[rows], columns, *(count[rows, columns] for count in counts)))
    flag = np.full(n_rules, AGREES, dtype=np.int8)
    attracts = table.lift() > 1
    flag[_opposed(against, n_cells, max_q)] = MIXED
    with np.errstate(invalid="ignore"):
        p = norm.sf((crude_log_odds(table) - log_odds) / error)
        below = log_odds < 0
    p = np.where(attracts & below & np.isfinite(error), p, 1.0)
    flag[q_values(np.nan_to_num(p, nan=1.0)) < max_q] = CONTRADICTED
    flag[~attracts] = AGREES
    return _filed(parts, flag, log_odds)


def _against(tables: Tables) -> tuple[Int64s, Float64s]:
    """Rows of `tables` and the p-values of strata in which they hold less often than by chance."""
    from scipy.stats import hypergeom

    n_orders = np.maximum(tables.n_orders, 1).astype(np.float64)
    share_a, share_c = tables.n_antecedent / n_orders, tables.n_consequent / n_orders
    expected = share_a * tables.n_consequent
    variance = expected * (1 - share_a) * (1 - share_c)
    rows, columns = np.nonzero(tables.n_joint - expected < _WORTH_A_TEST * np.sqrt(variance))
    p = hypergeom.cdf(
        tables.n_joint[rows, columns],
        tables.n_orders[columns],
        tables.n_consequent[rows, columns],
        tables.n_antecedent[rows, columns],
    )
    return rows, np.clip(np.asarray(p, dtype=np.float64), 0.0, 1.0)


def _opposed(against: list[tuple[Int64s, Float64s]], n_cells: int, max_q: float) -> Int64s:
    """Rules that some store opposes; the cells that were not tested count as p = 1."""
    rules = np.concatenate([np.zeros(0, dtype=np.int64), *(rules for rules, _ in against)])
    p = np.concatenate([np.zeros(0), *(p for _, p in against)])
    return np.unique(rules[q_values(p, n_cells) < max_q])


def _filed(
    parts: list[tuple[Int64s, ...]], flag: NDArray[np.int8], log_odds: Float64s
) -> StoreCounts:
    """Cells in the sequence of rules and stores."""
    columns = np.concatenate([np.zeros((5, 0), dtype=np.int64), *map(np.stack, parts)], axis=1)
    rule, *others = columns[:, np.lexsort((columns[1], columns[0]))]
    store, joint, antecedent, consequent = (column.astype(np.int32) for column in others)
    rows = Ragged.of_lengths(np.bincount(rule, minlength=len(flag)), store)
    return StoreCounts(rows, joint, antecedent, consequent, flag, log_odds)
