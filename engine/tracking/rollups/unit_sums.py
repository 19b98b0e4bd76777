"""Exact sums over units, for each kind and measure."""

# pyarrow has no types for a checker.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from functools import cached_property
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
TWINS = {f"{KINDS[1]}_{name}": f"{KINDS[0]}_{name}" for name in SUMS}
"""Columns of the second kind, and those of the first: equal where every decision offers both."""

Columns = Mapping[str, NDArray[Any]]
"""By name, of integers (n,)."""

UnitSums = Mapping[tuple[Kind, str], RatioSums]
"""Sums over units for each kind and each of `MEASURES`."""

_INT64 = 2**63
_EXACT = pa.decimal256(19)
"""Holds an int64. The product of two has up to 39 digits, one more than decimal128 takes."""


def unit_sums(column: Callable[[str], NDArray[Any]], stored: Container[str]) -> UnitSums:
    """Return the sums over units for each kind and each of `MEASURES`.

    Parameters
    ----------
    column : callable
        Returns one of `TOTALS`, with a value for each unit. A column of checkouts is in use until
        the next of them, another one until the next column.
    stored : container of str
        Out of `TOTALS`; the others are equal to their twins.
    """
    m = Column(column(f"{KINDS[0]}_checkouts"))
    sums: dict[tuple[Kind, str], RatioSums] = {}
    for kind in KINDS:
        own_checkouts = kind != KINDS[0] and f"{kind}_checkouts" in stored
        if own_checkouts:
            m = Column(column(f"{kind}_checkouts"))
        for name in MEASURES:
            total = f"{kind}_{name}"
            if total in stored:
                sums[kind, name] = Column(column(total)).per(m)
            elif own_checkouts:
                sums[kind, name] = Column(column(TWINS[total])).per(m)
            else:
                sums[kind, name] = sums[KINDS[0], name]
    return sums


class Column:
    """A total of each unit, and exact sums over the units.

    Parameters
    ----------
    values : (n,)
        Integers, one for each unit.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values.astype(np.int64, copy=False)
        self.sum = int(values.sum())
        self._largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))

    def per(self, m: Column) -> RatioSums:
        """Return the sums of the ratio of this column to `m`, which is 0 for units without any."""
        return RatioSums(m.n, self.sum, m.sum, self.squares, self._times(m), m.squares)

    @cached_property
    def n(self) -> int:
        """The number of units with a value other than 0."""
        return int(np.count_nonzero(self.values))

    @cached_property
    def squares(self) -> int:
        """The sum of the squares."""
        return self._times(self)

    def _times(self, other: Column) -> int:
        if self._largest * other._largest * len(self.values) < _INT64:
            return int(np.dot(self.values, other.values))
        factors = (pa.array(column.values).cast(_EXACT) for column in (self, other))
        return int(pc.sum(pc.multiply(*factors)).as_py())
