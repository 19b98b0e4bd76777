"""Arrays of a joblib file over one mapping of it."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import pytest

from engine.mapped_arrays import load_mapped


def test_many_arrays_keep_one_file_open(tmp_path: Path) -> None:
    arrays = {f"part-{size}": np.arange(size, dtype=np.float32) for size in range(200)}
    arrays["square"] = np.arange(12.0).reshape(3, 4)
    arrays["columns"] = np.asfortranarray(arrays["square"])
    arrays["nothing"] = np.zeros((0, 3), dtype=np.int64)
    joblib.dump(arrays, tmp_path / "arrays.joblib")
    before = len(list(Path("/proc/self/fd").iterdir()))
    read = load_mapped(tmp_path / "arrays.joblib")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


def test_nobody_writes_into_them(tmp_path: Path) -> None:
    joblib.dump({"one": np.arange(3)}, tmp_path / "arrays.joblib")
    read = load_mapped(tmp_path / "arrays.joblib")
    with pytest.raises(ValueError, match="read-only"):
        read["one"][0] = 7


def test_empty_components(tmp_path: Path) -> None:
    joblib.dump({}, tmp_path / "arrays.joblib")
    assert load_mapped(tmp_path / "arrays.joblib") == {}
