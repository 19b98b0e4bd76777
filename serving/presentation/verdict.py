"""What a report comes to, in one sentence for the owner of a shop, and whether to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any, Literal

from mersalg.engine.config import ExperimentSection
from mersalg.engine.locales import Language
from mersalg.engine.tracking.power import days_left
from mersalg.serving.presentation.figures import EntryWords
from mersalg.serving.presentation.glossary import NOT_IN_DOUBT, QUALITY

State = Literal["ok", "warn", "bad", "wait"]
Report = Mapping[str, Any]

_LONGEST_WAIT = 365
"""Days beyond which nobody waits: a number of them would be no advice."""
IN_DOUBT = tuple(name for name in QUALITY if name not in (*NOT_IN_DOUBT, "immature"))
"""Counts of facts in doubt; decisions of the last days are always immature."""
MUCH = 0.02
"""Share of facts in doubt from which on something is wrong, not only here and there."""
WHOLES = {
    **dict.fromkeys(QUALITY, ("orders",)),
    "dated_on_arrival": ("checkouts",),
    "reused_checkouts": ("checkouts",),
    **dict.fromkeys(("early", "unmatched", "duplicates", "late"), ("orders", "checkouts")),
    **dict.fromkeys(("unvouched", "bots_excluded", "bots_by_rate"), ("checkouts",)),
}
"""What counts of facts in doubt are a share of."""
MISMATCH = 0.001
"""A smaller p-value of the sample ratio is no chance."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sentence, the sentences that support it, and how good it is."""

    state: State
    say: str
    why: str
    days_left: int | None = None
    """Days until the data suffice, where they do not and this is known."""


@dataclass(frozen=True, slots=True)
class Check:
    """Whether one thing that could make the numbers wrong is in order."""

    state: State
    name: str
    text: str
    link: str = ""


class Verdicts(EntryWords):
    """The verdict on a report, and the checks that support it.

    `experiment` is that of the shop now: its hold-out, and the effect that decides how many days
    are left, which are not known without it.
    """

    def __init__(
        self, report: Report, language: Language, experiment: ExperimentSection | None = None
    ) -> None:
        super().__init__(language, report["currency"])
        self._report, self._experiment = report, experiment
        self._kinds: Mapping[str, Report] = report["total"]
        self._extra: Report = report["extra_sales"]
        self._level: float = report["level"]

    def verdict(self) -> Verdict:
        """Return what the `total` and the `extra_sales` of the report come to."""
        effects = [kind["incremental"] for kind in self._kinds.values()]
        if lost := self._lost(effects):
            return lost
        statuses = {self._extra["status"], *(effect["status"] for effect in effects)}
        if "blocked" in statuses:
            return Verdict("warn", self.phrase("say_uneven"), self.phrase("why_uneven"))
        if self._extra["value"] is not None:
            return self._known()
        if "not_comparable" in statuses:
            return Verdict("warn", self.phrase("say_unlike"), self.phrase("why_unlike"))
        if not any(effect["control"]["denominator"] for effect in effects):
            if any(_is_held_out(share) for effect in effects for share in effect["shares"]):
                return Verdict("wait", self.phrase("say_wait"), self.phrase("why_no_control"))
            decided = any(effect["treatment"]["denominator"] for effect in effects)
            if not decided and not self._shown():
                return Verdict("wait", self.phrase("say_nothing"), self.phrase("why_nothing"))
            has_one_now = self._experiment is not None and self._experiment.holdout > 0
            why = self.phrase("why_no_holdout_then" if has_one_now else "why_no_holdout")
            return Verdict("wait", self.phrase("say_no_holdout"), why)
        return self._wait(self.phrase("why_few"))

    def _shown(self) -> bool:
        return any(kind["checkout"]["denominator"] for kind in self._kinds.values())

    def _lost(self, effects: Sequence[Report]) -> Verdict | None:
        """Return that offers keep buyers from completing checkouts, where that is shown."""
        for effect in effects:
            entry = effect["completion"]
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

    def checks(self) -> list[Check]:
        """Return the checks of the kind with more eligible checkouts."""
        effects = [each["incremental"] for each in self._kinds.values()]
        if not effects:
            return []
        largest = max(effects, key=lambda each: sum(arms_of(each)))
        return [
            self._check_completion(largest["completion"]),
            self._check_basket(largest["revenue_per_checkout"]),
            self._check_groups(largest),
            self._check_data(),
        ]

    def _check_completion(self, entry: Report) -> Check:
        if entry["value"] is None:
            return Check("wait", self.phrase("check_completion"), self.phrase("not_yet"))
        is_lost = entry["upper"] < 0
        return Check(
            "bad" if is_lost else "ok",
            self.phrase("check_lost" if is_lost else "check_not_lost"),
            self.phrase(
                "check_completion_text",
                treated=self.percent(entry["treatment"]["value"]),
                control=self.percent(entry["control"]["value"]),
                points=self.points(entry["value"]),
                between=self.range(entry, self.points),
            ),
        )

    def _check_basket(self, entry: Report) -> Check:
        if entry["value"] is None:
            return Check("wait", self.phrase("check_basket"), self.phrase("not_yet"))
        is_less = Decimal(entry["upper"]) < 0
        return Check(
            "warn" if is_less else "ok",
            self.phrase("check_basket_less" if is_less else "check_basket_agrees"),
            self.phrase(
                "check_basket_text",
                treated=self.money(entry["treatment"]),
                control=self.bare_money(entry["control"], sign=False),
                change=self.bare_money(entry["value"]),
                between=self.range(entry, self.bare_money),
            ),
        )

    def _check_groups(self, effect: Report) -> Check:
        p_value = self._report["quality"]["srm_p_value"]
        treated, control = arms_of(effect)
        if p_value is None or not control:
            return Check("wait", self.phrase("check_groups"), self.phrase("check_no_groups"))
        is_uneven = p_value < MISMATCH
        return Check(
            "warn" if is_uneven else "ok",
            self.phrase("check_uneven" if is_uneven else "check_fair"),
            self.phrase(
                "check_groups_text",
                control=self.count(control),
                all=self.count(treated + control),
                share=self.percent(control / (treated + control)),
                p_value=self.p_value(p_value),
            ),
        )

    def _check_data(self) -> Check:
        quality: Report = self._report["quality"]
        notable = [
            self.terms[name].name for name in IN_DOUBT if share_in_doubt(quality, name) > MUCH
        ]
        if not notable:
            name = self.phrase("check_data_ok")
            return Check("ok", name, self.phrase("check_data_ok_text"), "quality")
        count = self.count(len(notable))
        name = self.phrase("check_data", count=count)
        return Check("warn", name, ", ".join(islice(notable, 3)), "quality")


def _is_held_out(share: Report) -> bool:
    """Return whether checkouts, the shop or the caller say that some get no offers."""
    return bool(share["share"]) and share["stated_by"] != ["default"]


def arms_of(effect: Report) -> tuple[int, int]:
    """Return the eligible checkouts with offers, and those without."""
    return effect["treatment"]["denominator"], effect["control"]["denominator"]


def share_in_doubt(quality: Report, name: str) -> float:
    """Return the share of orders or checkouts that a count of facts in doubt comes to."""
    whole = sum(quality[each] for each in WHOLES[name])
    return quality[name] / whole if whole else 0.0
