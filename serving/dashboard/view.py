"""The dashboard's page as texts: a report, and the state of the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from mersalg.engine.locales import LANGUAGES, Language
from mersalg.serving.presentation.figures import Figures
from mersalg.serving.presentation.glossary import glossary_of
from mersalg.serving.presentation.report import chart_series, headline_of, present
from mersalg.serving.presentation.texts import ReportText

_PERIODS = (7, 28, 90, 365)


@dataclass(frozen=True, slots=True)
class Choice:
    """One period, or one language, to choose."""

    address: str
    label: str
    current: bool


@dataclass(frozen=True, slots=True)
class View:
    """What the template shows; every text is escaped there.

    Attributes
    ----------
    chart : str
        Headline of each day as JSON for the script; empty where there is none.
    has_data : bool
        Whether any offer was decided on in the period.
    since, until : str
        First and last day, for the link to the same report as JSON.
    """

    report: ReportText
    level: str
    periods: tuple[Choice, ...]
    languages: tuple[Choice, ...]
    notices: tuple[str, ...]
    has_data: bool
    chart: str
    model: str
    since: str
    until: str

    @property
    def shop(self) -> str:
        """Title of the page."""
        return self.report.shop


def build_view(
    report: Mapping[str, Any],
    *,
    days: int,
    language: Language,
    shop: str,
    model_version: str | None,
    model_problem: str | None,
    database_up: bool,
    paused: str | None = None,
    asked: str | None = None,
) -> View:
    """Return everything the page shows, in `language`."""
    glossary = glossary_of(language)
    total = report["total"].values()
    return View(
        report=present(report, shop, language),
        level=Figures(language).level(report["level"]),
        periods=tuple(
            Choice(_address(n, language), glossary.phrase("n_days", days=n), n == days)
            for n in _PERIODS
        ),
        languages=tuple(Choice(_address(days, each), each, each == language) for each in LANGUAGES),
        notices=tuple(
            _notices(language, model_version, model_problem, paused, asked, database_up=database_up)
        ),
        has_data=any(measured["checkout"]["denominator"] for measured in total),
        chart=_chart(report, language),
        model=model_version or glossary.phrase("none"),
        since=str(report["from"] or "")[:10],
        until=str(report["to"] or "")[:10],
    )


def _address(days: int, language: Language) -> str:
    return f"/dashboard?days={days}&lang={language}"


def _notices(
    language: Language,
    version: str | None,
    problem: str | None,
    paused: str | None,
    asked: str | None,
    *,
    database_up: bool,
) -> Sequence[str]:
    phrase = glossary_of(language).phrase
    notices: list[str] = []
    if paused is not None:
        notices.append(phrase("paused", reason=paused))
    if asked is not None:
        notices.append(phrase("asked", reason=asked))
    if version is None:
        notices.append(phrase("no_model", problem=problem or phrase("no_model_published")))
    elif problem:
        notices.append(phrase("old_model", version=version, problem=problem))
    if not database_up:
        notices.append(phrase("no_database"))
    return notices


def _chart(report: Mapping[str, Any], language: Language) -> str:
    headline = headline_of(report)
    if all(
        measured[headline]["value"] is None
        for group in report["groups"]
        for measured in (group["cross_sell"], group["upsell"])
    ):
        return ""
    days = [group["key"]["day"] for group in report["groups"]]
    return orjson.dumps({"days": days, "series": chart_series(report, language)}).decode()
