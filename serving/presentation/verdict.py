"""What a report comes to, in one sentence for the owner of a shop, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from mersalg.engine.config import ExperimentSection
from mersalg.engine.locales import Language
from mersalg.engine.tracking.power import days_left
from mersalg.serving.presentation.entries import EntryWords

State = Literal["ok", "warn", "bad", "wait"]
Report = Mapping[str, Any]

_LONGEST_WAIT = 365
"""Days beyond which nobody waits: a number of them would be no advice."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sentence, the sentences that support it, and how good it is.

    Attributes
    ----------
    days_left : int or None
        Days until the data suffice, where they do not and this is known.
    """

    state: State
    say: str
    why: str
    days_left: int | None = None


def verdict_of(
    report: Report, language: Language, experiment: ExperimentSection | None = None
) -> Verdict:
    """Return the verdict on a report: its `total` and `extra_sales`.

    Parameters
    ----------
    report : mapping
        The report JSON.
    language : {"en", "nb"}
        Of the sentences.
    experiment : ExperimentSection, optional
        Of the shop as it is now: its hold-out, and the effect that decides how many days are left.
    """
    return _Verdicts(report, language, experiment).verdict()


class _Verdicts(EntryWords):
    def __init__(
        self, report: Report, language: Language, experiment: ExperimentSection | None
    ) -> None:
        super().__init__(language, report["currency"])
        self._report, self._experiment = report, experiment
        self._kinds: Mapping[str, Report] = report["total"]
        self._extra: Report = report["extra_sales"]
        self._level: float = report["level"]

    def verdict(self) -> Verdict:
        effects = [each["incremental"] for each in self._kinds.values()]
        if lost := self._lost(effects):
            return lost
        statuses = {self._extra["status"], *(each["status"] for each in effects)}
        if "blocked" in statuses:
            return Verdict("warn", self.phrase("say_uneven"), self.phrase("why_uneven"))
        if self._extra["value"] is not None:
            return self._known()
        if "not_comparable" in statuses:
            return Verdict("warn", self.phrase("say_unlike"), self.phrase("why_unlike"))
        if not any(each["control"]["denominator"] for each in effects):
            if any(_is_held_out(share) for each in effects for share in each["shares"]):
                return Verdict("wait", self.phrase("say_wait"), self.phrase("why_no_control"))
            decided = any(each["treatment"]["denominator"] for each in effects)
            if not decided and not self._shown():
                return Verdict("wait", self.phrase("say_nothing"), self.phrase("why_nothing"))
            has_one_now = self._experiment is not None and self._experiment.holdout > 0
            why = self.phrase("why_no_holdout_then" if has_one_now else "why_no_holdout")
            return Verdict("wait", self.phrase("say_no_holdout"), why)
        return self._wait(self.phrase("why_few"))

    def _shown(self) -> bool:
        return any(each["checkout"]["denominator"] for each in self._kinds.values())

    def _lost(self, effects: Sequence[Report]) -> Verdict | None:
        """Return that offers keep buyers from completing checkouts, where that is shown."""
        for each in effects:
            entry = each["completion"]
            if entry["upper"] is not None and entry["upper"] < 0:
                texts = {
                    "treated": self.percent(entry["treatment"]["value"]),
                    "control": self.percent(entry["control"]["value"]),
                    "points": self.points(entry["value"]),
                    "lower": self.points(entry["lower"]),
                    "upper": self.points(entry["upper"]),
                }
                return Verdict("bad", self.phrase("say_lost"), self.phrase("why_lost", **texts))
        return None

    def _known(self) -> Verdict:
        value, lower, upper = (Decimal(self._extra[end]) for end in ("value", "lower", "upper"))
        about, low, high = self._about(value, lower, upper)
        between = self.phrase("range", lower=low, upper=high)
        if lower <= 0 <= upper:
            why = self.phrase("why_so_far", amount=about, between=between)
            return self._wait(why)
        texts = {"between": between, "level": self.level(self._level)}
        if upper < 0:
            say = self.phrase("say_costs", amount=self._about(-value)[0])
            return Verdict("bad", say, self.phrase("why_costs", **texts))
        if contrary := self._contrary():
            return Verdict("warn", self.phrase("say_replaces", amount=about), contrary)
        say = self.phrase("say_earns", amount=about)
        return Verdict("ok", say, self.phrase("why_earns", **texts))

    def _contrary(self) -> str | None:
        """Return that whole baskets fell although offered items rose, where that is shown."""
        for kind, measured in self._kinds.items():
            basket = measured["net_incremental"]["revenue_per_checkout"]
            if basket["upper"] is not None and Decimal(basket["upper"]) < 0:
                amount, lower, upper = (
                    self.money(basket[end], sign=True) for end in ("value", "lower", "upper")
                )
                between = self.phrase("range", lower=lower, upper=upper)
                kind_name = self.phrase(f"kind_{kind}").lower()
                texts = {"amount": amount, "between": between, "kind": kind_name}
                return self.phrase("why_replaces", **texts)
        return None

    def _days_left(self) -> float | None:
        """Return the days until the data suffice, by the days since the first with a decision."""
        days: float | None = self._report["days"]
        buckets = [group["key"].get("day") for group in self._report["groups"]]
        if buckets and buckets[0]:
            first, last = (date.fromisoformat(buckets[at]) for at in (0, -1))
            days = (last - first).days + 1
        if self._experiment is None or not days:
            return None
        return days_left(self._kinds, self._experiment.worthwhile_effect, days)

    def _wait(self, why: str) -> Verdict:
        days_left = self._days_left()
        if days_left is None:
            return Verdict("wait", self.phrase("say_wait"), why)
        days = max(1, round(days_left))
        if days_left <= 0:
            return Verdict("wait", self.phrase("say_small"), why, 0)
        if days > _LONGEST_WAIT:
            why = " ".join((why, self.phrase("why_wait_year")))
            return Verdict("wait", self.phrase("say_wait_year"), why, days)
        say = self.phrase("say_wait_days", days=self.count(days))
        return Verdict("wait", say, why, days)

    def _about(self, *amounts: Decimal) -> list[str]:
        return [self.amount(each, self.currency) for each in self.rounded(amounts)]


def _is_held_out(share: Report) -> bool:
    """Return whether checkouts, the shop or the caller say that some get no offers."""
    return bool(share["share"]) and share["stated_by"] != ["default"]
