"""Whether the numbers of a report can be believed: what could make them wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from mersalg.engine.locales import Language
from mersalg.serving.presentation.entries import EntryWords
from mersalg.serving.presentation.glossary import NOT_IN_DOUBT, QUALITY
from mersalg.serving.presentation.verdict import State

Report = Mapping[str, Any]

IN_DOUBT = tuple(name for name in QUALITY if name not in (*NOT_IN_DOUBT, "immature"))
"""Counts of facts in doubt; decisions of the last days are always immature."""
MUCH = 0.02
"""Share of facts in doubt from which on something is wrong, not only here and there."""
_WHOLES = {
    "dated_on_arrival": ("checkouts",),
    "reused_checkouts": ("checkouts",),
    **dict.fromkeys(("early", "unmatched", "duplicates", "late"), ("orders", "checkouts")),
    **dict.fromkeys(("unvouched", "bots_excluded", "bots_by_rate"), ("checkouts",)),
}
"""What counts are a share of, where not of orders."""
MISMATCH = 0.001
"""A smaller p-value of the sample ratio is no chance."""


@dataclass(frozen=True, slots=True)
class Check:
    """Whether one thing that could make the numbers wrong is in order."""

    state: State
    name: str
    text: str
    link: str = ""


def arms_of(effect: Report) -> tuple[int, int]:
    """Return the eligible checkouts with offers, and those without."""
    return effect["treatment"]["denominator"], effect["control"]["denominator"]


def share_in_doubt(quality: Report, name: str) -> float:
    """Return the share of orders or checkouts that a count of facts in doubt comes to."""
    whole = sum(quality[each] for each in _WHOLES.get(name, ("orders",)))
    return quality[name] / whole if whole else 0.0


def checks_of(report: Report, language: Language) -> list[Check]:
    """Return the checks of a report, of the kind with more eligible checkouts."""
    effects = [each["incremental"] for each in report["total"].values()]
    return _Checks(report, language).checks(effects)


class _Checks(EntryWords):
    def __init__(self, report: Report, language: Language) -> None:
        super().__init__(language, report["currency"])
        self._report = report

    def checks(self, effects: Sequence[Report]) -> list[Check]:
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
