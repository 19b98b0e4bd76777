"""Interest measures against hand-computed numbers, exact fractions and simulation."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.cross_sell import measures


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """(n_joint, n_antecedent, n_consequent, n_orders) of a possible rule."""
    n = draw(st.integers(1, 10_000))
    n_a, n_c = draw(st.integers(1, n)), draw(st.integers(1, n))
    least = max(1, n_a + n_c - n)
    n_joint = draw(st.integers(least, max(least, min(n_a, n_c))))
    return n_joint, n_a, n_c, n


def test_toast_and_coffee_as_published() -> None:
    # The bread basket: 318 orders with toast, 4,528 with coffee, 224 with both, of 9,465.
    rule = (224, 318, 4528, 9465)
    assert float(measures.support(224, 9465)) == pytest.approx(0.023666, abs=1e-6)
    assert float(measures.confidence(224, 318)) == pytest.approx(0.704403, abs=1e-6)
    assert float(measures.lift(*rule)) == pytest.approx(1.472431, abs=1e-6)
    assert float(measures.leverage(*rule)) == pytest.approx(0.007593, abs=1e-6)
    assert float(measures.conviction(*rule)) == pytest.approx(1.764582, abs=1e-6)
    assert 1 < float(measures.lift_lower(*rule)) < 1.472431 < float(measures.lift_upper(*rule))


def test_the_interval_by_hand() -> None:
    rule = (20, 100, 80, 1000)
    error = math.sqrt(1 / 20 - 1 / 100 - 1 / 80 + (2 * 2.5 - 1) / 1000)
    assert float(measures.lift(*rule)) == pytest.approx(2.5)
    assert float(measures.lift_lower(*rule)) == pytest.approx(2.5 * math.exp(-1.959964 * error))
    assert float(measures.lift_upper(*rule)) == pytest.approx(2.5 * math.exp(1.959964 * error))


@given(counts())
def test_measures_are_the_exact_ones(rule: tuple[int, int, int, int]) -> None:
    n_joint, n_a, n_c, n = rule
    confidence = Fraction(n_joint, n_a)
    assert float(measures.confidence(n_joint, n_a)) == pytest.approx(float(confidence))
    lift = confidence / Fraction(n_c, n)
    assert float(measures.lift(*rule)) == pytest.approx(float(lift))
    leverage = Fraction(n_joint, n) - Fraction(n_a, n) * Fraction(n_c, n)
    assert float(measures.leverage(*rule)) == pytest.approx(float(leverage), abs=1e-12)
    conviction = float(measures.conviction(*rule))
    if confidence == 1:
        assert conviction == math.inf
    else:
        expected = (1 - Fraction(n_c, n)) / (1 - confidence)
        assert conviction == pytest.approx(float(expected), abs=1e-12)


@given(counts())
def test_the_interval_holds_lift_and_is_finite(rule: tuple[int, int, int, int]) -> None:
    low, lift, high = (
        float(f(*rule)) for f in (measures.lift_lower, measures.lift, measures.lift_upper)
    )
    assert 0 < low <= lift <= high < math.inf


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    # Independent items: lift is 1. Multinomial draws of the four cells of the table.
    draws = np.random.default_rng(4).multinomial(5_000, [0.03, 0.07, 0.27, 0.63], size=20_000)
    joint, only_a, only_c = draws[:, 0], draws[:, 1], draws[:, 2]
    rule = (joint, joint + only_a, joint + only_c, 5_000)
    covered = (measures.lift_lower(*rule) <= 1) & (measures.lift_upper(*rule) >= 1)
    assert covered.mean() == pytest.approx(0.95, abs=0.01)


def test_arrays_keep_their_shape() -> None:
    joint = np.array([[1, 2], [3, 4]])
    assert measures.lift(joint, 10, 10, 100).shape == (2, 2)
    assert measures.conviction(joint, 10, 10, 100).dtype == np.float64
