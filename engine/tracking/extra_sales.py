"""Extra sales a month: the effect of the offers in money, the one headline in money everywhere.

For each kind it is the effect on what a checkout brings in of the offered items, net of returns,
times the eligible checkouts of both arms, times 30 days over those of the period. Whole baskets
play no part: ordinary purchases make them noisy. Of both kinds together the values add up; the
interval does not follow from those of the kinds, for the units that buy one offer may be those that
buy the other: it is that of the sum of each unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from mersalg.engine.facts import Arm, Kind
from mersalg.engine.tracking.incremental import SEQUENCE, effect_text
from mersalg.engine.tracking.intervals import (
    CrossSums,
    Interval,
    Mean,
    anytime_quantile,
    intrinsic_time,
    welch_quantile,
)
from mersalg.engine.tracking.rates import Entry, ends_of
from mersalg.engine.tracking.strata import ARMS, Strata

MEASURE = "net_offer_revenue"
DAYS = 30
"""Days of a month."""

Between = Mapping[tuple[Arm, int, int], CrossSums]
"""By arm and a share of each of `KINDS`: products of the totals of units that have both kinds."""


class ExtraSales:
    """The effect in money of a row of a report.

    `effects` are the `net_incremental` entries of its kinds, `strata` and `between` (of units that
    have both kinds) what they come from, `days` the length of the period, None where not known.
    """

    def __init__(
        self,
        effects: Mapping[Kind, Entry],
        strata: Mapping[Kind, Strata],
        between: Between,
        *,
        currency: str | None,
        level: float,
        watched: bool,
        days: float | None,
    ) -> None:
        self._effects, self._strata, self._between = effects, strata, between
        self._currency, self._level, self._watched = currency, level, watched
        self._days = days

    def of_kind(self, kind: Kind) -> Entry:
        """Return the entry of one kind."""
        return self._entry((kind,))

    def together(self) -> Entry:
        """Return the entry of all kinds, for each of which the effect must be known.

        A kind that no eligible checkout had an offer of adds nothing.
        """
        kinds: Sequence[Kind] = [kind for kind in self._effects if self._checkouts(kind)]
        return self._entry(kinds or tuple(self._effects))

    def _entry(self, kinds: Sequence[Kind]) -> Entry:
        status, reason = self._status(kinds)
        interval = self._interval(kinds) if status == "ok" else None
        return {
            **ends_of(interval, lambda minor: effect_text(minor, self._currency, 0)),
            "method": SEQUENCE if self._watched else "welch_t_clustered",
            "status": status,
            "reason": reason,
            "checkouts": sum(map(self._checkouts, kinds)) if len(kinds) == 1 else None,
        }

    def _status(self, kinds: Sequence[Kind]) -> tuple[str, str | None]:
        for kind in kinds:
            effect = cast("Mapping[str, Any]", self._effects[kind]["offer_revenue_per_checkout"])
            if effect["status"] != "ok":
                named = f"{kind.replace('_', '-')}: " if len(kinds) > 1 else ""
                return effect["status"], f"{named}{effect['reason']}"
        if not self._days:
            return "no_data", "the length of the period is not known"
        return "ok", None

    def _checkouts(self, kind: Kind) -> int:
        """Return the eligible checkouts of both arms."""
        entry = cast("Mapping[str, Mapping[str, int]]", self._effects[kind])
        return sum(entry[arm]["denominator"] for arm in ARMS)

    def _interval(self, kinds: Sequence[Kind]) -> Interval:
        assert self._days
        months = self._days / DAYS
        factors = {kind: self._checkouts(kind) / months for kind in kinds}
        shares: dict[Kind, Sequence[int]] = {
            kind: self._strata[kind].compared(MEASURE) for kind in kinds
        }
        means: dict[tuple[Kind, Arm], Mean] = {
            (kind, arm): self._strata[kind].mean(MEASURE, arm, shares[kind])
            for kind in kinds
            for arm in ARMS
        }
        value = math.fsum(
            factors[kind] * (means[kind, "treatment"].value - means[kind, "control"].value)
            for kind in kinds
        )
        variance = math.fsum(
            factors[kind] ** 2 * means[kind, arm].variance() for kind, arm in means
        )
        if len(kinds) > 1:
            variance += 2 * math.prod(factors.values()) * self._covariance(kinds, shares)
        if self._watched:
            units = [
                [self._strata[kind].units(arm, shares[kind], MEASURE) for arm in ARMS]
                for kind in kinds
            ]
            quantile = max(anytime_quantile(intrinsic_time(*unit), self._level) for unit in units)
        else:
            parts = [
                (factors[kind] ** 2 * each, n)
                for (kind, _), mean in means.items()
                for each, n in mean.parts
            ]
            quantile = welch_quantile(parts, self._level)
        spread = quantile * math.sqrt(max(0.0, variance))
        return Interval(value, value - spread, value + spread)

    def _covariance(self, kinds: Sequence[Kind], shares: Mapping[Kind, Sequence[int]]) -> float:
        """Return the covariance of the means of both kinds, over both arms."""
        first, second = kinds
        weights = {kind: self._strata[kind].weights(shares[kind], MEASURE) for kind in kinds}
        return math.fsum(
            weights[first][share]
            * weights[second][other]
            * products.covariance(
                self._strata[first].arms[share, arm].of[MEASURE],
                self._strata[second].arms[other, arm].of[MEASURE],
            )
            for (arm, share, other), products in sorted(self._between.items())
            if share in weights[first] and other in weights[second]
        )
