"""Units as trials, out of the sums of their checkouts over several days; see `per_unit`.

Most units have one stratum and no orders beside those of eligible checkouts: what a stratum has of
them is what they have as trials. Others are taken out of its sums, and added again with all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.facts import Arm, Kind
from mersalg.engine.tracking.intervals import RatioSums
from mersalg.engine.tracking.per_unit import OF_BASKET, as_trials
from mersalg.engine.tracking.rollups.day import CHANGES, OF_CLUSTER, TWINS, UnitRows
from mersalg.engine.tracking.rollups.exact_sums import Bounds, Column, bounds_among, count_true
from mersalg.engine.tracking.rollups.stratum import Stratum
from mersalg.engine.tracking.strata import COUNTED, MEASURES, MONEY, WHOLE, ArmSums, share_of

_NEVER = 2**62
_Ints = NDArray[Any]


def trials_of(
    kind: Kind,
    rows: Sequence[UnitRows],
    units: _Ints,
    first: _Ints,
    strata: Mapping[tuple[int, Arm], Stratum],
    bounds: Bounds,
    holdout: float,
) -> Mapping[tuple[int, Arm], Mapping[str, Sequence[RatioSums]]]:
    """Return for each stratum and measure the sums of each group with units as trials.

    Parameters
    ----------
    kind : Kind
        Of the offers.
    rows, units
        All rows, and the unit of each.
    first : int (n_units,)
        The place in `rows` of the first eligible decision of each unit; -1 for none.
    strata : mapping
        The checkouts of each share and arm.
    bounds : sequence of (int, int)
        Of each group among the units.
    holdout : float
        Control share where decisions state none.
    """
    drawn = {key: each for key, each in strata.items() if 0 < key[0] < WHOLE}
    own = {key: _alone(kind, stratum) for key, stratum in drawn.items()}
    places = {key: place for place, key in enumerate(drawn)}
    # The last of both is for units without an eligible decision, whose place is -1.
    stratum = np.array(
        [*(places.get((share_of(each.share, holdout), each.arm), -1) for each in rows), -1],  # type: ignore[arg-type]
        np.int8,
    )
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
    if not len(chosen):
        return own
    of_strata = {
        key: {name: each.at(kind, name, chosen) for name in OF_CLUSTER}
        for key, each in drawn.items()
    }
    whole = {
        name: sum((each[name] for each in of_strata.values()), np.zeros(len(chosen), np.int64))
        for name in OF_CLUSTER
    }
    for name, values in baskets.items():
        np.add.at(whole[name], np.searchsorted(chosen, units[at]), values)
    whole["foreign"] = np.minimum(whole["foreign"], 1)
    bounds = bounds_among(chosen, bounds)
    for place, (key, before) in enumerate(of_strata.items()):
        whole["checkouts"] = (stratum[first[chosen]] == place).astype(np.int64)
        for name in MEASURES:
            own[key][name] = [
                sums + added + less
                for sums, added, less in zip(
                    own[key][name],
                    _sums(name, whole, bounds),
                    _sums(name, before, bounds, -1),
                    strict=True,
                )
            ]
    return own


def _alone(kind: Kind, stratum: Stratum) -> dict[str, Sequence[RatioSums]]:
    """Return the sums of a stratum's own units, as if each had no other."""
    of = {name: stratum.sums(kind, name) for name in MEASURES}
    groups = [
        as_trials(ArmSums(dict(zip(of, each, strict=True)), 0))
        for each in zip(*of.values(), strict=True)
    ]
    return {name: [each[name] for each in groups] for name in MEASURES}


def _sums(name: str, of: Mapping[str, _Ints], bounds: Bounds, sign: int = 1) -> list[RatioSums]:
    """Return the sums of a measure of units as trials, or what they are to be less by."""
    is_own = of["checkouts"] > (of["foreign"] if name in MONEY else 0)
    n, x = count_true(is_own, bounds), of[name] * is_own
    if name in COUNTED:
        some = count_true(x > 0, bounds)
        none = [all_of - each for all_of, each in zip(n, some, strict=True)]
        parts = (n, some, n, some, some, n, some, none)
    else:
        column = Column(x, bounds)
        parts = (n, column.sum, n, column.squares, column.sum, n)
    return [RatioSums(*(sign * each for each in sums)) for sums in zip(*parts, strict=True)]


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
