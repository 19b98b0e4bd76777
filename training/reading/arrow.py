"""Arrow's compute functions for a type checker, its kinds, and numbers between it and NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

pc: Any = pyarrow.compute
"""Most of its functions are made when it is imported, so that a type checker sees none of them."""


def numpy_of(array: pa.Array) -> NDArray[Any]:
    """Return the numbers of an array without nulls; `to_numpy` would load pandas."""
    return np.from_dlpack(array)


def arrow_of(values: NDArray[np.integer[Any]] | NDArray[np.floating[Any]]) -> pa.Array:
    """Return numbers as an Arrow array; `pa.array` would load pandas."""
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(
        kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))]
    )


def may_be_joined(left: pa.DataType, right: pa.DataType) -> bool:
    """Return whether two types may be joined without changing what their ids look like as text."""
    if pa.types.is_null(left) or pa.types.is_null(right) or left == right:
        return True
    return _sort(left) == _sort(right)


def _sort(kind: pa.DataType) -> str:
    if is_text(kind):
        return "text"
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_timestamp(kind):
        return f"time {kind.tz or ''}"
    return str(kind)


def is_text(kind: pa.DataType) -> bool:
    """Return whether values of a type are texts, numbered by a dictionary or not."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_view = pa.types.is_string_view(kind)
    return bool(is_view or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_number(kind: pa.DataType) -> bool:
    """Return whether values of a type are numbers, or count as such."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )
