"""Typed comparison: the shop's own levels, less that is more, sides, packs, sets, no limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.config import parse_config
from mersalg.engine.errors import ConfigError
from mersalg.engine.facts import Change
from mersalg.engine.source_sections import AttributesSection
from mersalg.engine.upsell import gains
from tests.support.models import TinyItem, tiny_model

ATTRIBUTES = AttributesSection.model_validate(
    {
        "attribute_levels": {"cut": ["Fair", "good", "ideal"], "size": ["large", "small"]},
        "lower_is_better": ["weight_g", "noise"],
    }
)


@pytest.mark.parametrize(
    ("attribute", "before", "after", "verdict"),
    [
        ("cut", "fair", "Ideal", "gain"),
        ("cut", "ideal", "GOOD", "loss"),
        ("cut", "good", "good ", "same"),
        ("cut", "good", "splendid", "differs"),
        ("size", "large", "small", "gain"),  # the shop's order, not the usual one
        ("other", "large", "small", "loss"),
        ("weight_g", "180", "150", "gain"),
        ("weight_g", "1 kg", "1500 g", "loss"),
        ("noise", "38 dB", "38 dB", "same"),
        ("noise", "low", "high", "differs"),
        ("data", "10 GB", "Unlimited", "gain"),
        ("data", "ubegrenset", "100 GB", "loss"),
        ("data", "unlimited", "ubegrenset", "same"),
        ("bed", "90x200 cm", "150x200 cm", "gain"),
        ("bed", "160x200", "150x200", "loss"),
        ("bed", "90x210 cm", "150x200 cm", "differs"),
        ("bed", "90x200 cm", "90x200x20 cm", "differs"),
        ("resolution", "1920×1080", "3840 x 2160", "gain"),
        ("pack_size", "12 OZ", "1 LB", "gain"),
        ("pack_size", "12 PK/12 OZ", "2 L", "loss"),
        ("pack_size", "6x0,33 l", "2 l", "same"),
        ("pack_size", "26 OZ", "26.5 OZ", "same"),
        ("pack_size", "26 OZ", "28 OZ", "gain"),
        ("pack_size", "500 g", "6 pk", "differs"),
        ("pack_size", "12 OZ", "", "unknown"),
        ("pack_size", "12 oz", "12 OZ", "same"),
        ("pack_size", "SMALL", "LARGE", "gain"),
        ("parking", "not included", "included", "gain"),
        ("extras", "none", "breakfast; parking", "gain"),
        ("extras", "breakfast", "ingen", "loss"),
        ("speed", "500 Mbit/s", "1 Gbit/s", "gain"),
        ("clock", "900 MHz", "2.4 GHz", "gain"),
        ("battery", "5000 mAh", "4 Ah", "loss"),
        ("warranty", "24 months", "2 years", "same"),
        ("warranty", "2 år", "36 måneder", "gain"),
        ("features", "A; b", "B, c; a", "both"),  # the comma stands inside a member here
        ("features", "a; b", "B; c", "both"),
    ],
)
def test_verdicts(attribute: str, before: str, after: str, verdict: str) -> None:
    found = gains.compare_attributes([(attribute, before, after)], ATTRIBUTES)
    reported = {
        "gain": bool(found.gains and not found.losses),
        "loss": bool(found.losses and not found.gains),
        "both": bool(found.gains and found.losses),
        "differs": bool(found.differs),
    }
    assert [name for name, holds in reported.items() if holds] == (
        [] if verdict in ("same", "unknown") else [verdict]
    )


_TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            *(
                "yes",
                "nei",
                "included",
                "none",
                "small",
                "XL",
                "fair",
                "Good",
                "ideal",
                "unlimited",
            ),
            *("1,500", "2", "0,5 l", "1 TB", "2x250 g", "12 OZ", "2 L", "6 pk", "90x200", "1x2 cm"),
            *("a; b", "b, c", "A|b", "a;a;b", "", "-"),
        ]
    ),
    st.decimals(-1000, 1000, places=2).map(str),
    st.lists(st.sampled_from(["boards", "files", "SSO", "Files"]), max_size=3).map("; ".join),
)
_ROWS = st.lists(
    st.tuples(st.sampled_from(["cut", "weight_g", "pack_size", "features"]), _TEXTS, _TEXTS),
    max_size=5,
)


@given(_ROWS)
def test_what_one_way_gains_the_other_way_loses(rows: list[tuple[str, str, str]]) -> None:
    there = gains.compare_attributes(rows, ATTRIBUTES)
    back = gains.compare_attributes([(name, b, a) for name, a, b in rows], ATTRIBUTES)

    def turned(changes: tuple[Change, ...]) -> tuple[Change, ...]:
        return tuple(Change(each.attribute, each.after, each.before) for each in changes)

    assert there.gains == turned(back.losses)
    assert there.losses == turned(back.gains)
    assert there.differs == turned(back.differs)


@given(st.lists(st.sampled_from(["wifi", "pool", "desk", "bar"]), min_size=1, unique=True))
def test_a_set_gains_exactly_what_was_added(added: list[str]) -> None:
    before = ["bed", "tv"]
    texts = "; ".join(before), "; ".join([*before, *added])
    assert gains.compare_texts(*texts) == "gain"
    assert gains.added(*texts) == tuple(added)
    assert gains.added(*reversed(texts)) == ()


def test_the_shops_reading_is_served_with_the_model() -> None:
    model = tiny_model(
        items=[
            TinyItem("a", "Ring", "1000.00", family="ring", attributes={"cut": "fair"}),
            TinyItem("b", "Ring", "1500.00", family="ring", attributes={"cut": "ideal"}),
        ],
        rules=(),
        repelled={},
        attributes=ATTRIBUTES,
    )
    found = gains.compare_items(model.catalogue, 0, 1, model.settings.attributes)
    assert found == gains.Comparison(gains=(Change("cut", "fair", "ideal"),))
    assert gains.compare_items(model.catalogue, 0, 1).differs == found.gains


SHOP = {
    "shop": {"name": "Gull", "currency": "NOK"},
    "orders": {"path": "orders.csv"},
    "catalogue": {
        "path": "items.csv",
        "attributes": ["cut", "weight_g"],
        "attribute_labels": {"cut": {"nb": "sliping"}},
        "attribute_levels": {"cut": ["fair", "good", "ideal"]},
        "lower_is_better": ["weight_g"],
    },
}


def test_a_shop_file_says_how_attributes_are_read() -> None:
    catalogue = parse_config(SHOP).catalogue
    assert catalogue is not None
    assert catalogue.reading.attribute_levels == {"cut": ("fair", "good", "ideal")}
    assert catalogue.reading.attribute_labels["cut"].nb == "sliping"
    assert catalogue.reading.lower_is_better == ("weight_g",)
    assert "path" not in catalogue.reading.model_dump()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"attribute_levels": {"cut": ["fair"]}}, "two or more different words"),
        ({"attribute_levels": {"cut": ["fair", "Fair "]}}, "two or more different words"),
        ({"attribute_levels": {"colour": ["D", "E"]}}, "colour: not among the attributes"),
        ({"lower_is_better": ["wieght_g"]}, "wieght_g: not among the attributes"),
        ({"attribute_labels": {"cut": {"no": "sliping"}}}, "catalogue.attribute_labels.cut.no"),
        ({"attribute_labels": {"cut": {"nb": ""}}}, "catalogue.attribute_labels.cut.nb"),
    ],
)
def test_a_slip_in_the_shop_file_is_named(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config({**SHOP, "catalogue": {**SHOP["catalogue"], **changed}})  # type: ignore[dict-item]
