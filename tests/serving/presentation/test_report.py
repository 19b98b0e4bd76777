"""The presenter: one report, the same numbers in both languages, in table, page and dashboard."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from markupsafe import escape

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import Decision
from mersalg.engine.locales import LANGUAGES, Language
from mersalg.engine.tracking.query import ReportQuery
from mersalg.engine.tracking.report import report_of
from mersalg.serving.cli.report_forms import terminal_lines
from mersalg.serving.presentation.figures import EntryWords
from mersalg.serving.presentation.glossary import QUALITY
from mersalg.serving.presentation.html_templates import report_page
from mersalg.serving.presentation.names import Names
from mersalg.serving.presentation.overview import Overview
from mersalg.serving.presentation.report import ReportText
from tests.engine.tracking.test_incremental import returning, trial, visit


def report(**settings: Any) -> dict[str, Any]:
    facts = [parse_fact(fact) for visit in trial(120, 72, 120, 30) for fact in visit]
    query = replace(ReportQuery(impressions="served", holdout=0.5), **settings)
    return report_of(facts, query.filled({}))


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ["1,234,567", "12.3%", "95%", "99.9%", "+1.5", "-1.5", "+0.0", "NOK 1,234.50"]),
        (
            "nb",
            ["1 234 567", "12,3 %", "95 %", "99,9 %", "+1,5", "-1,5", "+0,0", "1 234,50 kr"],
        ),
    ],
)
def test_numbers_are_written_as_the_language_does(language: Language, texts: list[str]) -> None:
    figures = EntryWords(language)
    written = [
        figures.count(1_234_567),
        figures.percent(0.1234),
        figures.level(0.95),
        figures.level(0.999),
        figures.points(0.0149999),
        figures.points(-0.015),
        figures.points(-0.00001),
        figures.amount("1234.50", "NOK"),
    ]
    plain = [text.replace("\u00a0", " ").replace("\u2212", "-") for text in written]
    assert plain == texts
    assert figures.percent(None) == figures.points(None) == figures.amount(None, "NOK") == "–"
    assert (
        figures.amount("-7", "JPY", sign=True)
        == {"en": "\u2212¥7", "nb": "\u22127\u00a0JPY"}[language]
    )


def test_both_languages_show_the_same_numbers() -> None:
    made = report(by=("day",))

    def digits(language: Language) -> list[str]:
        view = ReportText(made, "Shop", language)
        texts = [
            *view.settings,
            *(text for _, cells in view.rows for cell in cells for text in cell),
        ]
        texts += [cell for row in view.groups for cell in row]
        joined = " ".join(texts).replace("\u00a0", "").replace("\u2212", "-").replace("NOK", "")
        return re.findall(r"[-+]?\d+", joined.replace(",", ".").replace(".", ""))

    assert digits("en") == digits("nb")
    assert len(digits("en")) > 40


@pytest.mark.parametrize("language", LANGUAGES)
def test_table_and_page_share_every_text(language: Language) -> None:
    overview = Overview(report(by=("day",), watched=True), "Shop", language, step="day")
    view, page = overview.report, report_page(overview)
    assert page.count("<svg") > 12
    assert escape(overview.verdict.say) in page
    outside = re.findall(r'(?:src|href|action|url)\s*[=(]\s*["\']?([^"\'\s>)]*)', page)
    assert {each[:1] for each in outside} == {"#"}
    assert "<script" not in page
    for term in view.glossary.explained:
        assert escape(term.definition) in page
    for _, cells in view.rows:
        for cell in cells:
            assert all(escape(text) in page for text in cell)


def rich(made: Any) -> Any:
    """The report with so much money that no column is wide enough for all of it."""
    if isinstance(made, dict):
        return {name: rich(each) for name, each in made.items()}
    if isinstance(made, list):
        return [rich(each) for each in made]
    is_money = isinstance(made, str) and re.fullmatch(r"-?[0-9]+\.[0-9]+", made)
    return f"-98765432{made.lstrip('-')}" if is_money else made


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("by", [("item",), ("day", "rule"), ("week", "segment", "store")])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_number_of_the_table_is_broken_or_lost(
    width: int, by: tuple[str, ...], language: Language
) -> None:
    made = rich(report(by=by))
    both = [{**row, "upsell": row["cross_sell"]} for row in made["groups"]]
    view = ReportText({**made, "groups": both}, "Shop", language)
    lines = [line.plain for line in terminal_lines(view, width)]
    assert max(map(len, lines)) <= width
    shown = Counter(word for line in lines for word in line.split(" "))
    texts = [*view.settings, view.verdict.say, view.verdict.why, *view.notes]
    texts += [text for _, cells in view.rows for cell in cells for text in cell]
    texts += [cell for row in view.groups for cell in row[len(by) :]]
    words = Counter(word for text in texts for word in text.split(" ") if re.search(r"\d", word))
    missing = {word for word in words - shown if word not in {f"{each};" for each in shown}}
    assert missing == set()
    assert any(row[len(by)] == view.glossary.phrase("kind_upsell") for row in view.groups)


def test_groups_come_by_time_and_then_by_the_money_kept() -> None:
    made = report(by=("day", "item"))
    first = made["groups"][0]
    days = ("2026-01-02", "2026-01-01", "2026-01-01")
    groups = []
    for place, (day, money) in enumerate(zip(days, ("9.00", "1.00", "50.00"), strict=True)):
        kind = {**first["cross_sell"], "net_revenue": money}
        groups.append({**first, "key": {"day": day, "item": f"i{place}"}, "cross_sell": kind})
    names = Names(None, {"i2": "Bolle"})
    view = ReportText({**made, "groups": groups}, None, "en", names)
    assert [row[1] for row in view.groups] == ["Bolle (i2)", "i1", "i0"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_problems_with_the_data_are_named_with_what_they_count(language: Language) -> None:
    made = report(by=("day",), prices_include_tax=False)
    view = ReportText(made, None, language)
    (note,) = view.notes
    assert view.glossary.terms["immature"].name in note
    assert all(row[0].endswith(")") for row in view.groups)
    over = {"groups": [{**row, "immature": 0} for row in made["groups"]]}
    over["quality"] = {**made["quality"], "immature": 0}
    view = ReportText({**made, **over}, None, language)
    assert view.notes == (view.glossary.phrase("no_problems"),)
    assert [row[0] for row in view.groups] == [row["key"]["day"] for row in made["groups"]]
    quality = {**over["quality"], "unmatched": 3, "srm_p_value": 0.0002, "currency": "several"}
    view = ReportText({**made, "quality": quality}, None, language)
    unmatched = view.quality[QUALITY.index("unmatched")]
    assert (unmatched.value, unmatched.is_notable) == ("3", True)
    first, currency, groups = view.notes
    strange = {**over["quality"], "unvouched": 600, "checkouts": 2_400}
    (note,) = ReportText({**made, "quality": strange}, None, language).notes
    assert re.search(r"600 (of|av) 2[,\s]400 \w+, 25[.,]0\s?%", note)
    assert unmatched.term.name in first
    assert unmatched.term.definition.rstrip(".") in first
    assert "several" in currency
    assert re.search(r"0[.,]0002", groups)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_effect_that_cannot_be_given_says_why(language: Language) -> None:
    facts = [parse_fact(fact) for visit in trial(40, 24, 4, 1) for fact in visit]
    decisions = [
        msgspec.structs.replace(fact, control_share=0.9) if isinstance(fact, Decision) else fact
        for fact in facts
    ]
    made = report_of(decisions, ReportQuery(impressions="served").filled({}))
    entry = made["total"]["cross_sell"]["incremental"]
    assert entry["status"] == "blocked"
    line, holdout = ReportText(made, None, language).kinds[0].incremental
    assert holdout.startswith({"en": "hold-out: 90", "nb": "kontrollgruppe: 90"}[language])
    assert line.startswith({"en": "not known: ", "nb": "ikke kjent: "}[language])
    assert EntryWords(language).effect(entry["completion"]) == line
    if language == "en":
        assert entry["reason"] in line


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "of the offered items: not known: 9 purchases in control are too few"),
        ("nb", "av varene som ble foreslått: ikke kjent: det er ikke nok data"),
    ],
)
def test_money_of_few_purchases_is_not_known(language: Language, text: str) -> None:
    facts = [parse_fact(fact) for visit in trial(120, 40, 120, 9) for fact in visit]
    view = ReportText(report_of(facts, ReportQuery()), None, language)
    assert any(line.startswith(text) for line in view.kinds[0].incremental)


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ("+0.0 points [", " of customers, 150 with and 150 without offers",
                "+0.167 units of the offered items a customer [", "+0.500 orders a customer [",
                "a checkout: not known: units with offers have 2.5 eligible checkouts each")),
        ("nb", ("+0,0 prosentpoeng [", " av kundene, 150 med og 150 uten forslag",
                "+0,167 enheter av varene som ble foreslått per kunde [",
                "+0,500 ordrer per kunde [",
                "per kassebesøk: ikke kjent: kunder med og uten forslag har ulikt antall")),
    ],
)  # fmt: skip
def test_customers_lead_where_checkouts_are_not_comparable(
    language: Language, texts: Sequence[str]
) -> None:
    facts = [parse_fact(fact) for visit in returning(150, 0.5) for fact in visit]
    view = ReportText(report_of(facts, ReportQuery(impressions="served")), None, language)
    lines = view.kinds[0].incremental
    assert all(any(text in line for line in lines) for text in texts)
    assert texts[0] in lines[1]
    assert sum(line.startswith(view.glossary.phrase("net_value", value="")) for line in lines) == 5


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Cross-sell rate: in store oslo the groups"),
        ("nb", "Kryssalgsrate: i butikk oslo har"),
    ],
)
def test_an_uneven_store_is_named_with_the_data(language: Language, text: str) -> None:
    visits = [visit(n, "control" if n % 2 else "treatment") for n in range(400)]
    for number, facts in enumerate(visits):
        facts[0]["store_id"] = "oslo" if number < 160 else "bergen"
    kept = [facts for number, facts in enumerate(visits) if number % 4 != 1 or number >= 160]
    made = report_of([parse_fact(fact) for facts in kept for fact in facts], ReportQuery())
    notes = ReportText(made, None, language).notes
    assert len([note for note in notes if note.startswith(text)]) == 1
