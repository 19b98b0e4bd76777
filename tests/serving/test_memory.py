"""What a large report needed is given back when it is done."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from mersalg.serving import reports
from mersalg.serving.reports import Reports

PROGRAM = """
import ctypes, sys
from mersalg.serving.process import _trim, give_back

def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

assert _trim() is not None
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
free.argtypes = [ctypes.c_void_p]
blocks = []
for _ in range(20_000):
    block = malloc(4000)
    ctypes.memset(block, 1, 4000)
    blocks.append(block)
last = malloc(4000)  # what lies behind free memory keeps it from the system
full = held()
for block in blocks:
    free(block)
before = held()
give_back()
print(full, before, held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc holds memory back")
def test_free_memory_goes_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    full, before, after = map(float, done.stdout.split())
    assert before > full - 20, "freed, but still held"
    assert after < before - 50


def test_every_report_gives_back_what_it_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(reports, "give_back", lambda: given.append("back"))
    monkeypatch.setattr(reports, "build_report", lambda _store, _query: {"a": given.copy()})
    kept = Reports(None, 0)  # type: ignore[arg-type]
    assert asyncio.run(kept.rates(reports.ReportQuery())) == {"a": []}
    assert given == ["back"]
    kept.close()
