"""A fit ends when somebody wants it to."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from mersalg.training.epochs import chosen_epochs


def test_a_fit_that_is_interrupted_leaves_no_half_a_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt  # as Ctrl-C does, wherever it finds the program

    features, truth = np.random.default_rng(1).random((50, 3)), np.arange(50) % 2
    with chosen_epochs():
        MLPClassifier((4,), max_iter=2).fit(features, truth)  # says nothing of convergence
    monkeypatch.setattr(MLPClassifier, "_backprop", interrupted)
    with pytest.raises(KeyboardInterrupt), chosen_epochs():
        MLPClassifier((4,), max_iter=2).fit(features, truth)
