"""Totals of units over all of their rows, and their sums over the units of each group.

A group is the days of a period, or each of some days by itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.facts import KINDS, Arm, Kind
from mersalg.engine.tracking.extra_sales import MEASURE
from mersalg.engine.tracking.intervals import CrossSums, RatioSums
from mersalg.engine.tracking.rates import CLUSTERED, UNIT_COUNTS
from mersalg.engine.tracking.rollups.day import FLAGS, UnitRows
from mersalg.engine.tracking.rollups.exact_sums import Bounds, count_true
from mersalg.engine.tracking.rollups.stratum import Stratum
from mersalg.engine.tracking.rollups.unit_trials import trials_of
from mersalg.engine.tracking.strata import MEASURES, share_of

_ROWS = 2**21
"""Rows added up at once, so that a year of a large shop needs no more memory than a month."""

_Ints = NDArray[Any]

Key = tuple[str | int | None, ...]
"""A field of `Measures` and what is under it, down to the numbers."""

Sums = Mapping[Key, tuple[int, ...]]
"""As far as they are not all 0."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows in order of time; where they are `days_apart`, a unit is another one on each day."""

    rows: Sequence[UnitRows]
    days_apart: bool = False


def of_units(groups: Sequence[Group], holdout: float) -> Iterator[tuple[int, Sums]]:
    """Yield the place of a group and sums over some of its units, until all were in one.

    Parameters
    ----------
    groups : sequence of Group
        Those without rows have no sums.
    holdout : float
        Control share where decisions state none.
    """
    for batch in _batches(groups):
        units = [each.columns["unit"] for at in batch for each in groups[at].rows]
        n_parts = sum(map(len, units)) // _ROWS + 1
        highest = max(int(each[-1]) for each in units)
        # Of the type of the units: NumPy would convert every unit to that of the bounds.
        cuts = np.linspace(0, highest + 1, n_parts + 1).astype(np.int32)
        for begin, end in pairwise(cuts):
            some = [groups[at] for at in batch]
            if n_parts > 1:
                some = [Group(_between(begin, end, each.rows), each.days_apart) for each in some]
            if any(each.rows for each in some):
                yield from zip(batch, _Part(*_placed(some), holdout).sums(), strict=True)


def _batches(groups: Sequence[Group]) -> Iterator[Sequence[int]]:
    """Yield places of groups that are small enough to be added up at once, or of one alone."""
    batch: list[int] = []
    n_rows = 0
    for at, group in enumerate(groups):
        n_own = sum(len(each.columns["unit"]) for each in group.rows)
        if batch and n_rows + n_own > _ROWS:
            yield batch
            batch, n_rows = [], 0
        batch += [at] if group.rows else []
        n_rows += n_own
    if batch:
        yield batch


def _between(begin: np.int32, end: np.int32, rows: Sequence[UnitRows]) -> Sequence[UnitRows]:
    """Return the rows of units from one number to another."""
    ends = np.array([begin, end])
    cuts = [np.searchsorted(each.columns["unit"], ends).tolist() for each in rows]
    return [each.part(slice(*cut)) for each, cut in zip(rows, cuts, strict=True) if cut[0] < cut[1]]


def of_sets(rows: Sequence[UnitRows], ends: Sequence[int], holdout: float) -> Sequence[Sums]:
    """Return the sums of sets whose units are numbered one set after the other.

    Parameters
    ----------
    rows : sequence of UnitRows
        Each has rows of all sets.
    ends : sequence of int
        Where the numbers of the units of each set end; the first is 0.
    holdout : float
        Control share where decisions state none.
    """
    if not rows:
        return [{} for _ in ends[1:]]
    places = np.concatenate([each.columns["unit"] for each in rows])
    return _Part(rows, places, list(pairwise(ends)), holdout).sums()


def _placed(groups: Sequence[Group]) -> tuple[Sequence[UnitRows], _Ints, Bounds]:
    """Return the rows of groups, with a place for each unit of a group, in the order of groups."""
    rows: list[UnitRows] = [each for group in groups for each in group.rows]
    group_of = [at for at, group in enumerate(groups) for _ in group.rows]
    lowest = min(int(each.columns["unit"][0]) for each in rows)
    span = max(int(each.columns["unit"][-1]) for each in rows) + 1 - lowest
    apart = [each.day for group in groups if group.days_apart for each in group.rows]
    first = min(apart, default=0)
    days = max(apart, default=0) + 1 - first
    places = np.concatenate(
        [
            np.add(
                each.columns["unit"],
                (at * days + (each.day - first) * groups[at].days_apart) * span - lowest,
                dtype=np.intp,
            )
            for at, each in zip(group_of, rows, strict=True)
        ]
    )
    ends: list[int] = [at * days * span for at in range(len(groups) + 1)]
    if ends[-1] > 2 * len(places):
        # So many gaps are between the units that they cost more than sorting.
        distinct, places = np.unique(places, return_inverse=True)
        ends = np.searchsorted(distinct, ends).tolist()
    return rows, places, list(pairwise(ends))


class _Part:
    """Rows with the place of the unit of each, and the bounds of groups among the places."""

    def __init__(
        self, rows: Sequence[UnitRows], places: _Ints, bounds: Bounds, holdout: float
    ) -> None:
        self._rows, self._places, self._bounds = rows, places, bounds
        self._holdout, self._n = holdout, bounds[-1][1]
        self._sizes = [len(each.columns["unit"]) for each in rows]
        self._found: list[dict[Key, tuple[int, ...]]] = [{} for _ in bounds]
        self._n_rows = np.bincount(places, minlength=self._n)

    def sums(self) -> Sequence[Sums]:
        """Return the sums of each group."""
        rows, places, bounds = self._rows, self._places, self._bounds
        strata = self._strata()
        self._put_strata(strata)
        flags = self._flags()
        n_buying = count_true(flags & FLAGS["buying"], bounds)
        first = dict.fromkeys(KINDS, self._first(KINDS[0]))
        if any(f"{KINDS[1]}_drawn" in each.columns for each in rows):
            first[KINDS[1]] = self._first(KINDS[1])
        for kind in KINDS:
            self._put_drawn(kind, first[kind])
            of_row = np.where(first[kind] > 0, len(rows) - first[kind] // self._codes, -1)
            trials = trials_of(kind, rows, places, of_row, strata, bounds, self._holdout)
            for key, of_measures in trials.items():
                for name, sums in of_measures.items():
                    self._put(("arms", "of_units", kind, *key, name), sums)
            n_bought = count_true(flags & FLAGS[f"{kind}_bought"], bounds)
            n_converted, n_kept, ratios = _converted(kind, rows, places, self._n_rows, bounds)
            counts = zip(n_bought, n_converted, n_kept, n_buying, strict=True)
            self._put(("counts", kind), counts)
            for name, sums in ratios.items():
                self._put(("ratios", kind, name), sums)
        return self._found

    def _put(self, key: Key, sums: Iterable[tuple[int, ...] | RatioSums | CrossSums]) -> None:
        """Note the sums of each group."""
        for found, each in zip(self._found, sums, strict=True):
            if isinstance(each, RatioSums | CrossSums):
                each = tuple(getattr(each, name) for name in each.__slots__)
            if any(each):
                found[key] = each

    def _strata(self) -> Mapping[tuple[int, Arm], Stratum]:
        """Return the strata, in order; of a share that is not stated the rows are among others."""
        shares = [share_of(each.share, self._holdout) for each in self._rows]
        found: defaultdict[tuple[int, Arm], list[int]] = defaultdict(list)
        for at, (share, each) in enumerate(zip(shares, self._rows, strict=True)):
            if each.arm is not None:
                found[share, each.arm].append(at)
        places = self._places_of()
        return {
            key: Stratum(
                [self._rows[at] for at in found[key]],
                np.concatenate([places[at] for at in found[key]]),
                self._n_rows,
                self._bounds,
            )
            for key in sorted(found)
        }

    def _put_strata(self, strata: Mapping[tuple[int, Arm], Stratum]) -> None:
        for kind, (key, stratum) in product(KINDS, strata.items()):
            for name in MEASURES:
                self._put(("arms", "strata", kind, *key, name), stratum.sums(kind, name))
            unstated = self._unstated(kind, key)
            self._put(("unstated", kind, *key), unstated)
        for (first, arm), (second, other) in product(strata, strata):
            if other != arm:
                continue
            one, two = strata[first, arm], strata[second, arm]
            shared = one.shared_with(two)
            self._put(("between", arm, first, second), shared.products(KINDS, MEASURE))
            for kind, name in product(KINDS, MEASURES) if first < second else ():
                key = ("across", kind, arm, first, second, name)
                self._put(key, shared.products((kind, kind), name))

    def _unstated(self, kind: Kind, key: tuple[int, Arm]) -> Sequence[tuple[int]]:
        """Return the checkouts of each group whose decisions state no share."""
        if all(each.share is not None for each in self._rows):
            return [(0,)] * len(self._bounds)
        total = np.zeros(self._n, np.int64)
        for places, each in zip(self._places_of(), self._rows, strict=True):
            if each.share is None and (share_of(None, self._holdout), each.arm) == key:
                np.add.at(total, places, each.column(f"{kind}_checkouts"))
        return [(int(total[begin:end].sum()),) for begin, end in self._bounds]

    def _places_of(self) -> Sequence[_Ints]:
        """Return the places of each of the rows."""
        return np.split(self._places, np.cumsum(self._sizes)[:-1])

    def _first(self, kind: Kind) -> _Ints:
        """Return a code of the first eligible decision of each unit: the highest; 0 for none.

        The rows it is in come first in it: they count from 1, the last one.
        """
        self._codes = max(len(each.groups) for each in self._rows) + 1
        decided = [
            np.where(column > 0, column + np.int32(at * self._codes), np.int32(0))
            for at, column in zip(
                range(len(self._rows), 0, -1),
                (each.column(f"{kind}_drawn") for each in self._rows),
                strict=True,
            )
        ]
        first = np.zeros(self._n, np.int32)
        np.maximum.at(first, self._places, np.concatenate(decided))
        return first

    def _put_drawn(self, kind: Kind, first: _Ints) -> None:
        """Note the numbers of units of each stratum and group of decisions."""
        for found, (begin, end) in zip(self._found, self._bounds, strict=True):
            drawn: Counter[Key] = Counter()
            codes, times = np.unique(first[begin:end], return_counts=True)
            code: int
            for code, n in zip(codes.tolist(), times.tolist(), strict=True):
                rows: UnitRows = self._rows[-(code // self._codes)]
                if code and rows.arm is not None:
                    drawn[rows.arm, rows.share, *rows.groups[code % self._codes - 1]] += n
            found.update((("drawn", kind, *key), (n,)) for key, n in drawn.items())

    def _flags(self) -> NDArray[np.uint8]:
        """Return the flags of each unit.

        A unit that was shown an offer on one day and ordered on a later one has bought, too.
        """
        flags = np.zeros(self._n, np.uint8)
        row_flags = np.concatenate([each.columns["flags"] for each in self._rows])
        np.bitwise_or.at(flags, self._places, row_flags)
        ends, days = np.cumsum(self._sizes), np.array([each.day for each in self._rows])
        kinds = [(FLAGS[f"{kind}_shown"], FLAGS[f"{kind}_bought"]) for kind in KINDS]
        # Days know who bought on the day of the offer; few units are left to be looked at.
        is_open = flags & FLAGS["ordered"] > 0
        is_open &= np.any([flags & (shown | bought) == shown for shown, bought in kinds], axis=0)
        at = np.flatnonzero(is_open[self._places])
        own, days_of = self._places[at], days[np.searchsorted(ends, at, side="right")]
        last = np.full(self._n, days.min())
        np.maximum.at(last, own, np.where(row_flags[at] & FLAGS["ordered"], days_of, days.min()))
        for shown, bought in kinds:
            is_before = (row_flags[at] & shown > 0) & (days_of < last[own])
            flags[own[is_before]] |= bought
        return flags


def _converted(
    kind: Kind, rows: Sequence[UnitRows], units: _Ints, n_rows: _Ints, bounds: Bounds
) -> tuple[Sequence[int], Sequence[int], Mapping[str, Sequence[RatioSums]]]:
    """Return for each group how many units converted and kept, and the sums of the rates."""
    found = [
        _sums_of_rates(totals, times)
        for totals, times in _totals(kind, rows, units, n_rows, bounds)
    ]
    n_converted, n_kept = ([each[name].n_some for each in found] for name in ("offer", "net_offer"))
    return n_converted, n_kept, {name: [each[name] for each in found] for name in CLUSTERED}


def _sums_of_rates(totals: Mapping[str, _Ints], times: _Ints) -> Mapping[str, RatioSums]:
    """Return the sums of each rate."""
    found: dict[str, RatioSums] = {}
    for name, rate in CLUSTERED.items():
        x, m = totals[rate.numerator], totals[rate.denominator]
        columns = (m > 0, x, m, x * x, x * m, m * m, x > 0, x < m)
        found[name] = RatioSums(*(int(np.dot(times, column)) for column in columns))
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
