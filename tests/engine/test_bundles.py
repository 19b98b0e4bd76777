"""A bundle and its parts are never offered beside or instead of each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mersalg.engine.arrays import arrays_of, read
from mersalg.engine.catalogue import Catalogue
from mersalg.engine.eligibility import Eligibility
from mersalg.engine.errors import ModelCorrupt
from mersalg.engine.facts import CartLine
from mersalg.engine.model import Model
from mersalg.engine.model_check import self_check
from mersalg.engine.slate import Recommenders, build_slate
from tests.support.models import TinyItem, TinyRule, tiny_model
from tests.support.shop_files import config, line, load, write_csv


def shop(**changes: object) -> Model:
    def item(item_id: str, price: str, family: str, *parts: str) -> TinyItem:
        return TinyItem(
            item_id, item_id, price, family=family, bundle_of=parts, n_orders=500, n_added=200
        )

    return tiny_model(
        items=[
            item("camera", "5000.00", "camera"),
            item("camera-kit", "6500.00", "camera", "camera", "lens"),
            item("camera-pro", "9000.00", "camera"),
            item("camera-pro-kit", "9900.00", "camera", "camera-pro", "lens", "bag"),
            item("lens", "1500.00", "lens"),
            item("bag", "400.00", "bag"),
            item("tripod", "700.00", "tripod"),
        ],
        rules=[
            TinyRule(("camera",), "lens", 200, 500),
            TinyRule(("camera-kit",), "lens", 200, 500),
            TinyRule(("camera-kit",), "bag", 200, 500),
            TinyRule(("lens",), "camera-kit", 200, 500),
            TinyRule(("lens",), "tripod", 200, 500),
        ],
        repelled={},
        **changes,  # type: ignore[arg-type]
    )


def offered(model: Model, cart: Sequence[str]) -> tuple[set[str], set[str], dict[str, str]]:
    slate = build_slate(
        Recommenders.prepare(model),
        [CartLine(item, 1) for item in cart],
        cross_sell=20,
        upsell=20,
        explain=True,
    )
    ids = model.catalogue.items
    return (
        {ids[chosen.item] for chosen in slate.cross_sell},
        {ids[chosen.item] for chosen in slate.upsell},
        {ids[each.item]: each.reason.code for each in slate.rejected},
    )


def test_a_part_is_not_offered_beside_its_bundle() -> None:
    cross_sold, upsold, reasons = offered(shop(), ["camera-kit"])
    assert "lens" not in cross_sold
    assert "bag" in cross_sold
    assert reasons["lens"] == "in_bundle"
    assert upsold == {"camera-pro", "camera-pro-kit"}


def test_a_bundle_is_not_offered_to_who_holds_a_part_of_it() -> None:
    _, upsold, reasons = offered(shop(), ["camera"])
    assert upsold == {"camera-pro", "camera-pro-kit"}
    assert reasons["camera-kit"] == "in_bundle"
    cross_sold, upsold, reasons = offered(shop(), ["camera", "lens"])
    assert upsold == {"camera-pro"}
    assert "camera-kit" not in cross_sold
    assert reasons["camera-pro-kit"] == "in_bundle"


def test_what_the_cart_holds_is_said_before_its_bundle() -> None:
    *_, reasons = offered(shop(), ["camera-kit", "camera-pro-kit", "tripod"])
    assert "camera-kit" not in reasons or reasons["camera-kit"] == "in_cart"


def test_both_ways_by_brute_force() -> None:
    model = shop()
    catalogue, bundled = model.catalogue, Eligibility.prepare(model).bundled
    assert catalogue.bundles is not None
    ids = catalogue.items
    named = {
        (ids[whole], ids[part])
        for whole in range(len(catalogue))
        for part in catalogue.bundles[whole]
    }
    assert len(named) == 5
    for item in range(len(catalogue)):
        expected = {part for whole, part in named if whole == ids[item]}
        expected |= {whole for whole, part in named if part == ids[item]}
        found = bundled.of(np.array([item], dtype=np.int32))
        assert {ids[each] for each in found.tolist()} == expected


def test_a_catalogue_without_bundles_prepares_nothing() -> None:
    assert not len(Eligibility.prepare(tiny_model()).bundled.values)


def test_bundles_are_stored_and_checked() -> None:
    model = shop()
    again = read(Catalogue, arrays_of(model.catalogue))
    assert again.bundles is not None
    assert model.catalogue.bundles is not None
    assert again.bundles.values.tolist() == model.catalogue.bundles.values.tolist()
    self_check(model)
    model.catalogue.bundles.values[0] = 99
    with pytest.raises(ModelCorrupt, match="bundles"):
        self_check(model)


def test_bundles_are_read_from_the_catalogue_file(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "products.csv",
        [
            {"sku": "a", "parts": ""},
            {"sku": "b", "parts": "a"},
            {"sku": "c", "parts": "a; b|nowhere"},
        ],
        ["sku", "parts"],
    )
    shop_config = config(
        '[catalogue]\npath = "products.csv"\ncolumns = { item_id = "sku", bundle_of = "parts" }\n'
    )
    dataset = load(tmp_path, shop_config, [line("1", "a"), line("2", "c")])
    catalogue = dataset.catalogue
    assert catalogue.bundles is not None
    assert [row.tolist() for row in map(catalogue.bundles.__getitem__, range(3))] == [
        [],
        [0],
        [0, 1],
    ]
    assert dataset.quality.catalogue.notes["unknown_bundle_item"].rows == 1
    # A part nobody knows is no reason not to sell the rest.
    assert catalogue.offerable.all()
