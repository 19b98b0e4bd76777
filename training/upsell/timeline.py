"""Counts as of any moment: what had happened before it, key by key, without a snapshot a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
_SPAN = 1 << 34
"""More than the seconds of any shop's history (500 years)."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Things that happened to keys; keys are below 2**29.

    Attributes
    ----------
    stamps : int64 (n,)
        Ascending, `key * _SPAN + second`.
    totals : float64 (n + 1,)
        Running sums of what each weighs.
    """

    stamps: Integers
    totals: NDArray[np.float64]

    @classmethod
    def of(
        cls, keys: Integers, seconds: Integers, weights: NDArray[np.floating] | None = None
    ) -> Self:
        """Build the sums of weights by key and time."""
        stamps = keys * _SPAN + seconds
        order = np.argsort(stamps, kind="stable")
        totals = np.zeros(len(stamps) + 1)
        np.cumsum(np.ones(len(stamps)) if weights is None else weights[order], out=totals[1:])
        return cls(stamps[order], totals)

    def before(
        self, keys: Integers, seconds: Integers, within: float | None = None
    ) -> NDArray[np.float64]:
        """Sum of the weights of each key before a second, in the last `within` seconds only."""
        begin = np.zeros_like(seconds) if within is None else np.maximum(seconds - int(within), 0)
        first = np.searchsorted(self.stamps, keys * _SPAN + begin)
        last = np.searchsorted(self.stamps, keys * _SPAN + seconds)
        return self.totals[last] - self.totals[first]
