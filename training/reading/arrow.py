"""Arrow's compute functions for a type checker, and numbers between Arrow and NumPy."""

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
