"""Cells added up: what a report would count from the facts of all their days together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.offers import KINDS, Arm, Kind
from engine.tracking.counts import ArmCounts, Counts, Drawing
from engine.tracking.drawing import WHOLE
from engine.tracking.intervals import RatioSums
from engine.tracking.measures import Measures
from engine.tracking.rollups.cells import (
    ADDED,
    ARMS,
    BUYING,
    NOT_DRAWN,
    UNKNOWN_SHARE,
    Cell,
    bits,
)
from engine.tracking.rollups.columns import Ints

_EXACT = 2**53
_FITS = 2**62
_HALF = 20


@dataclass(frozen=True, slots=True)
class _Rows:
    """Units of several cells under numbers from 0 to n - 1, one for each unit of any of them."""

    n: int
    of_cells: Sequence[Ints]


def added(cells: Sequence[Cell], currency: str | None, holdout: float, rows: Adder) -> Measures:
    """The measures of a period from its cells, in order of their days.

    Money of a cell counts where it is in `currency`; `holdout` stands in for shares not known.
    """
    numbered = rows.numbered([cell.units for cell in cells])
    flags = np.zeros(numbered.n, np.uint8)
    for cell, at in zip(cells, numbered.of_cells, strict=True):
        flags[at] |= cell.flags.astype(np.uint8)
    held = np.bincount(flags, minlength=256)
    return Measures(
        {kind: _counts(cells, kind, held, currency) for kind in KINDS},
        _arms(cells, numbered, currency),
        _drawing(cells, numbered, holdout),
    )


class Adder:
    """Scratch memory for numbering units, used again for every period of a report."""

    def __init__(self) -> None:
        self._last = np.zeros(0, np.int32)

    def numbered(self, units: Sequence[Ints]) -> _Rows:
        """Without sorting: each unit is numbered by the last row it stands in."""
        every = np.concatenate(units) if units else np.zeros(0, np.int64)
        if not len(every):
            return _Rows(0, [every] * len(units))
        if int(every.max()) >= len(self._last):
            self._last = np.zeros(int(every.max()) + 1, np.int32)
        places = np.arange(len(every), dtype=np.int32)
        self._last[every] = places
        last = self._last[every]
        number = np.cumsum(last == places) - 1
        ends = np.cumsum([len(each) for each in units])[:-1]
        return _Rows(int(number[-1]) + 1, np.split(number[last], ends))


def _counts(cells: Sequence[Cell], kind: Kind, held: Ints, currency: str | None) -> Counts:
    sums = {
        name: sum(
            getattr(cell.counts[kind], name)
            for cell in cells
            if not name.endswith("revenue_minor") or cell.currency == currency
        )
        for name in ADDED
    }
    shown, converted, kept = bits(kind)

    def units(wanted: int, *also: int) -> int:
        patterns = np.arange(256)
        chosen = (patterns & wanted) > 0
        for each in also:
            chosen &= (patterns & each) > 0
        return int(held[chosen].sum())

    return Counts(
        **sums,
        units_shown=units(shown, BUYING | converted),
        units_converted=units(converted),
        units_kept=units(kept),
        units_buying=units(BUYING | converted),
    )


def _arms(
    cells: Sequence[Cell], numbered: _Rows, currency: str | None
) -> Mapping[Kind, Mapping[Arm, ArmCounts]]:
    known: dict[tuple[int, ...], Ints] = {}

    def total(kind: Kind, arm: Arm, measure: str) -> Ints:
        """Of each unit; what both kinds have in common is added once."""
        money = measure in ("ordered", "owed")
        used = [
            (cell, at)
            for cell, at in zip(cells, numbered.of_cells, strict=True)
            if not money or cell.currency == currency
        ]
        key = tuple(
            each
            for cell, _ in used
            for each in (id(cell.cluster_units[kind, arm]), id(cell.clusters[kind, arm, measure]))
        )
        key = (len(used), *key)
        if key not in known:
            rows = [at[cell.cluster_units[kind, arm]] for cell, at in used]
            values = [cell.clusters[kind, arm, measure] for cell, _ in used]
            known[key] = _grouped(rows, values, numbered.n)
        return known[key]

    def arm_counts(kind: Kind, arm: Arm) -> ArmCounts:
        checkouts = total(kind, arm, "checkouts")
        there = checkouts > 0
        trials = checkouts[there]
        sums = {
            measure: ratio_sums(total(kind, arm, measure)[there], trials)
            for measure in ("converted", "completed", "ordered", "owed")
        }
        return ArmCounts(
            sums["converted"].sum_m,
            sums["converted"].sum_x,
            sums["completed"].sum_x,
            sums["converted"],
            sums["completed"],
            sums["ordered"],
            sums["owed"],
        )

    return {kind: {arm: arm_counts(kind, arm) for arm in ARMS} for kind in KINDS}


def _grouped(rows: Sequence[Ints], values: Sequence[Ints], n: int) -> Ints:
    if not rows:
        return np.zeros(n, np.int64)
    where, what = np.concatenate(rows), np.concatenate(values).astype(np.int64)
    if len(what) and int(np.abs(what).max()) * len(what) >= _EXACT:
        sums = np.zeros(n, np.int64)
        np.add.at(sums, where, what)  # slower, and exact for any amount
        return sums
    return np.bincount(where, weights=what, minlength=n).astype(np.int64)


def ratio_sums(x: Ints, m: Ints) -> RatioSums:
    """`RatioSums.of` of two columns of clusters, as exact."""
    return RatioSums(
        len(m), int(x.sum()), int(m.sum()), _product(x, x), _product(x, m), _product(m, m)
    )


def _product(a: Ints, b: Ints) -> int:
    """The sum of products, exact where 64 bits would not hold it."""
    if not len(a):
        return 0
    largest_a, largest_b = int(np.abs(a).max()), int(np.abs(b).max())
    if largest_a * largest_b * len(a) < _FITS:
        return int(np.dot(a, b))
    if largest_a < largest_b:
        return _product(b, a)
    high, low = a >> _HALF, a & (2**_HALF - 1)
    return (_product(high, b) << _HALF) + _product(low, b)


def _drawing(cells: Sequence[Cell], numbered: _Rows, holdout: float) -> Drawing:
    arms = np.full(numbered.n, NOT_DRAWN, np.int8)
    shares = np.zeros(numbered.n, np.int64)
    # The latest first, so that what stays is of the earliest day.
    for cell, at in zip(reversed(cells), reversed(numbered.of_cells), strict=True):
        drawn = cell.arms != NOT_DRAWN
        arms[at[drawn]] = cell.arms[drawn]
        shares[at[drawn]] = cell.shares[drawn]
    drawn = arms != NOT_DRAWN
    known = shares[drawn]
    known[known == UNKNOWN_SHARE] = round(holdout * WHOLE)
    return Drawing(
        int(drawn.sum()),
        int((arms == ARMS.index("control")).sum()),
        int(known.sum()),
        _product(known, WHOLE - known),
    )
