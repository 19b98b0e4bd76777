"""What texts of items say is read when a version is written, and when texts change."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.catalogue import Catalogue
from mersalg.engine.clock import now
from mersalg.engine.eligibility import Eligibility
from mersalg.engine.errors import ModelCorrupt
from mersalg.engine.live_catalogue import LiveCatalogue, with_catalogue
from mersalg.engine.live_items import LiveItem, Stated
from mersalg.engine.model import Model
from mersalg.engine.model_check import self_check
from mersalg.engine.registry import Registry
from mersalg.engine.upsell import readings
from mersalg.engine.upsell.readings import Reading, Readings
from mersalg.engine.upsell.recommender import BaseItem, Upgrade, Upsell
from tests.support.models import TinyItem, tiny_model

PACKS = (
    TinyItem("small", "Ground coffee 250 g", "49.00", "Coffee", "coffee", n_orders=900),
    TinyItem("large", "Ground coffee 500 g", "79.00", "Coffee", "coffee", n_orders=700),
    TinyItem("dear", "Dark roast coffee 250 g", "69.00", "Coffee", "coffee", n_orders=500),
)


def _shop(*items: TinyItem) -> Model:
    return tiny_model(items=items or PACKS, rules=(), repelled={})


def _best(model: Model) -> list[Upgrade]:
    eligibility = Eligibility.prepare(model).beside(np.array([0], dtype=np.int32), ())
    return Upsell.prepare(model).best([BaseItem(0, 1, 4_900)], eligibility, 5)


def _stored(catalogue: Catalogue) -> Reading:
    """The reading of the first item, which is not read again."""
    with pytest.MonkeyPatch.context() as patch:
        stored = Readings.of(catalogue)
        patch.setattr(readings, "pack_of", None)
        return stored.get(catalogue, 0)


@given(st.text(), st.sampled_from(["", "Jackets", "Coffee", "TV > Screens"]))
def test_a_reading_is_the_same_after_a_text_of_it(name: str, category: str) -> None:
    catalogue = _shop(TinyItem("one", name, "1.00", category)).catalogue
    assert _stored(catalogue) == Reading.of(catalogue, 0)


def test_a_reading_is_the_same_bytes_in_every_process() -> None:
    # The parts of an accessory are a set, whose order depends on the hashes of texts.
    parts = [f"part {number}" for number in range(30)]
    reading = Reading.of(_shop().catalogue, 0)
    traits = reading.traits._replace(parts=frozenset(parts))
    _, stored = json.loads(readings.encode(reading._replace(traits=traits)))
    assert stored[traits._fields.index("parts")] == sorted(parts)


@pytest.mark.parametrize(
    "name", ["Etui til Galaxy S24, svart", "Fleece jacket XL red SS 24", "6 x 0,33 l", "12 oz"]
)
def test_names_of_all_sorts_are_kept_whole(name: str) -> None:
    catalogue = _shop(TinyItem("one", name, "1.00")).catalogue
    read = Reading.of(catalogue, 0)
    assert _stored(catalogue) == read
    assert read.traits.words or read.pack


def test_calls_of_a_version_read_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, trained = Registry(tmp_path), _shop()
    expected = _best(trained)
    assert [upgrade.step for upgrade in expected] == ["size", "tier"]
    assert expected[0].saving == (pytest.approx(1 - 79 / 98), "mass")
    version = registry.write(trained, {})

    def refuse(*_: object) -> None:
        raise AssertionError("a name was read at a call")

    monkeypatch.setattr(readings, "pack_of", refuse)
    monkeypatch.setattr(readings, "item_traits", refuse)
    assert _best(registry.load(version)) == expected
    with pytest.raises(AssertionError, match="a name was read"):
        _best(trained)


def test_texts_that_changed_since_then_are_read_again(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    trained = registry.load(registry.write(_shop(), {}))
    assert trained.readings is not None
    live = LiveCatalogue(trained.catalogue)
    changed: dict[str, LiveItem] = {}
    for item_id, name in (("small", "Ground coffee 1 kg"), ("new", "Ground coffee 2 kg")):
        changed[item_id] = LiveItem()
        changed[item_id].take(Stated(item_id, {"name": name, "category": ["Coffee"]}, now()))
    live.take(changed)
    model = with_catalogue(trained, live.catalogue())
    packs = [model.reading(item).pack for item in range(4)]
    assert [pack and pack.amount for pack in packs] == [1000, 500, 250, 2000]
    # Half a kilogram is no bigger pack than one.
    assert [upgrade.step for upgrade in _best(model)] == ["tier"] * len(_best(model))


def test_readings_of_other_items_are_no_model() -> None:
    model = _shop()
    other = Readings.of(_shop(*PACKS[:2]).catalogue)
    with pytest.raises(ModelCorrupt, match="readings"):
        self_check(replace(model, readings=other))
