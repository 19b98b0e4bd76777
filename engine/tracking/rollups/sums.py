"""The roll-ups of several days added up: the numbers that the facts of all of them would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
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
from engine.tracking.rollups.unit_sums import UnitSums, unit_sums

_ROWS = 2**19
"""Rows added up at once, so that the sums of their units fit into the processor's cache."""
_MANY = 3
"""Where more than one row in this number is of a unit with an earlier row, all rows are added up.

Adding up the rows of returning units costs less below it: a week takes half the time.
"""

_PATTERNS = 2 ** len(MARKS)

_NONE = RatioSums()

_Ints = NDArray[Any]


class PeriodSums:
    """Several days added up, each unit counted once.

    Parameters
    ----------
    days : sequence of Day
        In order of time.
    currency : str or None
        The money of days in other currencies is left out.
    executor : Executor
        Counts units, from now on.
    """

    def __init__(self, days: Sequence[Day], currency: str | None, executor: Executor) -> None:
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
        n_parts = sum(len(each.unit) for each in rows) // _ROWS + 1
        if n_parts > 1:
            self._units = [executor.submit(_of_units, part) for part in _parts(rows, n_parts)]
        else:
            self._units = [executor.submit(_added_up, rows)] if rows else []

    def measures(self, holdout: float) -> Measures:
        """Return the measures; `holdout` is the control share where decisions state none."""
        units = reduce(add, (each.result() for each in self._units), _UnitCounts())
        return Measures(
            {kind: _with_units(self._counts[kind], kind, units.n_flags) for kind in KINDS},
            {kind: {arm: units.arm_counts(arm, kind) for arm in ARMS} for kind in KINDS},
            drawing_of(units.n_units, holdout),
        )


@dataclass(frozen=True, slots=True)
class _UnitCounts:
    """What units did over all their rows; those of different units add up.

    Attributes
    ----------
    n_flags : int64 (n_patterns,)
        Number of units for each pattern of flags.
    n_units : Counter
        Number of units for each stratum of a first decision.
    sums : dict
        Sums over the units of an arm, for each kind and each of `MEASURES`.
    """

    n_flags: _Ints = field(default_factory=lambda: np.zeros(_PATTERNS, np.int64))
    n_units: Counter[Stratum] = field(default_factory=Counter[Stratum])
    sums: dict[tuple[Arm, Kind, str], RatioSums] = field(
        default_factory=dict[tuple[Arm, Kind, str], RatioSums]
    )

    def __add__(self, other: _UnitCounts) -> _UnitCounts:
        return _UnitCounts(
            self.n_flags + other.n_flags,
            self.n_units + other.n_units,
            {
                key: self.sums.get(key, _NONE) + other.sums.get(key, _NONE)
                for key in self.sums | other.sums
            },
        )

    def __sub__(self, other: _UnitCounts) -> _UnitCounts:
        return _UnitCounts(
            self.n_flags - other.n_flags,
            self.n_units - other.n_units,
            {key: sums - other.sums.get(key, _NONE) for key, sums in self.sums.items()},
        )

    def arm_counts(self, arm: Arm, kind: Kind) -> ArmCounts:
        """Return the counts of an arm."""
        sums = {name: self.sums.get((arm, kind, name), _NONE) for name in MEASURES}
        return arm_counts_of(sums)


def _parts(rows: Sequence[UnitRows], n_parts: int) -> Iterator[Sequence[UnitRows]]:
    """Yield the rows of some units after those of others."""
    highest = max(int(each.unit[-1]) for each in rows)
    # Of the type of the units: NumPy would convert every unit to that of the bounds.
    bounds = np.linspace(0, highest, n_parts + 1).astype(np.int32)[:-1]
    cuts = [[*np.searchsorted(each.unit, bounds).tolist(), len(each.unit)] for each in rows]
    for part in range(n_parts):
        chosen = [
            (each, slice(*cut[part : part + 2])) for each, cut in zip(rows, cuts, strict=True)
        ]
        some = [each.part(where) for each, where in chosen if where.start < where.stop]
        if some:
            yield some


def _added_up(rows: Sequence[UnitRows]) -> _UnitCounts:
    """Count the units of whole strata.

    The stored sums of strata add as long as no unit returns. Of units that do, what their rows
    count separately is replaced by what they count together.
    """
    units = np.concatenate([each.unit for each in rows])
    ascending = np.sort(units)
    again = ascending[1:][ascending[1:] == ascending[:-1]]
    if len(again) * _MANY > len(units):
        return _of_units(rows)
    counts = reduce(add, map(_of_stratum, rows))
    if not len(again):
        return counts
    returning = np.isin(units, again, kind="table")
    of_rows = np.split(returning, np.cumsum([len(each.unit) for each in rows])[:-1])
    theirs = [each.part(*np.nonzero(chosen)) for each, chosen in zip(rows, of_rows, strict=True)]
    theirs = [each for each in theirs if len(each.unit)]
    return counts + _of_units(theirs) - _of_units(theirs, np.arange(np.count_nonzero(returning)))


def _of_stratum(rows: UnitRows) -> _UnitCounts:
    n_flags = np.bincount(rows.flags, minlength=_PATTERNS)
    if rows.arm is None:
        return _UnitCounts(n_flags)
    return _UnitCounts(
        n_flags,
        Counter({(rows.arm, rows.share): int(n_flags[DRAWN:].sum())}),
        {(rows.arm, *key): sums for key, sums in rows.unit_sums.items()},
    )


def _of_units(rows: Sequence[UnitRows], units: _Ints | None = None) -> _UnitCounts:
    """Count the units of some rows, or those of `units`, one for each row."""
    if units is None:
        units = np.concatenate([each.unit for each in rows])
    places, n = _numbered(units)
    row_flags = np.concatenate([each.flags for each in rows])
    flags = np.zeros(n, np.uint8)
    np.bitwise_or.at(flags, places, row_flags)
    sizes = [len(each.unit) for each in rows]
    of_rows = np.split(places, np.cumsum(sizes)[:-1])
    sums: dict[tuple[Arm, Kind, str], RatioSums] = {}
    for arm in ARMS:
        chosen = [number for number, each in enumerate(rows) if each.arm == arm]
        if chosen:
            own = np.concatenate([of_rows[number] for number in chosen])
            found = _arm_sums([rows[number] for number in chosen], own)
            sums |= {(arm, *key): of_units for key, of_units in found.items()}
    return _UnitCounts(
        np.bincount(flags, minlength=_PATTERNS),
        _first_strata(rows, sizes, places, n, row_flags >= DRAWN),
        sums,
    )


def _first_strata(
    rows: Sequence[UnitRows], sizes: Sequence[int], places: _Ints, n: int, drawn: _Ints
) -> Counter[Stratum]:
    """Count the units by the stratum of their first decision."""
    numbers: dict[Stratum, int] = {}
    of_rows = [
        0 if each.arm is None else numbers.setdefault((each.arm, each.share), len(numbers))
        for each in rows
    ]
    first = np.full(n, len(numbers), np.int32)
    # Of several values that are assigned to one place the last stays: that of the earliest row.
    first[places[drawn][::-1]] = np.repeat(np.array(of_rows, np.int32), sizes)[drawn][::-1]
    n_units = np.bincount(first, minlength=len(numbers)).tolist()
    return Counter(dict(zip(numbers, n_units, strict=False)))


def _numbered(units: _Ints) -> tuple[_Ints, int]:
    """Return a number for each unit, and a bound for those numbers."""
    lowest = int(units.min())
    n = int(units.max()) + 1 - lowest
    if n <= 2 * len(units):
        return np.subtract(units, lowest, dtype=np.intp), n  # so many of them that gaps cost less
    # NumPy sorts integers several times faster than their places (`np.unique`), so that both are
    # in one integer.
    ascending = units.astype(np.int64) << 32 | np.arange(len(units))
    ascending.sort()
    numbers = np.cumsum(np.diff(ascending >> 32, prepend=-1) != 0) - 1
    places = np.empty(len(units), np.intp)
    places[ascending & 0xFFFF_FFFF] = numbers
    return places, int(numbers[-1]) + 1


def _arm_sums(rows: Sequence[UnitRows], units: _Ints) -> UnitSums:
    """Return the sums over `units` of one arm, one for each row."""
    places, n = _numbered(units)
    # Memory for one column after another: to get new memory takes longer than to add.
    of_rows = np.empty(len(places), np.int64)
    checkouts, others = np.empty(n, np.int64), np.empty(n, np.int64)

    def column(name: str) -> _Ints:
        np.concatenate([each.column(name) for each in rows], out=of_rows)
        added = checkouts if name.endswith("checkouts") else others
        added.fill(0)
        np.add.at(added, places, of_rows)
        return added

    return unit_sums(column, frozenset[str]().union(*(each.sums for each in rows)))


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
