"""Fitting small networks: until they get no better at what was held out, on one core each."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mersalg.engine.arrays import Bools, Float32s, Float64s
from mersalg.engine.ranking.ranking import Scorer

Layers = Sequence[NDArray[np.floating]]

MAX_EPOCHS = 24
_MAX_ROWS = 6_000_000
"""Rows that one network learns from, each counted once an epoch: a bound on the time of a fit."""
_PATIENCE = 2
"""Epochs without a lower loss on what was held out, after which a fit ends."""


class Rows(NamedTuple):
    """Examples for a network: features, float32 (n, n_features), and labels, bool (n,)."""

    features: Float32s
    labels: Bools


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings of fitting networks, as `sklearn.neural_network.MLPClassifier` has them."""

    layers: tuple[int, ...]
    penalty: float
    rate: float
    batch_size: int
    networks: int
    """Networks of other first weights whose mean output counts: it steadies where traces are
    few."""
    seed: int


def fit_networks(plan: Plan, learned: Rows, held_out: Rows) -> Scorer:
    """Return a scorer whose raw output is the mean log-odds of some networks, not calibrated yet.

    Each is the one of the epoch with the lowest loss on `held_out` (early stopping, Prechelt 1998).
    """
    mean, scale = learned.features.mean(axis=0), learned.features.std(axis=0)
    scale[scale < 1e-6] = 1
    parts = [
        Rows(np.clip((each.features - mean) / scale, -8, 8), each.labels)
        for each in (learned, held_out)
    ]
    with _one_core():
        fitted = [_fit(plan, plan.seed + n, *parts) for n in range(plan.networks)]
    return Scorer(mean, scale, *side_by_side(fitted), 1.0, 0.0)


def _fit(plan: Plan, seed: int, learned: Rows, held_out: Rows) -> tuple[Layers, Layers]:
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    settings: dict[str, Any] = {
        "alpha": plan.penalty,
        "batch_size": min(plan.batch_size, len(learned.features)),
        "learning_rate_init": plan.rate,
        # A number would draw the same order of the rows in each epoch.
        "random_state": np.random.RandomState(seed),
    }
    network = MLPClassifier(plan.layers, **settings)
    best, lowest, n_worse = ((), ()), np.inf, 0
    for _ in range(min(MAX_EPOCHS, max(_MAX_ROWS // len(learned.features), 1))):
        network.partial_fit(*learned, classes=[False, True])
        chance = network.predict_proba(held_out.features)
        loss = log_loss(held_out.labels, chance, labels=[False, True])
        n_worse = 0 if loss < lowest else n_worse + 1
        if loss < lowest:
            lowest = loss
            best = ([each.copy() for each in network.coefs_], [*map(np.copy, network.intercepts_)])
        if n_worse == _PATIENCE:
            break
    return best


def side_by_side(
    networks: Sequence[tuple[Layers, Layers]],
) -> tuple[tuple[Float32s, ...], tuple[Float32s, ...]]:
    """Return the one network whose output is the mean of those of `networks`.

    A network is its weights and its biases, layer by layer.
    """
    from scipy.linalg import block_diag

    weights, biases = zip(*networks, strict=True)
    last, share = len(weights[0]) - 1, np.float32(1 / len(networks))
    joined_weights: list[Float32s] = []
    joined_biases: list[Float32s] = []
    for layer, (parts, shifts) in enumerate(
        zip(zip(*weights, strict=True), zip(*biases, strict=True), strict=True)
    ):
        if layer == last:
            # Stacked columns add the outputs up.
            joined_weights.append((np.vstack(parts) * share).astype(np.float32))
            joined_biases.append((np.sum(shifts, axis=0) * share).astype(np.float32))
        else:
            joined = np.hstack(parts) if layer == 0 else np.asarray(block_diag(*parts))
            joined_weights.append(joined.astype(np.float32))
            joined_biases.append(np.concatenate(shifts).astype(np.float32))
    return tuple(joined_weights), tuple(joined_biases)


def calibrated(scorer: Scorer, rows: Rows) -> Scorer:
    """Return a scorer with the slope and intercept under which its scores come true."""
    if len(np.unique(rows.labels)) < 2:
        return scorer
    raw = np.asarray(scorer.raw(rows.features), dtype=np.float64)
    # Whatever few examples say, what ranks higher is not less likely.
    slope, intercept = fit_platt(raw, rows.labels, least_slope=1e-3)
    return replace(scorer, slope=slope, intercept=intercept)


def fit_platt(log_odds: Float64s, labels: Bools, *, least_slope: float) -> tuple[float, float]:
    """Return the slope and intercept under which log-odds come true (Platt, 1999)."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1e6).fit(log_odds[:, None], labels)
    return max(float(fitted.coef_[0, 0]), least_slope), float(fitted.intercept_[0])


@contextmanager
def _one_core() -> Generator[None, None, None]:
    """Fit networks inside the block on one core, and end where the user interrupts.

    The matrices of one step are small. Threads of the linear algebra library spend far more time
    waiting for each other than on the arithmetic (seven times the CPU on two busy cores). The
    result then also does not depend on the number of cores. scikit-learn turns an interrupt into a
    warning and continues with a half-fitted network; here the interrupt ends the fit.
    """
    with warnings.catch_warnings(), threadpool_limits(limits=1, user_api="blas"):
        warnings.filterwarnings("error", message="Training interrupted", category=UserWarning)
        try:
            yield
        except UserWarning as error:
            raise KeyboardInterrupt from error
