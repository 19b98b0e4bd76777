"""Ranking, part by part, against plain Python; and one cart against a batch of many."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine.arrays import Ragged, arrays_of, read
from mersalg.engine.native.kernels import BrokenArrays
from mersalg.engine.native.signals import COMPLEMENT
from mersalg.engine.ranking.purchases import Carts, Customers, Past, Purchases, hash_of
from mersalg.engine.ranking.ranking import ItemSignals, Neighbours, Ranking, Scorer

N_ITEMS, N_GROUPS = 9, 4
DAY = 86_400_000_000


def _neighbours(draw: np.random.Generator, size: int) -> Neighbours:
    dense = draw.random((size, size)) < 0.5
    np.fill_diagonal(dense, False)
    rows, items = np.nonzero(dense)
    return Neighbours(
        Ragged.grouped(rows, items.astype(np.int32), size),
        draw.random(len(items)).astype(np.float32),
        draw.integers(0, 20, len(items)).astype(np.int32),
    )


def _signals(draw: np.random.Generator) -> ItemSignals:
    group = draw.integers(-1, N_GROUPS, N_ITEMS).astype(np.int32)
    members = [np.flatnonzero(group == each) for each in range(N_GROUPS)]

    def some() -> np.ndarray:
        return draw.random(N_ITEMS).astype(np.float32)

    return ItemSignals(
        n_orders=draw.integers(20, 90, N_ITEMS).astype(np.float32),
        n_orders_all=np.array([200], dtype=np.float32),
        recent=some(),
        latest=some(),
        group=group,
        share=some(),
        log_price=some(),
        margin=some(),
        popular=np.array([1, 4], dtype=np.int32),
        leaders=Ragged.of_rows([each.tolist() for each in members], np.int32),
    )


def _scorer(draw: np.random.Generator) -> Scorer:
    n = len(COMPLEMENT)
    return Scorer(
        np.zeros(n, dtype=np.float32),
        np.ones(n, dtype=np.float32),
        (
            draw.normal(size=(n, 5)).astype(np.float32),
            draw.normal(size=(5, 1)).astype(np.float32),
        ),
        (np.zeros(5, dtype=np.float32), np.zeros(1, dtype=np.float32)),
        0.5,
        -1.0,
    )


def _ranking(seed: int = 0) -> Ranking:
    draw = np.random.default_rng(seed)
    return Ranking(
        _neighbours(draw, N_ITEMS),
        _neighbours(draw, N_GROUPS),
        _signals(draw),
        {"discovery": _scorer(draw), "complete": _scorer(draw)},
    )


def _carts(rows: list[list[int]]) -> Carts:
    items = [sorted(set(row)) for row in rows]
    indptr = np.append(0, np.cumsum([len(row) for row in items])).astype(np.int64)
    return Ragged(indptr, np.array([i for row in items for i in row], dtype=np.int32))


def _purchases(customers: list[list[tuple[int, list[int]]]]) -> Purchases:
    orders = [order for history in customers for order in sorted(history, key=lambda o: o[0])]
    items = [sorted(set(order[1])) for order in orders]
    return Purchases(
        Ragged.of_lengths(
            np.array([len(history) for history in customers]),
            np.array([order[0] * DAY for order in orders], dtype=np.int64),
        ),
        Ragged.of_rows(items, np.int32),
    )


_CART = st.lists(st.integers(0, N_ITEMS - 1), max_size=6)
_HISTORY = st.lists(st.tuples(st.integers(0, 90), _CART.filter(bool)), max_size=6)


def test_gather_follows_rows() -> None:
    rows = Ragged(np.array([0, 2, 2, 5]), np.arange(5))
    positions, place = rows.gather(np.array([2, 0, 1, 2]))
    assert positions.tolist() == [2, 3, 4, 0, 1, 2, 3, 4]
    assert place.tolist() == [0, 0, 0, 1, 1, 3, 3, 3]


def _all_signals(
    ranking: Ranking, carts: Carts, past: Past, mode: str
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    nobody = np.full(len(carts), -1, dtype=np.int32)
    cart, item, rows = ranking.native().signals(carts, past, mode, nobody, np.inf, np.zeros(0))
    return cart, item, dict(zip(COMPLEMENT, rows.T, strict=True))


@given(st.lists(_CART, min_size=1, max_size=4))
def test_evidence_by_hand(rows: list[list[int]]) -> None:
    ranking, carts = _ranking(), _carts(rows)
    near, signals = ranking.neighbours, ranking.signals
    weight: dict[int, float] = defaultdict(float)
    confidence: dict[int, float] = defaultdict(float)
    for cart, row in enumerate(rows):
        for held in sorted(set(row)):
            for place in range(near.items.indptr[held], near.items.indptr[held + 1]):
                key = cart * N_ITEMS + int(near.items.values[place])
                weight[key] += float(near.weight[place])
                reported = float(near.n_joint[place]) / (float(signals.n_orders[held]) + 10)
                confidence[key] = max(confidence[key], reported)
    cart, item, found = _all_signals(ranking, carts, Past.unknown(), "complete")
    keys = (cart * N_ITEMS + item).tolist()
    in_carts = {n * N_ITEMS + held for n, row in enumerate(rows) for held in row}
    assert set(weight) - in_carts <= set(keys)
    assert keys == sorted(set(keys) - in_carts)
    assert found["weight"].tolist() == pytest.approx([weight[key] for key in keys])
    assert found["confidence"].tolist() == pytest.approx([confidence[key] for key in keys])
    sizes = np.array([len(set(row)) for row in rows])
    np.testing.assert_allclose(found["cart_size"], np.log1p(sizes)[cart], rtol=1e-6)


@given(_HISTORY, _CART)
def test_habits_by_hand(history: list[tuple[int, list[int]]], cart: list[int]) -> None:
    ranking, now = _ranking(), 100
    purchases = _purchases([history])
    moment = np.array([now * DAY])
    past = Past.read(purchases, np.array([0]), moment, moment)
    _, items, found = _all_signals(ranking, _carts([cart]), past, "complete")
    orders = [(day, set(items)) for day, items in history]
    bought = {item for _, items in orders for item in items}
    assert bought - set(cart) <= set(items.tolist())
    for place, item in enumerate(items.tolist()):
        ages = [now - day for day, items in orders if item in items]
        assert found["bought"][place] == (item in bought)
        assert found["times"][place] == pytest.approx(np.log1p(len(ages)))
        assert found["last"][place] == pytest.approx(np.log1p(min(ages, default=999)))
        assert found["decayed"][place] == pytest.approx(sum(2 ** (-age / 45) for age in ages), 1e-4)
        rhythm = max((max(ages) - min(ages)) / (len(ages) - 1), 1) if len(ages) > 1 else 1
        due = np.log(max(min(ages) / rhythm, 0.05)) if len(ages) > 1 else 0
        assert found["due"][place] == pytest.approx(due, rel=1e-4, abs=1e-5)
        alike = sum(
            len(items & set(cart)) / (len(items) + 1) ** 0.5 * 2 ** (-(now - day) / 120)
            for day, items in orders
            if item in items
        )
        assert found["alike"][place] == pytest.approx(alike, 1e-4)
        assert found["n_orders"][place] == pytest.approx(np.log1p(len(orders)))


@settings(deadline=None)
@given(
    st.lists(st.tuples(_CART, _HISTORY), min_size=1, max_size=5),
    st.sampled_from(["discovery", "complete"]),
    st.integers(0, 3),
)
def test_one_cart_alone_is_ranked_as_among_many(
    asked: list[tuple[list[int], list[tuple[int, list[int]]]]], mode: str, seed: int
) -> None:
    ranking = _ranking(seed)
    native, purchases = ranking.native(), _purchases([history for _, history in asked])
    now = np.full(len(asked), 95 * DAY)
    rows = np.arange(len(asked))
    carts, past = _carts([cart for cart, _ in asked]), Past.read(purchases, rows, now, now)
    owner, items, scores = native.rank_carts(carts, past, mode)
    drawn_owner, drawn, signals = _all_signals(ranking, carts, past, mode)
    assert (drawn_owner.tolist(), drawn.tolist()) == (owner.tolist(), items.tolist())
    by_signals = ranking.scorers[mode].probability(np.stack([*signals.values()], axis=1))
    np.testing.assert_allclose(scores, by_signals, rtol=2e-4, atol=1e-7)
    for place, (cart, history) in enumerate(asked):
        alone_past = Past.read(purchases, rows[place : place + 1], now[:1], now[:1])
        alone, alone_scores = native.rank(np.unique(cart).astype(np.int32), alone_past, mode)
        assert items[owner == place].tolist() == alone.tolist()
        np.testing.assert_allclose(scores[owner == place], alone_scores, rtol=1e-6)
        assert not set(alone.tolist()) & set(cart)
        if mode == "discovery":
            assert not set(alone.tolist()) & {item for _, items in history for item in items}
        assert ((alone_scores > 0) & (alone_scores < 1)).all()


def test_hidden_items_and_some_others_are_drawn() -> None:
    ranking, draw = _ranking(), np.random.default_rng(5)
    native, carts, past = ranking.native(), _carts([[0, 3], [5], []] * 100), Past.unknown()
    owner, items, _ = _all_signals(ranking, carts, past, "complete")
    hidden = np.array([items[owner == cart][-1] for cart in range(len(carts))], dtype=np.int32)
    draws = draw.random(len(carts) * native.most)
    cart, item, rows = native.signals(carts, past, "complete", hidden, 2.0, draws)
    assert (np.bincount(cart[item == hidden[cart]]) == 1).all()
    sizes = np.bincount(owner)
    expected = ((sizes - 1) * np.minimum(2 / sizes, 1)).sum()
    assert (item != hidden[cart]).sum() == pytest.approx(expected, rel=0.15)
    everything = native.signals(carts, past, "complete", hidden, np.inf, draws)
    taken = np.isin(owner * N_ITEMS + items, cart * N_ITEMS + item)
    np.testing.assert_array_equal(rows, everything[2][taken])
    with pytest.raises(BrokenArrays):
        native.signals(carts, past, "complete", hidden, 2.0, draws[1:])
    with pytest.raises(BrokenArrays):
        native.signals(carts, past, "complete", hidden[1:], 2.0, draws)
    with pytest.raises(BrokenArrays):
        native.rank_carts(Ragged(carts.indptr + 1, carts.values), past, "complete")


def test_a_past_read_and_a_past_reported_are_one() -> None:
    purchases = _purchases([[(10, [1, 2]), (40, [3])]])
    now = np.array([50 * DAY])
    whole = Past.read(purchases, np.array([0]), now, now)
    before = Past.read(purchases, np.array([0]), now, np.array([40 * DAY]))
    joined = before.joined(Past.of_orders([(10.0, np.array([3], dtype=np.int32))]))
    for name in ("cart", "item", "age", "order"):
        assert getattr(joined, name).tolist() == getattr(whole, name).tolist()
    nobody = Past.read(purchases, np.array([-1]), now, now)
    assert len(nobody.item) == len(Past.unknown().item) == 0


def test_arrays_bring_a_ranking_back() -> None:
    ranking = _ranking()
    again = read(Ranking, arrays_of(ranking))
    carts, past = _carts([[0, 3], [5]]), Past.unknown()
    for mode in ("discovery", "complete"):
        first, second = (each.native().rank_carts(carts, past, mode) for each in (ranking, again))
        for mine, theirs in zip(first, second, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_customers_are_found_under_the_right_key_only() -> None:
    purchases = _purchases([[(1, [1])], [(2, [2])], [(3, [3])]])
    names = ["anne", "bjørn", "cato"]
    customers = Customers.of(names, purchases, b"k" * 32)
    again = read(Customers, arrays_of(customers))
    assert [again.row_of(name, b"k" * 32) for name in names] == [0, 1, 2]
    assert again.row_of("dagny", b"k" * 32) == -1
    assert again.row_of("anne", b"x" * 32) == -1
    assert again.known_until == 3 * DAY
    assert hash_of("anne", b"k" * 32) != hash_of("anne", b"x" * 32)


@given(st.lists(_HISTORY, min_size=1, max_size=3), st.integers(0, 100), st.data())
def test_one_customers_past_is_that_of_a_batch(
    histories: list[list[tuple[int, list[int]]]], day: int, data: st.DataObject
) -> None:
    purchases = _purchases(histories)
    customer = data.draw(st.integers(0, len(histories) - 1))
    now = np.array([day * DAY])
    expected = Past.read(purchases, np.array([customer]), now, now)
    found = Past.of_customer(purchases, customer, day * DAY)
    for name in ("cart", "item", "age", "order"):
        array, other = getattr(found, name), getattr(expected, name)
        assert array.tolist() == other.tolist()
        assert array.dtype == other.dtype
