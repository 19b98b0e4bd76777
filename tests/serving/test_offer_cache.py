"""A cart that comes again gets what it got, under ids of its own; all else is made anew."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from msgspec import convert, structs

from mersalg.engine.config import OffersSection
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.facts import Decision
from mersalg.engine.model import Model
from mersalg.serving import checkout
from mersalg.serving.checkout import decide
from mersalg.serving.offer_cache import CachedOffers, OfferCache
from mersalg.serving.schemas import SuggestionRequest
from tests.support.models import tiny_model

MINUTE = 60_000_000


@pytest.fixture
def slates(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The carts a slate was built for."""
    built: list[object] = []
    build = checkout.build_slate

    def counted(recommenders: object, lines: object, **call: object) -> object:
        built.append(lines)
        return build(recommenders, lines, **call)  # type: ignore[arg-type]

    monkeypatch.setattr(checkout, "build_slate", counted)
    return built


def ask(model: Model, **fields: object) -> Decision:
    body = {"checkout_id": "k", "lines": [{"item_id": "phone-64"}], **fields}
    return decide(model, convert(body, SuggestionRequest), holdout=False)


def reported(decision: Decision) -> list[object]:
    return [structs.replace(offer, offer_id="") for offer in decision.offers]


def test_the_same_cart_is_worked_out_once(slates: list[object]) -> None:
    model = tiny_model()
    first, second = ask(model), ask(model, checkout_id="another", session_id="s")
    assert len(slates) == 1
    assert reported(first) == reported(second) != []
    ids = [offer.offer_id for decision in (first, second) for offer in decision.offers]
    assert len(set(ids)) == len(ids) == 2 * len(first.offers)


@pytest.mark.parametrize(
    "fields",
    [
        {"lines": [{"item_id": "phone-64", "quantity": 2}]},
        {"lines": [{"item_id": "phone-64", "unit_price": "1.00"}]},
        {"limits": {"cross_sell": 1}},
        {"exclude_item_ids": ["case-1"]},
        {"declined_item_ids": ["case-1"]},
        {"mode": "complete"},
        {"locale": "nb"},
    ],
    ids=str,
)
def test_whatever_could_change_the_offers_asks_anew(
    slates: list[object], fields: dict[str, object]
) -> None:
    model = tiny_model()
    ask(model)
    changed = ask(model, **fields)
    assert len(slates) == 2
    assert reported(changed) == reported(ask(tiny_model(), **fields))


def test_a_rule_that_comes_into_force_asks_anew(
    slates: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = [{"item": "case-1", "from": "2026-03-02"}]
    settings = replace(
        tiny_model().settings, offers=OffersSection.model_validate({"blocks": blocks})
    )
    model = replace(tiny_model(), settings=settings)
    offered: list[set[str]] = []
    for moment in ("2026-03-01T12:00:00+01:00", "2026-03-02T12:00:00+01:00"):
        monkeypatch.setattr(checkout.clock, "now", partial(parse_instant, moment))
        offered.append({offer.item_id for offer in ask(model).offers})
    assert len(slates) == 2
    assert "case-1" in offered[0]
    assert "case-1" not in offered[1]


def test_what_a_past_showed_is_kept_for_a_minute_and_the_rest_for_long() -> None:
    made: list[int] = []

    def make() -> CachedOffers:
        made.append(1)
        return CachedOffers()

    remembered = OfferCache(most=2)
    for at in (0, MINUTE - 1, MINUTE):
        remembered.of("past", at, make, with_past=True)
    assert len(made) == 2
    for at in (0, 50 * MINUTE):
        remembered.of("cart", at, make, with_past=False)
    assert len(made) == 3
    for key in ("a", "b", "cart"):
        remembered.of(key, 0, make, with_past=False)
    assert len(made) == 6, "the oldest of more than it may hold are forgotten"
