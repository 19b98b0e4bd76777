"""The glossary: both languages say the same things, and say something of every number."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.locales import LANGUAGES, Language
from mersalg.engine.tracking.query import ReportQuery
from mersalg.engine.tracking.report import report_of
from mersalg.serving.presentation import glossary
from mersalg.serving.presentation.glossary import glossary_of
from tests.engine.tracking.test_incremental import trial

SERVING = Path(__file__).parents[3] / "serving"
WORDS: dict[str, Any] = glossary._words()


def report() -> dict[str, Any]:
    facts = [parse_fact(fact) for visit in trial(20, 12, 20, 5) for fact in visit]
    return report_of(facts, ReportQuery().filled({}))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_term_and_phrase_is_said_in_every_language(language: Language) -> None:
    for name, words in (*WORDS["terms"].items(), *WORDS["phrases"].items()):
        assert words.keys() == {*LANGUAGES}, name
    for name, term in glossary_of(language).terms.items():
        assert term.name, name
        assert term.definition.endswith("."), name
        assert term.formula, name
    names = [term.name for term in glossary_of(language).terms.values()]
    assert len({*names}) == len(names)


def test_both_languages_fill_in_the_same_values() -> None:
    for name, words in WORDS["phrases"].items():
        fields = [
            {field for _, field, _, _ in Formatter().parse(text) if field}
            for text in words.values()
        ]
        assert all(each == fields[0] for each in fields), name
    assert not re.search(r"\bTODO\b", str(WORDS))


def test_every_number_of_a_report_is_explained() -> None:
    made = report()
    explained = {*WORDS["terms"]}
    for kind, measured in made["total"].items():
        names = {name.removeprefix("net_") for name in measured}
        assert {kind, *names} <= explained
    counts = {name for name in made["quality"] if name != "currency"}
    assert counts <= explained
    assert {*glossary.QUALITY, "srm_p_value"} == counts
    named = {
        *glossary.KINDS,
        *glossary.RATES,
        *glossary.MEASURES,
        *glossary.QUALITY,
        "net",
        "srm_p_value",
    }
    assert named == explained


def test_every_phrase_is_used() -> None:
    sources = [
        path.read_text()
        for pattern in ("**/*.py", "**/*.html")
        for path in SERVING.glob(pattern)
        if "models.py" not in path.name
    ]
    prefixes = {
        f"{node.values[0].value}"
        for pattern in ("presentation/*.py", "dashboard/*.py", "alerts.py")
        for path in SERVING.glob(pattern)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant)
    }
    text = "\n".join(sources)
    prefixes |= {*re.findall(r'words\("(\w+_)" ~', text)}
    unused = [
        name
        for name in WORDS["phrases"]
        if f'"{name}"' not in text and not any(name.startswith(each) for each in prefixes if each)
    ]
    assert unused == []


def test_the_api_describes_counters_by_the_same_words() -> None:
    from mersalg.serving.app import create_app
    from mersalg.serving.settings import ServeSettings

    document = create_app(ServeSettings()).openapi()
    answer = document["paths"]["/v1/reports/rates"]["get"]["responses"]["200"]
    fields = answer["content"]["application/json"]["schema"]["properties"]
    terms = glossary_of("en").terms
    for name, field in fields["quality"]["properties"].items():
        assert field["description"].startswith(terms[name].definition)
    for kind, field in fields["total"]["properties"].items():
        assert field["description"].startswith(terms[kind].definition)
        assert field["properties"]["offer"]["description"].startswith(terms["offer"].definition)
