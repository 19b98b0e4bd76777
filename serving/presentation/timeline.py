"""Rates over time: a chart with what occurred, and the table with the same numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from string import ascii_uppercase
from typing import Any

from markupsafe import Markup

from mersalg.engine import clock
from mersalg.engine.locales import Language
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.tracking.local_days import bucket_of, zone_of
from mersalg.serving.presentation.charts import COLOURS, Mark, Series, band_chart, sparkline
from mersalg.serving.presentation.entries import EntryWords

STEPS = ("day", "week", "month")
Report = Mapping[str, Any]

_MARKED = {
    "publish": "mark_publish",
    "roll back": "mark_rollback",
    "pause offers": "mark_pause",
    "resume offers": "mark_resume",
}
"""Actions that are marked in the chart, with their phrases."""
_PRICE_MARKS = 5
"""Number of days that are marked because most items got their present price on them."""


@dataclass(frozen=True, slots=True)
class Occurrences:
    """What may have moved the rates: actions, and when each item got its present price."""

    actions: Sequence[AuditEntry] = ()
    priced_at: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """A chart of both kinds over time, the table with the same numbers, and what occurred."""

    chart: Markup
    kinds: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    marks: Sequence[Mark]


def timeline_of(
    report: Report, language: Language, step: str, occurred: Occurrences
) -> Timeline | None:
    """Return the rate of checkouts in each bucket; None where no offer was shown."""
    words = EntryWords(language)
    rows: Sequence[Report] = report["groups"]
    kinds = list(report["total"])
    entries = {kind: [row[kind]["checkout"] for row in rows] for kind in kinds}
    if not any(entry["denominator"] for of_kind in entries.values() for entry in of_kind):
        return None
    buckets = [row["key"][step] for row in rows]
    names = [words.bucket(bucket) for bucket in buckets]
    cells = [[_cell(words, entries[kind][at]) for kind in kinds] for at in range(len(rows))]
    titles = [
        f"{name}: "
        + "; ".join(
            f"{words.phrase(f'kind_{kind}')} {cell}" for kind, cell in zip(kinds, row, strict=True)
        )
        for name, row in zip(names, cells, strict=True)
    ]
    ends = ("value", "lower", "upper")
    marks = _marks(words, report, step, occurred, buckets)
    chart = band_chart(
        [
            Series(COLOURS[kind], *([entry[end] for entry in entries[kind]] for end in ends))
            for kind in kinds
        ],
        [words.bucket(bucket, short=True) for bucket in buckets],
        titles,
        marks,
        label=words.phrase("over_time_label", period=f"{names[0]} – {names[-1]}"),
        tick_text=words.level,
    )
    return Timeline(chart, kinds, list(zip(names, cells, strict=True)), marks)


def spark_of(report: Report, language: Language, kind: str) -> Markup:
    """Return the rate of customers in each bucket, small; empty where fewer than two are known."""
    entries = [row[kind]["customer"] for row in report["groups"]]
    ends = ("value", "lower", "upper")
    series = Series(COLOURS[kind], *([entry[end] for entry in entries] for end in ends))
    words = EntryWords(language)
    return sparkline(series, words.phrase("spark_label", kind=words.phrase(f"kind_{kind}")))


def _marks(
    words: EntryWords,
    report: Report,
    step: str,
    occurred: Occurrences,
    buckets: Sequence[str],
) -> list[Mark]:
    """Return what was published, paused and repriced in the buckets, the oldest first."""
    zone = zone_of(report["timezone"])
    places = {bucket: at for at, bucket in enumerate(buckets)}

    def local_day(instant: int) -> date:
        return clock.to_datetime(instant).astimezone(zone).date()

    found = [
        (local_day(each.occurred_at), each.action, {"target": each.target or "", "who": each.who})
        for each in reversed(occurred.actions)
        if each.action in _MARKED and each.outcome == "done"
    ]
    prices = Counter(map(local_day, occurred.priced_at)).most_common(_PRICE_MARKS)
    found += [(day, "price", {"n": words.count(n)}) for day, n in prices]
    shown = [each for each in found if bucket_of(step, each[0]) in places]
    shown = sorted(shown, key=lambda each: each[0])[-len(ascii_uppercase) :]
    marks: list[Mark] = []
    for at, (letter, (day, action, values)) in enumerate(zip(ascii_uppercase, shown, strict=False)):
        end = None
        if action == "pause offers":
            resumed = (each for each, what, _ in shown[at:] if what == "resume offers")
            until = next(resumed, None)
            end = places[bucket_of(step, until)] + 0.5 if until else float(len(buckets))
        text = words.phrase(_MARKED.get(action, "mark_prices"), **values)
        begin = places[bucket_of(step, day)] + 0.5
        marks.append(Mark(letter, begin, end, text, words.day(day)))
    return marks


def _cell(words: EntryWords, entry: Report) -> str:
    if entry["value"] is None:
        return words.phrase("no_data")
    percent = words.percent
    return f"{percent(entry['value'])} ({words.range(entry, percent)}), {words.fraction(entry)}"
