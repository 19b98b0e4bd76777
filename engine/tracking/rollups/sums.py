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
from mersalg.engine.tracking.rollups.day import Day, UnitRows, with_sums
from mersalg.engine.tracking.rollups.unit_sums import Group, Key, Sums, of_units
from mersalg.engine.tracking.sample_ratio import Drawn
from mersalg.engine.tracking.strata import MEASURES, ArmSums, Strata

_OF_UNITS = ("units_shown", "units_converted", "units_kept", "units_buying")


def add_up(
    buckets: Sequence[Sequence[Day]], currency: str | None, holdout: float
) -> list[Measures]:
    """Add up the days of each bucket, with each unit counted once.

    Parameters
    ----------
    buckets : sequence of sequence of Day
        Each in order of time, with their numbers.
    currency : str or None
        The money of days in other currencies is left out.
    holdout : float
        Control share where decisions state none.
    """
    groups: list[Group] = []
    signs: list[tuple[int, int]] = []
    signed: list[list[tuple[int, Sums]]] = [[] for _ in buckets]
    for at, days in enumerate(buckets):
        rows, before = _returning(days, currency)
        if before is not None:
            signed[at] += [(1, _read(day)) for day in days if _has_sums(day, currency)]
        for group, sign in ((Group(rows), 1), (Group(before or (), days_apart=True), -1)):
            groups.append(group)
            signs.append((at, sign))
    for place, sums in of_units(groups, holdout):
        at, sign = signs[place]
        signed[at].append((sign, sums))
    return [
        measures_of(added(each), _counts(days, currency))
        for each, days in zip(signed, buckets, strict=True)
    ]


def summed(body: bytes) -> bytes:
    """Return the roll-up of a day with the sums of its units beside its rows.

    There are none where decisions do not state their share, which a report may choose.
    """
    day = Day(body)
    if any(each.arm is not None and each.share is None for each in day.rows):
        return body
    sums = added((1, each) for _, each in of_units([Group(day.rows)], 0))
    entries = sorted(msgspec.json.encode(entry) for entry in sums.items())
    return with_sums(body, b"[%s]" % b",".join(entries))


def _read(day: Day) -> Sums:
    assert day.sums is not None
    return dict(msgspec.json.decode(day.sums, type=list[tuple[Key, tuple[int, ...]]]))


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
    units = np.sort(
        np.concatenate([np.zeros(0, np.int32), *(each.columns["unit"] for each, _ in rows)])
    )
    is_same = units[1:] == units[:-1]
    n_repeated = np.count_nonzero(is_same[1:] | is_same[:-1])
    if 2 * n_repeated > len(units):
        return [each for each, _ in rows], None
    returning = np.zeros(int(units.max(initial=-1)) + 1, np.bool_)
    returning[units[1:][is_same]] = True
    for each, has_sums in rows:
        if not has_sums:
            returning[each.columns["unit"]] = True
    found = [np.flatnonzero(returning[each.columns["unit"]]) for each, _ in rows]
    some = [
        (each.part(at), has_sums)
        for (each, has_sums), at in zip(rows, found, strict=True)
        if len(at)
    ]
    return [each for each, _ in some], [each for each, has_sums in some if has_sums]


def added(signed: Iterable[tuple[int, Sums]]) -> Sums:
    """Add sums up, or subtract those with a sign of -1."""
    found: defaultdict[Key, list[tuple[int, ...]]] = defaultdict(list)
    for sign, sums in signed:
        for key, numbers in sums.items():
            found[key].append(numbers if sign > 0 else tuple(-each for each in numbers))
    return {key: tuple(map(sum, zip(*numbers, strict=True))) for key, numbers in found.items()}


def measures_of(sums: Sums, counts: Mapping[Kind, Counts]) -> Measures:
    """Return the measures of `_flat`, with counts of offers added."""
    ratios: dict[Kind, dict[str, RatioSums]] = {kind: dict(NO_RATIOS) for kind in KINDS}
    drawn: dict[Kind, Drawn] = {kind: Counter() for kind in KINDS}
    of_units: dict[Kind, Counts] = dict.fromkeys(KINDS, Counts())
    between: dict[Any, CrossSums] = {}
    unstated: dict[Any, int] = {}
    arms: defaultdict[Any, dict[str, RatioSums]] = defaultdict(dict)
    across: defaultdict[Any, dict[str, CrossSums]] = defaultdict(dict)
    key: Any
    for key, numbers in sums.items():
        match key:
            case "between", *pair:
                between[tuple(pair)] = CrossSums(*numbers)
            case "counts", kind:
                of_units[kind] = Counts(**dict(zip(_OF_UNITS, numbers, strict=True)))
            case "ratios", kind, name:
                ratios[kind][name] = RatioSums(*numbers)
            case "drawn", kind, arm, share, *group:
                drawn[kind][(arm, share), tuple(group)] = numbers[0]
            case "unstated", *stratum:
                unstated[tuple(stratum)] = numbers[0]
            case "arms", *stratum, name:
                arms[tuple(stratum)][name] = RatioSums(*numbers)
            case "across", *pair, name:
                across[tuple(pair)][name] = CrossSums(*numbers)
            case _:
                raise AssertionError(key)

    def strata(field: str, kind: Kind) -> dict[tuple[int, Arm], ArmSums]:
        # Nothing is left of a stratum whose units were all seen in another one before.
        return {
            (key[2], key[3]): ArmSums(
                {name: of.get(name, RatioSums()) for name in MEASURES},
                unstated.get((kind, *key[2:]), 0) if field == "strata" else 0,
            )
            for key, of in arms.items()
            if key[:2] == (field, kind) and "converted" in of and of["converted"].n
        }

    def products(kind: Kind) -> dict[tuple[Arm, int, int], Mapping[str, CrossSums]]:
        return {
            (key[1], key[2], key[3]): {name: of.get(name, CrossSums()) for name in MEASURES}
            for key, of in across.items()
            if key[0] == kind and "converted" in of and of["converted"].sum_mm
        }

    return Measures(
        {kind: counts[kind] + of_units[kind] for kind in KINDS},
        ratios,
        {kind: Strata(strata("strata", kind), products(kind)) for kind in KINDS},
        {kind: Strata(strata("of_units", kind)) for kind in KINDS},
        {kind: +drawn[kind] for kind in KINDS},
        {key: each for key, each in between.items() if each.sum_mm},
    )
