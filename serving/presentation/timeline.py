"""Rates over time: a chart with what occurred, and the table with the same numbers."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from string import ascii_uppercase
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from mersalg.engine import clock
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.storage.store import Store
from mersalg.engine.tracking.local_days import Buckets, bucket_of, ends_at, starts_at, zone_of
from mersalg.serving.presentation.charts import COLOURS, Mark, Series, band_chart, sparkline
from mersalg.serving.presentation.figures import EntryWords

Report = Mapping[str, Any]
Bound = date | datetime | None

_MARKED = {
    "publish": "mark_publish",
    "roll back": "mark_rollback",
    "pause offers": "mark_pause",
    "resume offers": "mark_resume",
}
"""Actions that are marked in the chart, with their phrases."""
_ACTIONS = 1_000
_PRICE_MARKS = 5
"""Number of days that are marked because most prices changed on them."""


@dataclass(frozen=True, slots=True)
class Occurrences:
    """What may have moved the rates: actions, the newest first, and prices that changed when."""

    actions: Sequence[AuditEntry] = ()
    price_changes: Sequence[tuple[int, int]] = ()

    @classmethod
    def of(cls, store: Store, since: Bound, until: Bound, zone: ZoneInfo) -> Occurrences:
        """Return what occurred in a period; a pause may have begun before it."""
        first, last = starts_at(since, zone) or 0, ends_at(until, zone) or clock.now()
        actions = store.audit.latest(_ACTIONS, tuple(_MARKED))
        return cls(actions, store.live.price_changes(first, last))


@dataclass(frozen=True, slots=True)
class Timeline:
    """A chart of both kinds over time, the table with the same numbers, and what occurred."""

    chart: Markup
    kinds: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    marks: Sequence[Mark]


def timeline_of(
    words: EntryWords, report: Report, step: str, occurred: Occurrences
) -> Timeline | None:
    """Return the rate of checkouts in each bucket; None where no offer was shown."""
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
    marks = _marks(words, report, step, occurred, buckets)
    chart = band_chart(
        [_series(kind, entries[kind]) for kind in kinds],
        [words.bucket(bucket, short=True) for bucket in buckets],
        titles,
        marks,
        label=words.phrase("over_time_label", period=f"{names[0]} – {names[-1]}"),
        tick_text=words.level,
    )
    return Timeline(chart, kinds, list(zip(names, cells, strict=True)), marks)


def spark_of(words: EntryWords, report: Report, kind: str) -> Markup:
    """Return the rate of customers in each bucket, small; empty where fewer than two are known."""
    entries = [row[kind]["customer"] for row in report["groups"]]
    return sparkline(
        _series(kind, entries), words.phrase("spark_label", kind=words.phrase(f"kind_{kind}"))
    )


def _series(kind: str, entries: Sequence[Report]) -> Series:
    ends = ([entry[end] for entry in entries] for end in ("value", "lower", "upper"))
    return Series(COLOURS[kind], *ends)


def _marks(
    words: EntryWords, report: Report, step: str, occurred: Occurrences, buckets: Sequence[str]
) -> list[Mark]:
    """Return what was published, paused and repriced in the buckets, the oldest first."""
    day_of = Buckets(zone_of(report["timezone"])).day

    def place(day: date) -> float:
        """Return where a day is; between two buckets where its own has no facts."""
        bucket = bucket_of(step, day)
        at = bisect_left(buckets, bucket)
        return at + 0.5 * (bucket in buckets[at : at + 1])

    marks: list[tuple[date, float | None, str]] = []
    resumed = float(len(buckets))
    for action in occurred.actions:
        if action.outcome != "done":
            continue
        day = day_of(action.occurred_at)
        texts = {"target": action.target or "", "who": action.who}
        end = resumed if action.action == "pause offers" else None
        resumed = place(day) if action.action == "resume offers" else resumed
        marks.append((day, end, words.phrase(_MARKED[action.action], **texts)))
    marks.reverse()
    repriced = Counter[date]()
    for at, n in occurred.price_changes:
        repriced[day_of(at)] += n
    marks += [
        (day, None, words.phrase("mark_prices", n=words.count(n)))
        for day, n in repriced.most_common(_PRICE_MARKS)
    ]
    shown = [
        each
        for each in sorted(marks, key=lambda each: each[0])
        if buckets[0] <= bucket_of(step, each[0]) <= buckets[-1]
        or (each[1] and bucket_of(step, each[0]) < buckets[0])
    ]
    return [
        Mark(letter, place(day), end, text, words.day(day))
        for letter, (day, end, text) in zip(
            ascii_uppercase, shown[-len(ascii_uppercase) :], strict=False
        )
    ]


def _cell(words: EntryWords, entry: Report) -> str:
    if entry["value"] is None:
        return words.phrase("no_data")
    percent = words.percent
    return f"{percent(entry['value'])} ({words.range(entry, percent)}), {words.fraction(entry)}"
