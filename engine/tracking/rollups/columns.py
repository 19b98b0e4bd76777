"""Columns of integers in Arrow's tables, each of the smallest type that holds its values."""

# pyarrow has no types for a checker.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[Any]
"""Integers of NumPy; of Python (objects) where 64 bits do not hold them."""

_INT64 = 2**63

READING = pa.ipc.IpcReadOptions(use_threads=False)
"""A day is small: to share its columns out takes longer than to read them."""


def write_columns(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Write columns of integers, each of the smallest type that holds them."""
    kinds = {name: pa.from_numpy_dtype(smallest_type(each)) for name, each in columns.items()}
    schema = pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])
    arrays = [array_of(column, kinds[name]) for name, column in columns.items()]
    return written(schema, [pa.record_batch(arrays, schema=schema)])


def written(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> bytes:
    """Return record batches as a stream of Arrow."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def read_columns(body: bytes) -> dict[str, NDArray[Any]]:
    """Return columns as `write_columns` wrote them."""
    pool = pa.system_memory_pool()
    with pa.ipc.open_stream(body, options=READING, memory_pool=pool) as reader:
        (batch,) = reader
        return {name: np.from_dlpack(batch[name]) for name in reader.schema.names}


def array_of(values: NDArray[np.integer[Any]], kind: pa.DataType) -> pa.Array:
    """Return a column of a type that holds its values.

    `pa.array` would load pandas, which takes more memory than a report.
    """
    packed = np.ascontiguousarray(values, kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(packed), [None, pa.py_buffer(packed)])


def smallest_type(*columns: NDArray[Any]) -> np.dtype[Any]:
    """Return the smallest type of signed integers that holds all values."""
    lowest = min((int(each.min(initial=0)) for each in columns), default=0)
    highest = max((int(each.max(initial=0)) for each in columns), default=0)
    return np.min_scalar_type(min(lowest, -1 - highest))


def constant_array(n: int, value: str | int | None, kind: pa.DataType) -> pa.Array:
    """Return a run of one value."""
    if value is None:
        one = pa.nulls(1, kind.value_type)
    elif isinstance(value, int):
        one = array_of(np.array([value]), kind.value_type)
    else:
        text = value.encode()
        buffers = [None, *map(pa.py_buffer, (np.array([0, len(text)], np.int32), text))]
        one = pa.Array.from_buffers(kind.value_type, 1, buffers)
    ends = array_of(np.array([n]), kind.run_end_type)
    return pa.RunEndEncodedArray.from_buffers(kind, n, [None], 0, 0, [ends, one])


def distinct(columns: Sequence[NDArray[np.integer[Any]]]) -> NDArray[np.integer[Any]]:
    """Return the different values of columns of numbers from 0 on, in order.

    `np.unique` takes ten times as long where most of many values are different.
    """
    values = np.sort(np.concatenate(columns))
    return values[np.diff(values, prepend=-1) > 0]


def different_rows(columns: Sequence[NDArray[Any]]) -> tuple[list[list[int]], NDArray[np.intp]]:
    """Return the different rows of columns of counts, in order, and the place of each row.

    Each row is made one number of 64 bits: to sort these takes a tenth of the time.
    """
    packed, n_packed = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        size = int(column.max()) + 1
        if n_packed * size >= _INT64:
            distinct, packed = np.unique(packed, return_inverse=True)
            n_packed = len(distinct)
        packed, n_packed = packed * size + column, n_packed * size
    _, first, places = np.unique(packed, return_index=True, return_inverse=True)
    return np.column_stack([column[first] for column in columns]).tolist(), places
