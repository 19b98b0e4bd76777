"""Compiled kernels are kept: nobody waits for the compiler twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching

from tests.support.waiting import WAIT_SECONDS
from training.mining.compiled import compiled, prefetch

_ROOT = Path(__file__).parents[2]
_SORT = """
import numpy as np
from training.mining.sorting_kernels import sort_sets
sets = np.array([[2, 1], [1, 0]], dtype=np.int32)
print(sort_sets(sets, 3).tolist(), sets.tolist())
print(sum(sort_sets.stats.cache_hits.values()), sum(sort_sets.stats.cache_misses.values()))
"""


def _sort(cache: Path) -> list[str]:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", _SORT],
        cwd=_ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=5 * WAIT_SECONDS,  # it compiles
    )
    return done.stdout.splitlines()


def test_the_second_process_starts_warm(tmp_path: Path) -> None:
    assert _sort(tmp_path) == ["[1, 0] [[1, 2], [0, 1]]", "0 1"]
    assert _sort(tmp_path) == ["[1, 0] [[1, 2], [0, 1]]", "1 0"]


def _double(value: int) -> int:
    return 2 * value


def test_without_a_folder_for_the_cache_it_compiles_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled(_double)(21) == 42


def test_a_folder_beside_the_source_that_cannot_be_written_sends_the_cache_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(self: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr(caching.InTreeCacheLocator, "ensure_cache_path", refuse)
    monkeypatch.setattr(caching.InTreeCacheLocatorFsAgnostic, "ensure_cache_path", refuse)
    monkeypatch.setattr(
        caching.AppDirs, "user_cache_dir", property(lambda self: str(tmp_path)), raising=True
    )
    assert compiled(_double)(4) == 8
    assert list(tmp_path.rglob("*_double*.nbi"))


@compiled
def _sum_ahead(values: np.ndarray) -> int:
    total = 0
    for place in range(len(values)):
        if place + 2 < len(values):
            prefetch(values, place + 2)
        total += values[place]
    return total


@pytest.mark.parametrize("kind", [np.int32, np.uint32, np.int64, np.uint8])
def test_asking_ahead_changes_nothing(kind: type) -> None:
    assert _sum_ahead(np.arange(20, dtype=kind)) == 190
