"""Fitting P(this better item | an upgrade): a network over the items that were to be had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.ranking.scorer import Scorer
from mersalg.training.networks import Plan, Rows, fit_networks
from mersalg.training.upsell.events import Questions

Floats = NDArray[np.float32]
SEED = 11
_NEGATIVES = 10.0
PLAN = Plan((32, 16), penalty=0.003, rate=2e-3, batch_size=1024, networks=1, seed=SEED)
HELD_OUT = 0.15
"""Share of the questions that are held out: on them a fit sees when to end, and is calibrated."""
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
    apart = draw.random(len(questions.base)) < HELD_OUT
    owner = questions.owner
    chance = _NEGATIVES / np.maximum(np.diff(questions.indptr), 1)
    drawn = taken | (draw.random(len(owner)) < chance[owner])
    learned, held_out = (
        Rows(features[rows], taken[rows]) for rows in (drawn & ~apart[owner], drawn & apart[owner])
    )
    scorer = fit_networks(PLAN, learned, held_out)
    raw = scorer.raw(features)
    hidden = np.flatnonzero(taken & apart[owner])
    if not len(hidden):
        return scorer
    fit = [float(np.log(shares(raw, questions, slope)[hidden] + 1e-12).mean()) for slope in _SLOPES]
    return replace(scorer, slope=float(_SLOPES[int(np.argmax(fit))]))
