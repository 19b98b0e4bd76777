from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.experiment import assign_arm, unit_of


def test_the_unit_is_the_customer_else_the_session_else_the_checkout() -> None:
    assert unit_of("c1", "s1", "k1") == "c:c1"
    assert unit_of(None, "s1", "k1") == "s:s1"
    assert unit_of("", "", "k1") == "k:k1"
    assert unit_of(None, None) == "k:"
    assert len({unit_of("1", None), unit_of(None, "1"), unit_of(None, None, "1")}) == 3


@pytest.mark.parametrize("holdout", [0.01, 0.1, 0.5, 0.9])
def test_the_control_share_is_that_of_the_design(holdout: float) -> None:
    n = 100_000
    arms = Counter(assign_arm(f"c:{unit}", salt="salt", holdout=holdout) for unit in range(n))
    # Four standard errors of a binomial share: a fair hash strays so far once in 16,000 times.
    assert abs(arms["control"] / n - holdout) < 4 * math.sqrt(holdout * (1 - holdout) / n)


def test_the_ends_hold_for_everyone() -> None:
    units = [f"s:{unit}" for unit in range(2000)]
    assert {assign_arm(unit, salt="x", holdout=0.0) for unit in units} == {"treatment"}
    assert {assign_arm(unit, salt="x", holdout=1.0) for unit in units} == {"control"}


def test_two_salts_are_two_independent_experiments() -> None:
    n = 40_000
    both = sum(
        assign_arm(f"c:{unit}", salt="a", holdout=0.3) == "control"
        and assign_arm(f"c:{unit}", salt="b", holdout=0.3) == "control"
        for unit in range(n)
    )
    assert abs(both / n - 0.09) < 4 * math.sqrt(0.09 * 0.91 / n)


def test_known_arms_never_change() -> None:
    """Golden draws: another hash would move every customer of every shop."""
    drawn = [assign_arm(f"c:{unit}", salt="mersalg-1", holdout=0.5) for unit in range(12)]
    assert "".join(arm[0] for arm in drawn) == "ttttcctctccc"


@given(st.text(), st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_raising_the_holdout_only_moves_units_to_control(
    unit: str, salt: str, first: float, second: float
) -> None:
    low, high = sorted((first, second))
    if assign_arm(unit, salt=salt, holdout=low) == "control":
        assert assign_arm(unit, salt=salt, holdout=high) == "control"
    assert assign_arm(unit, salt=salt, holdout=low) == assign_arm(unit, salt=salt, holdout=low)
