"""The roll-ups of several days added up: the numbers that the facts of all of them would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.facts import KINDS, Arm, Kind
from engine.tracking.incremental import ARMS, MEASURES, Stratum, arm_counts_of, drawing_of
from engine.tracking.intervals import RatioSums
from engine.tracking.measures import Measures
from engine.tracking.rates import ArmCounts, Counts
from engine.tracking.rollups.day import DRAWN, FLAGS, MARKS, Day, UnitRows
from engine.tracking.rollups.unit_sums import TOTALS, Columns, UnitSums, unit_sums

_ROWS = 2**19
"""Rows grouped at once, so that the sums of their units fit into the processor's cache."""

_PATTERNS = 2 ** len(MARKS)

_Ints = NDArray[Any]


class PeriodSums:
    """Several days added up, each unit counted once.

    Sums of days simply add as long as no unit returns. The rows of units that do are grouped.

    Parameters
    ----------
    days : sequence of Day
        In order of time.
    currency : str or None
        The money of days in other currencies is left out.
    units : Units
        Counts the units.
    executor : Executor
        Groups the rows of units, from now on.
    """

    def __init__(
        self, days: Sequence[Day], currency: str | None, units: Units, executor: Executor
    ) -> None:
        self._counts: dict[Kind, Counts] = dict.fromkeys(KINDS, Counts())
        rows: list[UnitRows] = []
        for day in days:
            has_money = day.notes.currency == currency
            for kind, counts in day.notes.counts.items():
                if not has_money:
                    counts = replace(counts, revenue_minor=0, net_revenue_minor=0)
                self._counts[kind] += counts
            rows += day.rows if has_money else [each.without_money() for each in day.rows]
        self.has_units = bool(rows)
        self._sums = {
            arm: _sums_of([each for each in rows if each.arm == arm], executor) for arm in ARMS
        }
        self._n_flags, self._n_units = units.count(rows)

    def measures(self, holdout: float) -> Measures:
        """Return the measures; `holdout` is the control share where decisions state none."""
        arms = {arm: self._arm_counts(arm) for arm in ARMS}
        return Measures(
            {kind: _with_units(self._counts[kind], kind, self._n_flags) for kind in KINDS},
            {kind: {arm: arms[arm][kind] for arm in ARMS} for kind in KINDS},
            drawing_of(self._n_units, holdout),
        )

    def _arm_counts(self, arm: Arm) -> Mapping[Kind, ArmCounts]:
        parts = [each.result() for each in self._sums[arm]]

        def sums(kind: Kind, name: str) -> RatioSums:
            return reduce(add, (part[kind, name] for part in parts), RatioSums())

        return {
            kind: arm_counts_of({name: sums(kind, name) for name in MEASURES}) for kind in KINDS
        }


def _sums_of(rows: Sequence[UnitRows], executor: Executor) -> list[Future[UnitSums]]:
    """Return sums over units that add up to those of all `rows`."""
    n_parts = sum(len(each.unit) for each in rows) // _ROWS + 1
    if n_parts == 1:
        return [executor.submit(_few, rows)] if rows else []
    bounds = np.linspace(0, max(int(each.unit[-1]) for each in rows) + 1, n_parts + 1)
    bounds = bounds.astype(np.int64)
    cuts = [np.searchsorted(each.unit, bounds).tolist() for each in rows]
    return [
        executor.submit(
            _many,
            [
                (each, slice(*of_each[part : part + 2]))
                for each, of_each in zip(rows, cuts, strict=True)
            ],
            range(*bounds[part : part + 2].tolist()),
        )
        for part in range(n_parts)
    ]


def _few(rows: Sequence[UnitRows]) -> UnitSums:
    """Add up a period in which most units are in one row: add the rows, correct for the others."""
    units = np.concatenate([each.unit for each in rows])
    ascending = np.sort(units)
    again = ascending[1:][ascending[1:] == ascending[:-1]]
    sums = [each.ratios for each in rows]
    if len(again):
        returning = np.isin(units, again, kind="table")
        columns = {
            name: np.concatenate([each.sums[name] for each in rows], dtype=np.int64)[returning]
            for name in TOTALS
        }
        distinct, places = np.unique(units[returning], return_inverse=True)
        over_rows = unit_sums(columns)
        sums.append(unit_sums(_added(columns, places, len(distinct))))
        sums.append({key: -of_rows for key, of_rows in over_rows.items()})
    return {key: reduce(add, (each[key] for each in sums)) for key in sums[0]}


def _many(parts: Sequence[tuple[UnitRows, slice]], units: range) -> UnitSums:
    """Add up the rows of some units, of which most are in several rows."""
    places = np.concatenate([rows.unit[part] for rows, part in parts], dtype=np.int64)
    columns = {
        name: np.concatenate([rows.sums[name][part] for rows, part in parts], dtype=np.int64)
        for name in TOTALS
    }
    return unit_sums(_added(columns, places - units.start, len(units)))


def _added(columns: Columns, places: _Ints, n: int) -> Columns:
    """Return columns in which the rows of each of `n` places are added up."""
    added = {name: np.zeros(n, np.int64) for name in columns}
    for name, column in columns.items():
        np.add.at(added[name], places, column)
    return added


class Units:
    """Counts units by what they did in a period; its memory serves one period after another."""

    def __init__(self) -> None:
        self._marks = np.zeros(0, np.uint32)  # flags, and above them the number of a stratum

    def count(self, rows: Sequence[UnitRows]) -> tuple[_Ints, Mapping[Stratum, int]]:
        """Count units by their flags over all `rows`, and by the stratum of their first decision.

        Parameters
        ----------
        rows : sequence of UnitRows
            Of days in order of time.

        Returns
        -------
        n_flags : int64 (n_patterns,)
            Number of units for each pattern of flags.
        n_units : mapping
            Number of units in each stratum.
        """
        largest = max((int(each.unit[-1]) for each in rows), default=0)
        if largest >= len(self._marks):
            self._marks = np.zeros(largest + 1, np.uint32)
        strata: dict[Stratum | None, int] = {None: 0}
        for each in rows:
            marks = self._marks[each.unit] | each.flags
            if each.arm is not None:
                stratum = strata.setdefault((each.arm, each.share), len(strata))
                marks[(each.flags >= DRAWN) & (marks < _PATTERNS)] |= stratum * _PATTERNS
            self._marks[each.unit] = marks
        counts = np.zeros(len(strata) * _PATTERNS, np.int64)
        for each in rows:
            # A unit counts in the first of its rows; from then on it has no marks.
            counts += np.bincount(self._marks[each.unit], minlength=len(counts))
            self._marks[each.unit] = 0
        table = counts.reshape(len(strata), _PATTERNS)
        n_units = table.sum(axis=1).tolist()
        return table.sum(axis=0), {
            stratum: n_units[number] for stratum, number in strata.items() if stratum is not None
        }


def _with_units(counts: Counts, kind: Kind, n_flags: _Ints) -> Counts:
    """Return the counts of a kind with those of units, from the number with each flags."""
    patterns = np.arange(len(n_flags))

    def has(name: str) -> NDArray[np.bool_]:
        return (patterns >> MARKS.index(name)) & 1 == 1

    shown, sold, kept = (has(f"{kind}_{name}") for name in FLAGS)
    # A window may credit the order of another unit, so that one with a conversion did not buy.
    buying = has("buying") | sold

    def units(chosen: NDArray[np.bool_]) -> int:
        return int(n_flags[chosen].sum())

    return replace(
        counts,
        units_shown=units(shown & buying),
        units_converted=units(sold),
        units_kept=units(kept),
        units_buying=units(buying),
    )
