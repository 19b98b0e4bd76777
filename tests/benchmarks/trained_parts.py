"""What training adds to a large model: a ranker, models of upgrades, and customers' orders.

Drawn by lot in the shapes `mersalg train` gives on a year of groceries: a few hundred neighbours
for each item, three networks side by side, customers with up to 120 orders.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.model import Model
from mersalg.engine.native.signals import COMPLEMENT, QUESTION, SIBLING
from mersalg.engine.ranking.purchases import Customers, Purchases
from mersalg.engine.ranking.ranking import ItemSignals, Neighbours, Ranking, Scorer
from mersalg.engine.upsell.likelihood import WINDOWS, Facts, Likelihood, Standing

N_CUSTOMERS, MAX_ORDERS, ITEMS_EACH = 5_000, 120, 8
KEY = b"benchmark"
_NEIGHBOURS, _LEADERS, _POPULAR = 180, 10, 40
_DAY = 86_400_000_000
UNTIL = 1_767_225_600_000_000
"""2026-01-01, the last moment of which orders are known."""

Draw = np.random.Generator


def trained(model: Model, seed: int = 4) -> Model:
    """`model` as training would have left it; its customers are `c0`, `c1`, ..."""
    draw = np.random.default_rng(seed)
    ids = [f"c{number}" for number in range(N_CUSTOMERS)]
    return replace(
        model,
        ranking=_ranking(model, draw),
        customers=Customers.of(ids, _purchases(draw, len(model.catalogue)), KEY),
        customer_key=KEY,
        likelihood=_likelihood(model, draw),
    )


def _popular(draw: Draw, shape: tuple[int, ...], n: int) -> NDArray[np.int32]:
    return (20 * (np.exp(draw.random(shape) * np.log(n / 20)) - 1)).astype(np.int32)


def _csr(entries: NDArray[np.int32]) -> Ragged[np.int32]:
    """Rows of equal width, each ascending and without repetition."""
    entries = np.sort(entries, axis=1)
    kept = np.ones(entries.shape, dtype=np.bool_)
    kept[:, 1:] = entries[:, 1:] != entries[:, :-1]
    return Ragged.of_lengths(kept.sum(axis=1), entries[kept])


def _neighbours(draw: Draw, entries: NDArray[np.int32], n_orders: NDArray[np.int64]) -> Neighbours:
    items = _csr(entries)
    size = len(items.values)
    weight = draw.exponential(0.02, size).astype(np.float32)
    most = np.minimum(n_orders[items.owners()], n_orders[items.values]) // 3
    n_joint = np.minimum(draw.geometric(0.01, size), most).astype(np.int32)
    return Neighbours(items, weight, n_joint)


def _ranking(model: Model, draw: Draw) -> Ranking:
    n_items, family = len(model.catalogue), model.catalogue.family
    n_groups = int(family.max()) + 1
    n_orders, all_orders = model.affinity.n_orders_of_item, model.affinity.n_orders
    of_group = np.bincount(family, n_orders, n_groups).astype(np.int64)
    by_group = np.lexsort((-n_orders, family)).astype(np.int32)
    begins = np.searchsorted(family[by_group], np.arange(n_groups + 1))
    inside = np.arange(n_items) - begins[family[by_group]]
    leaders = by_group[inside < _LEADERS]
    recent = (n_orders / all_orders).astype(np.float32)
    signals = ItemSignals(
        n_orders=n_orders.astype(np.float32),
        n_orders_all=np.array([all_orders], dtype=np.float32),
        recent=recent,
        latest=recent * draw.uniform(0.5, 2, n_items).astype(np.float32),
        group=family,
        share=(n_orders / of_group[family]).astype(np.float32),
        log_price=np.log(np.maximum(model.catalogue.price_minor, 1)).astype(np.float32),
        margin=np.zeros(n_items, dtype=np.float32),
        popular=np.argsort(-n_orders, kind="stable")[:_POPULAR].astype(np.int32),
        leaders=Ragged.grouped(family[leaders], leaders, n_groups),
    )
    near = _popular(draw, (n_items, _NEIGHBOURS), n_items)
    groups = draw.integers(0, n_groups, (n_groups, _NEIGHBOURS), dtype=np.int32)
    return Ranking(
        _neighbours(draw, near, n_orders),
        _neighbours(draw, groups, of_group),
        signals,
        {
            "discovery": _scorer(draw, (len(COMPLEMENT), 96, 48, 1)),
            "complete": _scorer(draw, (len(COMPLEMENT), 64, 32, 1)),
        },
    )


def _scorer(draw: Draw, widths: tuple[int, ...]) -> Scorer:
    def some(*shape: int) -> NDArray[np.float32]:
        return draw.normal(0, 0.2, shape).astype(np.float32)

    return Scorer(
        mean=some(widths[0]),
        scale=np.exp(some(widths[0])),
        weights=tuple(some(*shape) for shape in pairwise(widths)),
        biases=tuple(some(width) for width in widths[1:]),
        slope=1.0,
        intercept=-4.0,
    )


def _purchases(draw: Draw, n_items: int) -> Purchases:
    lengths = draw.integers(1, MAX_ORDERS, N_CUSTOMERS)
    n_orders = int(lengths.sum())
    items = _csr(_popular(draw, (n_orders, ITEMS_EACH), n_items))
    moments = UNTIL - draw.integers(0, 365 * _DAY, n_orders)
    owner = np.repeat(np.arange(N_CUSTOMERS), lengths)
    return Purchases(Ragged.of_lengths(lengths, moments[np.lexsort((moments, owner))]), items)


def _likelihood(model: Model, draw: Draw) -> Likelihood:
    catalogue, ladders, n_items = model.catalogue, model.ladders, len(model.catalogue)

    def some(*shape: int) -> NDArray[np.float32]:
        return draw.random(shape).astype(np.float32)

    log_price = np.log(np.maximum(catalogue.price_minor, 1)).astype(np.float32)
    moves = np.unique(
        _popular(draw, (400_000,), n_items).astype(np.int64) * n_items
        + _popular(draw, (400_000,), n_items)
    )
    return Likelihood(
        Facts(
            ladder=ladders.family,
            tier=ladders.tier,
            log_price=log_price,
            level=(log_price - log_price.mean()) / log_price.std(),
            category=catalogue.category,
            brand=draw.integers(-1, 500, n_items).astype(np.int32),
            log_amount=np.where(some(n_items) < 0.5, np.nan, some(n_items)).astype(np.float32),
        ),
        Standing(
            orders=np.sort(some(n_items, len(WINDOWS)) * 300, axis=1),
            promotion=some(n_items) / 5,
            usual=some(n_items) / 5,
            ups=some(n_items) * 20,
            downs=some(n_items) * 20,
            moves=some(n_items) * 60,
            move_keys=moves,
            move_times=draw.integers(1, 20, len(moves)).astype(np.float32),
        ),
        _scorer(draw, (len(SIBLING), 32, 16, 1)),
        _scorer(draw, (len(QUESTION), 64, 32, 1)),
    )
