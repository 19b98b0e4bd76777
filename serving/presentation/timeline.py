"""Rates over time: a chart with what occurred, and the table with the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from markupsafe import Markup

from mersalg.engine import clock
from mersalg.engine.locales import Language
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.tracking.local_days import bucket_of, zone_of
from mersalg.serving.presentation.charts import COLOURS, Mark, Series, band_chart
from mersalg.serving.presentation.texts import EntryWords

STEPS = ("day", "week", "month")
Report = Mapping[str, Any]

_MARKED = {"publish": "mark_publish", "roll back": "mark_rollback", "pause": "mark_pause"}
"""Actions of administrators that are marked in the chart, with their phrases."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A chart of both kinds over time, the table with the same numbers, and what occurred."""

    chart: Markup
    kinds: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    marks: Sequence[Mark]


def timeline_of(
    report: Report, language: Language, step: str, actions: Sequence[AuditEntry] = ()
) -> Timeline | None:
    """Return the rate of checkouts in each bucket; None where no offer was shown."""
    entry_words = EntryWords(language)
    figures, words = entry_words.figures, entry_words.phrase
    rows: Sequence[Report] = report["groups"]
    kinds = list(report["total"])
    entries = {kind: [row[kind]["checkout"] for row in rows] for kind in kinds}
    if not any(entry["denominator"] for of_kind in entries.values() for entry in of_kind):
        return None
    buckets = [row["key"][step] for row in rows]
    names = [figures.bucket(bucket) for bucket in buckets]
    cells = [[_cell(entry_words, entries[kind][at]) for kind in kinds] for at in range(len(rows))]
    titles = [
        f"{name}: "
        + "; ".join(
            f"{words(f'kind_{kind}')} {cell}" for kind, cell in zip(kinds, row, strict=True)
        )
        for name, row in zip(names, cells, strict=True)
    ]
    ends = ("value", "lower", "upper")
    marks = _marks(entry_words, report, step, actions, buckets)
    chart = band_chart(
        [
            Series(COLOURS[kind], *([entry[end] for entry in entries[kind]] for end in ends))
            for kind in kinds
        ],
        [figures.bucket(bucket, short=True) for bucket in buckets],
        titles,
        marks,
        label=words("over_time_label", period=f"{names[0]} – {names[-1]}"),
        tick_text=figures.level,
    )
    return Timeline(chart, kinds, list(zip(names, cells, strict=True)), marks)


def _marks(
    words: EntryWords,
    report: Report,
    step: str,
    actions: Sequence[AuditEntry],
    buckets: Sequence[str],
) -> list[Mark]:
    """Return what administrators published and paused in the buckets, the oldest first."""
    zone = zone_of(report["timezone"])
    places = {bucket: at for at, bucket in enumerate(buckets)}
    found: list[tuple[float, str, str]] = []
    for action in reversed(actions):
        name = next((_MARKED[verb] for verb in _MARKED if action.action.startswith(verb)), None)
        day = clock.to_datetime(action.occurred_at).astimezone(zone).date()
        at = places.get(bucket_of(step, day))
        if name and at is not None and action.outcome == "done":
            text = words.phrase(name, target=action.target or "", who=action.who)
            found.append((at + 0.5, text, words.figures.day(day)))
    last = found[-len(ascii_uppercase) :]
    return [
        Mark(letter, begin, None, text, day)
        for letter, (begin, text, day) in zip(ascii_uppercase, last, strict=False)
    ]


def _cell(words: EntryWords, entry: Report) -> str:
    if entry["value"] is None:
        return words.phrase("no_data")
    percent = words.figures.percent
    return f"{percent(entry['value'])} ({words.range(entry, percent)}), {words.fraction(entry)}"
