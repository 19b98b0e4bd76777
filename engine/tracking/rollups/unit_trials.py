"""Units as trials, out of the sums of their checkouts over several days; see `per_unit`.

Most units have one stratum and no orders beside those of eligible checkouts: what a stratum has of
them is what they have as trials. Others are taken out of its sums, and added again with all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.facts import Arm, Kind
from mersalg.engine.tracking.intervals import RatioSums
from mersalg.engine.tracking.per_unit import OF_BASKET, as_trials
from mersalg.engine.tracking.rollups.day import CHANGES, OF_CLUSTER, TWINS, UnitRows
from mersalg.engine.tracking.rollups.exact_sums import Column
from mersalg.engine.tracking.strata import (
    COUNTED,
    MEASURES,
    MONEY,
    WHOLE,
    ArmSums,
    Strata,
    share_of,
)

_Ints = NDArray[Any]

Totals = Callable[[Kind, int, str, _Ints], _Ints]
"""Returns what some units have of a field of `Cluster`, by the share of a stratum of an arm."""

_NEVER = 2**62
_NOTHING = ArmSums(dict.fromkeys(MEASURES, RatioSums()), 0)


def trials_of(
    kind: Kind,
    rows: Sequence[UnitRows],
    units: _Ints,
    first: _Ints,
    strata: Strata,
    totals: Mapping[Arm, Totals],
    holdout: float,
) -> Strata:
    """Return the strata with units as trials.

    Parameters
    ----------
    kind : Kind
        Of the offers.
    rows, units
        All rows, and the unit of each.
    first : int (n_units,)
        The place in `rows` of the first eligible decision of each unit; -1 for none.
    strata : Strata
        Those of checkouts.
    totals : mapping
        Of each arm.
    holdout : float
        Control share where decisions state none.
    """
    of_rows: list[tuple[int, Arm | None]] = [
        (share_of(each.share, holdout), each.arm) for each in rows
    ]
    keys: list[tuple[int, Arm]] = [
        (share, arm) for share, arm in {*of_rows} if arm is not None and 0 < share < WHOLE
    ]
    own = {key: as_trials(strata.arms.get(key, _NOTHING)) for key in keys}
    places: dict[tuple[int, Arm | None], int] = {key: place for place, key in enumerate(keys)}
    # The last of both is for units without an eligible decision, whose place is -1.
    stratum = np.array([*(places.get(each, -1) for each in of_rows), -1], np.int8)
    day = np.array([*(each.day for each in rows), _NEVER])
    at, baskets = _baskets(kind, rows, units, day[first])
    chosen = np.unique(
        np.concatenate(
            [
                units[at],
                units[_where(f"{kind}_foreign", rows)],
                units[_elsewhere(kind, rows, units, stratum, stratum[first])],
            ]
        )
    )
    if len(chosen):
        of_strata = {
            (share, arm): {name: totals[arm](kind, share, name, chosen) for name in OF_CLUSTER}
            for share, arm in keys
        }
        whole = {
            name: sum((each[name] for each in of_strata.values()), np.zeros(len(chosen), np.int64))
            for name in OF_CLUSTER
        }
        for name, values in baskets.items():
            np.add.at(whole[name], np.searchsorted(chosen, units[at]), values)
        whole["foreign"] = np.minimum(whole["foreign"], 1)
        for place, key in enumerate(keys):
            whole["checkouts"] = (stratum[first[chosen]] == place).astype(np.int64)
            own[key] = {
                name: sums + _sums(name, whole) + _sums(name, of_strata[key], -1)
                for name, sums in own[key].items()
            }
    return Strata({key: ArmSums(sums, 0) for key, sums in own.items() if sums["converted"].n})


def _sums(name: str, of: Mapping[str, _Ints], sign: int = 1) -> RatioSums:
    """Return the sums of a measure of units as trials, or what they are to be less by."""
    x = of[name][of["checkouts"] > (of["foreign"] if name in MONEY else 0)]
    n = len(x)
    if name in COUNTED:
        some = int(np.count_nonzero(x > 0))
        return RatioSums(*(sign * each for each in (n, some, n, some, some, n, some, n - some)))
    column = Column(x)
    sums = (n, column.sum, n, column.squares, column.sum, n)
    return RatioSums(*(sign * each for each in sums))


def _elsewhere(
    kind: Kind, rows: Sequence[UnitRows], units: _Ints, stratum: _Ints, of_unit: _Ints
) -> _Ints:
    """Return the rows with eligible checkouts in another stratum than that of their unit."""
    of_row = np.repeat(stratum[:-1], _sizes(rows))
    at = np.flatnonzero((of_row >= 0) & (of_row != of_unit[units]))
    return at[_column(f"{kind}_checkouts", rows)[at] > 0] if len(at) else at


def _baskets(
    kind: Kind, rows: Sequence[UnitRows], units: _Ints, begun: _Ints
) -> tuple[_Ints, Mapping[str, _Ints]]:
    """Return the rows of baskets that count, and what they add to each of `OF_BASKET`.

    They count where they came later than the first eligible decision of the unit, which was on the
    day `begun`: in rows without an arm on a later day, in others on the same day.
    """
    at = _where(f"{kind}_beside_orders", rows)
    if not len(at):
        return at, {}
    days = [each.columns.get("day", each.day + (each.arm is not None)) for each in rows]
    days = [np.broadcast_to(each, n) for each, n in zip(days, _sizes(rows), strict=True)]
    at = at[np.concatenate(days)[at] > begun[units[at]]]

    def values(name: str) -> _Ints:
        own = _column(f"{kind}_{name}", rows)[at].astype(np.int64)
        return own + values(CHANGES[name][0]) if name in CHANGES else own

    return at, {name: values(f"beside_{name}") for name in OF_BASKET}


def _where(name: str, rows: Sequence[UnitRows]) -> _Ints:
    """Return the rows in which a column is not 0."""
    if not any({name, TWINS.get(name)} & each.columns.keys() for each in rows):
        return np.zeros(0, np.intp)
    return np.flatnonzero(_column(name, rows))


def _column(name: str, rows: Sequence[UnitRows]) -> _Ints:
    return np.concatenate([each.column(name) for each in rows])


def _sizes(rows: Sequence[UnitRows]) -> list[int]:
    return [len(each.columns["unit"]) for each in rows]
