"""What is stated of items between trainings: merged by field, put on a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.errors import FactRejected
from mersalg.engine.facts import CartLine
from mersalg.engine.live_catalogue import LiveCatalogue, with_catalogue
from mersalg.engine.live_items import LiveItem, Stated, decode_item
from mersalg.engine.model import Model
from mersalg.engine.slate import Recommenders, build_slate, reach_of
from mersalg.serving.checkout import past_of
from tests.support.models import tiny_model
from tests.support.random_ranking import random_likelihood, random_ranking

NOW = 1_700_000_000_000_000
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "price": st.sampled_from(["1.00", "2.00"]),
        "in_stock": st.booleans(),
        "active": st.booleans(),
        "name": st.sampled_from(["A", "B"]),
        "family": st.sampled_from(["case", "glass", "new"]),
    },
)
STATED = st.lists(
    st.builds(Stated, st.sampled_from(["case-1", "glass-1", "new-1", "new-2"]), VALUES, st.just(0)),
    min_size=1,
    max_size=8,
).map(lambda found: [Stated(s.item_id, s.fields, at) for at, s in enumerate(found, start=1)])


def merged(stated: Sequence[Stated]) -> dict[str, LiveItem]:
    items: dict[str, LiveItem] = {}
    for each in stated:
        items.setdefault(each.item_id, LiveItem()).take(each)
    return items


@given(STATED, st.randoms(use_true_random=False))
def test_updates_in_any_order_and_twice_give_the_same_items(stated, random) -> None:  # type: ignore[no-untyped-def]
    other = [*stated, *stated]
    random.shuffle(other)
    assert merged(other) == merged(stated)


def test_a_deletion_forgets_what_was_stated_until_then() -> None:
    item = LiveItem()
    assert item.take(Stated("a", {"price": "1.00", "name": "A"}, 5))
    assert item.take(Stated("a", {"price": "2.00"}, 9))
    item.delete(7)
    assert item.fields == {"price": ("2.00", 9)}
    assert not item.take(Stated("a", {"name": "B"}, 7))
    assert item.take(Stated("a", {"name": "B"}, 8))
    assert item.updated_at == 9


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"prize": "1.00"}', "item has no field 'prize'"),
        (b'{"' + b"x" * 5_000 + b'": 1}', "'" + "x" * 200 + "'..."),
        (b"{}", "at least one field"),
        (b'{"updated_at": "2020-01-01T00:00:00Z"}', "at least one field"),
        (b'{"price": true}', "price"),
        (b'{"price": "1e999999"}', "price"),
        (b'{"price": -0.01}', "price"),
        (b'{"cost": null}', "cost"),
        (b'{"in_stock": "yes"}', "in_stock"),
        (b'{"name": "a\\u0007"}', "name"),
        (b'{"attributes": {"a\\u001b": "b"}}', "attributes"),
        (b'{"attributes": {"a": null}}', r"attributes\[...\] must be text or a number"),
        (
            json.dumps({"attributes": dict.fromkeys(map(str, range(101)), 1)}).encode(),
            "attributes holds more than 100 entries",
        ),
        (b'{"price": 1, "updated_at": "2020-01-01"}', "updated_at"),
        (b'{"price": 1, "updated_at": "2099-01-01T00:00:00Z"}', "a day ahead"),
        (b'{"price', "not JSON"),
    ],
)
def test_what_is_no_update_is_refused_by_field(raw: bytes, said: str) -> None:
    with pytest.raises(FactRejected, match=said):
        decode_item(raw, NOW, "a")


def offered(model: Model, *cart: str) -> list[tuple[str, int]]:
    lines = [CartLine(item_id, 1, None, 0) for item_id in cart]
    slate = build_slate(Recommenders.prepare(model), lines, cross_sell=10, upsell=3)
    chosen = [*slate.cross_sell, *slate.upsell]
    return [
        (model.catalogue.items[o.item], int(model.catalogue.price_minor[o.item])) for o in chosen
    ]


@given(STATED, st.data())
def test_taken_in_steps_or_at_once_the_catalogue_is_the_same(stated, data) -> None:  # type: ignore[no-untyped-def]
    model = tiny_model()
    in_steps, items = LiveCatalogue(model.catalogue), dict[str, LiveItem]()
    for each in stated:
        item = items.setdefault(each.item_id, LiveItem())
        item.take(each)
        if data.draw(st.booleans()):
            item.delete(each.at)
        in_steps.take({each.item_id: item})
        in_steps.catalogue()
    at_once = LiveCatalogue(model.catalogue)
    at_once.take(items)
    one, other = (with_catalogue(model, each.catalogue()) for each in (in_steps, at_once))
    assert {*one.catalogue.items.ids} == {*other.catalogue.items.ids}
    for cart in (("phone-64",), ("phone-256", "new-1"), ("new-2",)):
        assert sorted(offered(one, *cart)) == sorted(offered(other, *cart))
        on_sale = {i for i, item in items.items() if item.get("in_stock") is False}
        assert not on_sale & {item_id for item_id, _ in offered(one, *cart)}


def test_all_back_is_the_trained_catalogue() -> None:
    model = tiny_model()
    live = LiveCatalogue(model.catalogue)
    fields = {"price": "5.00", "name": "N", "category": ["X"], "in_stock": False, "cost": "1.00"}
    live.take(merged([Stated("case-1", fields, 1), Stated("new", {**fields, "family": "f"}, 1)]))
    assert len(live.catalogue()) == len(model.catalogue) + 1
    live.take({"case-1": LiveItem(), "new": LiveItem()})
    found, trained = live.catalogue(), model.catalogue
    assert (list(found.items.ids), list(found.names)) == (
        list(trained.items.ids),
        list(trained.names),
    )
    for name in ("price_minor", "cost_minor", "category", "family", "offerable"):
        np.testing.assert_array_equal(getattr(found, name), getattr(trained, name))
    assert offered(with_catalogue(model, found), "phone-64") == offered(model, "phone-64")


@pytest.mark.parametrize("seed", range(6))
def test_models_of_all_parts_take_new_items(seed: int) -> None:
    """The kernels know trained items alone: a new one in a cart or in a past is not theirs."""
    draw, model = np.random.default_rng(seed), tiny_model()
    n_items = len(model.catalogue)
    ranking, likelihood = random_ranking(draw, n_items, 4), random_likelihood(draw, n_items)
    model = replace(model, ranking=ranking, likelihood=likelihood)
    live = LiveCatalogue(model.catalogue)
    families = [*model.catalogue.family_names]
    live.take(merged([Stated(f"new-{f}", {"family": f, "price": "300"}, 1) for f in families]))
    changed = with_catalogue(model, live.catalogue())
    recommenders, ids = Recommenders.prepare(changed), [*changed.catalogue.items.ids]
    n_new = 0
    for cart in ([first, second] for first in ids for second in ids[::3] if first != second):
        lines = [CartLine(item_id, 1, None, 0) for item_id in cart]
        past = past_of(changed, None, [(NOW, tuple(ids[::2]))], NOW + 1)
        for explain in (False, True):
            slate = build_slate(
                recommenders, lines, cross_sell=20, upsell=3, past=past, mode="complete",
                explain=explain,
            )  # fmt: skip
            found = [ids[each.item] for each in slate.cross_sell]
            assert len(found) == len({*found} - {*cart})
            n_new += sum(item_id.startswith("new-") for item_id in found)
    assert n_new


@pytest.mark.parametrize(
    ("stated", "is_offered", "reasons"),
    [
        ({"family": "phone", "storage_gb": "512", "price": "7990"}, True, []),
        ({"category": ["Phones"], "storage_gb": "512", "price": "7990"}, True, []),
        ({"family": "phone", "storage_gb": "512", "price": "7990", "in_stock": False}, False, None),
        ({"family": "phone", "price": "7990"}, False, ["no_known_gain"]),
        ({"family": "phone", "storage_gb": "32", "price": "7990"}, False, ["no_known_gain"]),
        ({"family": "phone", "storage_gb": "512", "price": "99990"}, False, ["no_known_gain"]),
        ({"family": "phone", "storage_gb": "512", "price": "1990"}, False, ["no_cheaper_version"]),
        ({"family": "phone", "storage_gb": "512"}, False, ["no_price"]),
        ({"family": "tent", "storage_gb": "512", "price": "7990"}, False, ["not_in_model"]),
    ],
)
def test_a_new_item_is_an_upgrade_after_trained_ones_if_it_gains_something(
    stated: dict[str, object], is_offered: bool, reasons: list[str] | None
) -> None:
    model, fields = tiny_model(), {"name": "Phone X", **stated}
    if "storage_gb" in fields:
        fields["attributes.storage_gb"] = fields.pop("storage_gb")
    live = LiveCatalogue(model.catalogue)
    live.take(merged([Stated("phone-x", fields, 1), Stated("phone-pro", {"active": False}, 1)]))
    changed = with_catalogue(model, live.catalogue())
    recommenders, new = Recommenders.prepare(changed), len(model.catalogue)
    lines = [CartLine("phone-128", 1, None, 0)]
    upgrades = [
        build_slate(recommenders, lines, cross_sell=0, upsell=limit).upsell for limit in range(4)
    ]
    found = [changed.catalogue.items[each.item] for each in upgrades[3]]
    assert found == ["phone-256", *["phone-x"] * is_offered]  # though it would bring more
    assert upgrades[0] == ()
    assert upgrades[1] == upgrades[3][:1]
    reach = reach_of(recommenders, new, NOW)
    assert reach.upsell == is_offered
    if reasons is not None:
        assert [each for each in reach.reasons if each != "no_rule"] == reasons
