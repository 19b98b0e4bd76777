"""Fitting P(an upgrade | customer, item), calibrated on turns kept apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.ranking.scorer import Scorer
from mersalg.training.upsell.which import SEED, fit_network

_CALIBRATION = 0.15


def fit_whether(features: NDArray[np.float32], went_up: NDArray[np.bool_]) -> Scorer:
    """`features` are float32 (n_turns, n_signals), `went_up` bool (n_turns,)."""
    apart = np.random.default_rng(SEED).random(len(went_up)) < _CALIBRATION
    scorer = fit_network(features[~apart], went_up[~apart], networks=2)
    return calibrated(scorer, scorer.raw(features[apart]), went_up[apart])


def calibrated(scorer: Scorer, raw: NDArray[np.floating], came_true: NDArray[np.bool_]) -> Scorer:
    """With the slope and intercept under which raw log-odds come true (Platt, 1999)."""
    from sklearn.linear_model import LogisticRegression

    if not came_true.any() or came_true.all():
        return scorer
    platt = LogisticRegression(C=1e6).fit(np.asarray(raw, dtype=np.float64)[:, None], came_true)
    return replace(scorer, slope=float(platt.coef_[0, 0]), intercept=float(platt.intercept_[0]))
