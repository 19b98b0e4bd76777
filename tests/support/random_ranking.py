"""Rankings, models of upgrades and pasts drawn by lot, in every shape that arrays may have."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.native.signals import COMPLEMENT, QUESTION, SIBLING
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.ranking.ranking import ItemSignals, Neighbours, Ranking, Scorer
from mersalg.engine.upsell.likelihood import WINDOWS, Facts, Likelihood, Standing
from mersalg.engine.upsell.recommender import BaseItem
from mersalg.engine.upsell.tiers import Ladders
from mersalg.engine.vocabulary import StringTable, Vocabulary
from mersalg.training.upsell.events import Questions

Draw = np.random.Generator


def indptr_of(rows: NDArray[np.integer], size: int) -> NDArray[np.int64]:
    return np.append(0, np.cumsum(np.bincount(rows, minlength=size))).astype(np.int64)


def random_scorer(draw: Draw, n_features: int) -> Scorer:
    hidden = [(), (5,), (16,), (32, 16), (40, 7, 3)][draw.integers(5)]
    widths = (n_features, *hidden, 1)

    def some(*shape: int) -> NDArray[np.float32]:
        return draw.normal(0, 0.3, shape).astype(np.float32)

    weights = [some(*shape) for shape in pairwise(widths)]
    for layer in weights[1:-1]:
        # As of networks side by side.
        layer[: len(layer) // 2, layer.shape[1] // 2 :] = 0
    return Scorer(
        some(n_features),
        np.exp(some(n_features)),
        tuple(weights),
        tuple(some(width) for width in widths[1:]),
        0.7,
        -1.0,
    )


def _neighbours(draw: Draw, size: int, share: float) -> Neighbours:
    dense = draw.random((size, size)) < share
    rows, items = np.nonzero(dense)
    # Weights whose sums are exact in whatever order they are added up.
    weight = draw.integers(-20, 60, len(items)) / 64
    n_joint = draw.integers(0, 20, len(items))
    return Neighbours(
        Ragged.grouped(rows, items.astype(np.int32), size),
        weight.astype(np.float32),
        n_joint.astype(np.int32),
    )


def random_ranking(draw: Draw, n_items: int, n_groups: int) -> Ranking:
    group = draw.integers(-1, n_groups, n_items).astype(np.int32)
    led = np.flatnonzero((group >= 0) & (draw.random(n_items) < 0.7))
    led = led[np.argsort(group[led], kind="stable")]

    def some() -> NDArray[np.float32]:
        return draw.random(n_items).astype(np.float32)

    signals = ItemSignals(
        n_orders=draw.integers(20, 900, n_items).astype(np.float32),
        n_orders_all=np.array([2_000], dtype=np.float32),
        recent=some(),
        latest=some(),
        group=group,
        share=some(),
        log_price=np.where(some() < 0.1, 0, some() * 9).astype(np.float32),
        margin=some(),
        popular=draw.choice(n_items, min(n_items, 7), replace=False).astype(np.int32),
        leaders=Ragged.grouped(group[led], led.astype(np.int32), n_groups),
    )
    share = draw.uniform(0, 0.8)
    return Ranking(
        _neighbours(draw, n_items, share),
        _neighbours(draw, n_groups, share),
        signals,
        {
            "discovery": random_scorer(draw, len(COMPLEMENT)),
            "complete": random_scorer(draw, len(COMPLEMENT)),
        },
    )


def random_cart(draw: Draw, n_items: int, most: int) -> NDArray[np.int32]:
    size = int(draw.integers(0, min(n_items, most) + 1))
    return np.sort(draw.choice(n_items, size, replace=False)).astype(np.int32)


def random_past(draw: Draw, n_items: int, most_orders: int) -> Past:
    return Past.of_orders(
        [
            (float(age), random_cart(draw, n_items, 8))
            for age in np.sort(draw.uniform(0, 400, draw.integers(0, most_orders + 1)))[::-1]
        ]
    )


def random_likelihood(draw: Draw, n_items: int) -> Likelihood:
    def some(*shape: int) -> NDArray[np.float32]:
        return draw.random(shape or (n_items,)).astype(np.float32)

    def codes(n: int) -> NDArray[np.int32]:
        return draw.integers(-1, n, n_items).astype(np.int32)

    moves = np.unique(draw.integers(0, n_items * n_items, draw.integers(0, 4 * n_items)))
    return Likelihood(
        Facts(
            ladder=codes(4),
            tier=draw.integers(0, 4, n_items).astype(np.int16),
            log_price=some() * 9,
            level=some() * 2 - 1,
            category=codes(3),
            brand=codes(3),
            log_amount=np.where(some() < 0.4, np.nan, draw.integers(0, 3, n_items)).astype(
                np.float32
            ),
        ),
        Standing(
            orders=np.sort(draw.integers(0, 90, (n_items, len(WINDOWS))), axis=1).astype(
                np.float32
            ),
            promotion=some(),
            usual=some(),
            ups=some() * 9,
            downs=some() * 9,
            moves=some() * 30,
            move_keys=moves.astype(np.int64),
            move_times=draw.integers(1, 9, len(moves)).astype(np.float32),
        ),
        random_scorer(draw, len(SIBLING)),
        random_scorer(draw, len(QUESTION)),
    )


def random_questions(draw: Draw, n_items: int, most: int) -> Questions:
    base = random_cart(draw, n_items, most)
    rows = np.repeat(np.arange(len(base)), draw.integers(1, 6, len(base)))
    sibling = draw.integers(0, n_items, len(rows)).astype(np.int32)
    return _questions_of_rows(base, rows, sibling, 1 + draw.random(len(rows)).astype(np.float32))


def _questions_of_rows(
    base: NDArray[np.int32],
    owner: NDArray[np.integer],
    sibling: NDArray[np.int32],
    ratio: NDArray[np.float32],
) -> Questions:
    """`owner` ascends: the position in `base` each better item belongs to."""
    indptr = np.zeros(len(base) + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner, minlength=len(base)), out=indptr[1:])
    return Questions(base, indptr, sibling, ratio)


def random_ladders(draw: Draw, n_items: int) -> tuple[Ladders, Catalogue]:
    """Ladders of items at any price, some not known."""
    family = draw.integers(-1, 4, n_items).astype(np.int32)
    on_ladder = np.flatnonzero(family >= 0)
    price = draw.choice([UNKNOWN, 0, 100, 150, 199, 250, 1_000, 2**52], n_items).astype(np.int64)
    members = on_ladder[np.lexsort((on_ladder, price[on_ladder], family[on_ladder]))]
    texts = StringTable.from_texts([""] * n_items)
    said = np.array(["", "5", "7", "012", "12", "64 GB", f"{10**15 - 1}", f"{10**15}"])
    catalogue = Catalogue(
        items=Vocabulary.from_ids([f"i{item}" for item in range(n_items)]),
        names=texts,
        price_minor=price,
        cost_minor=draw.choice([UNKNOWN, 0, 60, 180, 900], n_items).astype(np.int64),
        category=family,
        category_names=StringTable.from_texts(["a", "b", "c", "d"]),
        family=family,
        family_names=StringTable.from_texts(["a", "b", "c", "d"]),
        offerable=np.ones(n_items, dtype=np.bool_),
        attributes={
            name: StringTable.from_texts(draw.choice(said, n_items).tolist())
            for name in ("memory_gb", "weight_g", "kept", "extras")[: draw.integers(5)]
        },
        compatible=Ragged.empty(n_items, np.int32),
        currency="EUR",
    )
    ladders = Ladders(
        family,
        np.where(family < 0, -1, draw.integers(0, 3, n_items)).astype(np.int16),
        Ragged.grouped(family[members], members.astype(np.int32), 4),
    )
    return ladders, catalogue


def random_given(draw: Draw, n_items: int) -> Ragged[np.int32]:
    """Better versions that a shop names for some of its items."""
    pairs = np.unique(draw.integers(0, n_items * n_items, draw.choice([0, n_items])))
    return Ragged.grouped(pairs // n_items, (pairs % n_items).astype(np.int32), n_items)


def random_bases(draw: Draw, n_items: int, price_minor: NDArray[np.int64]) -> list[BaseItem]:
    """A cart at prices of the list and at others."""
    cart = random_cart(draw, n_items, 8).tolist()
    prices = [draw.choice([int(price_minor[item]), 90, 160]) for item in cart]
    return [
        BaseItem(item, int(draw.integers(1, 4)), None if price < 0 else int(price))
        for item, price in zip(cart, prices, strict=True)
    ]
