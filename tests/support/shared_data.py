"""Where the shared data sets lie; they are read in place and never copied into the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE_THE_PROJECT = Path(__file__).parents[2].parent / "shared" / "data"


def shared_data(name: str) -> Path:
    """Folder of one shared data set, or skip with the reason."""
    root = Path(os.environ.get("MERSALG_SHARED_DATA", _BESIDE_THE_PROJECT))
    folder = root / name
    if not folder.is_dir():
        pytest.skip(f"shared data set {name!r} is not at {root} (set MERSALG_SHARED_DATA)")
    return folder
