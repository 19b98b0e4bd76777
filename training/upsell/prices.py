"""How a shop's prices move with time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mersalg.training.dataset import Dataset

MIN_LINES = 3
"""Lines of each half of the time that a usual price is read from."""


def price_changes(dataset: Dataset) -> NDArray[np.float64]:
    """Return the changes of log usual prices between the halves of the time span, sorted.

    Of the items sold in both, float64 (n,), zeros among them; empty where there are no times or
    prices. Changes beyond a factor of ten are errors, not changes.
    """
    known = dataset.lines[dataset.lines["unit_price_minor"] > 0]
    if not len(known) or not (dataset.ordered_at > 0).any():
        return np.zeros(0)
    times = dataset.ordered_at[known["order"].to_numpy()]
    later = times > (int(times.min()) + int(times.max())) // 2
    halves = [
        known[half].groupby("item")["unit_price_minor"].agg(["median", "size"])
        for half in (~later, later)
    ]
    first, second = (half[half["size"] >= MIN_LINES]["median"] for half in halves)
    ratio = np.log((second / first).dropna().to_numpy(dtype=np.float64))
    return np.sort(ratio[np.abs(ratio) <= np.log(10.0)])
