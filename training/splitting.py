"""Parts a data set in time: what was known before, and what came after."""

from __future__ import annotations

import numpy as np

from mersalg.engine import clock
from mersalg.engine.errors import DataError
from mersalg.engine.words import counted
from mersalg.training.dataset import Dataset


def split_by_time(dataset: Dataset, test_share: float) -> tuple[Dataset, Dataset]:
    """Return (train, test): test is the last `test_share` of the time span, or of the orders.

    Whichever begins later: a shop that grew fast has most of its orders in its last weeks, and
    would otherwise learn from the few early ones. Where the shop gives no times it is the last
    `test_share` of the orders, at least one.

    Raises
    ------
    DataError
        One side would be empty.
    """
    moments = dataset.ordered_at
    if not len(moments):
        raise DataError("there are no orders to split")
    if not moments.any():
        n_test = max(round(dataset.n_orders * test_share), 1)
        return _parted(dataset, np.arange(dataset.n_orders) >= dataset.n_orders - n_test, "")
    first, last = int(moments.min()), int(moments.max())
    by_count = int(moments[-max(round(len(moments) * test_share), 1)])
    return split_at(dataset, max(last - round((last - first) * test_share), by_count))


def split_at(dataset: Dataset, micros: int) -> tuple[Dataset, Dataset]:
    """(orders before the instant, orders from it on).

    Raises
    ------
    DataError
        One side would be empty.
    """
    return _parted(dataset, dataset.ordered_at >= micros, f" at {clock.to_iso(micros)}")


def _parted(dataset: Dataset, later: np.ndarray, where: str) -> tuple[Dataset, Dataset]:
    if later.all() or not later.any():
        raise DataError(
            f"{counted(dataset.n_orders, 'order')} cannot be split in time{where}: one side"
            " would be empty"
        )
    return dataset.select_orders(~later), dataset.select_orders(later)
