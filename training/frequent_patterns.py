"""Itemsets and rules with the parameters and columns of `mlxtend.frequent_patterns`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import chain, combinations
from typing import Any

import numpy as np
import pandas as pd

from mersalg.engine.arrays import Float64s, Int32s, Int64s
from mersalg.engine.progress import SilentProgress
from mersalg.training.frames import baskets_of
from mersalg.training.mining.protocol import Itemsets, get_engine, min_count_of_support
from mersalg.training.mining.rules import Ranks

_METRICS = (
    *("antecedent support", "consequent support", "support", "confidence", "lift"),
    *("representativity", "leverage", "conviction", "zhangs_metric", "jaccard", "certainty"),
    "kulczynski",
)


def fpgrowth(
    df: Any, min_support: float = 0.5, use_colnames: bool = False, max_len: int | None = None
) -> pd.DataFrame:
    """Return the frequent itemsets of baskets, as `mlxtend.frequent_patterns.fpgrowth` does.

    Parameters
    ----------
    df : frame or sequence of sequences
        One-hot: a row a basket, a column an item, True or 1 where the basket holds it; dense or
        sparse. Or a list of baskets, each a list of items.
    min_support : float
        The least share of baskets, above 0. A set exactly on it is listed.
    use_colnames : bool
        Whether itemsets hold the names of columns instead of their positions. Of a list of
        baskets they always hold the items.
    max_len : int or None
        The maximum number of items of a set; None and 0 set no bound.

    Returns
    -------
    pandas.DataFrame
        `support` (float) and `itemsets` (frozenset), the smaller sets first.

    Raises
    ------
    ValueError
        `min_support` is not in (0, 1], `max_len` is below 0, or a cell is neither 0 nor 1.
    TypeError
        A basket is no list of items.
    """
    if not 0 < min_support <= 1:
        raise ValueError(f"min_support must be above 0 and at most 1, not {min_support}")
    if max_len is not None and max_len < 0:
        raise ValueError(f"max_len must be 0 or more, not {max_len}")
    baskets, names = baskets_of(df, use_colnames)
    least = min_count_of_support(Fraction(repr(float(min_support))), baskets.n_orders)
    longest = max_len or max(1, int(baskets.lengths.max(initial=1)))
    mined = get_engine("local").itemsets(baskets, least, longest, SilentProgress())
    counts = np.concatenate([*mined.counts, np.zeros(0, np.int64)])
    sets = [
        frozenset(row if names is None else (names[item] for item in row))
        for level in mined.items
        for row in level.tolist()
    ]
    itemsets = pd.Series(sets, dtype=object)
    return pd.DataFrame({"support": counts / max(baskets.n_orders, 1), "itemsets": itemsets})


def association_rules(
    itemsets: pd.DataFrame, metric: str = "confidence", min_threshold: float = 0.8
) -> pd.DataFrame:
    """Return the rules of frequent itemsets, every split of a set into two, as mlxtend does.

    Parameters
    ----------
    itemsets : pandas.DataFrame
        What `fpgrowth` returns.
    metric : str
        The measure compared: `confidence`, `lift`, `support`, `leverage`, `conviction`,
        `zhangs_metric`, `jaccard`, `certainty`, `kulczynski` or `representativity`.
    min_threshold : float
        The least value of `metric`. A rule on it, but for the last bit of a float, is kept.

    Returns
    -------
    pandas.DataFrame
        `antecedents`, `consequents` (frozensets) and mlxtend's measures.

    Raises
    ------
    ValueError
        `metric` is not known, or `itemsets` is not such a frame.
    KeyError
        A subset of a listed set is not listed.
    """
    if metric not in _METRICS[2:]:
        raise ValueError(f"metric must be one of {', '.join(_METRICS[2:])}, not {metric!r}")
    if not {"support", "itemsets"} <= set(itemsets.columns):
        raise ValueError("itemsets must have the columns support and itemsets, as of fpgrowth")
    sets: list[frozenset[Any]] = list(itemsets["itemsets"])
    support = itemsets["support"].to_numpy(np.float64)
    left, right, whole = _splits(sets)
    columns = _measures(support[left], support[right], support[whole])
    values = columns[metric]
    chosen = np.flatnonzero(values >= min_threshold - 1e-12 * max(1.0, abs(min_threshold)))
    frame: dict[str, Any] = {
        "antecedents": pd.Series([sets[index] for index in left[chosen].tolist()], dtype=object),
        "consequents": pd.Series([sets[index] for index in right[chosen].tolist()], dtype=object),
        **{name: column[chosen] for name, column in columns.items()},
    }
    return pd.DataFrame(frame, columns=["antecedents", "consequents", *_METRICS])


def _splits(sets: Sequence[frozenset[Any]]) -> Int64s:
    """Return the places of every antecedent, of its consequent, and of both together; (3, n).

    Raises
    ------
    KeyError
        A subset of a listed set is not listed.
    """
    codes = {item: code for code, item in enumerate(dict.fromkeys(chain.from_iterable(sets)))}
    lengths = np.fromiter(map(len, sets), np.int64, len(sets))
    levels: list[Int32s] = []
    places: list[Int64s] = []
    for length in range(1, int(lengths.max(initial=1)) + 1):
        index = np.flatnonzero(lengths == length)
        rows = np.array([[codes[item] for item in sets[row]] for row in index.tolist()], np.int32)
        rows = np.sort(rows.reshape(-1, length), axis=1)
        order = np.lexsort(rows.T[::-1])
        levels.append(rows[order])
        places.append(index[order])
    splits = [np.zeros((3, 0), dtype=np.int64)]
    try:
        ranks = Ranks(Itemsets(tuple(levels), (), n_orders=0, min_count=1))
        for rows, index in zip(levels, places, strict=True):
            every = range(rows.shape[1])
            for size in reversed(every[1:]):
                for part in map(list, combinations(every, size)):
                    rest = np.setdiff1d(every, part)
                    left = places[size - 1][ranks.of(rows[:, part])]
                    right = places[len(rest) - 1][ranks.of(rows[:, rest])]
                    splits.append(np.stack((left, right, index)))
    except ValueError as error:
        raise KeyError("a subset of a listed set is not listed") from error
    members = np.concatenate(splits, axis=1)
    return members[:, np.argsort(members[2], kind="stable")]


def _measures(a: Float64s, c: Float64s, both: Float64s) -> dict[str, Float64s]:
    """Return each of `_METRICS` from the shares of antecedents, consequents and of both."""
    confidence, leverage = both / a, both - a * c
    with np.errstate(divide="ignore", invalid="ignore"):
        conviction = np.where(confidence < 1, (1 - c) / (1 - confidence), np.inf)
        spread = np.maximum(both * (1 - a), a * (c - both))
        zhang = np.where(spread == 0, 0.0, leverage / spread)
        certainty = np.where(c < 1, (confidence - c) / (1 - c), 0.0)
    representativity = np.ones(len(both))
    columns = (
        *(a, c, both, confidence, confidence / c, representativity, leverage, conviction),
        *(zhang, both / (a + c - both), certainty, (confidence + both / c) / 2),
    )
    return dict(zip(_METRICS, columns, strict=True))
