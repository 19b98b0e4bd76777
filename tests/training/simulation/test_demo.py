"""The demo's sample and its whole are two shops side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from mersalg.engine.config import load_config
from mersalg.engine.progress import SilentProgress
from mersalg.training.simulation.complete_journey import N_HOUSEHOLDS, N_LINES
from mersalg.training.simulation.demo import prepare_shop


@pytest.mark.demo
def test_the_sample_and_the_whole_do_not_mix(tmp_path: Path) -> None:
    sample = prepare_shop(tmp_path, SilentProgress(), 60)
    prepared = {
        path: path.stat().st_mtime_ns for path in sample.folder.rglob("*") if path.is_file()
    }
    whole = prepare_shop(tmp_path, SilentProgress(), N_HOUSEHOLDS)
    assert (whole.n_households, whole.n_lines(), whole.is_sample) == (N_HOUSEHOLDS, N_LINES, False)
    assert sample.n_households == 60
    assert 0 < sample.n_lines() < N_LINES
    assert sample.models != whole.models
    # Back to the sample: nothing is written again.
    assert prepare_shop(tmp_path, SilentProgress(), 60) == sample
    assert {path: path.stat().st_mtime_ns for path in prepared} == prepared
    assert "all 2,467 households" in (whole.folder / "learnt.toml").read_text()
    assert load_config(sample.folder / "learnt.toml").orders.path == "learnt.parquet"
