"""Reports as people get them by mail: the HTML file, and the summary of a week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mersalg.engine import clock
from mersalg.engine.config import ExperimentSection, OffersSection, load_config
from mersalg.engine.errors import DataError, ModelError
from mersalg.engine.live_catalogue import InForce, rules_at
from mersalg.engine.registry import Registry
from mersalg.engine.tracking.local_days import zone_of
from mersalg.engine.tracking.query import TIME_KEYS, ReportQuery
from mersalg.engine.tracking.report import build_report
from mersalg.serving.cli import console
from mersalg.serving.presentation.figures import EntryWords
from mersalg.serving.presentation.html_templates import report_page
from mersalg.serving.presentation.names import KEYS, Key, Names
from mersalg.serving.presentation.overview import overview_of
from mersalg.serving.presentation.texts import ReportText
from mersalg.serving.presentation.timeline import Occurrences
from mersalg.serving.presentation.weekly import Weekly, weekly_of
from mersalg.serving.presentation.worthwhile import RECENT, worth_doing

if TYPE_CHECKING:
    from mersalg.engine.locales import Language
    from mersalg.engine.progress import Progress
    from mersalg.engine.storage.store import Store

Report = Mapping[str, Any]

_STEPS = {"day": 62, "week": 400}
"""Steps of the chart over time of an HTML file, and the longest periods, in days, they are for."""
_SUMMARY_DAYS = 28
"""Days that end with the week of a summary, over which its changes are looked for."""


@dataclass(frozen=True, slots=True)
class Known:
    """Context of a report beside the facts: names, the effect worth having, rules in force."""

    names: Names
    experiment: ExperimentSection
    rules: Sequence[InForce]


def known_of(store: Store, models: Path, config: Path | None, timezone: str) -> Known:
    """Return what the published model, the live catalogue and a shop file say of a shop."""
    registry, model = Registry(models), None
    try:
        model = registry.load() if registry.current() else None
    except ModelError as error:
        console.note(f"items are shown by their ids: {error.message}")
    live = store.live.since(-1)
    stated = {key: name for key, item in live.items.items() if (name := item.get("name"))}
    experiment = model.settings.experiment if model else ExperimentSection()
    offers = model.settings.offers if model else OffersSection()
    if config is not None:
        shop = load_config(config)
        experiment, offers = shop.experiment, shop.offers
    rules = rules_at(clock.now(), live.rules, offers, timezone)
    return Known(Names(model, stated), experiment, rules)


def html_file(
    store: Store, query: ReportQuery, report: Report, view: ReportText, known: Known
) -> str:
    """Return the HTML file of a report; its chart over time is of steps that it has room for."""
    days: float = report["days"] or 0
    step = next((step for step, most in _STEPS.items() if days <= most), "month")
    over_time = report
    if query.by in [(key,) for key in TIME_KEYS]:
        step = query.by[0]
    else:
        over_time = build_report(store, replace(query, by=(step,)))
    overview = overview_of(
        over_time,
        query.shop,
        view.glossary.language,
        step=step,
        experiment=known.experiment,
        occurred=Occurrences.of(store, query.since, query.until, zone_of(query.timezone or "UTC")),
    )
    return report_page(overview, view) + "\n"


def last_week(store: Store, query: ReportQuery, progress: Progress) -> Report:
    """Return the report of the last full ISO week with facts, beside that of the week before.

    Raises
    ------
    DataError
        No week that is over has facts.
    """
    today = clock.to_datetime(clock.now()).astimezone(zone_of(query.timezone or "UTC")).date()
    over = replace(query, until=today - timedelta(days=today.isoweekday()), by=("week",))
    weeks: Any = build_report(store, over, progress=progress)["groups"]
    if not weeks:
        raise DataError("no week that is over has facts yet: run this again after next Sunday")
    newest: str = weeks[-1]["key"]["week"]
    monday = date.fromisocalendar(int(newest[:4]), int(newest[-2:]), 1)
    of_week = replace(
        query,
        since=monday,
        until=monday + timedelta(days=6),
        by=("day",),
        compare="previous",
        watched=True,
    )
    return build_report(store, of_week, progress=progress)


def weekly_summary(
    store: Store,
    query: ReportQuery,
    report: Report,
    known: Known,
    language: Language,
    progress: Progress,
) -> Weekly:
    """Return the summary of a week whose report is known."""
    last = date.fromisoformat(report["to"])
    first = last - timedelta(days=_SUMMARY_DAYS - 1)
    recent = replace(query, since=first, until=last, watched=True)
    by_day = build_report(store, replace(recent, by=("day",)), progress=progress)
    verdict = overview_of(
        by_day, query.shop, language, step="day", experiment=known.experiment
    ).verdict
    reports: dict[Key, Report] = {
        key: build_report(store, replace(recent, by=(key,)), progress=progress) for key in KEYS
    }
    decisions = store.facts.newest_decisions(RECENT)
    words = EntryWords(language)
    changes = worth_doing(reports, known.rules, decisions, known.names, words)
    return weekly_of(report, verdict, changes, query.shop, language)
