"""From itemsets to single-consequent rules, thresholds compared in integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.rules import RuleTable
from engine.errors import ConfigError
from training.mining.protocol import Itemsets

_BIGGEST = np.iinfo(np.int64).max


def parse_threshold(text: str, *, name: str, at_most: Fraction | None = None) -> Fraction:
    """The exact number that `text` writes: `0.25`, `1e-3` or `1/4`.

    Raises:
        ConfigError: no number, not above zero, or above `at_most`.
    """
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigError(f"{name} is not a number: {text!r}") from error
    if value <= 0 or (at_most is not None and value > at_most):
        limit = f" and at most {at_most}" if at_most is not None else ""
        raise ConfigError(f"{name} must be above 0{limit}, not {text}")
    return value


def rules_from_itemsets(
    itemsets: Itemsets,
    n_orders: int,
    *,
    min_confidence: Fraction | None = None,
    min_lift: Fraction | None = None,
) -> RuleTable:
    """Every rule A -> c, A not empty, whose items together are a listed set; canonical order.

    A rule exactly on a threshold is kept.

    Raises:
        ValueError: a subset of a listed set is not listed.
    """
    ranks = Ranks(itemsets)
    antecedents: list[NDArray[np.int32]] = []
    columns: list[tuple[NDArray[np.int64], ...]] = []
    for length in range(2, itemsets.max_length + 1):
        sets, counts = itemsets.of_length(length)
        for place in range(length):
            antecedent, consequent = np.delete(sets, place, axis=1), sets[:, place]
            n_antecedent = itemsets.counts[length - 2][ranks.of(antecedent)]
            n_consequent = itemsets.counts[0][ranks.of(consequent[:, None])]
            kept = at_least(counts, n_antecedent, n_consequent, n_orders, min_confidence, min_lift)
            antecedents.append(antecedent[kept])
            measured = (consequent, counts, n_antecedent, n_consequent)
            columns.append(tuple(column[kept] for column in measured))
    if not columns:
        return RuleTable.empty(n_orders)
    consequent, n_joint, n_antecedent, n_consequent = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    lengths = np.concatenate([np.full(len(part), part.shape[1]) for part in antecedents])
    indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=indptr[1:])
    items = np.concatenate([part.ravel() for part in antecedents]).astype(np.int32)
    table = RuleTable(
        indptr, items, consequent.astype(np.int32), n_joint, n_antecedent, n_consequent, n_orders
    )
    return table.sorted()


def at_least(
    n_joint: NDArray[np.int64],
    n_antecedent: NDArray[np.int64],
    n_consequent: NDArray[np.int64],
    n_orders: int,
    min_confidence: Fraction | None,
    min_lift: Fraction | None,
) -> NDArray[np.bool_]:
    """Which rules reach both thresholds; bool, shape (n,)."""
    kept = np.ones(len(n_joint), dtype=np.bool_)
    if min_confidence is not None:
        kept &= n_joint >= _least(n_antecedent, min_confidence)
    if min_lift is not None and n_orders:
        # lift >= t means n_joint >= t * n_antecedent * n_consequent / n_orders.
        kept &= n_joint >= _least(n_antecedent * n_consequent, min_lift / n_orders)
    return kept


def _least(wholes: NDArray[np.int64], share: Fraction) -> NDArray[np.int64]:
    """The smallest integers not below `share` * `wholes`, in unbounded integers."""
    distinct, inverse = np.unique(wholes, return_inverse=True)
    numerator, denominator = share.numerator, share.denominator
    least = [
        min(-(-numerator * whole // denominator), int(_BIGGEST)) for whole in distinct.tolist()
    ]
    return np.array(least, dtype=np.int64)[inverse]


class Ranks:
    """Position of a set among the listed sets of its length.

    The rows of each level are in lexicographic order and closed downward, so (rank of the first
    k - 1 items, last item) ascends as one integer key, and a look-up is k binary searches.
    """

    def __init__(self, itemsets: Itemsets) -> None:
        singles = itemsets.of_length(1)[0][:, 0].astype(np.int64)
        self._base = int(singles[-1]) + 1 if len(singles) else 1
        self._keys: list[NDArray[np.int64]] = [singles]
        for rows in itemsets.items[1:]:
            prefix = self.of(rows[:, :-1])
            self._keys.append(prefix * self._base + rows[:, -1])

    def of(self, rows: NDArray[np.int32]) -> NDArray[np.int64]:
        """Ranks of `rows`, shape (n, k), ascending inside a row."""
        rank = np.zeros(len(rows), dtype=np.int64)
        for place in range(rows.shape[1]):
            keys = self._keys[place]
            wanted = rank * self._base + rows[:, place]
            rank = np.searchsorted(keys, wanted)
            if len(wanted) and (
                not len(keys) or (keys[np.minimum(rank, len(keys) - 1)] != wanted).any()
            ):
                raise ValueError("a subset of a listed itemset is not listed")
        return rank
