"""The publish gate: each question answered both ways, and noise told from a fall."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mersalg.engine.config import GateSection
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.manifest import Manifest, settings_to_json
from mersalg.engine.model import Model
from mersalg.engine.orders import Baskets
from mersalg.training.gate import Verdict, judge, offered_carts
from tests.support.models import tiny_model

COUNTS = {"orders": 10_000, "items": 12}


def metrics(value: float | None, error: float | None = 0.002) -> dict[str, Any]:
    return {"hit_rate_at_10": {"mersalg": {"value": value, "standard_error": error}}}


def manifest(
    model: Model, counts: dict[str, Any] = COUNTS, tested: dict[str, Any] | None = None
) -> Manifest:
    return Manifest(
        version="20260101T000000Z-00000000",
        schema_version=1,
        created_at="2026-01-01T00:00:00+00:00",
        files={},
        configuration=settings_to_json(model.settings),
        counts=counts,
        metrics=tested if tested is not None else metrics(0.2),
    )


def ask(
    model: Model | None = None,
    *,
    counts: dict[str, Any] = COUNTS,
    tested: dict[str, Any] | None = None,
    previous: Manifest | None = None,
    **settings: float,
) -> dict[str, Verdict]:
    verdicts = judge(
        model or tiny_model(),
        counts=counts,
        metrics=tested if tested is not None else metrics(0.2),
        previous=previous,
        settings=GateSection(**settings),
    )
    return {verdict.check: verdict for verdict in verdicts}


def refused(verdicts: dict[str, Verdict]) -> list[str]:
    return [name for name, verdict in verdicts.items() if not verdict.passed]


def test_a_first_version_has_nothing_to_beat() -> None:
    verdicts = ask()
    assert refused(verdicts) == []
    assert "nothing is published" in verdicts["comparison"].reason


def test_a_version_like_the_last_passes() -> None:
    assert refused(ask(previous=manifest(tiny_model()))) == []


def test_something_must_be_left_to_offer() -> None:
    model = tiny_model()
    without_rules = replace(model, rules=RuleTable.empty(10_000))
    assert refused(ask(without_rules)) == []
    flat = replace(model.ladders, tier=np.minimum(model.ladders.tier, 0).astype(np.int16))
    assert refused(ask(replace(model, ladders=flat))) == []
    verdicts = ask(replace(without_rules, ladders=flat))
    assert refused(verdicts) == ["something_to_offer"]
    assert "0 rules and 0 ladders" in verdicts["something_to_offer"].reason


def test_another_currency_is_refused() -> None:
    verdicts = ask(tiny_model(currency="SEK"), previous=manifest(tiny_model()))
    assert refused(verdicts) == ["currency"]
    assert verdicts["currency"].reason == "SEK, published: NOK"


@pytest.mark.parametrize("name", ["orders", "items"])
def test_a_shrunken_shop_is_refused(name: str) -> None:
    half = {**COUNTS, name: COUNTS[name] // 2}
    less = {**COUNTS, name: COUNTS[name] // 2 - 1}
    before = manifest(tiny_model())
    assert refused(ask(counts=half, previous=before)) == []
    verdicts = ask(counts=less, previous=before)
    assert refused(verdicts) == [name]
    assert "50% allowed" in verdicts[name].reason
    assert refused(ask(counts=less, previous=before, max_shrink=0.9)) == []
    assert refused(ask(counts=less, previous=manifest(tiny_model(), counts={}))) == []


@pytest.mark.parametrize(
    ("value", "error", "is_refused"),
    [
        (0.25, 0.002, False),  # better
        (0.195, 0.002, False),  # 2.5% lower: less than the 5% allowed
        (0.18, 0.002, True),  # 10% lower and 7 standard errors
        (0.18, 0.02, False),  # 10% lower, but that is within chance
        (None, None, False),  # not tested
    ],
)
def test_only_a_sure_fall_in_hit_rate_is_refused(
    value: float | None, error: float | None, is_refused: bool
) -> None:
    verdicts = ask(tested=metrics(value, error), previous=manifest(tiny_model()))
    assert refused(verdicts) == (["hit_rate"] if is_refused else [])


def test_a_published_version_without_a_back_test_is_no_yardstick() -> None:
    assert refused(ask(previous=manifest(tiny_model(), tested={}))) == []
    before = manifest(tiny_model(), tested=metrics(None, None))
    assert refused(ask(previous=before)) == []


def test_every_problem_is_reported_at_once() -> None:
    verdicts = ask(
        tiny_model(currency="SEK"),
        counts={"orders": 1, "items": 1},
        tested=metrics(0.05),
        previous=manifest(tiny_model()),
    )
    assert refused(verdicts) == ["currency", "orders", "items", "hit_rate"]
    assert all(verdict.reason for verdict in verdicts.values())


@pytest.mark.parametrize(
    ("offered", "before", "max_shrink", "is_refused"),
    [
        (100, None, 0.5, False),
        (0, None, 0.5, True),
        (0, 0, 1.0, True),
        (60, 100, 0.5, False),
        (40, 100, 0.5, True),
        (40, 100, 0.7, False),
    ],
)
def test_offers_for_nobody_or_far_fewer_carts_are_refused(
    offered: int, before: int | None, max_shrink: float, is_refused: bool
) -> None:
    def tried(count: int | None) -> dict[str, int]:
        return {} if count is None else {"carts_sampled": 100, "carts_offered": count}

    verdicts = ask(
        counts={**COUNTS, **tried(offered)},
        previous=manifest(tiny_model(), {**COUNTS, **tried(before)}),
        max_shrink=max_shrink,
    )
    assert refused(verdicts) == (["carts"] if is_refused else [])
    assert f"offers for {offered}% of 100 carts" in verdicts["carts"].reason


def test_carts_are_tried_as_the_service_would() -> None:
    model = tiny_model()
    orders = np.repeat(np.arange(40), 2)
    items = np.tile([0, 1], 40).astype(np.int32)
    baskets = Baskets.from_pairs(orders, items, 40, len(model.catalogue))
    carts = offered_carts(model, baskets)
    assert carts["carts_sampled"] == 40
    assert carts["carts_offered"] == 40
    sold_out = replace(model.catalogue, offerable=np.zeros(len(model.catalogue), dtype=np.bool_))
    assert offered_carts(replace(model, catalogue=sold_out), baskets)["carts_offered"] == 0
