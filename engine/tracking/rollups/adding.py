"""Cells added up: what a report would count from the facts of all their days together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

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
from engine.tracking.rollups.columns import Ints, product, ratio_sums

_EXACT = 2**53


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
    """Sums over units are those of the days, but for the units that several days share."""
    times = np.zeros(numbered.n, np.int32)
    for at in numbered.of_cells:
        times[at] += 1  # a cell holds no unit twice
    again = times > 1
    known: dict[tuple[int, ...], Ints] = {}

    def once(key: tuple[int, ...], compute: Callable[[], Ints]) -> Ints:
        """What both kinds have in common is computed once."""
        if key not in known:
            known[key] = compute()
        return known[key]

    def grouped(shared: Ints, column: Ints) -> Ints:
        return once((5, id(shared), id(column)), lambda: _grouped(shared, column, numbered.n))

    corrections: dict[tuple[int, int, int], RatioSums] = {}

    def arm_counts(kind: Kind, arm: Arm) -> ArmCounts:
        places = [cell.cluster_units[kind, arm] for cell in cells]
        ids = tuple(map(id, places))

        def shared_rows() -> Ints:
            rows = [at[where] for at, where in zip(numbered.of_cells, places, strict=True)]
            return np.concatenate(rows) if rows else np.zeros(0, np.int64)

        rows = once((1, *ids), shared_rows)
        chosen = once((2, *ids), lambda: np.nonzero(again[rows])[0])
        shared = once((3, *ids), lambda: rows[chosen])

        def of_rows(measure: str) -> Ints:
            money = measure in ("ordered", "owed")
            counts = [not money or cell.currency == currency for cell in cells]
            stored = [cell.clusters[kind, arm, measure] for cell in cells]
            columns = [
                column if counted else np.zeros(len(column), np.uint8)
                for column, counted in zip(stored, counts, strict=True)
            ]
            # By what the cells hold, which lives as long as they do.
            of_cells = (*map(id, stored), *counts)
            return once(
                (4, *ids, *of_cells),
                lambda: np.concatenate(columns)[chosen] if columns else np.zeros(0, np.int64),
            )

        def sums(measure: str) -> RatioSums:
            money = measure in ("ordered", "owed")
            total = RatioSums()
            for cell in cells:
                of_cell = cell.sums_of(kind, arm, measure)
                if money and cell.currency != currency:
                    # Its checkouts were eligible, and worth nothing in this currency.
                    of_cell = replace(of_cell, sum_x=0, sum_xx=0, sum_xm=0)
                total += of_cell
            if not len(shared):
                return total
            x, m = of_rows(measure), of_rows("checkouts")
            # The columns live in `known`, so their ids stand for them.
            pair = (id(shared), id(x), id(m))
            if pair not in corrections:
                grouped_x, grouped_m = grouped(shared, x), grouped(shared, m)
                there = once((6, id(grouped_m)), lambda: np.nonzero(grouped_m)[0])
                together = ratio_sums(grouped_x[there], grouped_m[there])
                corrections[pair] = together + ratio_sums(x, m).negated
            return total + corrections[pair]

        found = {measure: sums(measure) for measure in SUMMED}
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


def _grouped(where: Ints, what: Ints, n: int) -> Ints:
    if len(what) and max(int(what.max()), -int(what.min())) * len(what) >= _EXACT:
        sums = np.zeros(n, np.int64)
        np.add.at(sums, where, what)  # slower, and exact for any amount
        return sums
    return np.bincount(where, weights=what, minlength=n).astype(np.int64)


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
        product(known, WHOLE - known),
    )
