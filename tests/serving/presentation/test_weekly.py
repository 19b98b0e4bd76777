"""The summary of a week: the same words as HTML for a mail and as text, in both languages."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import Any

import pytest

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.locales import LANGUAGES, Language
from mersalg.engine.tracking.comparison import compared
from mersalg.engine.tracking.intervals import Interval
from mersalg.engine.tracking.query import other_period, parse_query
from mersalg.engine.tracking.report import report_of
from mersalg.engine.tracking.worthwhile import Action, Candidate
from mersalg.serving.cli.report_forms import weekly_lines
from mersalg.serving.presentation.html_templates import weekly_page
from mersalg.serving.presentation.verdict import Verdict
from mersalg.serving.presentation.weekly import Weekly, weekly_of
from mersalg.serving.presentation.worthwhile import Worth
from tests.engine.tracking.test_incremental import trial

WEEK = replace(
    parse_query({"from": "2025-12-29", "to": "2026-01-04", "by": "day", "compare": "previous"}),
    watched=True,
    impressions="served",
    holdout=0.5,
)
RECENT = Verdict("wait", "About 3 more days.", "")


def summary(
    *sizes: int, language: Language = "en", changes: tuple[Worth, ...] = (), **settings: Any
) -> Weekly:
    facts = [parse_fact(fact) for visit in trial(*sizes) for fact in visit]
    query = replace(WEEK, **settings).filled({})
    report = report_of(facts, query)
    report["comparison"] = compared(report, report_of(facts, other_period(query)))
    return weekly_of(report, RECENT, changes, "Kafé <Sentrum>", language)


def words_of(page: str) -> list[str]:
    body = page[page.index("<body") :]
    return html.unescape(re.sub("<[^>]*>", " ", body)).split()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("sizes", [(120, 72, 120, 30), (40, 24, 4, 1), (90, 20, 9, 1)])
def test_page_and_text_say_the_same(sizes: tuple[int, ...], language: Language) -> None:
    weekly = summary(*sizes, language=language)
    lines = [line.plain for line in weekly_lines(weekly, 72)]
    assert max(map(len, lines)) <= 72
    page = weekly_page(weekly)
    text = re.sub(r"`([^`]*)`", r" \1 ", " ".join(lines))
    assert "".join(words_of(page)) == "".join(text.split())
    assert not re.search(r"<(script|style|link|img|svg|iframe|form)|src=|href=|url\(|class=", page)
    assert "max-width: 640px" in page
    assert "Kafé &lt;Sentrum&gt;" in page


def test_a_week_names_its_effect_its_rates_and_its_checks() -> None:
    weekly = summary(120, 72, 120, 30)
    assert weekly.title.startswith("Kafé <Sentrum>: week 1, 2026 (29 Dec 2025 to 4 Jan 2026)")
    titles = [title for title, _ in weekly.sections]
    assert len(titles) == 5
    blocks = {block.name: block for _, blocks in weekly.sections for block in blocks}
    assert blocks["Cross-sell rate"].lines[0].startswith("60.0% [")
    # 8.75 more a checkout, of 240 checkouts in 7 days.
    assert "NOK\u00a09,000" in weekly.sections[0][1][0].lines[0]
    assert blocks["Fair comparison"].state == "ok"
    assert weekly.recent == ""


def test_what_cannot_be_given_says_why() -> None:
    weekly = summary(20, 5, 20, 4)
    assert "About 3 more days." in weekly.recent
    cross_sell, upsell = weekly.sections[-1][1]
    few, change = cross_sell.lines
    assert few.startswith("extra sales a month: 20 units in treatment are too few")
    assert change == "change since the week before: there is not enough data"
    (first, *_) = upsell.lines
    assert first.startswith("customers who bought one, offers that converted, orders with one")
    uneven = summary(200, 24, 40, 1).sections[-1][1][0]
    assert "extra sales a month: the arms are not as drawn" in uneven.lines[0]


def test_changes_come_with_what_they_gain() -> None:
    candidate = Candidate("bun", "item", "cross_sell", (), "bun", {})
    action = Action("stop", candidate, Interval(120.0, 50.0, 200.0), 0.0)
    worth = Worth(action, "Stop suggesting bun", "It costs sales.", "+NOK 120 a week", "50 to 200")
    weekly = summary(120, 72, 120, 30, changes=(worth,))
    (block,) = weekly.sections[3][1]
    assert block.name == "Stop suggesting bun"
    assert block.lines == ("+NOK 120 a week (50 to 200)", "It costs sales.")
    (none,) = summary(120, 72, 120, 30).sections[3][1]
    assert none.name == "Nothing to change this week."
