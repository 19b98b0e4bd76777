"""Ids come in the order they were made in, and share nothing but the moment."""

from __future__ import annotations

import pytest

from mersalg.serving import ids


def test_later_ids_sort_behind_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    moments = [1, 63, 64, 4095, 4096, 1_767_225_600_000, 1_767_225_600_001, 4_000_000_000_000]
    for moment in moments:
        monkeypatch.setattr(ids.time, "time_ns", lambda at=moment: at * 1_000_000)
        made.append(ids.new_id("off_"))
    assert made == sorted(made)
    assert {len(each) for each in made} == {4 + 7 + 22}


def test_ids_of_one_moment_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_767_225_600_000_000_000)
    made = [ids.new_id("dec_") for _ in range(5_000)]
    assert len(set(made)) == len(made)
    assert len({each[:11] for each in made}) == 1
