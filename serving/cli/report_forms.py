"""Reports as people get them: on a terminal of any width, as an HTML file, and as a mail.

Lines are broken at spaces alone: the figures of a number and its sign or currency are joined by
spaces that do not break, which the tables of Rich would break at.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from itertools import zip_longest
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
from mersalg.serving.presentation.glossary import glossary_of
from mersalg.serving.presentation.html_templates import report_page
from mersalg.serving.presentation.names import KEYS, Key, Names
from mersalg.serving.presentation.overview import Overview
from mersalg.serving.presentation.report import ReportText
from mersalg.serving.presentation.timeline import Occurrences
from mersalg.serving.presentation.weekly import Weekly, weekly_of
from mersalg.serving.presentation.worthwhile import RECENT, worth_doing

if TYPE_CHECKING:
    from rich.text import Text

    from mersalg.engine.locales import Language
    from mersalg.engine.progress import Progress
    from mersalg.engine.storage.store import Store

_GAP = "  "
_LABEL_WIDTH = 24
_MIN_CELL = 26
"""Narrower columns of the two kinds are put below each other."""
Report = Mapping[str, Any]

_STEPS = {"day": 62, "week": 400}
"""Steps of the chart over time of an HTML file, and the longest periods, in days, they are for."""
_SUMMARY_DAYS = 28
"""Days that end with the week of a summary, over which its changes are looked for."""


def terminal_lines(view: ReportText, width: int) -> Iterator[Text]:
    """Yield what a terminal of `width` columns shows; ids are never read as markup.

    A word that is wider than the terminal, such as a long id, is the only thing that is.
    """
    from rich.text import Text

    wrapped = partial(_wrapped, width)
    yield from wrapped(f"{view.shop}  {view.dates}", "bold")
    yield from wrapped(" · ".join(view.settings), "dim")
    yield Text()
    yield from wrapped(view.verdict.say, "bold")
    yield from wrapped(view.verdict.why)
    beside = range(len(view.kinds))
    label = min(_LABEL_WIDTH, width // 3)
    cell = (width - label) // max(1, len(beside)) - len(_GAP)
    for places in [beside] if cell >= _MIN_CELL else [[column] for column in beside]:
        yield Text()
        widths = [label, *[(width - label) // len(places) - len(_GAP)] * len(places)]
        titles = [[view.kinds[at].term.name, view.kinds[at].translation] for at in places]
        yield from (Text(line, "bold") for line in _beside([[""], *titles], widths))
        for at, (name, cells) in enumerate(view.rows):
            yield Text("─" * width, "dim")
            lines = _beside([[name], *(cells[column] for column in places)], widths)
            yield from (Text(line, "" if at or n else "bold green") for n, line in enumerate(lines))
    if view.groups:
        yield Text()
        yield from _groups(view, width)
    yield Text()
    title = view.phrase("data_quality")
    yield from wrapped(f"{title}: {'; '.join(view.notes)}", "dim")


def weekly_lines(weekly: Weekly, width: int) -> Iterator[Text]:
    """Yield the summary of a week as text, in the order of its HTML."""
    from rich.text import Text

    wrapped = partial(_wrapped, width)
    words = glossary_of(weekly.language).phrase
    yield from wrapped(weekly.title, "dim")
    yield from wrapped(weekly.verdict.say, "bold")
    yield from wrapped(weekly.verdict.why)
    yield from wrapped(weekly.recent)
    for title, blocks in weekly.sections:
        yield Text()
        yield from wrapped(title, "bold underline")
        for block in blocks:
            state = f" ({words(f'state_{block.state}')})" if block.state else ""
            yield from wrapped(f"{block.name}{state}", "bold")
            for line in block.lines:
                yield from wrapped(line, indent=_GAP)
    for line in weekly.foot:
        yield Text()
        yield from wrapped(line, "dim")


def _wrapped(width: int, text: str, style: str = "", indent: str = "") -> Iterator[Text]:
    from rich.text import Text

    return (Text(indent + line, style) for line in _wrap(text, width - len(indent)))


def _groups(view: ReportText, width: int) -> Iterator[Text]:
    """Yield a line for each kind of each group, below its key where both do not fit beside it."""
    from rich.text import Text

    n_keys = len(view.group_keys)
    rows = [(_GAP.join(row[:n_keys]), row[n_keys:]) for row in (view.group_headers, *view.groups)]
    widths = [
        max(map(_width, column)) for column in zip(*(cells for _, cells in rows), strict=True)
    ]
    key_width = max(_width(key) for key, _ in rows)
    rest = sum(widths) + len(_GAP) * len(widths)
    before = None
    for at, (key, cells) in enumerate(rows):
        style = "" if at else "bold"
        line = _GAP.join(map(_padded, cells, widths)).rstrip()
        if key_width + rest <= width:
            yield Text(_padded("" if key == before else key, key_width) + _GAP + line, style)
        else:
            if key != before:
                yield from (Text(each, "bold") for each in _wrap(key, width))
            narrow = _wrap(_GAP.join(cells), width - 2 * len(_GAP))
            lines = [line] if rest <= width else narrow
            yield from (Text(_GAP + line, style) for line in lines)
        before = key


def _beside(cells: Sequence[Iterable[str]], widths: Sequence[int]) -> list[str]:
    """Return the lines of cells that are beside each other, each wrapped to its width."""
    columns = [
        [line for text in cell for line in _wrap(text, width)]
        for cell, width in zip(cells, widths, strict=True)
    ]
    return [
        _GAP.join(map(_padded, line, widths)).rstrip()
        for line in zip_longest(*columns, fillvalue="")
    ]


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


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
    overview = Overview(
        over_time,
        query.shop,
        view.language,
        step=step,
        experiment=known.experiment,
        occurred=Occurrences.of(store, query.since, query.until, zone_of(query.timezone or "UTC")),
    )
    return report_page(overview, view) + "\n"


def last_week(store: Store, query: ReportQuery, progress: Progress) -> Report:
    """Return the report of the last full ISO week with facts, beside that of the week before.

    Raises DataError: no week that is over has facts.
    """
    today = clock.to_datetime(clock.now()).astimezone(zone_of(query.timezone or "UTC")).date()
    over = replace(query, until=today - timedelta(days=today.isoweekday()), by=("week",))
    weeks: Any = build_report(store, over, progress=progress)["groups"]
    if not weeks:
        raise DataError("no week that is over has facts yet: run this again after next Sunday")
    newest: str = weeks[-1]["key"]["week"]
    monday = date.fromisocalendar(int(newest[:4]), int(newest[-2:]), 1)
    query = replace(query, since=monday, until=monday + timedelta(days=6), watched=True)
    of_week = replace(query, by=("day",), compare="previous")
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
    verdict = Overview(
        by_day, query.shop, language, step="day", experiment=known.experiment
    ).verdict
    reports: dict[Key, Report] = {
        key: build_report(store, replace(recent, by=(key,)), progress=progress) for key in KEYS
    }
    decisions = store.facts.newest_decisions(RECENT)
    words = EntryWords(language)
    changes = worth_doing(reports, known.rules, decisions, known.names, words)
    return weekly_of(report, verdict, changes, query.shop, language)
