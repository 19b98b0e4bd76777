"""The summary of a week for an e-mail: blocks of text, for HTML and plain text alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from mersalg.engine.locales import Language
from mersalg.serving.presentation.figures import EntryWords
from mersalg.serving.presentation.glossary import RATES
from mersalg.serving.presentation.overview import Overview, RateCard
from mersalg.serving.presentation.verdict import State, Verdict
from mersalg.serving.presentation.worthwhile import Worth

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Block:
    """A thing with its name, whether it is in order (None where that is no question), and lines."""

    name: str
    lines: Sequence[str]
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Weekly:
    """A summary: sections are titles with their blocks, and `foot` is how it was counted."""

    language: Language
    title: str
    verdict: Verdict
    recent: str
    sections: Sequence[tuple[str, Sequence[Block]]]
    foot: Sequence[str]


def weekly_of(
    report: Report, recent: Verdict, changes: Sequence[Worth], shop: str | None, language: Language
) -> Weekly:
    """Return the summary of a week, of a report by day with the week before as its comparison.

    `recent` is the verdict on the four weeks that end with it, and `changes` are those that they
    carry: one week alone seldom has enough data.
    """
    view = Overview(report, shop, language, step="day")
    first, last = (date.fromisoformat(report[end]) for end in ("from", "to"))
    year, week, _ = first.isocalendar()
    phrase = view.phrase
    worthwhile = [
        Block(change.title, (f"{change.gain} ({change.gain_range})", change.reason))
        for change in changes
    ]
    nothing = Block(phrase("nothing_to_change"), (phrase("nothing_to_change_why"),))
    checks = [Block(check.name, (check.text,), check.state) for check in view.checks]
    sections = (
        (phrase("worth_caption"), _worth(view)),
        (phrase("weekly_rates"), [_rate(card, view) for card in view.cards]),
        (phrase("weekly_checks"), checks),
        (phrase("weekly_changes"), worthwhile or [nothing]),
        (phrase("weekly_unknown"), list(_unknown(report, view))),
    )
    return Weekly(
        language=language,
        title=f"{view.report.shop}: {view.bucket(f'{year}-W{week:02}')}"
        f" ({view.period(first, last)})",
        verdict=view.verdict,
        recent=phrase("weekly_recent", say=recent.say) if view.verdict.state == "wait" else "",
        sections=[section for section in sections if section[1]],
        foot=("; ".join(view.report.notes), " · ".join(view.report.settings)),
    )


def _worth(view: Overview) -> list[Block]:
    return [
        Block(
            view.phrase(f"kind_{each.kind}" if each.kind else "together"),
            (f"{each.amount} ({each.between})" if each.between else each.amount,),
        )
        for each in view.worth
    ]


def _rate(card: RateCard, words: EntryWords) -> Block:
    kind, headline = card.text, card.text.rates[0]
    effect = card.effect_range
    if card.effect:
        effect = f"{card.effect} {words.phrase('points_unit')} ({effect})"
    lines = (
        f"{headline.value} {headline.interval}".rstrip() + f", {headline.fraction}",
        card.change,
        f"{words.phrase('because_of')}: {effect}",
        card.anyway,
        f"{words.phrase('sold_after')}: {kind.revenue}",
        f"{words.phrase('kept_after')}: {kind.net_revenue}",
    )
    return Block(kind.term.name, [line for line in lines if line])


def _unknown(report: Report, words: EntryWords) -> Iterator[Block]:
    """Yield what cannot be given or compared of each kind, and why."""
    other = report.get("comparison")
    for kind, measured in report["total"].items():
        effect = measured["incremental"]
        entries = {words.terms[name].name: measured[name] for name in RATES}
        entries[words.terms["incremental"].name] = effect
        entries[words.terms["completion"].name] = effect["completion"]
        entries[words.terms["extra_sales"].name] = measured["extra_sales"]
        if other is not None:
            entries[words.phrase("weekly_change")] = other["change"][kind]["customer"]
        by_reason: defaultdict[str, list[str]] = defaultdict(list)
        for name, entry in entries.items():
            if entry["value"] is None:
                by_reason[words.reason(entry)].append(name)
        if by_reason:
            lines = [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]
            yield Block(words.phrase(f"kind_{kind}"), lines)
