"""The programs that read the whole code: types and the direction of imports.

`make types` and `make contracts` run them alone; here they run beside the other tests.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.checker

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("program", ["pyright", "lint-imports"])
def test_it_finds_nothing(program: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
