"""Scores are brought to the rate at which shown offers are taken."""

from __future__ import annotations

import numpy as np
import pytest

from engine.upsell.likelihood import log_odds
from tests.training.test_upsell_likelihood import fitted_shop
from training.upsell.outcomes import Answers, recalibrated


def test_a_known_answer_is_recovered() -> None:
    rng = np.random.default_rng(1)
    score = rng.uniform(0.02, 0.6, 40_000)
    truth = 1 / (1 + np.exp(-(0.7 * log_odds(score) - 1.5)))
    found = recalibrated(fitted_shop(), Answers(score, rng.random(len(score)) < truth))
    assert found.offer_slope == pytest.approx(0.7, abs=0.05)
    assert found.offer_intercept == pytest.approx(-1.5, abs=0.1)


def test_few_answers_are_refused() -> None:
    few = Answers(np.full(999, 0.1), np.ones(999, dtype=np.bool_))
    assert not few.enough
    with pytest.raises(ValueError, match="too few"):
        recalibrated(fitted_shop(), few)
