"""The first page: both rates of a period, what they are worth, and how they changed over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mersalg.serving.dashboard.shell import Visit
from mersalg.serving.presentation.charts import COLOURS, Series, band_chart
from mersalg.serving.presentation.report import present
from mersalg.serving.presentation.texts import ReportText

STEPS = ("day", "week", "month")


@dataclass(frozen=True, slots=True)
class Timeline:
    """A chart of both kinds over time, and the table with the same numbers."""

    chart: Markup
    kinds: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Overview:
    """What the template of the first page shows; every text is escaped there."""

    report: ReportText
    level: str
    has_data: bool
    step: str
    steps: Sequence[tuple[str, str]]
    timeline: Timeline | None


def overview_of(visit: Visit, report: Mapping[str, Any], step: str) -> Overview:
    """Return the first page of a report that is split by `step`."""
    total = report["total"].values()
    return Overview(
        report=present(report, visit.shop, visit.language),
        level=visit.figures.level(report["level"]),
        has_data=any(measured["checkout"]["denominator"] for measured in total),
        step=step,
        steps=[(name, visit.address(step=name)) for name in STEPS],
        timeline=timeline_of(visit, report["groups"], step),
    )


def timeline_of(visit: Visit, rows: Sequence[Mapping[str, Any]], step: str) -> Timeline | None:
    """Return the rate of checkouts in each bucket; None where no offer was shown."""
    figures = visit.figures
    kinds = [kind for kind in COLOURS if rows and kind in rows[0]]
    entries = {kind: [row[kind]["checkout"] for row in rows] for kind in kinds}
    if not any(entry["denominator"] for of_kind in entries.values() for entry in of_kind):
        return None
    names = [figures.bucket(row["key"][step]) for row in rows]
    cells = [[_cell(visit, entries[kind][at]) for kind in kinds] for at in range(len(rows))]
    titles = [
        f"{name}: "
        + "; ".join(
            f"{visit.words(f'kind_{kind}')} {cell}" for kind, cell in zip(kinds, row, strict=True)
        )
        for name, row in zip(names, cells, strict=True)
    ]
    chart = band_chart(
        [
            Series(
                COLOURS[kind],
                *([entry[end] for entry in entries[kind]] for end in ("value", "lower", "upper")),
            )
            for kind in kinds
        ],
        [figures.bucket(row["key"][step], short=True) for row in rows],
        titles,
        label=visit.words(
            "over_time_label",
            period=figures.period(visit.filters.since, visit.filters.until),
        ),
        tick_text=figures.level,
    )
    return Timeline(chart, kinds, list(zip(names, cells, strict=True)))


def _cell(visit: Visit, entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return visit.words("no_data")
    lower, upper = (visit.figures.percent(entry[end]) for end in ("lower", "upper"))
    counts = visit.words(
        "fraction",
        **{
            name: visit.figures.count(entry[of])
            for name, of in (("part", "numerator"), ("whole", "denominator"))
        },
    )
    between = visit.words("range", lower=lower, upper=upper)
    return f"{visit.figures.percent(entry['value'])} ({between}), {counts}"
