"""Sums over the units of several cells: a unit that stands in some of them counts once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.facts import KINDS, Arm, Kind
from engine.native.unit_sums import unit_sums
from engine.tracking.intervals import RatioSums
from engine.tracking.rollups.cells import ARMS, SUMMED, Cell
from engine.tracking.rollups.columns import Ints, ratio_sums

MONEY = ("ordered", "owed")
_EXACT = 2**53

Key = tuple[Kind, Arm, str]


@dataclass(frozen=True, slots=True)
class Rows:
    """Units of several cells under numbers below n, each of which is at most one unit's."""

    n: int
    of_cells: Sequence[Ints]


def sums_of(cells: Sequence[Cell], numbered: Rows, currency: str | None) -> Mapping[Key, RatioSums]:
    """By kind, arm and measure, each unit counted once; nothing of arms that nobody is in."""
    columns = _Columns(cells, numbered, currency)
    found: dict[Key, RatioSums] = {}
    for (rows, m), wanted in columns.together().items():
        known = columns.known
        xs = [known[x] for x in wanted]
        sums = None
        if not any(map(_is_wide, (*xs, known[m]))):
            sums = unit_sums(known[rows], numbered.n, xs, known[m])
        if sums is None:
            sums = _by_numpy(known[rows], numbered.n, xs, known[m])
        for keys, of_units in zip(wanted.values(), sums, strict=True):
            found |= dict.fromkeys(keys, of_units)
    return found


_Place = tuple[int, ...]


class _Columns:
    """Rows and columns by cell; what both kinds have in common, once."""

    def __init__(self, cells: Sequence[Cell], numbered: Rows, currency: str | None) -> None:
        self._cells, self._numbered, self._currency = cells, numbered, currency
        self.known: dict[_Place, Sequence[Ints]] = {}

    def together(self) -> dict[tuple[_Place, _Place], dict[_Place, list[Key]]]:
        """Places in `known`: (rows, checkouts) -> each column over them -> what it is of."""
        groups: dict[tuple[_Place, _Place], dict[_Place, list[Key]]] = {}
        for kind in KINDS:
            for arm in ARMS:
                rows = self._rows(kind, arm)
                if not any(map(len, self.known[rows])):
                    continue
                group = groups.setdefault((rows, self._column(kind, arm, "checkouts")), {})
                for measure in SUMMED:
                    x = self._column(kind, arm, measure)
                    group.setdefault(x, []).append((kind, arm, measure))
        return groups

    def _rows(self, kind: Kind, arm: Arm) -> _Place:
        places = [cell.cluster_units[kind, arm] for cell in self._cells]
        # Equal columns of a cell are one array, which lives as long as the cell.
        key = (0, *map(id, places))
        if key not in self.known:
            of_cells = zip(self._numbered.of_cells, places, strict=True)
            self.known[key] = [at[where] for at, where in of_cells]
        return key

    def _column(self, kind: Kind, arm: Arm, measure: str) -> _Place:
        counts = [measure not in MONEY or cell.currency == self._currency for cell in self._cells]
        stored = [cell.clusters[kind, arm, measure] for cell in self._cells]
        key = (1, *map(id, stored), *counts)
        if key not in self.known:
            pairs = zip(stored, counts, strict=True)
            self.known[key] = [
                column if counted else np.zeros(len(column), np.uint8) for column, counted in pairs
            ]
        return key


def _by_numpy(
    units: Sequence[Ints], n_units: int, xs: Sequence[Sequence[Ints]], ms: Sequence[Ints]
) -> list[RatioSums]:
    """As `unit_sums`, of any amounts."""
    rows, m = _joined(units), _joined(ms)
    grouped = _grouped(rows, m, n_units)
    there = np.nonzero(grouped)[0]
    sums = (_grouped(rows, _joined(x), n_units)[there] for x in xs)
    return [ratio_sums(each, grouped[there]) for each in sums]


def _joined(columns: Sequence[Ints]) -> Ints:
    return np.concatenate(columns, dtype=np.int64)


def _is_wide(columns: Sequence[Ints]) -> bool:
    """Whether the kernel's whole numbers, or a float's, might not hold sums of it."""
    filled = [column for column in columns if len(column)]
    most = max(max(int(column.max()), -int(column.min())) for column in filled)
    return most * sum(map(len, filled)) >= _EXACT


def _grouped(where: Ints, what: Ints, n: int) -> Ints:
    if _is_wide([what]):
        sums = np.zeros(n, np.int64)
        np.add.at(sums, where, what)  # slower, and exact for any amount
        return sums
    return np.bincount(where, weights=what, minlength=n).astype(np.int64)
