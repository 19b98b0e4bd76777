"""Sums over units made one unit after the other, which sums over columns are held to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import msgspec

from mersalg.engine.facts import KINDS, Arm, Kind
from mersalg.engine.tracking.extra_sales import MEASURE, Between
from mersalg.engine.tracking.intervals import CrossSums, RatioSums
from mersalg.engine.tracking.rates import CLUSTERED, Ratios
from mersalg.engine.tracking.strata import (
    ARMS,
    COUNTED,
    MEASURES,
    WHOLE,
    ArmSums,
    Cluster,
    Clusters,
    Strata,
    by_share,
    share_of,
)

Pair = tuple[int, int]


def sums_of(clusters: Sequence[Pair]) -> RatioSums:
    """The sums over clusters, from (x, m) of each."""
    return RatioSums(
        len(clusters),
        sum(x for x, _ in clusters),
        sum(m for _, m in clusters),
        sum(x * x for x, _ in clusters),
        sum(x * m for x, m in clusters),
        sum(m * m for _, m in clusters),
    )


def sums_of_trials(clusters: Sequence[Pair]) -> RatioSums:
    """The sums over clusters of trials, from (successes, trials) of each."""
    return msgspec.structs.replace(
        sums_of(clusters),
        n_some=sum(x > 0 for x, _ in clusters),
        n_less=sum(x < m for x, m in clusters),
    )


def products_of(clusters: Sequence[tuple[Pair, Pair]]) -> CrossSums:
    """The products over clusters, from (x, m) of each in both strata."""
    return CrossSums(
        sum(x * other for (x, _), (other, _) in clusters),
        sum(x * other for (x, _), (_, other) in clusters),
        sum(m * other for (_, m), (other, _) in clusters),
        sum(m * other for (_, m), (_, other) in clusters),
    )


def ratios_of(of_units: Mapping[str, Counter[str]]) -> Ratios:
    """The sums of every rate over units, from each of `UNIT_COUNTS` by unit."""
    return {
        name: sums_of_trials(
            [
                (of_units[rate.numerator][unit], trials)
                for unit, trials in of_units[rate.denominator].items()
            ]
        )
        for name, rate in CLUSTERED.items()
    }


def strata_of(clusters: Clusters, holdout: float) -> Strata:
    """The strata of the clusters of units; `holdout` is the share where decisions state none."""
    by_arm = by_share(clusters, holdout)
    unstated: defaultdict[tuple[int, Arm], int] = defaultdict(int)
    for ((arm, stated), _), cluster in clusters.items():
        unstated[share_of(stated, holdout), arm] += cluster.checkouts if stated is None else 0
    arms = {
        key: ArmSums(
            {
                name: (sums_of_trials if name in COUNTED else sums_of)(
                    [ratio for each in units.values() if (ratio := each.ratio(name))[1]]
                )
                for name in MEASURES
            },
            unstated[key],
        )
        for key, units in by_arm.items()
    }
    across: dict[tuple[Arm, int, int], Mapping[str, CrossSums]] = {}
    for arm in ARMS:
        for first, second in combinations(sorted(share for share, own in arms if own == arm), 2):
            one, other = by_arm[first, arm], by_arm[second, arm]
            shared = [(one[unit], other[unit]) for unit in one.keys() & other.keys()]
            if shared:
                across[arm, first, second] = {
                    name: products_of([(a.ratio(name), b.ratio(name)) for a, b in shared])
                    for name in MEASURES
                }
    return Strata(arms, across)


def strata_of_units(totals: Clusters, holdout: float) -> Strata:
    """The strata of units, each with what it has of all its checkouts, in one stratum.

    Of `COUNTED` a unit is a success where one of its checkouts is.
    """
    return strata_of(
        {
            ((arm, share), unit): replace(
                total,
                checkouts=1,
                **{name: min(1, getattr(total, name)) for name in (*COUNTED, "foreign")},
            )
            for ((arm, stated), unit), total in totals.items()
            if 0 < (share := share_of(stated, holdout)) < WHOLE
        },
        holdout,
    )


def between_kinds(
    of_kinds: Mapping[Kind, Mapping[tuple[int, Arm], Mapping[str, Cluster]]],
) -> Between:
    """The products of units that have checkouts of both kinds, from their clusters."""
    found: dict[tuple[Arm, int, int], CrossSums] = {}
    first, second = (of_kinds[kind] for kind in KINDS)
    for (share, arm), of_first in first.items():
        for (other, other_arm), of_second in second.items():
            shared = of_first.keys() & of_second.keys() if arm == other_arm else ()
            products = products_of(
                [(of_first[unit].ratio(MEASURE), of_second[unit].ratio(MEASURE)) for unit in shared]
            )
            if products.sum_mm:
                found[arm, share, other] = products
    return found
