"""Arrays filed by key, against dictionaries."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.training.keyed import distinct, least_by_key, look_up

_KEYS = st.lists(st.tuples(st.integers(0, 30), st.floats(0, 10, width=32)), max_size=40)


@given(_KEYS)
def test_the_least_of_each_key_is_that_of_a_dictionary(entries: list[tuple[int, float]]) -> None:
    expected: dict[int, list[float]] = defaultdict(list)
    for key, value in entries:
        expected[key].append(value)
    keys = np.array([key for key, _ in entries], dtype=np.int64)
    values = np.array([value for _, value in entries])
    found, least = least_by_key(keys, values)
    assert found.tolist() == sorted(expected) == distinct(keys).tolist()
    assert least.tolist() == pytest.approx([min(expected[key]) for key in sorted(expected)])
    place, known = look_up(found, np.arange(31))
    assert known.tolist() == [key in expected for key in range(31)]
    assert found[place[known]].tolist() == sorted(expected)
