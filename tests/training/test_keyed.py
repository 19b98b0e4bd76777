"""Arrays filed by key, against dictionaries."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.training.keyed import Grouping, distinct, look_up

_KEYS = st.lists(st.tuples(st.integers(0, 30), st.floats(0, 10, width=32)), max_size=40)


@given(_KEYS)
def test_grouping_adds_up_like_a_dictionary(entries: list[tuple[int, float]]) -> None:
    expected: dict[int, list[float]] = defaultdict(list)
    for key, value in entries:
        expected[key].append(value)
    keys = np.array([key for key, _ in entries], dtype=np.int64)
    values = np.array([value for _, value in entries])
    grouped = Grouping.of(keys)
    assert grouped.keys.tolist() == sorted(expected) == distinct(keys).tolist()
    for found, how in (
        (grouped.sum(values), sum),
        (grouped.max(values), max),
        (grouped.min(values), min),
        (grouped.size(), len),
    ):
        assert found.tolist() == pytest.approx([how(expected[k]) for k in sorted(expected)])
    place, known = look_up(grouped.keys, np.arange(31))
    assert known.tolist() == [key in expected for key in range(31)]
    assert grouped.keys[place[known]].tolist() == sorted(expected)
