"""From orders and catalogue to what each item is by itself, and what items are beside others.

What they are beside others is the item-item model: EASE within each item's neighbourhood, and
joint counts.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from mersalg.engine.arrays import Float32s, Float64s, Int32s, Int64s, Ragged
from mersalg.engine.catalogue import Catalogue
from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.native import kernels
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.engine.ranking.purchases import Purchases
from mersalg.engine.ranking.ranking import ItemSignals, Neighbours, Ranking
from mersalg.training.keyed import distinct, rank_by_key
from mersalg.training.mining.local import LocalEngine
from mersalg.training.reading.dataset import Dataset

REGULARISATION = 20.0
NEIGHBOURHOOD = 60
"""Items each item is regressed on, at least; twice as many take three times as long."""
_WIDEST = 400
_WORK = 3e10
"""Multiplications spent on the regressions: where items are fewer, each has more neighbours."""
KEPT = 120
"""Entries kept of each item by weight, and half as many by joint count and by confidence."""
MIN_ORDERS = 3
"""Items in fewer orders, and pairs in fewer, say nothing."""
_CHUNK = 64
"""Items whose equations are solved at once: at most 41 MB of them in each thread."""
_MIN_WEIGHT = 1e-4
_RECENT_DAYS, _LATEST_DAYS = 14.0, 4.0
_POPULAR = 40
_LEADERS = 10
"""Items that are candidates of every cart, and of every group that is called for."""


def fit_neighbours(baskets: Baskets, progress: Progress, *, name: str) -> Neighbours:
    """Return the strongest entries of each item, by weight and joint orders; see `Neighbours`."""
    with progress.task(f"Fitting the {name} model"):
        weights = _ease(baskets)
        joint = _joint_counts(baskets, progress)
        return _merged(weights, joint, baskets.n_items)


_Entries = tuple[Int64s, Float64s]
"""Keys `row * n_items + column`, ascending, and their values."""


def _ease(baskets: Baskets) -> _Entries:
    """Fit EASE (Steck, 2019), each item regressed on those most alike it.

    This is as in fsSLIM (Ning and Karypis, "SLIM: Sparse Linear Methods", 2011): cost and memory
    grow with the items, not with their cube, so that rare items have a place too. Baskets weigh
    one over their size, so that large ones, where everything meets everything, do not dominate.
    """
    indptr, items, values, diagonal = _gram(baskets)
    n_items = baskets.n_items
    n_known = int((baskets.item_counts() >= MIN_ORDERS).sum())
    n_neighbours = int(np.clip(np.cbrt(_WORK / max(n_known, 1)), NEIGHBOURHOOD, _WIDEST))

    lengths = np.diff(indptr)
    # Equations of one size together: those of a chunk are as many as of its longest row.
    by_length = np.argsort(lengths, kind="stable")[np.count_nonzero(lengths == 0) :]

    def solve(begin: int) -> tuple[Int64s, Int64s, Float32s]:
        """Return item, neighbour and weight of the entries of a chunk of items."""
        targets = by_length[begin : begin + _CHUNK]
        width = min(n_neighbours, int(lengths[targets[-1]]))
        near = np.empty((len(targets), width), dtype=np.int32)
        gram = np.zeros((len(targets), width, width), dtype=np.float32)
        right = np.zeros((len(targets), width, 1), dtype=np.float32)
        matrix = (indptr, items, values, diagonal)
        kernels.regressions(targets, *matrix, REGULARISATION, near, gram, right[:, :, 0])
        weights = np.linalg.solve(gram, right)[:, :, 0]
        columns, places = np.nonzero((weights > _MIN_WEIGHT) & (near >= 0))
        return targets[columns], near[columns, places].astype(np.int64), weights[columns, places]

    # Threads of the linear algebra library would wait for those of ours.
    with (
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="mersalg-items") as threads,
    ):
        parts = list(threads.map(solve, range(0, len(by_length), _CHUNK)))
    if not parts:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    columns, rows, entries = map(np.concatenate, zip(*parts, strict=True))
    weights = entries.astype(np.float64)
    strongest = np.flatnonzero(rank_by_key(rows, -weights) < KEPT)
    keys = rows[strongest] * n_items + columns[strongest]
    ascending = np.argsort(keys)
    return keys[ascending], weights[strongest][ascending]


def _gram(baskets: Baskets) -> tuple[Int64s, Int32s, Float32s, Float32s]:
    """X'X of the weighted baskets as CSR without its diagonal, and the diagonal."""
    from scipy.sparse import csr_array

    is_frequent = (baskets.item_counts() >= MIN_ORDERS)[baskets.items]
    indptr = np.append(0, np.cumsum(is_frequent))[baskets.indptr]
    sizes = np.diff(indptr)
    root = (1 / np.sqrt(np.maximum(sizes, 1))).astype(np.float32)
    matrix = csr_array(
        (np.repeat(root, sizes), baskets.items[is_frequent], indptr),
        shape=(baskets.n_orders, baskets.n_items),
    )
    gram = (matrix.T @ matrix).tocsr()
    gram.sort_indices()
    rows = np.repeat(np.arange(baskets.n_items), np.diff(gram.indptr))
    off = gram.indices != rows
    diagonal = np.ones(baskets.n_items, dtype=np.float32)
    diagonal[rows[~off]] = gram.data[~off]
    ends = np.append(0, np.cumsum(np.bincount(rows[off], minlength=baskets.n_items)))
    return (
        ends.astype(np.int64),
        gram.indices[off].astype(np.int32),
        gram.data[off].astype(np.float32),
        diagonal,
    )


def _joint_counts(baskets: Baskets, progress: Progress) -> _Entries:
    """Both directions of every pair met often enough; of each item the most telling partners."""
    itemsets = LocalEngine().itemsets(baskets, MIN_ORDERS, 2, progress)
    pairs, counts = itemsets.of_length(2)
    first, second = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    rows, columns = np.append(first, second), np.append(second, first)
    both = np.append(counts, counts)
    partner = baskets.item_counts()[columns]
    share = both / np.maximum(partner, 1)
    # Those met most often, and those that this item is met with most of the times they are bought.
    is_near = rank_by_key(rows, -both, partner) < KEPT // 2
    is_near |= rank_by_key(rows, -share, -both) < KEPT // 4
    keys = rows[is_near] * baskets.n_items + columns[is_near]
    ascending = np.argsort(keys)
    return keys[ascending], both[is_near][ascending].astype(np.float64)


def _merged(weights: _Entries, joint: _Entries, n_items: int) -> Neighbours:
    keys = distinct(np.concatenate([weights[0], joint[0]]).astype(np.int64))
    columns: list[Float64s] = []
    for entries, values in (weights, joint):
        column = np.zeros(len(keys))
        column[np.searchsorted(keys, entries)] = values
        columns.append(column)
    rows, items = np.divmod(keys, max(n_items, 1))
    near = Ragged.of_lengths(np.bincount(rows, minlength=n_items), items.astype(np.int32))
    return Neighbours(near, columns[0].astype(np.float32), columns[1].astype(np.int32))


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
    sizes = baskets.lengths
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
