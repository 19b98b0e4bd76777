"""Arms compared within strata of equal hold-out share, so that a share that varies changes nothing.

Where the share rises while habits change, or stores have shares of their own, the arms differ in
more than the offers. Within a stratum they do not: each arm's ratio is the mean of its ratios in
the strata, weighted by the eligible checkouts of both arms. Decisions with share 0 or 1 have
nothing to be compared with and stay out.

Where offers change how many eligible checkouts a unit has, these are not alike in both arms, but
the totals of units are, for a unit is drawn once. It belongs to the arm and the share of its first
eligible decision of the kind in the period. Counted are its eligible checkouts and, in whole
baskets, the other checkouts of the period that it began with or after that decision, whatever these
were offered: each by orders that name it themselves, from 5 minutes before its first decision on.
Checkouts whose first decision has a share of 0 or 1 stay out. A unit with an order in another
currency among these has no part in money.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mersalg.engine.facts import Arm
from mersalg.engine.tracking.intervals import (
    CrossSums,
    Mean,
    RatioSums,
    clustered_difference,
    effective_counts,
    normal_quantile,
)

ARMS: tuple[Arm, ...] = ("treatment", "control")

WHOLE = 1_000_000
"""Shares, and units that are sold by weight, are integers, in parts of this number."""

FEWEST_UNITS = 10
"""Units of an arm below which a stratum is left out, and no effect is given without any."""

MISMATCH = 0.001
"""Below this p-value arms are not what was drawn, or not alike, and no effect is given."""

MEASURES = (
    *("converted", "completed", "order_revenue", "offer_revenue"),
    *("kept", "orders", "kept_orders", "net_order_revenue", "net_offer_revenue"),
    *("offered_units", "kept_units"),
)
"""What is compared between arms, for each eligible checkout."""

POOLED = 1 / 3
"""Part of an arm's spread that is taken from both arms together.

Where few large amounts make most of a sum, a small arm that missed them has a small mean and a
small spread at once: its interval is then narrow and beside the truth. G. K. Smyth (2004), "Linear
models and empirical Bayes methods", moderates variances so; the weight is the one by which
intervals of skewed amounts cover what they say (tests/benchmarks/coverage.py).
"""

COUNTED = ("converted", "completed", "kept")
"""Those that are numbers of checkouts."""

MONEY = ("order_revenue", "offer_revenue", "net_order_revenue", "net_offer_revenue")
"""Those that are money, for each eligible checkout without an order in another currency."""

OF_BASKET = (
    *("orders", "completed", "kept_orders", "order_revenue", "net_order_revenue"),
    "foreign",
)
"""Fields of a cluster that checkouts without an offer of the kind have, too."""

Stratum = tuple[Arm, int | None]
"""Arm and control share of a decision, in parts of `WHOLE`; None where it states no share."""


@dataclass(slots=True)
class Cluster:
    """The eligible checkouts of one unit in one arm; money in minor units."""

    checkouts: int = 0
    converted: int = 0
    """How many of them had an offered item bought by the conversion rule."""
    completed: int = 0
    """How many of them ended in an order that was not cancelled."""
    order_revenue: int = 0
    offer_revenue: int = 0
    """Worth of their orders after discounts, and of the offered items by the conversion rule."""
    foreign: int = 0
    """How many of them have an order in another currency, and so no part in money."""
    kept: int = 0
    """How many of those that converted kept a unit of an offered item."""
    orders: int = 0
    kept_orders: int = 0
    """Number of their orders, and of those of which a unit was kept."""
    net_order_revenue: int = 0
    net_offer_revenue: int = 0
    """The worths net of what came back."""
    offered_units: int = 0
    kept_units: int = 0
    """Units bought of offered items, in parts of `WHOLE`, and those of them that were kept."""


def share_of(stated: int | None, holdout: float) -> int:
    """Return the share of a stratum, as decisions state it, else `holdout`."""
    return round(holdout * WHOLE) if stated is None else stated


@dataclass(frozen=True, slots=True)
class ArmSums:
    """One arm of a stratum: sums over its units for each of `MEASURES`.

    They are `of` the clusters (measure, eligible checkouts that it is of) of each unit with such;
    `unstated` is the number of eligible checkouts whose decisions stated no share.
    """

    of: Mapping[str, RatioSums]
    unstated: int

    @property
    def units(self) -> int:
        """Number of units."""
        return self.of["converted"].n

    @property
    def checkouts(self) -> int:
        """Number of eligible checkouts."""
        return self.of["converted"].sum_m


@dataclass(frozen=True)
class Strata:
    """Both arms of one kind in every stratum, as far as there is an eligible checkout.

    `across` has, by arm and two shares, in order, products of the totals of units that are in both.
    """

    arms: Mapping[tuple[int, Arm], ArmSums] = field(default_factory=dict[tuple[int, Arm], ArmSums])
    across: Mapping[tuple[Arm, int, int], Mapping[str, CrossSums]] = field(
        default_factory=dict[tuple[Arm, int, int], Mapping[str, CrossSums]]
    )

    @cached_property
    def shares(self) -> Sequence[int]:
        """The share of each stratum, in order."""
        return sorted({share for share, _ in self.arms})

    @cached_property
    def eligible(self) -> Sequence[int]:
        """The shares of the strata in which both arms can be drawn."""
        return [share for share in self.shares if 0 < share < WHOLE]

    def compared(self, name: str = "converted") -> Sequence[int]:
        """Return the shares of the strata that are large enough to be compared by a measure."""
        return [
            share
            for share in self.eligible
            if all(self.units(arm, [share], name) >= FEWEST_UNITS for arm in ARMS)
        ]

    def units(self, arm: Arm, shares: Iterable[int], name: str = "converted") -> int:
        """Return the number of units of an arm, counted in each stratum that they are in."""
        n = 0
        for share in shares:
            sums = self.arms.get((share, arm))
            n += 0 if sums is None else sums.of[name].n
        return n

    def tables(self, name: str, shares: Iterable[int]) -> Sequence[tuple[int, int, int, int]]:
        """Return units in treatment and control of each stratum: those with one of `COUNTED`, all.

        Every stratum has both arms.
        """
        return [
            (
                treatment.of[name].n_some,
                treatment.units,
                control.of[name].n_some,
                control.units,
            )
            for treatment, control in (
                (self.arms[share, "treatment"], self.arms[share, "control"]) for share in shares
            )
        ]

    def total(self, name: str, arm: Arm, shares: Iterable[int]) -> tuple[int, int]:
        """Return the raw total of a measure in an arm, and its eligible checkouts."""
        x = m = 0
        for share in shares:
            if (share, arm) in self.arms:
                sums = self.arms[share, arm].of[name]
                x, m = x + sums.sum_x, m + sums.sum_m
        return x, m

    def mean(self, name: str, arm: Arm, shares: Sequence[int]) -> Mean:
        """Return the standardised ratio of an arm over some strata, each of which has the arm."""
        weights = self.weights(shares, name)
        parts = {share: self.arms[share, arm].of[name] for share in shares}
        return Mean(
            math.fsum(weights[share] * parts[share].value for share in shares),
            tuple(
                (weights[share] ** 2 * self._variance(name, arm, share), parts[share].n)
                for share in shares
            ),
            self._covariance(name, arm, weights),
        )

    def _variance(self, name: str, arm: Arm, share: int) -> float:
        """Return the variance of an arm's ratio in a stratum with both arms; see `POOLED`."""
        own = self.arms[share, arm].of[name]
        both = [self.arms[share, arm].of[name] for arm in ARMS]
        degrees = sum(each.n - 1 for each in both)
        pooled = math.fsum((each.n - 1) * each.spread() for each in both) / degrees
        return own.n * ((1 - POOLED) * own.spread() + POOLED * pooled) / own.sum_m**2

    def effective(
        self, name: str, arm: Arm, shares: Sequence[int], level: float, *, clustered: bool = True
    ) -> tuple[float, float]:
        """Return (x, n) of independent trials as informative as an arm's standardised share.

        The measure is 0 or 1 for each checkout. Units are the trials where `clustered`, else each
        checkout is one; for the level see `effective_counts`.
        """
        parts = {share: self.arms[share, arm].of[name] for share in shares}
        trials = {
            share: effective_counts(sums, level) if clustered else (sums.sum_x, sums.sum_m)
            for share, sums in parts.items()
        }
        if len(shares) == 1:
            return trials[shares[0]]
        weights = self.weights(shares, name)
        value = math.fsum(weights[share] * parts[share].value for share in shares)
        variance = floor = 0.0
        for share, (x, n) in trials.items():
            # Where none or all succeed no variance is seen: the share over all strata is taken.
            each = value if x in (0, n) else parts[share].value
            variance += weights[share] ** 2 * each * (1 - each) / n
            floor += weights[share] ** 2 * each * (1 - each) / parts[share].sum_m
        if clustered:
            variance = max(floor, variance + 2 * self._covariance(name, arm, weights))
        if not variance:
            n = 1 / math.fsum(weights[share] ** 2 / trials[share][1] for share in shares)
        else:
            n = value * (1 - value) / variance
        return value * n, n

    def weights(self, shares: Iterable[int], name: str) -> Mapping[int, float]:
        """Return the part of each stratum in the eligible checkouts of both arms."""
        checkouts = {
            share: sum(self.arms[share, arm].of[name].sum_m for arm in ARMS) for share in shares
        }
        return {share: n / sum(checkouts.values()) for share, n in checkouts.items()}

    def _covariance(self, name: str, arm: Arm, weights: Mapping[int, float]) -> float:
        """Return the weighted covariances of ratios in strata that share units, each pair once."""
        return math.fsum(
            weights[first]
            * weights[second]
            * products[name].covariance(
                self.arms[first, arm].of[name], self.arms[second, arm].of[name]
            )
            for (of_arm, first, second), products in sorted(self.across.items())
            if of_arm == arm and first in weights and second in weights
        )


def why_checkouts_differ(strata: Strata, shares: Sequence[int]) -> str | None:
    """Return why checkouts of the arms are not alike; None where units have as many in both.

    Two tests have to say so, for each of them alone raises too many false alarms where few units of
    an arm have very different numbers: Welch's, and the score test with the variance of both arms.
    In each stratum, with Bonferroni's correction.
    """
    for share in shares:
        treatment, control = (_visits(strata.arms[share, arm]) for arm in ARMS)
        level, both = 1 - MISMATCH / len(shares), treatment + control
        welch = clustered_difference(treatment.mean, control.mean, level)
        variance = both.variance() * both.n * (1 / treatment.n + 1 / control.n)
        score = normal_quantile(level) * math.sqrt(variance)
        if abs(welch.value) > max(score, welch.upper - welch.value):
            return (
                f"units with offers have {treatment.value:.4g} eligible checkouts each, those"
                f" without {control.value:.4g}, so that checkouts of the arms are not alike:"
                " compare units"
            )
    return None


def _visits(sums: ArmSums) -> RatioSums:
    """Return the eligible checkouts of units."""
    of = sums.of["converted"]
    return RatioSums(of.n, of.sum_m, of.n, of.sum_mm, of.sum_m, of.n)
