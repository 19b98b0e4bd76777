"""The set of ids by fingerprints, against a set of the ids themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.storage import known
from engine.storage.known import Crowded, KnownIds

IDS = st.lists(st.integers(0, 60).map(str), max_size=25)


@pytest.mark.parametrize("fewest", [1, 7, 1_000])
@given(calls=st.lists(st.tuples(IDS, st.integers(0, 2)), max_size=12))
@settings(deadline=None)
def test_new_is_what_no_call_before_brought(
    fewest: int, calls: list[tuple[list[str], int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "_FEWEST", fewest)
        ids, oracle = KnownIds(0), set[tuple[str, int]]()
        for names, kind in calls:
            new = {(name, kind) for name in names}
            all_new = len(new) == len(names) and not new & oracle
            assert ids.add(names, kind) == all_new
            if not all_new:
                return
            oracle |= new


def test_hundreds_of_thousands_of_ids_are_all_told_apart() -> None:
    ids = KnownIds(0)
    draw = np.random.default_rng(4)
    names = [f"{number:x}" for number in draw.permutation(600_000)]
    for start in range(0, len(names), 20_000):
        for kind in range(3):
            assert ids.add(names[start : start + 20_000], kind)
    for kind in range(3):
        for name in names[::3_001]:
            assert not ids.add([name], kind)


def test_a_place_wanted_by_many_is_shared_out() -> None:
    """A nearly full table of few places, where all collide."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "_FEWEST", 64)
        ids = KnownIds(64)
        names = [str(number) for number in range(64)]
        assert ids.add(names[:40], 0)
        assert ids.add(names[40:], 0)
        assert not any(ids.add([name], 0) for name in names)


def test_more_ids_than_memory_holds_are_refused() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "_FEWEST", 10)
        patch.setattr(known, "_MOST", 30)
        ids = KnownIds(0)
        for first in range(0, 40, 10):
            assert ids.add([str(number) for number in range(first, first + 10)], 0)
        with pytest.raises(Crowded):
            ids.add(["one more"], 0)
