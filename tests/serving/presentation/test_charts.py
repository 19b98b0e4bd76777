"""Charts: every number is where its scale says, and texts are escaped."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.serving.presentation.charts import (
    Mark,
    Scale,
    Series,
    band_chart,
    bars,
    sparkline,
    whisker,
)

NUMBERS = st.floats(-1e9, 1e9).map(lambda number: round(number, 3))


def series(*values: float | None) -> Series:
    lower = [None if each is None else each - 0.1 for each in values]
    upper = [None if each is None else each + 0.1 for each in values]
    return Series("k-cross", values, lower, upper)


@given(st.lists(NUMBERS, min_size=1, max_size=9))
def test_a_scale_holds_its_numbers_in_order(numbers: list[float]) -> None:
    scale = Scale.of(numbers)
    parts = [scale.part(each) for each in sorted(numbers)]
    assert parts == sorted(parts)
    assert parts[0] >= 0
    assert parts[-1] <= 1
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 6
    assert all(scale.low - 1e-6 <= each <= scale.high + 1e-6 for each in ticks)


def test_a_whisker_has_its_dot_between_its_bounds_and_a_line_at_zero() -> None:
    drawn = ElementTree.fromstring(whisker(2, 1, 3, Scale(-1, 4), "k-up"))
    zero, line = drawn.findall("line")
    assert zero.attrib["x1"] == "20%"
    assert (line.attrib["x1"], line.attrib["x2"]) == ("40%", "80%")
    dot = drawn.find("circle")
    assert dot is not None
    assert dot.attrib["cx"] == "60%"
    assert drawn.attrib["class"] == "k-up"


def test_bars_are_as_wide_as_their_shares() -> None:
    drawn = ElementTree.fromstring(bars([(0.5, "k-cross"), (0.25, "k-control")]))
    assert [each.attrib["width"] for each in drawn.findall("rect")] == ["50%", "25%"]


def test_a_line_is_parted_where_nothing_is_known() -> None:
    chart = band_chart([series(0.2, None, 0.3, 0.4)], list("abcd"), list("ABCD"), label="x")
    paths = re.findall(r'class="line" d="(.*?)"', chart)
    assert [path.count("L") for path in paths] == [1, 1]
    # A bucket alone is drawn around its middle.
    assert paths[0].startswith("M0.25 ")
    assert re.findall(r"<title>(.)</title>", chart) == list("ABCD")


def test_a_chart_marks_what_occurred_and_escapes_it() -> None:
    marks = [Mark("A", 0.5, None, "model <1>"), Mark("B", 1, 1.5, "paused")]
    chart = band_chart([series(0.2, 0.3)], ["<1>", "2"], ["<1>", "2"], marks, label='"x"')
    tree = ElementTree.fromstring(f"<div>{chart}</div>")
    flags = [each.text for each in tree.iter("text") if each.get("class") == "flag-text"]
    assert flags == ["A", "B"]
    (shade,) = [each for each in tree.iter("rect") if each.get("class") == "pause"]
    assert (shade.attrib["x"], shade.attrib["width"]) == ("50%", "25%")
    assert "<1>" not in chart


def test_a_sparkline_needs_two_values() -> None:
    assert sparkline(series(0.1, None), "x") == ""
    drawn = ElementTree.fromstring(sparkline(series(0.1, 0.2, 0.3), "<up>"))
    assert drawn.attrib["aria-label"] == "<up>"
    assert [each.attrib["class"] for each in drawn.findall("circle")] == ["dot"]


@pytest.mark.parametrize("n", [1, 2, 7, 28, 365])
def test_names_on_the_axis_never_crowd(n: int) -> None:
    chart = band_chart([series(*[0.1] * n)], [str(at) for at in range(n)], [], label="x")
    assert 1 <= len(re.findall("text-anchor", chart)) <= 6
