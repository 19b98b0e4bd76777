"""Scores are brought to the rate at which shown offers are taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.upsell.likelihood import log_odds
from tests.support.models import tiny_model
from tests.training.test_upsell_likelihood import fitted_shop
from training.upsell.outcomes import Answers, recalibrated, with_outcomes


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


def test_an_empty_database_says_that_offers_are_too_few(tmp_path: Path) -> None:
    from engine.storage.sql import open_store

    url = f"sqlite:///{tmp_path / 'facts.db'}"
    store = open_store(url)
    store.migrate()
    store.close()
    fitted = replace(tiny_model(), likelihood=fitted_shop())
    same, told = with_outcomes(fitted, url)
    assert same is fitted
    assert told == [
        "outcomes are not used: 0 upsell offers were shown and 0 converted; 1,000 and 50 are needed"
    ]
    assert "too few" in with_outcomes(tiny_model(), url)[1][0]
