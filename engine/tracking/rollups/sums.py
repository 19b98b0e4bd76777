"""The roll-ups of several days added up: the numbers that the facts of all of them would give.

All of them are sums over units, so days without a unit in common add up as they are: each has the
sums of its own units beside its rows. Units that return are taken out of the sums of their days,
and added again with all of their rows together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import msgspec
import numpy as np

from mersalg.engine.facts import KINDS, Arm, Kind
from mersalg.engine.tracking.intervals import CrossSums, RatioSums
from mersalg.engine.tracking.measures import Measures
from mersalg.engine.tracking.rates import NO_RATIOS, Counts
from mersalg.engine.tracking.rollups.columns import Ints
from mersalg.engine.tracking.rollups.day import Day, UnitRows, with_sums
from mersalg.engine.tracking.rollups.unit_sums import Group, Key, Sums, of_units
from mersalg.engine.tracking.sample_ratio import Drawn
from mersalg.engine.tracking.strata import MEASURES, ArmSums, Strata

_NO_SUMS, _NO_PRODUCTS = RatioSums(), CrossSums()
_LARGE = 2**62
"""Larger sums are integers of Python, which are exact."""
_OfDay = list[tuple[Key, tuple[int, ...]]]
"""The sums of a day as they are stored."""
_OF_UNITS = ("units_shown", "units_converted", "units_kept", "units_buying")


def add_up(
    buckets: Sequence[Sequence[Day]], currency: str | None, holdout: float
) -> list[Measures]:
    """Add up the days of each bucket, in order of time, with each unit counted once.

    The money of days in other currencies is left out; `holdout` is the control share where
    decisions state none.
    """
    groups: list[Group] = []
    with_sums: list[list[Day]] = []
    for days in buckets:
        rows, before = _returning(days, currency)
        groups += [Group(rows), Group(before or (), days_apart=True)]
        with_sums.append(
            [] if before is None else [day for day in days if _has_sums(day, currency)]
        )
    of_groups = added(of_units(groups, holdout), len(groups))
    sums = {key: numbers[::2] - numbers[1::2] for key, numbers in of_groups.items()}
    days_of: defaultdict[Key, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
    for at, days in enumerate(with_sums):
        for day in days:
            for key, numbers in msgspec.json.decode(day.sums or b"[]", type=_OfDay):
                days_of[key].append((at, numbers))
    of_days: list[tuple[Sequence[int], Sums]] = []
    for key, own in days_of.items():
        places, first = np.unique([at for at, _ in own], return_index=True)
        # Integers of Python are exact, however large.
        numbers = np.array([each for _, each in own], object)
        of_days.append((places.tolist(), {key: np.add.reduceat(numbers, first)}))
    for key, numbers in added(of_days, len(buckets)).items():
        sums[key] = sums.get(key, 0) + numbers
    return measures_of(sums, [_counts(days, currency) for days in buckets])


def summed(body: bytes) -> bytes:
    """Return the roll-up of a day with the sums of its units beside its rows.

    There are none where decisions do not state their share, which a report may choose.
    """
    day = Day(body)
    if any(each.arm is not None and each.share is None for each in day.rows):
        return body
    sums = added(of_units([Group(day.rows)], 0), 1)
    entries = sorted(
        msgspec.json.encode((key, numbers.tolist()))
        for key, (numbers,) in sums.items()
        if numbers.any()
    )
    return with_sums(body, b"[%s]" % b",".join(entries))


def _has_sums(day: Day, currency: str | None) -> bool:
    return day.sums is not None and day.notes.currency == currency


def _counts(days: Sequence[Day], currency: str | None) -> Mapping[Kind, Counts]:
    """Return the counts of offers."""
    counts: dict[Kind, Counts] = dict.fromkeys(KINDS, Counts())
    for day, kind in product(days, KINDS):
        of_day = day.notes.counts[kind]
        if day.notes.currency != currency:
            of_day = replace(of_day, revenue_minor=0, net_revenue_minor=0)
        counts[kind] += of_day
    return counts


def _returning(
    days: Sequence[Day], currency: str | None
) -> tuple[Sequence[UnitRows], Sequence[UnitRows] | None]:
    """Return the rows to add to the sums of days, and those to subtract.

    They are of units with several rows, or with one of a day without sums. Where that is more than
    half of all rows, all are returned: to add them once takes less time than most of them twice.
    """
    rows = [
        (each if day.notes.currency == currency else each.without_money(), _has_sums(day, currency))
        for day in days
        for each in day.rows
    ]
    units = np.concatenate([np.zeros(0, np.int32), *(each.columns["unit"] for each, _ in rows)])
    n_units = int(units.max(initial=-1)) + 1
    # Where all units are so few, no sorting is needed to know.
    if len(units) > 2 * n_units:
        return [each for each, _ in rows], None
    units.sort()
    is_same = units[1:] == units[:-1]
    n_repeated = np.count_nonzero(is_same[1:] | is_same[:-1])
    if 2 * n_repeated > len(units):
        return [each for each, _ in rows], None
    returning = np.zeros(n_units, np.bool_)
    returning[units[1:][is_same]] = True
    for each, has_sums in rows:
        if not has_sums:
            returning[each.columns["unit"]] = True
    positions = [np.flatnonzero(returning[each.columns["unit"]]) for each, _ in rows]
    some = [
        (each.part(at), has_sums)
        for (each, has_sums), at in zip(rows, positions, strict=True)
        if len(at)
    ]
    return [each for each, _ in some], [each for each, has_sums in some if has_sums]


def added(parts: Iterable[tuple[Sequence[int], Sums]], n_groups: int) -> dict[Key, Ints]:
    """Add up the sums of groups, of which each part says the places, each once."""
    rows_by_key: dict[Key, Ints] = {}
    for places, sums in parts:
        for key, numbers in sums.items():
            whole = rows_by_key.setdefault(
                key, np.zeros((n_groups, numbers.shape[1]), numbers.dtype)
            )
            if int(np.abs(whole).max()) + int(np.abs(numbers).max()) >= _LARGE:
                whole = rows_by_key[key] = whole.astype(object)
            whole[places] = whole[places] + numbers
    return rows_by_key


def measures_of(sums: Sums, counts: Sequence[Mapping[Kind, Counts]]) -> list[Measures]:
    """Return the measures of groups, with their counts of offers added."""
    found: list[_Found] = [defaultdict(dict) for _ in counts]
    for (field, *rest), numbers in sums.items():
        key = tuple(rest)
        some = np.flatnonzero((numbers != 0).any(axis=1))
        for place, own in zip(some.tolist(), numbers[some].tolist(), strict=True):
            found[place][str(field)][key] = own
    return [_measures(of, own) for of, own in zip(found, counts, strict=True)]


_Found = defaultdict[str, dict[Any, list[int]]]
"""The sums of one group: field of `Measures` -> the rest of the key -> numbers."""


def _measures(of: _Found, counts: Mapping[Kind, Counts]) -> Measures:
    ratios: dict[Kind, dict[str, RatioSums]] = {kind: dict(NO_RATIOS) for kind in KINDS}
    for (kind, name), own in of["ratios"].items():
        ratios[kind][name] = RatioSums(*own)
    drawn: dict[Kind, Drawn] = {kind: Counter() for kind in KINDS}
    for (kind, arm, share, *group), (n,) in of["drawn"].items():
        drawn[kind][(arm, share), tuple(group)] = n
    arms: defaultdict[Any, dict[str, RatioSums]] = defaultdict(dict)
    for (*stratum, name), own in of["arms"].items():
        arms[tuple(stratum)][name] = RatioSums(*own)
    across: defaultdict[Any, dict[str, CrossSums]] = defaultdict(dict)
    for (*pair, name), own in of["across"].items():
        across[tuple(pair)][name] = CrossSums(*own)

    def strata(field: str, kind: Kind) -> Strata:
        # Nothing is left of a stratum whose units were all seen in another one before.
        of_arms: dict[tuple[int, Arm], ArmSums] = {
            (share, arm): ArmSums(
                {name: own.get(name, _NO_SUMS) for name in MEASURES},
                of["unstated"].get((kind, share, arm), [0])[0] if field == "strata" else 0,
            )
            for (of_field, of_kind, share, arm), own in arms.items()
            if (of_field, of_kind) == (field, kind) and "converted" in own and own["converted"].n
        }
        pairs: dict[tuple[Arm, int, int], Mapping[str, CrossSums]] = {
            (arm, first, second): {name: own.get(name, _NO_PRODUCTS) for name in MEASURES}
            for (of_kind, arm, first, second), own in across.items()
            if (field, of_kind) == ("strata", kind)
            and "converted" in own
            and own["converted"].sum_mm
        }
        return Strata(of_arms, pairs)

    return Measures(
        {
            kind: own + Counts(**dict(zip(_OF_UNITS, of["counts"].get((kind,), ()), strict=False)))
            for kind, own in counts.items()
        },
        ratios,
        {kind: strata("strata", kind) for kind in KINDS},
        {kind: strata("of_units", kind) for kind in KINDS},
        drawn,
        {
            key: products
            for key, own in of["between"].items()
            if (products := CrossSums(*own)).sum_mm
        },
    )
