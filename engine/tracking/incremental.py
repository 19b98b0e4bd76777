"""The effect of offers: treatment less control by intention to treat.

Eligible is every checkout with a decision that had offers of the kind, shown or withheld. The first
of them gives its arm, its hold-out share and the offers that it is judged by: what buyers do with
these decides what they are offered next, and only those who saw them do anything. The outcome is
whether one of the items was bought in the checkout by the conversion rule. Views, clicks and
attribution play no part, so both arms are judged alike. Arms are compared within strata of equal
share (see `strata`).

Units are randomised, so where they return their checkouts are no independent trials: the interval
is that of the number of independent trials that would be as informative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cached_property

from mersalg.engine import money
from mersalg.engine.facts import Arm
from mersalg.engine.tracking.intervals import (
    anytime_p_value,
    anytime_quantile,
    clustered_difference,
    intrinsic_time,
    newcombe,
    watched_difference,
)
from mersalg.engine.tracking.many import (
    FEWEST_EXPECTED,
    MANY_EXPECTED,
    difference_p_value,
    exact_p_value,
    expected_units,
)
from mersalg.engine.tracking.rates import Entry, ends_of, limits_of
from mersalg.engine.tracking.strata import ARMS, FEWEST_UNITS, WHOLE, Strata, why_checkouts_differ
from mersalg.engine.words import counted

SEQUENCE = "confidence_sequence"
"""Method of intervals that stay valid however often a report is looked at."""

FEWEST_UNITS_OF_MEAN = 30
FEWEST_PURCHASES_OF_MEAN = 10
"""Units, and purchases, of an arm below which no effect on money or numbers of things is given.

Few large amounts make most of a sum. Where none of them was seen by chance, the variance is far too
small as well, and every interval of means with it.
"""


GROSS = ("converted", "orders", "offered_units", "order_revenue", "offer_revenue")
NET = ("kept", "kept_orders", "kept_units", "net_order_revenue", "net_offer_revenue")
"""The measures of `incremental` and of `net_incremental`; both have `completed` beside them."""


def effects_of(
    strata: Strata,
    of_units: Strata,
    *,
    reason: str | None,
    currency: str | None,
    level: float,
    watched: bool = False,
    unstated_by: str = "default",
) -> tuple[Entry, Entry]:
    """Return the entries `incremental` and `net_incremental` of a report.

    `of_units` are the strata with units as trials, `reason` says why the entries are blocked,
    `unstated_by` who stated the share of decisions without one. `watched` intervals stay valid
    however often the report is looked at.
    """
    checkouts = _Effects(strata, reason, currency, level, watched)
    if why := why_checkouts_differ(strata, checkouts.shares):
        checkouts.refuse("not_comparable", why)
    units = _Effects(of_units, reason, currency, level, watched)
    shares = checkouts.strata(unstated_by)
    gross, net = (
        {
            **checkouts.entry("checkout", measures),
            "shares": shares,
            "per_unit": units.entry("unit", measures),
        }
        for measures in (GROSS, NET)
    )
    return gross, net


class _Effects:
    def __init__(
        self, strata: Strata, reason: str | None, currency: str | None, level: float, watched: bool
    ) -> None:
        self._strata, self._currency = strata, currency
        self._level, self._watched = level, watched
        self._eligible, self.shares = strata.eligible, strata.compared()
        empty = [arm for arm in ARMS if not strata.units(arm, self._eligible)]
        self._status, self._reason = "ok", None
        if empty:
            self._status = "no_data"
            self._reason = f"no eligible checkout in {' and '.join(empty)}"
        elif reason is not None:
            self._status, self._reason = "blocked", reason
        elif not self.shares:
            self._status, self._reason = "no_data", self._too_few()

    def refuse(self, status: str, reason: str) -> None:
        """Give no effect, where one would be given."""
        if self._status == "ok":
            self._status, self._reason = status, reason

    def strata(self, unstated_by: str) -> list[Entry]:
        """Return the entry of each stratum."""
        return [self._stratum(share, unstated_by) for share in self._strata.shares]

    def entry(self, trial: str, measures: Sequence[str]) -> Entry:
        """Return the effects on trials, which are checkouts or units."""
        converted, orders, units, order_revenue, offer_revenue = measures
        return {
            **self._of_share(converted),
            f"revenue_per_{trial}": self._amount(order_revenue, "completed"),
            f"offer_revenue_per_{trial}": self._amount(offer_revenue, converted),
            f"margin_per_{trial}": {
                **dict.fromkeys(("value", "lower", "upper", "treatment", "control")),
                "method": "welch_t_clustered",
                "status": "no_data",
                "reason": "costs are not in the facts",
            },
            "completion": self._completion,
            "offered_units": self._mean(units, converted, lambda n: n / WHOLE),
            "orders": self._mean(orders, "completed", lambda n: n),
        }

    @cached_property
    def _completion(self) -> Entry:
        return self._of_share("completed")

    def _stratum(self, share: int, unstated_by: str) -> Entry:
        arms = {arm: self._strata.arms.get((share, arm)) for arm in ARMS}
        sums = [arm for arm in arms.values() if arm is not None]
        unstated = sum(each.unstated for each in sums)
        stated = sum(each.checkouts for each in sums) > unstated
        return {
            "share": share / WHOLE,
            "stated_by": ["decisions"] * stated + [unstated_by] * (unstated > 0),
            **{arm: 0 if each is None else each.checkouts for arm, each in arms.items()},
            "compared": share in self.shares,
        }

    def _too_few(self) -> str:
        if len(self._eligible) > 1:
            return (
                f"none of {len(self._eligible)} hold-out shares has {FEWEST_UNITS} units in both"
                " arms, too few for an interval"
            )
        units = {arm: self._strata.units(arm, self._eligible) for arm in ARMS}
        arm = min(units, key=lambda each: units[each])
        return _too_few(units[arm], "unit", arm, "an interval", FEWEST_UNITS)

    def _of_share(self, name: str) -> Entry:
        treatment, control = (self._strata.total(name, arm, self._eligible) for arm in ARMS)
        entry: Entry = {
            **ends_of(None),
            "numerator": treatment[0],
            "denominator": treatment[1],
            "method": SEQUENCE if self._watched else "newcombe_clustered",
            "status": self._status,
            "reason": self._reason,
            "p_value": None,
            "treatment": _share(*treatment),
            "control": _share(*control),
            "unclustered": {**limits_of(None), "method": "newcombe"},
            "clustered": None,
            "design_effect": None,
        }
        if self._status != "ok":
            return entry
        (x1, n1), (x2, n2) = (self._trials(name, arm) for arm in ARMS)
        (y1, m1), (y2, m2) = (self._trials(name, arm, clustered=False) for arm in ARMS)
        plain = newcombe(y1, m1, y2, m2, self._level)
        tables = self._strata.tables(name, self.shares)
        expected = expected_units(tables)
        if self._watched:
            watched = watched_difference(x1, n1, x2, n2, self._level)
            assert watched is not None
            own, p_value = watched
        else:
            own = newcombe(x1, n1, x2, n2, self._level)
            p_value = (
                exact_p_value(tables)
                if expected < MANY_EXPECTED
                else difference_p_value(x1, n1, x2, n2)
            )
        assert own is not None
        assert plain is not None
        entry |= {
            "value": plain.value,
            **limits_of(own),
            "p_value": None if expected < FEWEST_EXPECTED else p_value,
            "design_effect": max(1.0, (m1 + m2) / (n1 + n2)),
        }
        if not self._watched:
            # A confidence sequence already allows for units that return.
            entry["unclustered"] = {**limits_of(plain), "method": "newcombe"}
            entry["clustered"] = {
                **limits_of(own),
                "method": "newcombe_clustered",
                "units": [self._strata.units(arm, self.shares) for arm in ARMS],
                "effective_checkouts": [n1, n2],
                "design_effect": max(1.0, (m1 + m2) / (n1 + n2)),
                "control": x2 / n2,
            }
        return entry

    def _trials(self, name: str, arm: Arm, *, clustered: bool = True) -> tuple[float, float]:
        return self._strata.effective(name, arm, self.shares, self._level, clustered=clustered)

    def _amount(self, name: str, purchases: str) -> Entry:
        entry = self._mean(name, purchases, lambda minor: effect_text(minor, self._currency))
        if self._currency is None and self._status == "ok":
            entry |= {**ends_of(None), "status": "no_data", "reason": "no one currency is known"}
        return entry

    def _mean(self, name: str, purchases: str, number: Callable[[float], object]) -> Entry:
        """Return the difference of what checkouts have of a measure, as `number` writes it."""
        status, reason, interval, p_value = self._status, self._reason, None, None
        if status == "ok":
            shares = self._strata.compared(name)
            n1, n2 = (self._strata.units(arm, shares, name) for arm in ARMS)
            if few := self._too_few_for_mean(name, purchases, shares, (n1, n2)):
                status, reason = "no_data", few
            else:
                treatment, control = (self._strata.mean(name, arm, shares) for arm in ARMS)
                trials = intrinsic_time(n1, n2)
                quantile = anytime_quantile(trials, self._level) if self._watched else None
                interval = clustered_difference(treatment, control, self._level, quantile=quantile)
                if self._watched and (variance := treatment.variance() + control.variance()):
                    deviation = interval.value / math.sqrt(variance)
                    p_value = anytime_p_value(deviation, trials, self._level)
        totals = {arm: self._strata.total(name, arm, self._eligible) for arm in ARMS}
        return {
            **ends_of(interval, number),
            **{arm: number(x / m) if m else None for arm, (x, m) in totals.items()},
            "method": SEQUENCE if self._watched else "welch_t_clustered",
            "status": status,
            "reason": reason,
            **({"p_value": p_value} if self._watched else {}),
        }

    def _too_few_for_mean(
        self, name: str, purchases: str, shares: Sequence[int], n_units: Sequence[int]
    ) -> str | None:
        for arm, units in zip(ARMS, n_units, strict=True):
            if units < FEWEST_UNITS_OF_MEAN:
                return _too_few(units, "unit", arm, "an interval of a mean", FEWEST_UNITS_OF_MEAN)
            bought, checkouts = self._strata.total(purchases, arm, shares)
            completed, _ = self._strata.total("completed", arm, shares)
            _, in_currency = self._strata.total(name, arm, shares)
            # A checkout with an order in another currency is a completed one.
            bought = min(bought, completed - (checkouts - in_currency))
            if bought < FEWEST_PURCHASES_OF_MEAN:
                least = FEWEST_PURCHASES_OF_MEAN
                return _too_few(bought, "purchase", arm, "an interval of a mean", least)
            gross = name.removeprefix("net_")
            if not any(self._strata.arms[share, arm].of[gross].sum_xx for share in shares):
                return f"of nothing that was bought in {arm} a price is known"
        return None


def _too_few(n: int, noun: str, arm: str, interval: str, least: int) -> str:
    verb = "is" if n == 1 else "are"
    return f"{counted(n, noun)} in {arm} {verb} too few for {interval}: {least} are needed"


def _share(numerator: int, denominator: int) -> Entry:
    value = numerator / denominator if denominator else None
    return {"value": value, "numerator": numerator, "denominator": denominator}


def effect_text(minor: float, currency: str | None, more_digits: int = 2) -> str | None:
    """Return an effect as a decimal string; None for an amount without a currency.

    Per checkout it has two decimals more than the minor unit: many checkouts have a part in what
    few of them add, and 0.10 would not tell 0.0959 from 0.1041.
    """
    if currency is None or not math.isfinite(minor):
        return None
    decimals = money.minor_digits(currency) + more_digits
    return f"{Decimal(round(minor * 10**more_digits)).scaleb(-decimals):f}"
