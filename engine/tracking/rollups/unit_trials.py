"""Units as trials, out of the sums of their checkouts over several days; see `strata`.

Most units have one stratum and no orders beside those of eligible checkouts: what a stratum has of
them is what they have as trials. Others are taken out of its sums, and added again with all of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mersalg.engine.facts import Arm, Kind
from mersalg.engine.tracking.rollups.day import CHANGES, OF_CLUSTER
from mersalg.engine.tracking.rollups.stratum import Column, Ints, Rows, Stratum
from mersalg.engine.tracking.strata import COUNTED, MEASURES, MONEY, OF_BASKET, WHOLE, share_of

_NEVER = 2**62


def trials_of(
    kind: Kind,
    rows: Rows,
    first: Ints,
    strata: Mapping[tuple[int, Arm], Stratum],
    ends: Ints,
    holdout: float,
) -> Mapping[tuple[int, Arm], Mapping[str, Ints]]:
    """Return for each stratum and measure the sums of each group with units as trials.

    Of each unit `first` (n_units,) is the part of the rows that has its first eligible decision, -1
    for none. `ends` (n_groups + 1,) are those of groups among the units.
    """
    drawn = {key: each for key, each in strata.items() if 0 < key[0] < WHOLE}
    own = {
        key: {name: _as_trials(name, stratum.sums(kind, name)) for name in MEASURES}
        for key, stratum in drawn.items()
    }
    places = {key: index for index, key in enumerate(drawn)}
    # The last of both is for units without an eligible decision, whose place is -1.
    stratum = np.array(
        [*(places.get((share_of(each.share, holdout), each.arm), -1) for each in rows.parts), -1],  # type: ignore[arg-type]
        np.int8,
    )
    day = np.array([*(each.day for each in rows.parts), _NEVER])
    at, baskets = _baskets(kind, rows, day[first])
    of_row = rows.of_parts(stratum[:-1], np.int8)
    elsewhere = np.flatnonzero((of_row >= 0) & (of_row != stratum[first][rows.places]))
    if len(elsewhere):
        elsewhere = elsewhere[rows.column(f"{kind}_checkouts")[elsewhere] > 0]
    chosen = np.concatenate([at, rows.where(f"{kind}_foreign"), elsewhere])
    chosen = np.unique(rows.places[chosen])
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
        np.add.at(whole[name], np.searchsorted(chosen, rows.places[at]), values)
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


def _baskets(kind: Kind, rows: Rows, begun: Ints) -> tuple[Ints, Mapping[str, Ints]]:
    """Return the rows of baskets that count, and what they add to each of `OF_BASKET`.

    They count where they came later than the first eligible decision of the unit, which was on the
    day `begun`: in rows without an arm on a later day, in others on the same day.
    """
    at = rows.where(f"{kind}_beside_orders")
    if not len(at):
        return at, {}
    days = [each.columns.get("day", each.day + (each.arm is not None)) for each in rows.parts]
    days = [np.broadcast_to(each, n) for each, n in zip(days, rows.sizes, strict=True)]
    at = at[np.concatenate(days)[at] > begun[rows.places[at]]]

    def values(name: str) -> Ints:
        own = rows.column(f"{kind}_{name}")[at].astype(np.int64)
        return own + values(CHANGES[name][0]) if name in CHANGES else own

    return at, {name: values(f"beside_{name}") for name in OF_BASKET}
