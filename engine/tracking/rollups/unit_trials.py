"""Units as trials, out of the sums of their checkouts over several days; see `per_unit`.

Most units have one stratum and no orders beside those of eligible checkouts: what a stratum has of
them is what they have as trials. Others are taken out of its sums, and added again with all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mersalg.engine.facts import Arm, Kind
from mersalg.engine.tracking.per_unit import OF_BASKET
from mersalg.engine.tracking.rollups.day import CHANGES, OF_CLUSTER, TWINS, UnitRows
from mersalg.engine.tracking.rollups.stratum import Column, Ints, Stratum
from mersalg.engine.tracking.strata import COUNTED, MEASURES, MONEY, WHOLE, share_of

_NEVER = 2**62


def trials_of(
    kind: Kind,
    rows: Sequence[UnitRows],
    units: Ints,
    first: Ints,
    strata: Mapping[tuple[int, Arm], Stratum],
    ends: Ints,
    holdout: float,
) -> Mapping[tuple[int, Arm], Mapping[str, Ints]]:
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
    ends : int (n_groups + 1,)
        Of each group among the units.
    holdout : float
        Control share where decisions state none.
    """
    drawn = {key: each for key, each in strata.items() if 0 < key[0] < WHOLE}
    own = {
        key: {name: _as_trials(name, stratum.sums(kind, name)) for name in MEASURES}
        for key, stratum in drawn.items()
    }
    places = {key: index for index, key in enumerate(drawn)}
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
    ends = np.searchsorted(chosen, ends)
    for index, (key, before) in enumerate(of_strata.items()):
        whole["checkouts"] = (stratum[first[chosen]] == index).astype(np.int64)
        for name in MEASURES:
            own[key][name] = own[key][name] + _sums(name, whole, ends) - _sums(name, before, ends)
    return own


def _as_trials(name: str, sums: Ints) -> Ints:
    """Return the sums of a stratum's own units, as if each had no other."""
    n, x, _, xx, _, _, some, _ = sums.T
    parts = (n, some, n, some, some, n, some, n - some) if name in COUNTED else (n, x, n, xx, x, n)
    return np.stack([*parts, *[0 * n] * (8 - len(parts))], axis=1)


def _sums(name: str, of: Mapping[str, Ints], ends: Ints) -> Ints:
    """Return the sums of a measure of units as trials."""
    is_own = of["checkouts"] > (of["foreign"] if name in MONEY else 0)
    x, m = Column(of[name] * is_own, ends), Column(is_own.astype(np.int64), ends)
    return _as_trials(name, x.per(m, trials=name in COUNTED))


def _elsewhere(
    kind: Kind, rows: Sequence[UnitRows], units: Ints, stratum: Ints, of_unit: Ints
) -> Ints:
    """Return the rows with eligible checkouts in another stratum than that of their unit."""
    of_row = np.repeat(stratum[:-1], _sizes(rows))
    at = np.flatnonzero((of_row >= 0) & (of_row != of_unit[units]))
    return at[_column(f"{kind}_checkouts", rows)[at] > 0] if len(at) else at


def _baskets(
    kind: Kind, rows: Sequence[UnitRows], units: Ints, begun: Ints
) -> tuple[Ints, Mapping[str, Ints]]:
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

    def values(name: str) -> Ints:
        own = _column(f"{kind}_{name}", rows)[at].astype(np.int64)
        return own + values(CHANGES[name][0]) if name in CHANGES else own

    return at, {name: values(f"beside_{name}") for name in OF_BASKET}


def _where(name: str, rows: Sequence[UnitRows]) -> Ints:
    """Return the rows in which a column is not 0."""
    if not any({name, TWINS.get(name)} & each.columns.keys() for each in rows):
        return np.zeros(0, np.intp)
    return np.flatnonzero(_column(name, rows))


def _column(name: str, rows: Sequence[UnitRows]) -> Ints:
    return np.concatenate([each.column(name) for each in rows])


def _sizes(rows: Sequence[UnitRows]) -> list[int]:
    return [len(each.columns["unit"]) for each in rows]
