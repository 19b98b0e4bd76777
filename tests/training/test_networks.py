"""A fit ends when it gets no better, or when somebody wants it to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from mersalg.training import networks
from mersalg.training.networks import Plan, Rows, calibrated, fit_networks

PLAN = Plan((8,), penalty=0.0, rate=3e-2, batch_size=64, networks=1, seed=3)


def _rows(seed: int, n: int, noise: float) -> Rows:
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(n, 4)).astype(np.float32)
    return Rows(features, features[:, 0] + draw.normal(0, noise, n) > 0)


def _loss(rows: Rows, scorer: networks.Scorer) -> float:
    return log_loss(rows.labels, scorer.probability(rows.features), labels=[False, True])


def test_a_fit_that_is_interrupted_leaves_no_half_a_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt  # as Ctrl-C does, wherever it finds the program

    monkeypatch.setattr(MLPClassifier, "_backprop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_networks(PLAN, _rows(1, 200, 0.1), _rows(2, 50, 0.1))


def test_a_fit_ends_at_the_epoch_that_is_best_on_what_was_held_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # So few rows, so noisy, are learned by heart, and each epoch then costs on others.
    learned, held_out = _rows(1, 60, 2.0), _rows(2, 4_000, 2.0)
    epochs: list[int] = []
    one_epoch = MLPClassifier.partial_fit

    def counted(self: MLPClassifier, *rows: object, **settings: object) -> object:
        epochs.append(1)
        return one_epoch(self, *rows, **settings)

    monkeypatch.setattr(MLPClassifier, "partial_fit", counted)
    monkeypatch.setattr(networks, "MAX_EPOCHS", 300)
    stopped = fit_networks(PLAN, learned, held_out)
    n_stopped = len(epochs)
    assert n_stopped < 100
    monkeypatch.setattr(networks, "_PATIENCE", 1_000)
    longest = fit_networks(PLAN, learned, held_out)
    assert len(epochs) == n_stopped + 300
    # The best epoch is kept, however many follow.
    assert _loss(held_out, longest) <= _loss(held_out, stopped)
    assert _loss(held_out, stopped) < np.log(2)
    by_heart = fit_networks(PLAN, learned, learned)
    assert _loss(held_out, by_heart) > _loss(held_out, stopped) + 0.1
    # The bound on rows is one on epochs too.
    epochs.clear()
    monkeypatch.setattr(networks, "_MAX_ROWS", 60 * 7)
    fit_networks(PLAN, learned, held_out)
    assert len(epochs) == 7


def test_scores_come_true_after_calibration() -> None:
    learned, held_out = _rows(1, 2_000, 1.0), _rows(2, 4_000, 1.0)
    skewed = replace(fit_networks(PLAN, learned, held_out), slope=5.0, intercept=2.0)
    right = calibrated(skewed, held_out)
    assert right.probability(held_out.features).mean() == pytest.approx(
        held_out.labels.mean(), abs=0.01
    )
    assert _loss(held_out, right) < _loss(held_out, skewed) - 0.1
    assert calibrated(skewed, Rows(held_out.features[:9], np.ones(9, dtype=np.bool_))) is skewed
