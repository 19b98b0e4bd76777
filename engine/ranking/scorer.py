"""A fitted scorer as plain arrays: standardise, one or more layers, calibrate.

Fitted in `mersalg.training.ranking.ranker` by scikit-learn; here only multiplied out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mersalg.engine.arrays import Float32s, Float64s


@dataclass(frozen=True, slots=True)
class Scorer:
    """A perceptron with rectified layers."""

    mean: Float32s
    scale: Float32s
    """`mean`, `scale`: float32 (n_features,), of the features in training."""
    weights: tuple[Float32s, ...]
    biases: tuple[Float32s, ...]
    """`weights`, `biases`: of each layer, float32 (n_in, n_out) and (n_out,); the last has one
    output."""
    slope: float
    intercept: float
    """`slope`, `intercept`: make the last output the log-odds that come true in the back-test
    (Platt, "Probabilistic Outputs for Support Vector Machines", 1999)."""

    def raw(self, features: Float32s) -> Float32s:
        """Log-odds before calibration, shape (n,)."""
        layer = (features - self.mean) / self.scale
        # A value far outside of all that was seen in training is not trusted to mean more.
        np.clip(layer, -8, 8, out=layer)
        # Products of such numbers are valid. Some libraries of linear algebra set the flag anyway,
        # for lanes of a register that they do not use.
        with np.errstate(invalid="ignore"):
            for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
                layer = np.maximum(layer @ weights + bias, 0)
            return (layer @ self.weights[-1] + self.biases[-1])[:, 0]

    def probability(self, features: Float32s) -> Float64s:
        """float64 (n,): how likely each candidate is the next thing bought."""
        return self.calibrated(self.raw(features))

    def calibrated(self, raw: Float32s) -> Float64s:
        """Return the probabilities of raw scores."""
        odds = self.slope * raw.astype(np.float64) + self.intercept
        # Within these bounds a probability is neither 0 nor 1, whatever is rounded.
        return 1.0 / (1.0 + np.exp(-np.clip(odds, -30, 30)))
