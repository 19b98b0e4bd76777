"""Fitting P(this better item | an upgrade): a network over the items that were to be had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.ranking.scorer import Scorer
from mersalg.training.epochs import chosen_epochs
from mersalg.training.ranker import side_by_side
from mersalg.training.upsell.events import Questions

Floats = NDArray[np.float32]
SEED = 11
_NEGATIVES = 10.0
_LAYERS, _EPOCHS, _PENALTY = (32, 16), 6, 0.003
_CALIBRATION = 0.15
_SLOPES = np.geomspace(0.2, 3.0, 55)


def shares(raw: NDArray[np.floating], questions: Questions, slope: float) -> NDArray[np.float64]:
    """P(this item | an upgrade), float64 (n_rows,); the rows of each question add up to one."""
    if not len(raw):
        return np.zeros(0)
    owner = questions.owner
    value = np.asarray(raw, dtype=np.float64) * slope
    top = np.full(len(questions.base), -np.inf)
    np.maximum.at(top, owner, value)
    odds = np.exp(value - top[owner])
    return odds / np.bincount(owner, odds, len(questions.base))[owner]


def fit_network(features: Floats, came_true: NDArray[np.bool_], *, networks: int = 1) -> Scorer:
    """Return an uncalibrated scorer whose raw output is the mean log-odds of `networks`."""
    from sklearn.neural_network import MLPClassifier

    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < 1e-6] = 1
    standardised = np.clip((features - mean) / scale, -8, 8)
    fitted = []
    with chosen_epochs():
        for place in range(networks):
            network = MLPClassifier(
                _LAYERS,
                alpha=_PENALTY,
                batch_size=min(1024, len(features)),
                learning_rate_init=2e-3,
                max_iter=_EPOCHS if len(features) > 20_000 else 4 * _EPOCHS,
                random_state=SEED + place,
            )
            fitted.append(network.fit(standardised, came_true))
    weights, biases = side_by_side([(each.coefs_, each.intercepts_) for each in fitted])
    return Scorer(mean, scale, weights, biases, 1.0, 0.0)


def fit_which(features: Floats, taken: NDArray[np.bool_], questions: Questions) -> Scorer:
    """Fit the share of each better item among those of its question.

    Parameters
    ----------
    features : float32 (n_rows, n_signals)
    taken : bool (n_rows,), one of each question's rows
    questions
        The better items of each base.
    """
    draw = np.random.default_rng(SEED)
    apart = draw.random(len(questions.base)) < _CALIBRATION
    owner = questions.owner
    chance = _NEGATIVES / np.maximum(np.diff(questions.indptr), 1)
    learned = ~apart[owner] & (taken | (draw.random(len(owner)) < chance[owner]))
    scorer = fit_network(features[learned], taken[learned])
    raw = scorer.raw(features)
    hidden = np.flatnonzero(taken & apart[owner])
    if not len(hidden):
        return scorer
    fit = [float(np.log(shares(raw, questions, slope)[hidden] + 1e-12).mean()) for slope in _SLOPES]
    return replace(scorer, slope=float(_SLOPES[int(np.argmax(fit))]))
