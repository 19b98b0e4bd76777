"""Everything a fitted ranking of complements needs, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mersalg.engine.arrays import Float32s, Float64s, Int32s, Ragged
from mersalg.engine.facts import Mode
from mersalg.engine.native.kernels import NativeRanking

MODES: tuple[Mode, ...] = ("discovery", "complete")


@dataclass(frozen=True, slots=True)
class Scorer:
    """A perceptron with rectified layers, fitted in `mersalg.training.ranking.ranker`."""

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


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The neighbours of each item."""

    items: Ragged[np.int32]
    """Ragged of int32, n_items rows of n values in all, ascending inside a row."""
    weight: Float32s
    """float32 (n,): what the row's item adds to the score of each (EASE: Steck, "Embarrassingly
    Shallow Autoencoders for Sparse Data", 2019); 0 where only counts speak."""
    n_joint: Int32s
    """int32 (n,): orders that hold both; 0 where too few to be counted."""


@dataclass(frozen=True, slots=True)
class ItemSignals:
    """Column by column; n is the number of items, g the number of groups.

    A group is what the catalogue calls family, else its category; -1 where it tells neither.
    """

    n_orders: Float32s
    """float32 (n,): orders that hold the item."""
    n_orders_all: Float32s
    """float32 (1,): all orders."""
    recent: Float32s
    latest: Float32s
    """`recent`, `latest`: float32 (n,), share of the last orders that hold the item, older ones
    counting less: half after 14 and after 4 days."""
    group: Int32s
    share: Float32s
    """float32 (n,): of the recent sales of its group."""
    log_price: Float32s
    """float32 (n,): natural logarithm of minor units; 0 where not known."""
    margin: Float32s
    """float32 (n,): (price - cost) / price; 0 where not known."""
    popular: Int32s
    """int32 (p,): the items most bought lately, most first."""
    leaders: Ragged[np.int32]
    """Ragged of int32 over groups; the best sellers of each lately, best first."""

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.n_orders)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.leaders)

    def packed(self) -> Float32s:
        """Return float32 (n_items, 16): what each is by itself, as `RankedItem` of the kernels."""
        overall = self.n_orders / np.maximum(self.n_orders_all[0], 1)
        floor, little = np.float32(1e-5), np.float32(0.01)
        packed = np.zeros((self.n_items, 16), dtype=np.float32)
        columns = (
            np.ascontiguousarray(self.group, dtype=np.int32).view(np.float32),
            self.share,
            self.log_price,
            self.margin,
            np.log(overall + floor),
            np.log(self.recent + floor),
            np.log(self.latest + floor),
            np.log(self.share + little),
        )
        for place, values in enumerate(columns):
            packed[:, place] = values
        return packed


@dataclass(frozen=True, slots=True)
class Ranking:
    """Arrays only, as a version stores them."""

    neighbours: Neighbours
    """The item-item model."""
    groups: Neighbours
    """The same over groups of items."""
    signals: ItemSignals
    """What each item is by itself."""
    scorers: Mapping[Mode, Scorer]
    """One for each mode; `discovery` offers what the customer has not bought before, `complete`
    lets repeats in."""

    def native(self, packed: Float32s | None = None) -> NativeRanking:
        """Return what ranks; `packed` is `signals.packed()` where that is stored already."""
        return NativeRanking(self, self.signals.packed() if packed is None else packed)

    def with_scorers(self, scorers: Mapping[Mode, Scorer]) -> Ranking:
        """Return the same with other scorers."""
        return replace(self, scorers=scorers)
