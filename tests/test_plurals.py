"""Messages about one thing: `1 order`, never `1 orders`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from mersalg.engine.locales import Language
from mersalg.engine.words import counted, read_toml
from mersalg.serving.presentation.figures import EntryWords
from mersalg.serving.presentation.glossary import glossary_of

ROOT = Path(__file__).parents[1]
PHRASES = {
    name: words
    for file in ("glossary.toml", "pages.toml", "alerts.toml")
    for name, words in read_toml("mersalg.serving.presentation", file).items()
    if "en" in words
} | read_toml("mersalg.serving.presentation", "glossary.toml")["phrases"]
FORMS = {
    (name, language): [
        (field, *spec.split("|"))
        for _, field, spec, _ in Formatter().parse(text)
        if field and spec and "|" in spec
    ]
    for name, words in PHRASES.items()
    for language, text in words.items()
    if "|" in text
}
_NO_NOUNS = {"s", "is", "was", "has", "less", "as", "this", "seconds"}
_NEVER_ONE = r"N_HOUSEHOLDS|N_LINES|_eligible|order lines|order ids|n_entries|swallowed"
"""Numbers of which the code around them says that they are more."""
_NO_COUNTS = {"amount", "points", "effect", "kind"}


@pytest.mark.parametrize(
    ("n", "noun", "text"),
    [
        (1, "order", "1 order"),
        (0, "order", "0 orders"),
        (2_000, "order", "2,000 orders"),
        (1, "query", "1 query"),
        (2, "query", "2 queries"),
        (3, "day", "3 days"),
        (1.0, "unit", "1 unit"),
        (1.5, "unit", "1.5 units"),
        (1_234_567, "fact", "1,234,567 facts"),
    ],
)
def test_a_number_with_its_noun(n: float, noun: str, text: str) -> None:
    assert counted(n, noun) == text


@pytest.mark.parametrize(("name", "language"), FORMS)
def test_a_phrase_about_one_thing(name: str, language: str) -> None:
    fields = {field for _, field, _, _ in Formatter().parse(PHRASES[name][language]) if field}
    phrase = glossary_of("nb" if language == "nb" else "en").phrase
    one, two = (phrase(name, **dict.fromkeys(fields, value)) for value in ("1", "2"))
    for _, singular, plural in FORMS[name, language]:
        assert re.search(rf"1 (more )?{singular}\b", one), one
        assert re.search(rf"2 (more )?{plural}\b", two), two


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ["0 offers shown", "1 of 1 offer shown", "1 of 2 offers shown"]),
        ("nb", ["0 viste forslag", "1 av 1 vist forslag", "1 av 2 viste forslag"]),
    ],
)
def test_the_counts_of_a_rate(language: Language, texts: list[str]) -> None:
    words = EntryWords(language)
    entries = [
        {"status": "ok", "value": 1 / n if n else None, "lower": 0.0, "upper": 1.0}
        | {"numerator": min(n, 1), "denominator": n}
        for n in range(3)
    ]
    assert [words.rate("offer", entry, None).fraction for entry in entries] == texts


@pytest.mark.parametrize("language", ["en", "nb"])
def test_no_phrase_has_a_plural_alone(language: str) -> None:
    plurals = {plural for (_, of), forms in FORMS.items() if of == language for *_, plural in forms}
    assert len(plurals) > 5
    for name, words in PHRASES.items():
        for field, word in re.findall(r"\{(\w+)\} (\w+)", words[language]):
            assert field in _NO_COUNTS or word not in plurals, f"{name}: {words[language]}"


def _plurals_alone(text: str) -> Iterator[str]:
    """Yield what follows a count in f-strings of a module without `counted`."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            spec = ast.unparse(value.format_spec) if value.format_spec else ""
            if spec != "f','" and not re.match(r"n_|len\(", ast.unparse(value.value)):
                continue
            words = re.match(r" ((?:[a-z-]+ )?[a-z-]+s)\b", str(after.value))
            if words and words[1].rpartition(" ")[2] not in _NO_NOUNS:
                yield ast.unparse(value) + words[0]


def test_the_check_knows_a_plural_alone() -> None:
    assert (
        len(list(_plurals_alone("f'{n:,} orders'; f'{len(a)} open files'; f'{n_rows} rows'"))) == 3
    )
    assert not list(_plurals_alone("f'{n:,} is new'; f'{counted(2, \"order\")} of all'; f'{x} s'"))


@pytest.mark.parametrize("package", ["engine", "serving", "training"])
def test_no_message_has_a_plural_alone(package: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {each}"
        for path in (ROOT / package).rglob("*.py")
        for each in _plurals_alone(path.read_text("utf-8"))
    }
    assert {each for each in found if not re.search(_NEVER_ONE, each)} == set()
