"""Cells added up: what a report would count from the facts of all their days together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    SUMMED,
    UNKNOWN_SHARE,
    Cell,
    bits,
)
from engine.tracking.rollups.columns import Ints, product
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
        """Without sorting: each unit is numbered by the last row it stands in."""
        every = np.concatenate(units) if units else np.zeros(0, np.int64)
        if not len(every):
            return Rows(0, [every] * len(units))
        if int(every.max()) >= len(self._last):
            self._last = np.zeros(int(every.max()) + 1, np.int32)
        places = np.arange(len(every), dtype=np.int32)
        self._last[every] = places
        last = self._last[every]
        number = np.cumsum(last == places) - 1
        ends = np.cumsum([len(each) for each in units])[:-1]
        return Rows(int(number[-1]) + 1, np.split(number[last], ends))


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
        product(known, WHOLE - known),
    )
