"""Time of one decision on a large model: 1 million rules, 100,000 items, carts of 1 to 200 lines.

    python -m tests.benchmarks.slate

Prints medians and tails in microseconds of processor time: of the slate, of its parts, and of the
whole engine's part (decision with ids and texts, and its JSON); by rules alone, with shop rules,
and as training leaves a shop (a ranker, models of upgrades, customers' orders).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import orjson
from msgspec import convert

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.config import ExperimentSection, OffersSection, ShopSection, TrackingSection
from mersalg.engine.cross_sell.recommender import Candidates
from mersalg.engine.cross_sell.rules import Affinity, RuleTable
from mersalg.engine.facts import CartLine
from mersalg.engine.model import Model, Settings
from mersalg.engine.slate import Slate, build_slate
from mersalg.engine.upsell.tiers import Ladders
from mersalg.engine.vocabulary import StringTable, Vocabulary
from mersalg.serving.answers import answer_json, display_of
from mersalg.serving.checkout import decide, past_of, prepared_for, row_of
from mersalg.serving.request_body import decode
from mersalg.serving.schemas import SuggestionRequest
from tests.benchmarks.trained_parts import UNTIL, trained
from tests.support.numpy_cross_sell import fire

N_ITEMS, N_RULES, N_FAMILIES, N_ORDERS = 100_000, 1_000_000, 5_000, 2_000_000
CARTS = ((1, 1_000), (10, 1_000), (200, 100))
"""Lines of a cart, and how many of such carts are measured."""
_AGAIN = 100
"""Carts that are asked for again and again."""


def large_model(seed: int = 1) -> Model:
    """Antecedents and consequents drawn by popularity (Zipf), as mined rules are."""
    draw = np.random.default_rng(seed)
    weights = 1 / (np.arange(N_ITEMS) + 20.0)
    weights /= weights.sum()
    orders_of = np.maximum((weights * N_ORDERS * 8).astype(np.int64), 200)
    pairs = draw.choice(N_ITEMS, size=(int(N_RULES * 1.8), 2), p=weights)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    pairs = pairs[draw.permutation(len(pairs))[:N_RULES]]
    antecedent, consequent = pairs[:, 0].astype(np.int32), pairs[:, 1].astype(np.int32)
    chance = orders_of[antecedent] * orders_of[consequent] / N_ORDERS
    n_joint = np.minimum(
        np.ceil(chance * (1.5 + draw.exponential(2, len(pairs))) + 30).astype(np.int64),
        np.minimum(orders_of[antecedent], orders_of[consequent]) // 2,
    )
    table = RuleTable(
        Ragged.of_lengths(np.ones(len(pairs), dtype=np.int64), antecedent),
        consequent,
        n_joint,
        orders_of[antecedent],
        orders_of[consequent],
        N_ORDERS,
    ).sorted()
    family = draw.integers(0, N_FAMILIES, N_ITEMS).astype(np.int32)
    price = np.round(np.exp(draw.normal(9.5, 0.6, N_ITEMS))).astype(np.int64)
    members = np.lexsort((price, family)).astype(np.int32)
    rows = Ragged.of_lengths(np.bincount(family, minlength=N_FAMILIES), members)
    rank = np.arange(N_ITEMS) - rows.indptr[family[members]]
    sizes = rows.lengths[family[members]]
    tier = np.zeros(N_ITEMS, dtype=np.int16)
    tier[members] = rank * 3 // sizes
    catalogue = Catalogue(
        items=Vocabulary.from_ids([f"sku-{item}" for item in range(N_ITEMS)]),
        names=StringTable.from_texts([f"Item number {item}" for item in range(N_ITEMS)]),
        price_minor=price,
        cost_minor=np.full(N_ITEMS, UNKNOWN, dtype=np.int64),
        category=family,
        category_names=StringTable.from_texts([f"c{code}" for code in range(N_FAMILIES)]),
        family=family,
        family_names=StringTable.from_texts([f"f{code}" for code in range(N_FAMILIES)]),
        offerable=draw.random(N_ITEMS) < 0.95,
        attributes={
            name: StringTable.from_texts([str(value) for value in draw.integers(1, 99, N_ITEMS)])
            for name in ("storage_gb", "camera_mp", "battery_hours")
        },
        compatible=Ragged.empty(N_ITEMS, np.int32),
        currency="NOK",
    )
    return Model(
        version="large",
        settings=Settings(
            ShopSection(name="Large", currency="NOK"),
            OffersSection(),
            ExperimentSection(),
            TrackingSection(),
        ),
        catalogue=catalogue,
        rules=table,
        affinity=Affinity(
            n_orders_of_item=orders_of,
            n_added_of_item=orders_of // 2,
            n_orders=N_ORDERS,
            repelled=Ragged.empty(N_ITEMS, np.int32),
            family_excludes=np.ones(N_FAMILIES, dtype=np.bool_),
        ),
        ladders=Ladders(family, tier, rows),
    )


def ruled(model: Model) -> Settings:
    """Every cap, and 100 pins and blocks of all kinds, half of them dated."""
    draw = np.random.default_rng(3)
    ids = [model.catalogue.items[item] for item in draw.integers(0, N_ITEMS, 200).tolist()]
    popular = [model.catalogue.items[item] for item in range(50)]
    dates = [{}, {"from": "2020-01-01"}, {"until": "2020-01-01"}, {"until": "2100-01-01"}]
    pins = [
        {"item": item, "when_cart_has": [held], "position": 1 + n % 3, **dates[n % 4]}
        for n, (item, held) in enumerate(zip(ids[:50], popular, strict=True))
    ]
    blocks = [{"item": item, **dates[n % 4]} for n, item in enumerate(ids[50:65])]
    blocks += [{"category": f"c{n}", **dates[n % 4]} for n in range(10)]
    blocks += [
        {"antecedent": [held], "consequent": item, **dates[n % 4]}
        for n, (item, held) in enumerate(zip(ids[65:90], popular[:25], strict=True))
    ]
    offers = OffersSection.model_validate(
        {
            "pins": pins,
            "blocks": blocks,
            "max_per_category": 2,
            "min_margin": 0.1,
            "max_price_to_cart_ratio": 0.8,
        }
    )
    return replace(model.settings, offers=offers)


def carts_of(model: Model, n_lines: int, n_carts: int, seed: int = 2) -> list[list[str]]:
    """Half of the lines popular items, half any item."""
    draw = np.random.default_rng(seed)
    weights = model.affinity.n_orders_of_item / model.affinity.n_orders_of_item.sum()
    n_popular = n_lines - n_lines // 2
    popular = draw.choice(N_ITEMS, size=(n_carts, n_popular), p=weights)
    other = draw.integers(0, N_ITEMS, (n_carts, n_lines // 2))
    return [
        [model.catalogue.items[item] for item in row]
        for row in np.concatenate([popular, other], axis=1).tolist()
    ]


def measure(name: str, n_carts: int, action: Callable[[int], object]) -> None:
    """Time of this thread's own work: others on the machine do not count."""
    times = []
    for number in range(n_carts):
        start = time.thread_time_ns()
        action(number)
        times.append((time.thread_time_ns() - start) / 1000)
    low, median, high = np.percentile(times, [10, 50, 99])
    print(f"  {name:34} p10 {low:7.0f} us   median {median:7.0f} us   p99 {high:7.0f} us")


def measure_parts(model: Model, n_lines: int, n_carts: int) -> None:
    recommenders = prepared_for(model).recommenders
    carts = carts_of(model, n_lines, n_carts)
    lines = [[CartLine(item_id, 1) for item_id in cart] for cart in carts]
    bodies = [
        {
            "checkout_id": f"ch_{number}",
            "session_id": f"s_{number}",
            "customer_id": f"c{number}",
            "lines": [{"item_id": item_id, "quantity": 1} for item_id in cart],
        }
        for number, cart in enumerate(carts)
    ]
    requests = [convert(body, SuggestionRequest) for body in bodies]
    raw = [orjson.dumps(body) for body in bodies]
    rows = [np.unique([int(item_id.removeprefix("sku-")) for item_id in cart]) for cart in carts]
    rows = [row.astype(np.int32) for row in rows]
    fired = [len(fire(recommenders.cross_sell, row).rule) for row in rows]
    known = [row_of(model, f"c{number}") for number in range(n_carts)]
    pasts = [past_of(model, row, (), UNTIL) for row in known]
    n_past = np.median([len(past.item) for past in pasts])
    print(
        f" {n_lines} lines; rules fired: median {np.median(fired):.0f}, "
        f"99% {np.percentile(fired, 99):.0f}; purchases before: median {n_past:.0f}"
    )

    def slate(n: int, *, cross_sell: int = 3, upsell: int = 1) -> Slate:
        return build_slate(
            recommenders,
            lines[n],
            cross_sell=cross_sell,
            upsell=upsell,
            at=UNTIL,
            past=pasts[n],
        )

    measure("request parsed", n_carts, lambda n: decode(raw[n], SuggestionRequest))
    parts = recommenders.cross_sell, recommenders.native
    measure("candidates", n_carts, lambda n: Candidates.of(*parts, rows[n], pasts[n], "discovery"))
    measure("slate: nothing asked", n_carts, lambda n: slate(n, cross_sell=0, upsell=0))
    measure("slate: cross-sell alone", n_carts, lambda n: slate(n, upsell=0))
    measure("slate: upsell alone", n_carts, lambda n: slate(n, cross_sell=0))
    measure("slate: both", n_carts, slate)
    if model.customers is not None:
        measure("customer's past read", n_carts, lambda n: past_of(model, known[n], (), UNTIL))
    # Only the first time: after it the offers of short carts are remembered.
    measure("decision with ids and texts", n_carts, lambda n: decide(model, requests[n]))
    decisions = [decide(model, request, holdout=False) for request in requests]
    # More carts than are remembered would each be forgotten before they come again.
    again = requests[-_AGAIN:]
    measure("decision remembered", n_carts, lambda n: decide(model, again[n % len(again)]))
    measure("shown", n_carts, lambda n: display_of(model, requests[n], decisions[n]))
    shown = [display_of(model, *each) for each in zip(requests, decisions, strict=True)]
    measure("answer as JSON", n_carts, lambda n: answer_json(decisions[n], "off", shown[n]))


def main() -> None:
    model = large_model()
    shop_rules = replace(model, settings=ruled(model))
    for title, kind in (
        ("by rules", model),
        ("by rules, with 100 shop rules", shop_rules),
        ("by a ranker, with upgrade models and customers' orders", trained(model)),
    ):
        start = time.perf_counter()
        prepared_for(kind)
        print(
            f"{title}: {len(model.rules):,} rules, {len(model.catalogue):,} items, "
            f"prepared in {time.perf_counter() - start:.2f} s"
        )
        for n_lines, n_carts in CARTS:
            measure_parts(kind, n_lines, n_carts)


if __name__ == "__main__":
    main()
