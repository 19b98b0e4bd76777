"""Fitting P(an upgrade | customer, item), calibrated on turns kept apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.ranking.scorer import Scorer
from mersalg.training.networks import Rows, calibrated, fit_networks
from mersalg.training.upsell.which import HELD_OUT, PLAN, SEED


def fit_whether(features: NDArray[np.float32], went_up: NDArray[np.bool_]) -> Scorer:
    """`features` are float32 (n_turns, n_signals), `went_up` bool (n_turns,)."""
    apart = np.random.default_rng(SEED).random(len(went_up)) < HELD_OUT
    learned, held_out = (Rows(features[rows], went_up[rows]) for rows in (~apart, apart))
    scorer = fit_networks(replace(PLAN, networks=2), learned, held_out)
    return calibrated(scorer, held_out)
