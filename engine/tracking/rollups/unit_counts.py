"""The counts of each unit over several days, and the sums of the rates over units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.facts import Kind
from mersalg.engine.tracking.rates import CLUSTERED, UNIT_COUNTS
from mersalg.engine.tracking.rollups.day import UnitRows
from mersalg.engine.tracking.rollups.exact_sums import Bounds

_Ints = NDArray[Any]


def converted(
    kind: Kind, rows: Sequence[UnitRows], units: _Ints, n_rows: _Ints, bounds: Bounds
) -> tuple[Sequence[int], Sequence[int], Mapping[str, Sequence[tuple[int, ...]]]]:
    """Return for each group how many units converted and kept, and the sums of the rates.

    Parameters
    ----------
    kind : Kind
        Of the rates.
    rows, units
        All rows, and the unit of each.
    n_rows : int (n_units,)
        Number of rows of each unit.
    bounds : sequence of (int, int)
        Of each group among the units.
    """
    found = [_sums(totals, times) for totals, times in _totals(kind, rows, units, n_rows, bounds)]
    n_converted, n_kept = ([each[name][6] for each in found] for name in ("offer", "net_offer"))
    return n_converted, n_kept, {name: [each[name] for each in found] for name in CLUSTERED}


def _sums(totals: Mapping[str, _Ints], times: _Ints) -> Mapping[str, tuple[int, ...]]:
    """Return the fields of the `RatioSums` of each rate."""
    found: dict[str, tuple[int, ...]] = {}
    for name, rate in CLUSTERED.items():
        x, m = totals[rate.numerator], totals[rate.denominator]
        columns = (m > 0, x, m, x * x, x * m, m * m, x > 0, x < m)
        found[name] = tuple(int(np.dot(times, column)) for column in columns)
    return found


def _totals(
    kind: Kind, rows: Sequence[UnitRows], units: _Ints, n_rows: _Ints, bounds: Bounds
) -> Sequence[tuple[Mapping[str, _Ints], _Ints]]:
    """Return for each group totals of units for each of `UNIT_COUNTS`, and how many have them.

    Several are added up in one number of 64 bits. Where one has room for all of them, as for units
    that come a few times, units with equal totals are taken together.
    """
    largest = max(int(each.counts[kind].max()) for each in rows) * int(n_rows.max())
    bits = max(1, largest.bit_length())
    at_once = max(1, 63 // bits)
    totals: list[dict[str, _Ints]] = [{} for _ in bounds]
    times: list[_Ints] = [np.ones(end - begin, np.int64) for begin, end in bounds]
    for start in range(0, len(UNIT_COUNTS), at_once):
        names = UNIT_COUNTS[start : start + at_once]
        shifts = bits * np.arange(len(names))
        packed = [
            (each.counts[kind][:, start : start + at_once] << shifts).sum(axis=1)[
                each.columns[f"{kind}_counts"]
            ]
            for each in rows
        ]
        words = np.zeros(len(n_rows), np.int64)
        np.add.at(words, units, np.concatenate(packed))
        for at, (begin, end) in enumerate(bounds):
            own = words[begin:end]
            if len(names) == len(UNIT_COUNTS):
                own, times[at] = np.unique(own, return_counts=True)
            for name, shift in zip(names, shifts.tolist(), strict=True):
                totals[at][name] = own >> shift & (1 << bits) - 1
    return list(zip(totals, times, strict=True))
