"""The compiled kernels give the answers of NumPy, and refuse what is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.arrays import Ragged
from mersalg.engine.cross_sell.recommender import CrossSell, RuleCounts
from mersalg.engine.merchandising.reasons import Reason
from mersalg.engine.model import Model
from mersalg.engine.native import build
from mersalg.engine.native.kernels import (
    BrokenArrays,
    NativeEligibility,
    NativeRanking,
    NativeUpgrades,
    bought_before,
    highest,
    mark,
    restore,
)
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.ranking.ranking import MODES, Ranking, Scorer
from mersalg.engine.upsell.likelihood import PackedUpgrades
from tests.support.numpy_cross_sell import best_pair, fire, strongest
from tests.support.numpy_ranking import rank
from tests.support.numpy_upsell import Found, better_items
from tests.support.random_models import models
from tests.support.random_ranking import (
    random_bases,
    random_cart,
    random_given,
    random_ladders,
    random_likelihood,
    random_past,
    random_ranking,
)
from tests.support.waiting import WAIT_SECONDS

ROOT = Path(__file__).parents[2]
_SEEDS = st.integers(0, 2**32)
_SANITIZED = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("mersalg.engine.native.kernels", sys.argv[1])
import mersalg.engine.native
sys.modules[spec.name] = mersalg.engine.native.kernels = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mersalg.engine.native.kernels)
from tests.support.hostile_kernels import main
main()
"""


def _assert_same_counts(counts: tuple[object, ...] | None, expected: RuleCounts | None) -> None:
    assert (counts is None) == (expected is None)
    if counts is not None and expected is not None:
        assert counts[:3] == expected[:3]
        assert counts[3:] == pytest.approx(expected[3:], rel=1e-12)


def _native(ranking: Ranking) -> NativeRanking:
    return ranking.native()


@given(seed=_SEEDS)
def test_ranking_is_that_of_numpy(seed: int) -> None:
    draw = np.random.default_rng(seed)
    n_items = int(draw.integers(1, 700))
    ranking = random_ranking(draw, n_items, int(draw.integers(1, 40)))
    native = _native(ranking)
    for mode in MODES:
        cart, past = random_cart(draw, n_items, 30), random_past(draw, n_items, 40)
        expected_items, expected = rank(ranking, cart, past, mode)
        items, scores = native.rank(cart, past, mode)
        assert items.tolist() == expected_items.tolist()
        np.testing.assert_allclose(scores, expected, rtol=2e-4, atol=2e-6)


@given(data=st.data(), model=models())
def test_rules_are_fired_as_by_numpy(data: st.DataObject, model: Model) -> None:
    cross_sell = CrossSell.prepare(model)
    drawn = data.draw(st.sets(st.integers(0, cross_sell.n_items - 1)))
    cart = np.array(sorted(drawn), dtype=np.int32)
    items, scores = fire(cross_sell, cart).combined()
    found = cross_sell.native.fire(cart)
    assert found[0].tolist() == items.tolist()
    np.testing.assert_allclose(-np.expm1(-found[1]), scores, rtol=1e-12)
    everything = np.arange(cross_sell.n_items, dtype=np.int32)
    spared = np.array(data.draw(st.lists(st.sampled_from(everything.tolist()))), dtype=np.int32)
    kept = cross_sell.native.near(cart, everything, spared)
    away = set(everything.tolist()) if kept is None else {*np.flatnonzero(kept).tolist()}
    away = {*everything.tolist()} - away
    repelled = {*cross_sell.repelled_by(cart).tolist()} - {*spared.tolist()}
    for item in everything.tolist():
        counts, expected = cross_sell.native.evidence(cart, item), strongest(cross_sell, cart, item)
        assert (item in away) == (item in repelled and expected is None)
        _assert_same_counts(counts, expected)
    assert (kept is None) == (not away)


@given(seed=_SEEDS)
def test_better_items_are_those_of_numpy(seed: int) -> None:
    draw = np.random.default_rng(seed)
    n_items = int(draw.integers(1, 60))
    likelihood = packed = None
    if draw.random() < 0.7:
        slope, intercept = draw.choice([(1.0, 0.0), (0.9, -0.5)])
        likelihood = replace(
            random_likelihood(draw, n_items), offer_slope=slope, offer_intercept=intercept
        )
        packed = PackedUpgrades.of(likelihood)
    ladders, catalogue = random_ladders(draw, n_items)
    n_orders, named = draw.integers(0, 50, n_items), random_given(draw, n_items)
    bases = random_bases(draw, n_items, catalogue.price_minor)
    marks = draw.choice([0, 0, 3], n_items).astype(np.uint8)
    past, ratios = random_past(draw, n_items, 30), (1.05, 2.5)
    amounts = [(texts, name == "weight_g") for name, texts in catalogue.attributes.items()][:3]
    compared = amounts, 0.8
    expected = better_items(
        *(ladders, catalogue, n_orders, named, ratios, likelihood, past, bases, marks), *compared
    )
    asked = [(base.item, base.unit_price_minor or 0, float(base.quantity)) for base in bases]
    models = likelihood, packed
    native = NativeUpgrades(ladders, catalogue, n_orders, named, ratios, *models, *compared)
    rows = list(native.find(past, asked, marks, 10_000))
    found = {(base, item): Found(*rest) for item, base, *rest in rows}
    assert found.keys() == expected.keys()
    assert len(found) == len(rows)
    for key, other in expected.items():
        each = found[key]
        assert (each.difference, each.worth) == (other.difference, other.worth)
        assert (each.score, each.bound) == pytest.approx(
            (other.score, other.bound), rel=5e-4, abs=2e-6
        )
    bounds = [row[-1] for row in rows]
    assert bounds == sorted(bounds, reverse=True)
    assert list(native.find(past, asked, marks, 3)) == rows[:3]


def test_pairs_are_those_of_numpy() -> None:
    for seed in range(200):
        draw = np.random.default_rng(seed)
        ranking, cart = random_ranking(draw, 9, 3), random_cart(draw, 9, 4)
        for item in range(9):
            _assert_same_counts(_native(ranking).pair(cart, item), best_pair(ranking, cart, item))
        assert _native(ranking).pair(cart, 9) is None


def test_threads_do_not_disturb_each_other() -> None:
    draw = np.random.default_rng(1)
    ranking = random_ranking(draw, 400, 20)
    native = _native(ranking)
    calls = [(random_cart(draw, 400, 40), random_past(draw, 400, 30)) for _ in range(60)]
    alone = [native.rank(cart, past, "complete")[1].tolist() for cart, past in calls]
    with ThreadPoolExecutor(4) as threads:
        together = threads.map(lambda call: native.rank(*call, "complete")[1].tolist(), calls * 5)
        assert list(together) == alone * 5


def test_broken_arrays_are_refused() -> None:
    draw = np.random.default_rng(2)
    ranking = random_ranking(draw, 50, 5)
    native, nobody = _native(ranking), Past.unknown()
    for items in ([-1], [50], [3, 3], [4, 2], [2**31 - 1]):
        with pytest.raises(BrokenArrays):
            native.rank(np.array(items, dtype=np.int32), nobody, "complete")
    stranger = Past.of_orders([(1.0, np.array([50], dtype=np.int32))])
    with pytest.raises(BrokenArrays):
        native.rank(np.zeros(0, dtype=np.int32), stranger, "complete")
    near = ranking.neighbours.items
    far = replace(ranking.neighbours, items=Ragged(near.indptr, near.values + 50))
    with pytest.raises(BrokenArrays):
        _native(replace(ranking, neighbours=far)).rank(
            np.arange(50, dtype=np.int32), nobody, "complete"
        )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda scorer: replace(scorer, mean=scorer.mean[1:]),
        lambda scorer: replace(scorer, scale=scorer.scale[1:]),
        lambda scorer: replace(scorer, weights=scorer.weights * 9, biases=scorer.biases * 9),
        lambda scorer: replace(scorer, weights=(), biases=()),
    ],
)
def test_a_network_of_another_shape_is_refused(spoil: Callable[[Scorer], Scorer]) -> None:
    ranking = random_ranking(np.random.default_rng(3), 5, 2)
    scorers = dict(ranking.scorers)
    scorers["complete"] = spoil(scorers["complete"])
    with pytest.raises(BrokenArrays, match="network"):
        _native(replace(ranking, scorers=scorers))


@pytest.mark.thorough
def test_hostile_arrays_read_nothing_outside(tmp_path: Path) -> None:
    """The kernels under the compiler's sanitizers, in a process of their own."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler (cc)")
    library = tmp_path / "kernels.so"
    flags = ("-std=c11", "-O1", "-g", "-fPIC", "-shared", "-fno-sanitize-recover=all")
    build.compile_library(library, (*flags, "-fsanitize=address,undefined"))
    runtime = subprocess.run(
        ["cc", "-print-file-name=libasan.so"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(runtime).is_file():
        pytest.skip("the sanitizer's library is not a file that can be loaded first")
    done = subprocess.run(
        [sys.executable, "-c", _SANITIZED, str(library)],
        cwd=ROOT,
        env={
            **os.environ,
            "LD_PRELOAD": runtime,
            # Python keeps memory until it ends, and hands out memory the checks do not see.
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0",
            "PYTHONMALLOC": "malloc",
            "OPENBLAS_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * WAIT_SECONDS,  # the checks of every access make it slow
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "survived" in done.stdout


_SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1), max_size=60)


@given(scores=_SCORES, limit=st.integers(0, 70))
def test_the_highest_are_those_of_numpy(scores: list[float], limit: int) -> None:
    found = highest(np.array(scores, dtype=np.float64), limit)
    assert found.tolist() == np.argsort(-np.array(scores), kind="stable")[:limit].tolist()


@given(seed=_SEEDS, scores=_SCORES)
def test_reasons_and_choice_are_those_of_plain_loops(seed: int, scores: list[float]) -> None:
    draw = np.random.default_rng(seed)
    items = (5 + draw.permutation(75))[: len(scores)].astype(np.int32)
    category, family, kind = (draw.integers(-1, 5, 80).astype(np.int32) for _ in range(3))
    family[draw.random(80) < 0.7], kind[draw.random(80) < 0.7] = -1, -1
    price, marks = draw.integers(-1, 9, 80), draw.choice([0, 0, 3, 13, 15], 80).astype(np.uint8)
    families, dearest = np.sort(draw.integers(-1, 5, 2)).astype(np.int32), draw.choice([5, np.inf])
    native, sensitive = NativeEligibility(category, family, kind, price), int(draw.integers(-1, 2))
    beside = marks, families, dearest, sensitive
    expected = [
        min(
            [
                *([mark] if (mark := int(marks[item])) else []),
                *([int(Reason.TOO_DEAR)] if price[item] > dearest else []),
                *([int(Reason.SENSITIVE)] if kind[item] not in (-1, sensitive) else []),
                *([int(Reason.SUBSTITUTE)] if family[item] in set(families) - {-1} else []),
            ],
            default=0,
        )
        for item in items.tolist()
    ]
    assert native.reasons(items, *beside).tolist() == expected
    taken, most, limit = [3, 4], int(draw.integers(1, 4)), int(draw.integers(0, 9))
    free = [place for place, reason in enumerate(expected) if reason == 0]
    free.sort(key=lambda place: (-scores[place], place))
    for gives_way in (False, True):
        slate, crowded = list(taken), []
        for capped, source in ((True, free), (False, crowded if gives_way else [])):
            for place in source:
                item = int(items[place])
                if family[item] in {family[other] for other in slate} - {-1} or item in slate:
                    continue
                held = sum(category[other] == category[item] for other in slate)
                if capped and category[item] >= 0 and held >= most:
                    crowded.append(place)
                elif len(slate) < limit + 2:
                    slate.append(item)
        given_scores = np.array(scores, dtype=np.float64)
        found = native.choose(items, given_scores, *beside, taken, most, gives_way, limit)
        assert [item for item, _ in found] == slate[2:]
        assert all(scores[items.tolist().index(item)] == score for item, score in found)


@given(st.lists(st.integers(0, 9), max_size=6, unique=True), st.integers(0, 2**32))
def test_a_cart_marks_what_it_holds_and_is_forgotten(held: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    family, kind = draw.integers(-1, 4, (2, 10)).astype(np.int32)
    alone, cart = draw.choice([0, 4, 9], 10).astype(np.uint8), np.array(held, dtype=np.int32)
    native = NativeEligibility(family, family, kind, np.zeros(10, dtype=np.int64))
    marks, others = alone.copy(), draw.integers(0, 10, 5).astype(np.int32)
    families, sensitive = native.held(cart, marks, 1)
    assert families.tolist() == sorted(each for each in family[held].tolist() if each >= 0)
    kinds = set(kind[held].tolist())
    assert sensitive == (kinds.pop() if len(kinds) == 1 else -1)
    expected = alone.copy()
    expected[held] = 1
    assert marks.tolist() == expected.tolist()
    mark(marks, others, 6)
    expected[others] = [6 if not known else min(known, 6) for known in expected[others].tolist()]
    assert marks.tolist() == expected.tolist()
    restore(marks, alone, [cart, others])
    assert marks.tolist() == alone.tolist()


@pytest.mark.parametrize("item", [-1, 4, 2**31 - 1])
def test_an_item_that_is_not_there_is_marked_nowhere(item: int) -> None:
    marks, items = np.zeros(4, dtype=np.uint8), np.array([item], dtype=np.int32)
    codes = np.zeros(4, dtype=np.int32)
    native = NativeEligibility(codes, codes, codes, codes.astype(np.int64))
    for call in (
        lambda: native.held(items, marks, 1),
        lambda: mark(marks, items, 1),
        lambda: restore(marks, marks.copy(), [items]),
    ):
        with pytest.raises(BrokenArrays):
            call()
    assert not marks.any()


@pytest.mark.parametrize(
    ("customers", "orders", "customer"),
    [
        ([0, 2], [0, 1, 3], -1),
        ([0, 2], [0, 1, 3], 1),
        ([0, 3], [0, 1, 3], 0),
        ([2, 0], [0, 1, 3], 0),
        ([-1, 2], [0, 1, 3], 0),
        ([0, 2], [0, 1], 0),
        ([0, 2], [0, 3, 1], 0),
        ([0, 2], [0, 1, 4], 0),
        ([0, 2], [-1, 1, 3], 0),
    ],
)
def test_orders_that_are_not_there_are_read_nowhere(
    customers: list[int], orders: list[int], customer: int
) -> None:
    starts, ordered_at = np.array(customers), np.array([5, 6])
    with pytest.raises(BrokenArrays):
        bought_before(starts, ordered_at, np.array(orders), 3, customer, 9, 9, 250, 1.0)
