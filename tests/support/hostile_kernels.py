"""Drives the kernels with arrays that no model should have; run under sanitizers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from msgspec import structs

from mersalg.engine.arrays import Ragged
from mersalg.engine.cross_sell.recommender import CrossSell
from mersalg.engine.native.kernels import (
    BrokenArrays,
    NativeEligibility,
    NativeFinding,
    NativeRules,
    NativeUpgrades,
    mark,
    restore,
    upgrade_signals,
)
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.ranking.ranking import MODES
from mersalg.engine.upsell.likelihood import PackedUpgrades, ladder_items
from mersalg.engine.vocabulary import Vocabulary
from mersalg.training.upsell.memory import History
from tests.support.models import tiny_model
from tests.support.random_ranking import (
    Draw,
    random_cart,
    random_given,
    random_ladders,
    random_likelihood,
    random_past,
    random_questions,
    random_ranking,
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
    return structs.replace(
        past, item=_spoil(draw, past.item, share), age=_spoil(draw, past.age, share)
    )


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
        native = spoilt.native()
    for mode in MODES:
        cart = random_cart(draw, n_items, n_items)
        with suppress(BrokenArrays):
            native.rank(_spoil(draw, cart, share / 10), _wild_past(draw, n_items), mode)
        past = _wild_past(draw, n_items)
        bounds = np.sort(np.append(draw.integers(0, len(cart) + 1, 2), [0, len(cart)]))
        carts = Ragged(_spoil(draw, bounds, share), _spoil(draw, cart, share / 10))
        many = structs.replace(past, cart=np.sort(draw.integers(0, 3, len(past.item))))
        with suppress(BrokenArrays):
            native.rank_carts(carts, many, mode)
        with suppress(BrokenArrays):
            native.signals(carts, many, mode, cart[:3], 5.0, draw.random(3 * native.most))
        spoilt_cart = _spoil(draw, cart, share / 10)
        for item in range(-3, n_items + 3):
            with suppress(BrokenArrays):
                native.pair(spoilt_cart, item)


def _upgrade(draw: Draw) -> None:
    n_items = int(draw.integers(1, 80))
    share, facts = draw.choice([0, 0, 0.05]), random_likelihood(draw, n_items).facts
    spoilt = replace(
        facts,
        ladder=_spoil(draw, facts.ladder, share),
        brand=_spoil(draw, facts.brand, share),
        category=_spoil(draw, facts.category, share),
        level=_spoil(draw, facts.level, share),
    )
    questions = random_questions(draw, n_items, 50)
    n, n_rows = len(questions.base), len(questions.sibling)
    moved = random_given(draw, n_items)
    n_moments = draw.integers(0, 4, len(moved.values))
    moments = Ragged.of_lengths(n_moments, np.sort(draw.integers(0, 99, n_moments.sum())))
    lengths = draw.integers(0, 9, n)
    items = Ragged.of_lengths(lengths, draw.integers(0, n_items, lengths.sum()).astype(np.int32))

    def some(size: int) -> np.ndarray:
        return _spoil(draw, draw.random(size).astype(np.float32), share)

    def as_of(wanted: np.ndarray) -> np.ndarray:
        rates = [some(len(wanted)) for _ in range(5)]
        return ladder_items(spoilt, wanted, some(4 * len(wanted)).reshape(-1, 4), rates)

    with suppress(BrokenArrays), np.errstate(all="ignore"):
        upgrade_signals(
            as_of(np.arange(n_items)),
            _spoil_rows(draw, moved, share / 5),
            _spoil_rows(draw, moments, share / 5),
            History(
                _spoil_rows(draw, items, share / 5),
                some(len(items.values)),
                some(n),
                some(n),
                some(n),
            ),
            replace(
                questions,
                base=_spoil(draw, questions.base, share),
                sibling=_spoil(draw, questions.sibling, share / 5),
                indptr=_spoil(draw, questions.indptr, share),
                ratio=_spoil(draw, questions.ratio, share),
            ),
            as_of(questions.base),
            as_of(questions.sibling),
            draw.integers(0, 120, n if n_rows else 0),
        )


def _better_items(draw: Draw) -> None:
    n_items = int(draw.integers(1, 80))
    likelihood = random_likelihood(draw, n_items)
    (ladders, catalogue), share = random_ladders(draw, n_items), draw.choice([0, 0, 0.03])
    facts, standing = likelihood.facts, likelihood.standing
    spoilt = replace(
        likelihood,
        facts=replace(
            facts,
            ladder=_spoil(draw, facts.ladder, share),
            brand=_spoil(draw, facts.brand, share),
            category=_spoil(draw, facts.category, share),
        ),
        standing=replace(standing, move_times=_spoil(draw, standing.move_times, share)),
    )
    packed = PackedUpgrades.of(spoilt)
    models = (spoilt, replace(packed, moved=_spoil_rows(draw, packed.moved, share / 5)))
    amounts = [
        (SimpleNamespace(blob=texts.blob, offsets=_spoil(draw, texts.offsets, share)), lower)
        for texts, lower in zip(catalogue.attributes.values(), (False, True, False), strict=False)
    ]
    native = NativeUpgrades(
        replace(
            ladders,
            family=_spoil(draw, ladders.family, share),
            tier=_spoil(draw, ladders.tier.astype(np.int32), share).astype(np.int16),
            members=_spoil_rows(draw, ladders.members, share),
        ),
        replace(catalogue, cost_minor=_spoil(draw, catalogue.cost_minor, share)),
        _spoil(draw, draw.integers(0, 50, n_items), share),
        _spoil_rows(draw, random_given(draw, n_items), share),
        (0.1, 9.0),
        *(models if draw.integers(2) else (None, None)),
        amounts,
        0.8,
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
        for filed in (cross_sell.index.single, cross_sell.index.several)
    )
    table = cross_sell.table
    rules = NativeRules(
        replace(table, antecedents=_spoil_rows(draw, table.antecedents, share)),
        single,
        several,
        _spoil_rows(draw, cross_sell.repelled, share),
        _spoil_rows(draw, cross_sell.index.contrary.consequents, share),
        0.1,
    )
    cart = random_cart(draw, cross_sell.n_items, cross_sell.n_items)
    cart, items = _spoil(draw, cart, share), np.arange(-3, cross_sell.n_items + 3, dtype=np.int32)
    with suppress(BrokenArrays):
        rules.fire(cart)
    for item in items.tolist():
        with suppress(BrokenArrays):
            rules.evidence(cart, item)
    with suppress(BrokenArrays):
        rules.near(cart, items, items[::2].copy())


def _choose(draw: Draw) -> None:
    n_items, share = int(draw.integers(1, 60)), draw.choice([0, 0, 0.05])
    codes = draw.integers(-1, 4, (3, n_items))
    native = NativeEligibility(
        _spoil(draw, codes[0].astype(np.int32), share),
        _spoil(draw, codes[1].astype(np.int32), share),
        codes[0].astype(np.int32),
        codes[2].astype(np.int64),
    )
    items = _spoil(draw, draw.permutation(n_items).astype(np.int32), share)
    marks = draw.choice([0, 0, 3], n_items).astype(np.uint8)
    families, dearest = _spoil(draw, np.arange(3, dtype=np.int32), share), draw.choice([2, np.nan])
    with suppress(BrokenArrays):
        native.reasons(items, marks, families, dearest, 1)
    with suppress(BrokenArrays):
        native.choose(
            items,
            _spoil(draw, draw.random(n_items), share),
            *(marks, families, dearest, 1),
            _spoil(draw, np.arange(2, dtype=np.int32), share).tolist(),
            int(draw.choice([0, 1, 2, 2**62])),
            bool(draw.integers(2)),
            int(draw.choice([-1, 0, 1, 2, 5, 30, 300])),
        )
    with suppress(BrokenArrays):
        native.held(items, marks[: draw.choice([n_items, n_items // 2])].copy(), 1)
    with suppress(BrokenArrays):
        mark(marks, items, 4)
    with suppress(BrokenArrays):
        restore(marks, marks[: n_items // 2].copy(), [items])


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
        finding.indices_of([*ids, "", "nobody", "å" * 40])


def main() -> None:
    for seed in range(repetitions(30, 600)):
        draw = np.random.default_rng(seed)
        for drive in (_rank, _upgrade, _better_items, _fire, _choose, _find):
            drive(draw)
    print("survived")
