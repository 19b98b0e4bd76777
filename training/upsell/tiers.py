"""Ladders: each family's price levels, found by K-means on log price."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import UNKNOWN, Catalogue
from engine.progress import Progress
from engine.upsell.tiers import Ladders

MAX_TIERS = 5
EXPLAINED = 0.92
"""Share of the variance of log price the tiers must explain; K-means reaches .924 on groceries."""
SMALLEST_STEP = 1.05
"""Prices nearer than this ratio are one level to a buyer."""
_CONTRADICTION = 10.0
_FAR_OFF = 100.0


@dataclass(frozen=True, slots=True)
class TierCounts:
    """What the ladders hold, and whom they leave out.

    `contradicted`: catalogue price more than 10 times off what orders paid; `far_off`: more than
    100 times off the family's median.
    """

    ladders: int
    items: int
    ladders_with_steps: int
    unpriced: int
    contradicted: int
    far_off: int

    def to_json(self) -> dict[str, int]:
        return asdict(self)


def groups_of(catalogue: Catalogue) -> tuple[NDArray[np.int64], int]:
    """Group of each item, shape (n_items,): its family, else its category, else UNKNOWN.

    Also the number of groups: families first, then categories.
    """
    n_families = len(catalogue.family_names)
    groups = np.where(
        catalogue.family >= 0,
        catalogue.family,
        np.where(catalogue.category >= 0, catalogue.category + n_families, UNKNOWN),
    ).astype(np.int64)
    return groups, n_families + len(catalogue.category_names)


def fit_ladders(
    catalogue: Catalogue, paid_minor: NDArray[np.int64], progress: Progress
) -> tuple[Ladders, TierCounts]:
    """One ladder for each group with at least two priced items.

    Args:
        paid_minor: int64 (n_items,), usual unit price in orders, UNKNOWN where not known.
    """
    groups, n_groups = groups_of(catalogue)
    price = catalogue.price_minor
    priced = (groups >= 0) & (price > 0)
    contradicted = priced & (paid_minor > 0) & _off(price, paid_minor, _CONTRADICTION)
    usable = priced & ~contradicted
    median = _medians(groups, price, usable, n_groups)
    far_off = usable & _off(price, median[np.maximum(groups, 0)], _FAR_OFF)
    usable &= ~far_off
    sizes = np.bincount(groups[usable], minlength=n_groups)
    ladder_groups = np.flatnonzero(sizes >= 2)
    ladder_of_group = np.full(n_groups + 1, UNKNOWN, dtype=np.int32)
    ladder_of_group[ladder_groups] = np.arange(len(ladder_groups), dtype=np.int32)
    family = np.where(usable, ladder_of_group[groups], UNKNOWN).astype(np.int32)

    members = np.flatnonzero(family >= 0)
    members = members[np.lexsort((members, price[members], family[members]))].astype(np.int32)
    indptr = np.zeros(len(ladder_groups) + 1, dtype=np.int64)
    np.cumsum(sizes[ladder_groups], out=indptr[1:])
    tier = np.full(len(catalogue), UNKNOWN, dtype=np.int16)
    with_steps = 0
    with progress.task("Fitting price tiers", total=len(ladder_groups)) as task, _many_small_fits():
        for ladder in range(len(ladder_groups)):
            inside = members[indptr[ladder] : indptr[ladder + 1]]
            distinct, inverse = np.unique(price[inside], return_inverse=True)
            levels = tiers_of_prices(distinct)
            tier[inside] = levels[inverse]
            with_steps += int(levels[-1] > 0)
            task.advance()
    counts = TierCounts(
        ladders=len(ladder_groups),
        items=len(members),
        ladders_with_steps=with_steps,
        unpriced=int(((groups >= 0) & (price <= 0)).sum()),
        contradicted=int(contradicted.sum()),
        far_off=int(far_off.sum()),
    )
    return Ladders(family, tier, indptr, members), counts


def tiers_of_prices(prices: NDArray[np.int64]) -> NDArray[np.int16]:
    """Tier of each of the ascending distinct positive `prices`, 0 the cheapest; shape (n,).

    Up to five prices, each a clear step above the one before, are tiers as they stand. Otherwise
    the fewest tiers, five at most, that explain 92% of the variance of log price.
    """
    if not len(prices) or prices[-1] < prices[0] * SMALLEST_STEP:
        return np.zeros(len(prices), dtype=np.int16)
    if len(prices) <= MAX_TIERS and (prices[1:] >= prices[:-1] * SMALLEST_STEP).all():
        return np.arange(len(prices), dtype=np.int16)
    log_price = np.log(prices)
    wanted = (1 - EXPLAINED) * ((log_price - log_price.mean()) ** 2).sum()
    labels = np.zeros(len(prices), dtype=np.int64)
    for n_tiers in range(2, min(MAX_TIERS, len(prices)) + 1):
        labels, unexplained = _cluster(log_price, n_tiers)
        if unexplained <= wanted:
            break
    # Clusters of one dimension are intervals, so each change along the prices begins a new tier.
    return np.append(0, np.cumsum(labels[1:] != labels[:-1])).astype(np.int16)


@contextmanager
def _many_small_fits() -> Generator[None, None, None]:
    """Fits of a few numbers each, where threads and checked arguments would cost most time."""
    from sklearn import config_context
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), config_context(assume_finite=True, skip_parameter_validation=True):
        yield


def _cluster(log_price: NDArray[np.float64], n_tiers: int) -> tuple[NDArray[np.int64], float]:
    """K-means labels and the sum of squares left unexplained."""
    from sklearn.cluster import KMeans

    fitted = KMeans(n_clusters=n_tiers, n_init=4, random_state=0).fit(log_price[:, None])
    return fitted.labels_, float(fitted.inertia_)


def _off(
    left: NDArray[np.int64], right: NDArray[np.int64] | NDArray[np.float64], ratio: float
) -> NDArray[np.bool_]:
    return (left > right * ratio) | (left * ratio < right)


def _medians(
    groups: NDArray[np.int64], price: NDArray[np.int64], usable: NDArray[np.bool_], n_groups: int
) -> NDArray[np.float64]:
    """Median usable price of each group, shape (n_groups + 1,); 0 where there is none."""
    items = np.flatnonzero(usable)
    items = items[np.lexsort((price[items], groups[items]))]
    sizes = np.bincount(groups[items], minlength=n_groups + 1)
    starts = np.cumsum(sizes) - sizes
    ordered = np.append(price[items], 0)
    low = ordered[np.minimum(starts + np.maximum(sizes - 1, 0) // 2, len(items))]
    high = ordered[np.minimum(starts + sizes // 2, len(items))]
    return np.where(sizes > 0, (low + high) / 2, 0.0)
