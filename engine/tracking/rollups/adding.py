"""Cells added up: what a report would count from the facts of all their days together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np

from engine.facts import KINDS, Arm, Kind
from engine.native.unit_sums import number_units
from engine.tracking.counts import ArmCounts, Counts, Drawing
from engine.tracking.drawing import WHOLE
from engine.tracking.intervals import RatioSums
from engine.tracking.measures import Measures
from engine.tracking.rollups.cells import (
    ADDED,
    ARMS,
    BUYING,
    NOT_DRAWN,
    SUMMED,
    UNKNOWN_SHARE,
    Cell,
    bits,
)
from engine.tracking.rollups.columns import Ints
from engine.tracking.rollups.shared import Rows, sums_of


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

    def numbered(self, units: Sequence[Ints]) -> Rows:
        """Without sorting: in NumPy each unit is numbered by the last row it stands in."""
        sizes = [len(each) for each in units]
        if not any(sizes):
            return Rows(0, [np.zeros(0, np.int32)] * len(units))
        largest = max(int(each[-1]) for each in units if len(each))
        if largest < sum(sizes):
            return Rows(largest + 1, units)  # so many of all units there are that gaps cost less
        if largest >= len(self._last):
            self._last = np.zeros(largest + 1, np.int32)
        found = number_units(units, self._last)
        if found is not None:
            return Rows(*found)
        ends = list(accumulate(sizes))
        starts = [0, *ends[:-1]]
        for each, start, end in zip(units, starts, ends, strict=True):
            self._last[each] = np.arange(start, end, dtype=np.int32)
        last = np.concatenate([self._last[each] for each in units])
        number = np.cumsum(last == np.arange(len(last), dtype=np.int32), dtype=np.int32)
        number -= 1
        n = int(number[-1]) + 1
        return Rows(n, [number[last[start:end]] for start, end in zip(starts, ends, strict=True)])


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
    cells: Sequence[Cell], numbered: Rows, currency: str | None
) -> Mapping[Kind, Mapping[Arm, ArmCounts]]:
    sums = sums_of(cells, numbered, currency)

    def arm_counts(kind: Kind, arm: Arm) -> ArmCounts:
        found = {name: sums.get((kind, arm, name), RatioSums()) for name in SUMMED}
        return ArmCounts(
            found["converted"].sum_m,
            found["converted"].sum_x,
            found["completed"].sum_x,
            found["converted"],
            found["completed"],
            found["ordered"],
            found["owed"],
        )

    return {kind: {arm: arm_counts(kind, arm) for arm in ARMS} for kind in KINDS}


def _drawing(cells: Sequence[Cell], numbered: Rows, holdout: float) -> Drawing:
    # Arm and share in one number above 0: units lie far apart, and each is looked up only once.
    both = np.zeros(numbered.n, np.int32)
    # The latest first, so that what stays is of the earliest day.
    for cell, at in zip(reversed(cells), reversed(numbered.of_cells), strict=True):
        pairs = (cell.shares.astype(np.int32) - UNKNOWN_SHARE) * len(ARMS) + (cell.arms + 1)
        drawn = cell.arms != NOT_DRAWN
        if drawn.all():
            both[at] = pairs
        else:
            both[at[drawn]] = pairs[drawn]
    n_units = n_control = total = variance = 0
    # There are few such numbers, so that each is taken apart once and not for each unit.
    values, held = np.unique(both[both > 0] - 1, return_counts=True)
    for pair, n in zip(values.tolist(), held.tolist(), strict=True):
        share = pair // len(ARMS) + UNKNOWN_SHARE
        if share == UNKNOWN_SHARE:
            share = round(holdout * WHOLE)
        n_units += n
        n_control += n if ARMS[pair % len(ARMS)] == "control" else 0
        total += n * share
        variance += n * share * (WHOLE - share)
    return Drawing(n_units, n_control, total, variance)
