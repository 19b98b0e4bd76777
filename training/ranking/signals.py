"""From orders and catalogue to what each item is by itself, and what items are beside others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mersalg.engine.arrays import Float32s, Int32s, Int64s, Ragged
from mersalg.engine.catalogue import Catalogue
from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.engine.ranking.purchases import Purchases
from mersalg.engine.ranking.ranking import ItemSignals, Ranking
from mersalg.training.ranking.item_item import fit_neighbours

if TYPE_CHECKING:
    from mersalg.training.reading.dataset import Dataset

_RECENT_DAYS, _LATEST_DAYS = 14.0, 4.0
_POPULAR = 40
_LEADERS = 10
"""Items that are candidates of every cart, and of every group that is called for."""


def groups_of(catalogue: Catalogue) -> tuple[Int32s, int]:
    """(group of each item or -1, how many groups): the family, else the category."""
    n_families = int(catalogue.family.max(initial=-1)) + 1
    category = np.where(catalogue.category >= 0, catalogue.category + n_families, -1)
    raw = np.where(catalogue.family >= 0, catalogue.family, category)
    distinct, codes = np.unique(raw[raw >= 0], return_inverse=True)
    group = np.full(len(raw), -1, dtype=np.int32)
    group[raw >= 0] = codes
    return group, len(distinct)


def fit_signals(
    baskets: Baskets,
    ordered_at: Int64s,
    group: Int32s,
    n_groups: int,
    price_minor: Int64s,
    cost_minor: Int64s,
) -> ItemSignals:
    """Signals as of the last order; shapes as in `ItemSignals` and `Dataset`."""
    sizes = baskets.sizes
    age = (ordered_at.max(initial=0) - ordered_at) / MICROS_PER_DAY

    def share_of_orders(half_life: float) -> Float32s:
        weight = np.exp2(-age / half_life)
        held = np.bincount(
            baskets.items, weights=np.repeat(weight, sizes), minlength=baskets.n_items
        )
        return (held / max(float(weight.sum()), 1e-9)).astype(np.float32)

    recent = share_of_orders(_RECENT_DAYS)
    # One place more than there are groups, for what belongs to none.
    in_group = np.bincount(group[group >= 0], weights=recent[group >= 0], minlength=n_groups + 1)
    share = np.where(group >= 0, recent / np.maximum(in_group[group], 1e-9), 0)
    has_price = price_minor > 0
    log_price = np.log(np.where(has_price, price_minor, 1))
    costed = has_price & (cost_minor >= 0)
    margin = np.where(costed, (price_minor - cost_minor) / np.where(has_price, price_minor, 1), 0)
    order = np.lexsort((-recent, group))
    order = order[group[order] >= 0]
    starts = np.append(0, np.cumsum(np.bincount(group[group >= 0], minlength=n_groups)))
    rank = np.arange(len(order)) - starts[group[order]]
    # Where few of a group were sold, what never was has a place too: new items must start somehow.
    leaders = order[rank < _LEADERS]
    popular = np.argsort(-recent, kind="stable")[:_POPULAR]
    return ItemSignals(
        n_orders=baskets.item_counts().astype(np.float32),
        n_orders_all=np.array([baskets.n_orders], dtype=np.float32),
        recent=recent,
        latest=share_of_orders(_LATEST_DAYS),
        group=group,
        share=share.astype(np.float32),
        log_price=log_price.astype(np.float32),
        margin=np.clip(margin, -1, 1).astype(np.float32),
        popular=np.sort(popular[recent[popular] > 0]).astype(np.int32),
        leaders=Ragged.grouped(group[leaders], leaders.astype(np.int32), n_groups),
    )


def purchases_of(dataset: Dataset) -> Purchases:
    """Every known customer's orders; rows are the customers of the data set."""
    of_customers = np.flatnonzero(dataset.customer >= 0)
    order = of_customers[
        np.lexsort((dataset.ordered_at[of_customers], dataset.customer[of_customers]))
    ]
    taken = dataset.baskets.take(order)
    counts = np.bincount(dataset.customer[order], minlength=len(dataset.customer_ids))
    return Purchases(
        Ragged.of_lengths(counts, dataset.ordered_at[order]), Ragged(taken.indptr, taken.items)
    )


def fit_base(dataset: Dataset, price_minor: Int64s, progress: Progress) -> Ranking:
    """Return item-item models and signals of `dataset`; a ranking without scorers.

    `price_minor`: int64 (n_items,), what each item usually costs, not above zero where unknown.
    """
    group, n_groups = groups_of(dataset.catalogue)
    baskets = dataset.baskets
    return Ranking(
        neighbours=fit_neighbours(baskets, progress, name="item-item"),
        groups=fit_neighbours(baskets.by_group(group, n_groups), progress, name="group-group"),
        signals=fit_signals(
            baskets,
            dataset.ordered_at,
            group,
            n_groups,
            np.where(dataset.catalogue.price_minor > 0, dataset.catalogue.price_minor, price_minor),
            dataset.catalogue.cost_minor,
        ),
        scorers={},
    )
