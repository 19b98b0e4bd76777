from __future__ import annotations

import numpy as np

from mersalg.engine.arrays import arrays_of, read
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.model import Model
from tests.support.models import tiny_model


def test_columns_line_up() -> None:
    catalogue = tiny_model().catalogue
    phone = catalogue.items.index_of("phone-64")
    assert phone is not None
    assert len(catalogue) == 12
    assert catalogue.names[phone] == "Phone 64 GB"
    assert catalogue.price_minor[phone] == 599_000
    assert catalogue.category_names[int(catalogue.category[phone])] == "Phones"
    assert catalogue.attributes["storage_gb"][phone] == "64"
    pin = catalogue.items.index_of("sim-pin")
    assert pin is not None
    assert catalogue.price_minor[pin] == UNKNOWN
    assert catalogue.family[pin] == UNKNOWN
    assert catalogue.attributes["storage_gb"][pin] == ""


def test_compatibility_is_read_by_row() -> None:
    catalogue = tiny_model().catalogue
    by_id = {
        catalogue.items[item]: [catalogue.items[other] for other in catalogue.compatible[item]]
        for item in range(len(catalogue))
    }
    assert by_id["case-1"] == ["phone-64", "phone-128", "phone-256"]
    assert by_id["case-pro"] == ["phone-pro"]
    assert by_id["charger"] == []


def _assert_equal(first: Catalogue, second: Catalogue) -> None:
    one, other = arrays_of(first), arrays_of(second)
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name])
    assert first.currency == second.currency
    assert list(first.attributes) == list(second.attributes)


def test_arrays_lead_back() -> None:
    catalogue = tiny_model(currency="JPY").catalogue
    again = read(Catalogue, arrays_of(catalogue))
    _assert_equal(catalogue, again)
    assert again.items.index_of("case-1") == catalogue.items.index_of("case-1")


def test_a_whole_model_leads_back_from_its_arrays() -> None:
    model = tiny_model()
    again = Model.of_arrays("again", model.settings, model.arrays())
    _assert_equal(model.catalogue, again.catalogue)
    for name, array in model.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name])
    empty = tiny_model(items=(), rules=(), repelled={})
    assert len(Model.of_arrays("e", empty.settings, empty.arrays()).catalogue) == 0
