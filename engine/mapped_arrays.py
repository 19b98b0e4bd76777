"""Arrays of a joblib file over one mapping of it."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, cast

import joblib  # pyright: ignore[reportMissingTypeStubs]
import numpy as np

# joblib brings no types of its own.
_joblib = cast("Any", joblib)


def load_mapped(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read-only arrays by name; `path` is unpickled, so its hash must have been found right.

    joblib maps each array by itself and every map keeps its file open: a model of a hundred arrays
    would hold a hundred of the thousand files that most systems allow a process.
    """
    found = cast("dict[str, np.ndarray[Any, Any]]", _joblib.load(path, mmap_mode="r"))
    if not any(isinstance(array, np.memmap) for array in found.values()):
        return found
    with path.open("rb") as file:
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return {name: _over(whole, array) for name, array in found.items()}


def _over(whole: mmap.mmap, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same numbers, as a view of `whole`."""
    if not isinstance(array, np.memmap):
        return array
    order = "C" if array.flags.c_contiguous else "F"
    return np.ndarray(array.shape, array.dtype, whole, array.offset, order=order)
