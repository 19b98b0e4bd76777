"""Whether the numbers of a report can be believed: what could make them wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from mersalg.engine.locales import Language
from mersalg.serving.presentation.figures import minor_units
from mersalg.serving.presentation.texts import EntryWords, QualityText
from mersalg.serving.presentation.verdict import State

Report = Mapping[str, Any]

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


def checks_of(report: Report, language: Language, quality: Sequence[QualityText]) -> list[Check]:
    """Return the checks of a report, of the kind with more eligible checkouts."""
    effects = [each["incremental"] for each in report["total"].values()]
    return _Checks(report, language).checks(effects, quality)


class _Checks:
    def __init__(self, report: Report, language: Language) -> None:
        self._report, self._entries = report, EntryWords(language)
        self._figures, self._words = self._entries.figures, self._entries.phrase
        self._currency: str | None = report["currency"]

    def checks(self, effects: Sequence[Report], quality: Sequence[QualityText]) -> list[Check]:
        if not effects:
            return []
        largest = max(effects, key=lambda each: sum(arms_of(each)))
        return [
            self._check_completion(largest["completion"]),
            self._check_basket(largest["revenue_per_checkout"]),
            self._check_groups(largest),
            self._check_data(quality),
        ]

    def _check_completion(self, entry: Report) -> Check:
        if entry["value"] is None:
            return Check("wait", self._words("check_completion"), self._words("not_yet"))
        is_lost = entry["upper"] < 0
        return Check(
            "bad" if is_lost else "ok",
            self._words("check_lost" if is_lost else "check_not_lost"),
            self._words(
                "check_completion_text",
                treated=self._figures.percent(entry["treatment"]["value"]),
                control=self._figures.percent(entry["control"]["value"]),
                points=self._figures.points(entry["value"]),
                between=self._entries.range(entry, self._figures.points),
            ),
        )

    def _check_basket(self, entry: Report) -> Check:
        if entry["value"] is None:
            return Check("wait", self._words("check_basket"), self._words("not_yet"))
        is_less = Decimal(entry["upper"]) < 0

        def money(amount: str, *, sign: bool = True) -> str:
            return self._figures.amount(minor_units(amount, self._currency), None, sign=sign)

        treated = minor_units(entry["treatment"], self._currency)
        return Check(
            "warn" if is_less else "ok",
            self._words("check_basket_less" if is_less else "check_basket_agrees"),
            self._words(
                "check_basket_text",
                treated=self._figures.amount(treated, self._currency),
                control=money(entry["control"], sign=False),
                change=money(entry["value"]),
                between=self._entries.range(entry, money),
            ),
        )

    def _check_groups(self, effect: Report) -> Check:
        p_value = self._report["quality"]["srm_p_value"]
        treated, control = arms_of(effect)
        if p_value is None or not control:
            return Check("wait", self._words("check_groups"), self._words("check_no_groups"))
        is_uneven = p_value < MISMATCH
        return Check(
            "warn" if is_uneven else "ok",
            self._words("check_uneven" if is_uneven else "check_fair"),
            self._words(
                "check_groups_text",
                control=self._figures.count(control),
                all=self._figures.count(treated + control),
                share=self._figures.percent(control / (treated + control)),
                p_value=self._figures.p_value(p_value),
            ),
        )

    def _check_data(self, quality: Sequence[QualityText]) -> Check:
        immature = self._entries.terms["immature"]  # always some of the last days
        notable = [each.term.name for each in quality if each.is_notable and each.term != immature]
        if not notable:
            name = self._words("check_data_ok")
            return Check("ok", name, self._words("check_data_ok_text"), "quality")
        count = self._figures.count(len(notable))
        name = self._words("check_data_one" if len(notable) == 1 else "check_data", count=count)
        return Check("warn", name, ", ".join(islice(notable, 3)), "quality")
