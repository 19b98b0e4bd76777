"""The counts of each unit over several days, and the sums of the rates over units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.facts import Kind
from mersalg.engine.tracking.intervals import RatioSums
from mersalg.engine.tracking.rates import CLUSTERED, UNIT_COUNTS, Counts, Rate, Ratios
from mersalg.engine.tracking.rollups.day import UnitRows

_Ints = NDArray[Any]


def converted(
    kind: Kind, rows: Sequence[UnitRows], units: _Ints, n_rows: _Ints
) -> tuple[Counts, Ratios]:
    """Return the numbers of units with conversions, and the sums of the rates over units.

    Parameters
    ----------
    kind : Kind
        Of the rates.
    rows, units
        All rows, and the unit of each.
    n_rows : int (n_units,)
        Number of rows of each unit.
    """
    lists = [each.counts[kind] for each in rows]
    begins: list[int] = np.cumsum([0, *map(len, lists)]).tolist()
    places = [
        np.add(each.columns[f"{kind}_counts"], begin, dtype=np.intp)
        for each, begin in zip(rows, begins, strict=False)
    ]
    totals, times = _totals(np.concatenate(lists), np.concatenate(places), units, n_rows)

    def sums(rate: Rate) -> RatioSums:
        x, m = totals[rate.numerator], totals[rate.denominator]
        columns = (m > 0, x, m, x * x, x * m, m * m, x > 0, x < m)
        return RatioSums(*(int(np.dot(times, column)) for column in columns))

    n_converted, n_kept = (
        int(np.dot(times, totals[name] > 0)) for name in ("offers_converted", "offers_kept")
    )
    return (
        Counts(units_converted=n_converted, units_kept=n_kept),
        {name: sums(rate) for name, rate in CLUSTERED.items()},
    )


def _totals(
    counts: NDArray[np.int64], places: _Ints, units: _Ints, n_rows: _Ints
) -> tuple[Mapping[str, NDArray[np.int64]], _Ints]:
    """Return the totals of units for each of `UNIT_COUNTS`, and how many units have them.

    Several are added up in one number of 64 bits. Where one has room for all of them, as for units
    that come a few times, units with equal totals are taken together.

    Parameters
    ----------
    counts : int64 (m, 10)
        Different rows of counts.
    places, units : int (n,)
        The row of counts, and the unit, of each of n rows of units.
    n_rows : int (n_units,)
        Number of rows of each unit.
    """
    bits = max(1, (int(counts.max()) * int(n_rows.max())).bit_length())
    at_once = max(1, 63 // bits)
    totals: dict[str, NDArray[np.int64]] = {}
    times: _Ints = np.ones(len(n_rows), np.int64)
    for begin in range(0, len(UNIT_COUNTS), at_once):
        names = UNIT_COUNTS[begin : begin + at_once]
        shifts = [bits * column for column in range(len(names))]
        some = counts[:, begin : begin + at_once] << np.array(shifts)
        packed: NDArray[np.int64] = np.sum(some, axis=1)
        words = np.zeros(len(n_rows), np.int64)
        np.add.at(words, units, packed[places])
        if len(names) == len(UNIT_COUNTS):
            words, times = np.unique(words, return_counts=True)
        for name, shift in zip(names, shifts, strict=True):
            totals[name] = words >> shift & (1 << bits) - 1
    return totals, times
