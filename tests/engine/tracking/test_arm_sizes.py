"""The sample-ratio test raises an alarm as seldom as it says, and when it should."""

from __future__ import annotations

import numpy as np
import pytest

from engine.tracking.rates import Drawing
from engine.tracking.sample_ratio import MISMATCH, mismatch_p_value


def _drawn(control: int, units: int, share: float) -> float:
    ppm = round(share * 1_000_000)
    p_value = mismatch_p_value(
        Drawing(units, control, units * ppm, units * ppm * (1_000_000 - ppm))
    )
    assert p_value is not None
    return p_value


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_false_alarms_come_at_the_nominal_level(share: float) -> None:
    rng = np.random.default_rng(9)
    units, runs = 20_000, 50_000
    p_values = np.array(
        [_drawn(int(control), units, share) for control in rng.binomial(units, share, runs)]
    )
    for level in (0.05, 0.01, MISMATCH):
        error = 4 * (level * (1 - level) / runs) ** 0.5 + 0.1 * level
        assert (p_values < level).mean() == pytest.approx(level, abs=error)


def test_a_tenth_of_the_control_arm_lost_is_found() -> None:
    rng = np.random.default_rng(10)
    lost = rng.binomial(20_000, 0.09, 200)
    assert np.mean([_drawn(int(control), 20_000, 0.1) < MISMATCH for control in lost]) > 0.9
