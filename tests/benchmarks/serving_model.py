"""A large model that also ranks by what customers bought: for `tests.benchmarks.serving`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.model import Model
from mersalg.engine.native.signals import COMPLEMENT
from mersalg.engine.ranking.purchases import Customers, Purchases
from mersalg.engine.ranking.ranking import MODES, ItemSignals, Neighbours, Ranking, Scorer
from mersalg.engine.storage.pseudonyms import customer_key
from tests.benchmarks.slate import N_FAMILIES, N_ITEMS, N_ORDERS, large_model

N_CUSTOMERS, ORDERS_EACH, ITEMS_EACH = 50_000, 4, 3
_NEIGHBOURS, _HIDDEN, _LEADERS = 20, 32, 8
_DAY = 86_400_000_000
_UNTIL = 1_767_225_600_000_000  # 2026-01-01


def remembering_model(models: Path, seed: int = 4) -> Model:
    """1 million rules, 100,000 items, and the orders of customers `c0`, `c1`, ..."""
    draw = np.random.default_rng(seed)
    model = large_model()
    ids = [f"c{number}" for number in range(N_CUSTOMERS)]
    return replace(
        model,
        ranking=_ranking(model, draw),
        customers=Customers.of(ids, _purchases(draw), customer_key(models)),
    )


def _popular(draw: np.random.Generator, size: int) -> NDArray[np.int32]:
    return (20 * (np.exp(draw.random(size) * 8.5) - 1)).astype(np.int32)


def _rows(entries: NDArray[np.int32]) -> Ragged[np.int32]:
    """Rows of equal width, each ascending and without repetition."""
    entries = np.sort(entries, axis=1)
    kept = np.ones(entries.shape, dtype=np.bool_)
    kept[:, 1:] = entries[:, 1:] != entries[:, :-1]
    return Ragged.of_lengths(kept.sum(axis=1), entries[kept])


def _neighbours(draw: np.random.Generator, entries: NDArray[np.int32]) -> Neighbours:
    items = _rows(entries)
    size = len(items.values)
    weight = draw.exponential(0.02, size).astype(np.float32)
    return Neighbours(items, weight, draw.integers(5, 500, size, dtype=np.int32))


def _ranking(model: Model, draw: np.random.Generator) -> Ranking:
    near = _popular(draw, N_ITEMS * _NEIGHBOURS).reshape(N_ITEMS, _NEIGHBOURS)
    groups = draw.integers(0, N_FAMILIES, (N_FAMILIES, _NEIGHBOURS), dtype=np.int32)
    n_orders = model.affinity.n_orders_of_item.astype(np.float32)
    by_group = np.lexsort((-n_orders, model.catalogue.family))
    begins = np.searchsorted(model.catalogue.family[by_group], np.arange(N_FAMILIES))
    leaders = by_group[(begins[:, None] + np.arange(_LEADERS)).clip(max=N_ITEMS - 1)]
    signals = ItemSignals(
        n_orders=n_orders,
        n_orders_all=np.array([N_ORDERS], dtype=np.float32),
        recent=n_orders / N_ORDERS,
        latest=n_orders / N_ORDERS,
        group=model.catalogue.family,
        share=np.full(N_ITEMS, N_FAMILIES / N_ITEMS, dtype=np.float32),
        log_price=np.log(np.maximum(model.catalogue.price_minor, 1)).astype(np.float32),
        margin=np.zeros(N_ITEMS, dtype=np.float32),
        popular=np.argsort(-n_orders, kind="stable")[:100].astype(np.int32),
        leaders=Ragged.of_lengths(np.full(N_FAMILIES, _LEADERS), leaders.astype(np.int32).ravel()),
    )
    scorers = {mode: _scorer(draw) for mode in MODES}
    return Ranking(_neighbours(draw, near), _neighbours(draw, groups), signals, scorers)


def _scorer(draw: np.random.Generator) -> Scorer:
    def some(*shape: int) -> NDArray[np.float32]:
        return draw.normal(0, 0.2, shape).astype(np.float32)

    width = len(COMPLEMENT)
    return Scorer(
        np.zeros(width, dtype=np.float32),
        np.ones(width, dtype=np.float32),
        (some(width, _HIDDEN), some(_HIDDEN, 1)),
        (some(_HIDDEN), some(1)),
        1.0,
        -4.0,
    )


def _purchases(draw: np.random.Generator) -> Purchases:
    n_orders = N_CUSTOMERS * ORDERS_EACH
    items = _rows(_popular(draw, n_orders * ITEMS_EACH).reshape(n_orders, ITEMS_EACH))
    ordered_at = np.sort(
        _UNTIL - draw.integers(0, 365 * _DAY, (N_CUSTOMERS, ORDERS_EACH)), axis=1
    ).ravel()
    return Purchases(Ragged.of_lengths(np.full(N_CUSTOMERS, ORDERS_EACH), ordered_at), items)
