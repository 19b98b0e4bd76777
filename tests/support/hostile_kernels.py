"""Drives the kernels with arrays that no model should have; run under sanitizers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np

from engine.arrays import Ragged
from engine.cross_sell.recommender import CrossSell
from engine.native.kernels import (
    BrokenArrays,
    NativeComplements,
    NativeFinding,
    NativeRanking,
    NativeRules,
    NativeSiblings,
    NativeUpgrades,
)
from engine.native.packing import PackedUpgrades, packed_items
from engine.ranking.purchases import Past
from engine.ranking.ranking import MODES
from engine.vocabulary import Vocabulary
from tests.support.models import tiny_model
from tests.support.random_ranking import (
    Draw,
    random_cart,
    random_likelihood,
    random_past,
    random_questions,
    random_ranking,
    random_upsell,
)
from tests.support.repetitions import repetitions

_WILD = (-(2**31), -2, -1, 0, 2, 2**31 - 1)


def _spoil(draw: Draw, array: np.ndarray, share: float) -> np.ndarray:
    """A copy in which some numbers are wild ones."""
    spoilt = array.copy()
    places = np.flatnonzero(draw.random(len(spoilt)) < share)
    if spoilt.dtype.kind == "f":
        spoilt[places] = draw.choice([np.nan, np.inf, -np.inf, -1e38, 0], len(places))
    else:
        spoilt[places] = draw.choice(_WILD, len(places))
    return spoilt


def _spoil_rows(draw: Draw, rows: Ragged, share: float) -> Ragged:
    return Ragged(_spoil(draw, rows.indptr, share), _spoil(draw, rows.values, share))


def _wild_past(draw: Draw, n_items: int) -> Past:
    past = random_past(draw, n_items, 60)
    share = draw.choice([0, 0.01])
    return replace(past, item=_spoil(draw, past.item, share), age=_spoil(draw, past.age, share))


def _rank(draw: Draw) -> None:
    n_items, n_groups = int(draw.integers(1, 400)), int(draw.integers(1, 40))
    ranking = random_ranking(draw, n_items, n_groups)
    share = draw.choice([0, 0, 0.002, 0.1])
    near, signals = ranking.neighbours, ranking.signals
    spoilt = replace(
        ranking,
        neighbours=replace(
            near,
            items=_spoil_rows(draw, near.items, share / 10),
            weight=_spoil(draw, near.weight, share),
            n_joint=_spoil(draw, near.n_joint, share),
        ),
        groups=replace(ranking.groups, items=_spoil_rows(draw, ranking.groups.items, share / 10)),
        signals=replace(
            signals,
            group=_spoil(draw, signals.group, share / 10),
            popular=_spoil(draw, signals.popular, share / 10),
            leaders=_spoil_rows(draw, signals.leaders, share / 10),
            n_orders=_spoil(draw, signals.n_orders, share),
        ),
    )
    with np.errstate(all="ignore"):
        native = NativeRanking(spoilt, packed_items(spoilt.signals))
    for mode in MODES:
        cart = random_cart(draw, n_items, n_items)
        with suppress(BrokenArrays):
            native.rank(_spoil(draw, cart, share / 10), _wild_past(draw, n_items), mode)
        with suppress(BrokenArrays):
            native.pairs(np.arange(-3, n_items + 3, dtype=np.int32), _spoil(draw, cart, share / 10))


def _upgrade(draw: Draw) -> None:
    n_items = int(draw.integers(1, 80))
    likelihood = random_likelihood(draw, n_items)
    share = draw.choice([0, 0, 0.05])
    facts, standing = likelihood.facts, likelihood.standing
    spoilt = replace(
        likelihood,
        facts=replace(
            facts,
            ladder=_spoil(draw, facts.ladder, share),
            brand=_spoil(draw, facts.brand, share),
            category=_spoil(draw, facts.category, share),
            level=_spoil(draw, facts.level, share),
        ),
        standing=replace(standing, move_times=_spoil(draw, standing.move_times, share)),
    )
    questions = random_questions(draw, n_items, 50)
    questions = replace(
        questions,
        base=_spoil(draw, questions.base, share),
        sibling=_spoil(draw, questions.sibling, share / 5),
        indptr=_spoil(draw, questions.indptr, share),
        ratio=_spoil(draw, questions.ratio, share),
    )
    with suppress(BrokenArrays), np.errstate(all="ignore"):
        NativeUpgrades(spoilt, PackedUpgrades.of(spoilt)).of_cart(
            _wild_past(draw, n_items), questions
        )


def _siblings(draw: Draw) -> None:
    n_items = int(draw.integers(1, 80))
    likelihood = random_likelihood(draw, n_items)
    upsell = random_upsell(draw, n_items, likelihood)
    ladders, catalogue, share = upsell.ladders, upsell.catalogue, draw.choice([0, 0, 0.03])
    native = NativeSiblings(
        replace(
            ladders,
            family=_spoil(draw, ladders.family, share),
            tier=_spoil(draw, ladders.tier.astype(np.int32), share).astype(np.int16),
            members=_spoil_rows(draw, ladders.members, share),
        ),
        replace(catalogue, cost_minor=_spoil(draw, catalogue.cost_minor, share)),
        _spoil(draw, upsell.n_orders_of_item, share),
        (0.1, 9.0),
        draw.choice([None, NativeUpgrades(likelihood, PackedUpgrades.of(likelihood))]),
    )
    bases = [
        (int(item), int(draw.choice([0, 90, 160])), 1.0)
        for item in _spoil(draw, random_cart(draw, n_items, 9), share)
    ]
    with suppress(BrokenArrays):
        native.find(_wild_past(draw, n_items), bases, np.zeros(n_items, dtype=np.uint8), 256)


def _fire(draw: Draw) -> None:
    cross_sell = CrossSell.prepare(tiny_model())
    share = draw.choice([0, 0.05])
    single, several = (
        replace(
            filed,
            consequents=_spoil_rows(draw, filed.consequents, share),
            rest=_spoil(draw, filed.rest.ravel(), share).reshape(filed.rest.shape),
        )
        for filed in (cross_sell.single, cross_sell.several)
    )
    rules = NativeRules(single, several, 0.1)
    cart = random_cart(draw, cross_sell.n_items, cross_sell.n_items)
    cart, items = _spoil(draw, cart, share), np.arange(-3, cross_sell.n_items + 3, dtype=np.int32)
    with suppress(BrokenArrays):
        rules.fire(cart)
    with suppress(BrokenArrays):
        rules.strongest(cart, items)


def _complement(draw: Draw) -> None:
    cross_sell, n_items = CrossSell.prepare(tiny_model()), len(tiny_model().catalogue)
    share = draw.choice([0, 0, 0.05])
    rules = cross_sell.native
    drawn = random_ranking(draw, n_items, 4)
    ranking = NativeRanking(drawn, packed_items(drawn.signals))
    wild = draw.integers(-1, 9, 30).astype(np.int32)
    codes = draw.integers(-1, 4, (3, n_items))
    native = NativeComplements(
        rules,
        draw.choice([None, ranking]),
        Ragged(_spoil(draw, cross_sell.repelled.indptr, share), wild),
        _spoil_rows(draw, cross_sell.contrary.consequents, share),
        _spoil(draw, codes[0].astype(np.int32), share),
        _spoil(draw, codes[1].astype(np.int32), share),
        codes[2].astype(np.int64),
    )
    wanted = (
        draw.choice([0, 0, 3], n_items).astype(np.uint8),
        _spoil(draw, codes[1].astype(np.int32), share),
        float(draw.choice([-1.0, 2.0, np.nan])),
        int(draw.choice([0, 1, 2, 2**62])),
        bool(draw.integers(2)),
        int(draw.choice([-1, 0, 1, 2, 5, 30, 300])),
    )
    with suppress(BrokenArrays):
        cart = _spoil(draw, random_cart(draw, n_items, n_items), share)
        native.choose(cart, _wild_past(draw, n_items), draw.choice(MODES), *wanted)


def _find(draw: Draw) -> None:
    ids = [f"sku-{n}" for n in range(int(draw.integers(0, 40)))]
    known, share = Vocabulary.from_ids(ids), draw.choice([0, 0.05])
    finding = NativeFinding(
        known.ids.blob[: draw.choice([len(known.ids.blob), 7])],
        _spoil(draw, known.ids.offsets, share)[: draw.choice([len(known.ids.offsets), 3])],
        known.sums,
        _spoil(draw, known.places, share),
    )
    with suppress(BrokenArrays):
        finding.find([*ids, "", "nobody", "å" * 40])


def main() -> None:
    for seed in range(repetitions(30, 600)):
        draw = np.random.default_rng(seed)
        for drive in (_rank, _upgrade, _siblings, _fire, _complement, _find):
            drive(draw)
    print("survived")
