"""Exact sums over units, for each kind and measure."""

# pyarrow has no types for a checker.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.facts import KINDS, Kind
from engine.tracking.incremental import MEASURES
from engine.tracking.intervals import RatioSums

SUMS = ("checkouts", "converted", "completed", "order_revenue", "offer_revenue")
"""The fields of `Cluster`: of a unit, over the day's eligible checkouts of a kind."""

MONEY = ("order_revenue", "offer_revenue")
TOTALS = tuple(f"{kind}_{name}" for kind in KINDS for name in SUMS)

Columns = Mapping[str, NDArray[Any]]
"""By name, of integers (n,)."""

_INT64 = 2**63
_EXACT = pa.decimal256(19)
"""Holds an int64. The product of two has up to 39 digits, one more than decimal128 takes."""

UnitSums = Mapping[tuple[Kind, str], RatioSums]
"""Sums over units for each kind and each of `MEASURES`."""


def unit_sums(rows: Columns) -> UnitSums:
    """Return the sums over rows, each of another unit, for each of `MEASURES`, exact."""
    columns = {name: _Column(rows[name].astype(np.int64, copy=False)) for name in TOTALS}
    found: dict[tuple[Kind, str], RatioSums] = {}
    for kind in KINDS:
        m = columns[f"{kind}_checkouts"]
        n, mm = int(np.count_nonzero(m.values)), m.times(m)
        for name in MEASURES:
            x = columns[f"{kind}_{name}"]
            found[kind, name] = RatioSums(n, x.sum, m.sum, x.times(x), x.times(m), mm)
    return found


class _Column:
    """A column of int64, its sum, and a bound for its products."""

    def __init__(self, values: NDArray[np.int64]) -> None:
        self.values, self.sum = values, int(values.sum())
        self._largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))

    def times(self, other: _Column) -> int:
        """Return the sum of the products with another column."""
        if self._largest * other._largest * len(self.values) < _INT64:
            return int(np.dot(self.values, other.values))
        factors = (pa.array(column.values).cast(_EXACT) for column in (self, other))
        return int(pc.sum(pc.multiply(*factors)).as_py())
