"""Arrays of a model: rows of unequal length, and records of arrays by the names of their fields.

A record is a dataclass whose fields are arrays, numbers, texts, other records, tuples or mappings
of these, or None. The names of its arrays are those of the fields that lead to them, joined by
dots, so that no class says how it is written and read.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

_Value = TypeVar("_Value", bound=np.generic)
_Other = TypeVar("_Other", bound=np.generic)

Bools = NDArray[np.bool_]
Float32s, Float64s = NDArray[np.float32], NDArray[np.float64]
Int16s, Int32s, Int64s = NDArray[np.int16], NDArray[np.int32], NDArray[np.int64]

Arrays = Mapping[str, NDArray[Any]]
"""The arrays of a record by name."""


@dataclass(frozen=True, slots=True)
class Ragged(Generic[_Value]):
    """Rows of unequal length in one array."""

    indptr: NDArray[np.int64]
    """int64 (n_rows + 1,): row i is ``values[indptr[i]:indptr[i + 1]]``."""
    values: NDArray[_Value]
    """(n_values,): all rows, one after the other."""

    @staticmethod
    def of_lengths(lengths: NDArray[np.integer], values: NDArray[_Other]) -> Ragged[_Other]:
        """Cut values into rows of some lengths, int (n_rows,)."""
        indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=indptr[1:])
        return Ragged(indptr, values)

    @staticmethod
    def empty(n_rows: int, kind: type[_Other]) -> Ragged[_Other]:
        """Return rows without values."""
        return Ragged(np.zeros(n_rows + 1, dtype=np.int64), np.zeros(0, dtype=kind))

    @staticmethod
    def of_rows(rows: Sequence[Sequence[int]], kind: type[_Other]) -> Ragged[_Other]:
        """Return some rows of numbers."""
        values = np.array([value for row in rows for value in row], dtype=kind)
        return Ragged.of_lengths(np.array([len(row) for row in rows], dtype=np.int64), values)

    @staticmethod
    def grouped(rows: NDArray[np.integer], values: NDArray[_Other], n_rows: int) -> Ragged[_Other]:
        """Put each value into its row, int (n_values,); values of a row keep their order."""
        order = np.argsort(rows, kind="stable")
        return Ragged.of_lengths(np.bincount(rows, minlength=n_rows), values[order])

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, row: int) -> NDArray[_Value]:
        return self.values[self.indptr[row] : self.indptr[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of values of each row, int64 (n_rows,)."""
        return np.diff(self.indptr)

    def lengths_of(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the number of values of some rows."""
        return self.indptr[rows + 1] - self.indptr[rows]

    def owners(self) -> NDArray[np.int64]:
        """Return the row of each value, int64 (n_values,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def slices(self, rows: NDArray[np.integer]) -> list[slice]:
        """Return the place of each of some rows among the values."""
        starts, stops = self.indptr[rows].tolist(), self.indptr[rows + 1].tolist()
        return [slice(start, stop) for start, stop in zip(starts, stops, strict=True)]

    def of(self, rows: NDArray[np.integer]) -> NDArray[_Value]:
        """Return the values of some rows, one row after the other."""
        return np.concatenate([self.values[:0], *(self.values[each] for each in self.slices(rows))])

    def gather(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places of all values of some rows, and which of the rows each is of."""
        starts, lengths = self.indptr[rows], self.lengths_of(rows)
        owner = np.repeat(np.arange(len(rows)), lengths)
        shift = starts - (np.cumsum(lengths) - lengths)
        return np.arange(len(owner)) + shift[owner], owner

    def places(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the places of all values of some rows, one row after the other."""
        return self.gather(rows)[0]

    def take(self, rows: NDArray[np.integer]) -> Ragged[_Value]:
        """Return some rows, in the order given."""
        return Ragged.of_lengths(self.lengths_of(rows), self.values[self.places(rows)])

    def problem(self) -> str | None:
        """Return why these are no rows; None where they are."""
        if self.indptr.ndim != 1 or self.values.ndim != 1 or not len(self.indptr):
            return f"has rows of shape {self.indptr.shape} and values of {self.values.shape}"
        if int(self.indptr[0]) != 0 or int(self.indptr[-1]) != len(self.values):
            return f"does not span all values: there are {len(self.values)}"
        return "has rows that end before they begin" if (self.lengths < 0).any() else None


def arrays_of(value: object, name: str = "") -> dict[str, NDArray[Any]]:
    """Return the arrays of a record by name, each below `name`; numbers and texts of no dimension.

    Raise TypeError where a field holds something else.
    """
    return dict(_arrays(value, name))


def _arrays(value: object, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
    parts: Mapping[str, object]
    if value is None:
        return
    if isinstance(value, np.ndarray):
        yield name, cast("NDArray[Any]", value)
        return
    if isinstance(value, (str, int, float)):
        yield name, np.array(value)
        return
    if is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
    elif isinstance(value, tuple):
        parts = {str(n): each for n, each in enumerate(cast("tuple[object, ...]", value))}
    elif isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        parts = {"keys": np.array([*entries], np.str_), "values": tuple(entries.values())}
    else:
        raise TypeError(f"{name} is of {type(value)}, which has no arrays")
    for part, each in parts.items():
        yield from _arrays(each, f"{name}.{part}" if name else part)


def read(kind: Any, arrays: Arrays, name: str = "") -> Any:
    """Return a record from its arrays, by the names that `arrays_of` gives.

    `kind` is the class, or what a field is annotated with. The arrays of the record have its `name`
    before theirs. Raise KeyError where one is missing, ValueError where one is of another type than
    its field or rows do not span their values.
    """
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (kind,) = (each for each in inside if each is not types.NoneType)
        is_there = name in arrays or any(array.startswith(f"{name}.") for array in arrays)
        return read(kind, arrays, name) if is_there else None
    if origin is np.ndarray:
        return _typed(arrays[name], get_args(inside[1])[0], name)
    if origin is Ragged:
        rows = Ragged(
            _typed(arrays[f"{name}.indptr"], np.int64, f"{name}.indptr"),
            _typed(arrays[f"{name}.values"], inside[0], f"{name}.values"),
        )
        if problem := rows.problem():
            raise ValueError(f"{name} {problem}")
        return rows
    if kind in (str, int, float):
        return kind(arrays[name].item())
    if origin is tuple:
        members: list[Any] = []
        while (each := read(inside[0] | None, arrays, f"{name}.{len(members)}")) is not None:
            members.append(each)
        return tuple(members)
    if origin is not None:
        keys = [str(key) for key in arrays[f"{name}.keys"].tolist()]
        values = (read(inside[1], arrays, f"{name}.values.{n}") for n in range(len(keys)))
        return dict(zip(keys, values, strict=True))
    return kind(
        **{
            field: read(each, arrays, f"{name}.{field}" if name else field)
            for field, each in _fields(kind).items()
        }
    )


@cache
def _fields(kind: type[Any]) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


def _typed(array: NDArray[Any], kind: type[np.generic], name: str) -> NDArray[Any]:
    if array.dtype != np.dtype(kind):
        raise ValueError(f"{name} is of {array.dtype}, not of {np.dtype(kind)}")
    return array
