"""Rows of unequal length, and records written as arrays and read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged, arrays_of, read
from mersalg.engine.vocabulary import StringTable

ROWS = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5), min_size=1, max_size=8)


@given(ROWS, st.data())
def test_rows_are_those_of_lists(rows: list[list[int]], data: st.DataObject) -> None:
    ragged = Ragged.of_rows(rows, np.int32)
    assert ragged.problem() is None
    assert [ragged[row].tolist() for row in range(len(ragged))] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.owners().tolist() == [n for n, row in enumerate(rows) for _ in row]
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    some = np.array(chosen, dtype=np.int64)
    expected = [value for row in chosen for value in rows[row]]
    assert ragged.of(some).tolist() == expected
    assert ragged.values[ragged.places(some)].tolist() == expected
    assert ragged.lengths_of(some).tolist() == [len(rows[row]) for row in chosen]
    taken = ragged.take(some)
    assert [taken[row].tolist() for row in range(len(taken))] == [rows[row] for row in chosen]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 99))))
def test_values_are_grouped_in_their_order(entries: list[tuple[int, int]]) -> None:
    owners = np.array([row for row, _ in entries], dtype=np.int64)
    grouped = Ragged.grouped(owners, np.array([value for _, value in entries], dtype=np.int64), 5)
    for row in range(5):
        assert grouped[row].tolist() == [value for owner, value in entries if owner == row]


@pytest.mark.parametrize(
    ("indptr", "problem"),
    [
        ([0, 2], "does not span all values: there are 3"),
        ([1, 3], "does not span all values: there are 3"),
        ([0, 4, 3], "rows that end before they begin"),
        ([], "rows of shape"),
        ([[0, 3]], "rows of shape"),
    ],
)
def test_what_is_no_row_is_named(indptr: list[int], problem: str) -> None:
    rows = Ragged(np.array(indptr, dtype=np.int64), np.arange(3, dtype=np.int32))
    assert problem in str(rows.problem())
    with pytest.raises(ValueError, match=f"x {problem}|x has {problem}"):
        read(Ragged[np.int32], arrays_of(rows, "x"), "x")


@dataclass(frozen=True, slots=True)
class Part:
    weight: NDArray[np.float32]
    rows: Ragged[np.int32]
    n: int
    share: float


@dataclass(frozen=True, slots=True)
class Whole:
    part: Part
    other: Part | None
    layers: tuple[NDArray[np.float64], ...]
    texts: Mapping[str, StringTable]
    currency: str
    remembered: int = field(init=False, default=3)


def whole(*, other: bool) -> Whole:
    part = Part(np.ones(2, np.float32), Ragged.of_rows([[1], [], [2, 3]], np.int32), 7, 0.25)
    tables = {"å b": StringTable.from_texts(["x", "yz"]), "c": StringTable.from_texts([])}
    return Whole(part, part if other else None, (np.zeros(2), np.ones((2, 1))), tables, "NOK")


@pytest.mark.parametrize("other", [True, False])
def test_a_record_comes_back_from_its_arrays(other: bool) -> None:
    before = whole(other=other)
    arrays = arrays_of(before, "whole")
    assert {"whole.part.rows.indptr", "whole.layers.1", "whole.texts.keys"} <= set(arrays)
    assert any(name.startswith("whole.other.") for name in arrays) == other
    after = read(Whole, arrays, "whole")
    again = arrays_of(after, "whole")
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == array.dtype
    assert (after.part.n, after.part.share, after.currency) == (7, 0.25, "NOK")
    assert list(after.texts["å b"]) == ["x", "yz"]
    assert len(after.layers) == 2


def test_what_is_missing_or_of_another_type_is_named() -> None:
    arrays = arrays_of(whole(other=True))
    with pytest.raises(KeyError, match=r"part\.weight"):
        read(Whole, {name: each for name, each in arrays.items() if name != "part.weight"})
    with pytest.raises(ValueError, match=r"part\.weight is of float64, not of float32"):
        read(Whole, {**arrays, "part.weight": np.ones(2)})
    with pytest.raises(TypeError, match="which has no arrays"):
        arrays_of({"x": object()})
