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
    MONEY,
    WHOLE,
    ArmSums,
    Cluster,
    Strata,
    Stratum,
    share_of,
)

Pair = tuple[int, int]

Clusters = Mapping[tuple[Stratum, str], Cluster]
"""By stratum of a checkout's first decision with offers of the kind, and unit of that decision."""


def ratio_of(cluster: Cluster, name: str) -> Pair:
    """One of `MEASURES` and the number of checkouts that it is of."""
    return getattr(cluster, name), cluster.checkouts - (cluster.foreign if name in MONEY else 0)


def add_to(cluster: Cluster, other: Cluster) -> None:
    """Add the checkouts of another cluster."""
    for name in cluster.__slots__:
        setattr(cluster, name, getattr(cluster, name) + getattr(other, name))


def by_share(clusters: Clusters, holdout: float) -> Mapping[tuple[int, Arm], Mapping[str, Cluster]]:
    """The cluster of each unit by share and arm."""
    clusters_of_share: defaultdict[tuple[int, Arm], defaultdict[str, Cluster]] = defaultdict(
        lambda: defaultdict(Cluster)
    )
    for ((arm, stated), unit), cluster in clusters.items():
        add_to(clusters_of_share[share_of(stated, holdout), arm][unit], cluster)
    return clusters_of_share


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
                    [ratio for each in units.values() if (ratio := ratio_of(each, name))[1]]
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
                    name: products_of([(ratio_of(a, name), ratio_of(b, name)) for a, b in shared])
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
                [
                    (ratio_of(of_first[unit], MEASURE), ratio_of(of_second[unit], MEASURE))
                    for unit in shared
                ]
            )
            if products.sum_mm:
                found[arm, share, other] = products
    return found
