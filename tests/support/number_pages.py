"""Write the terms of the glossary into docs/numbers*.md, below what is written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mersalg.engine.facts import KINDS
from mersalg.engine.locales import Language
from mersalg.serving.presentation.glossary import MEASURES, QUALITY, RATES, glossary_of

_DOCS = Path(__file__).parents[2] / "docs"
PAGES: Mapping[Language, Path] = {"en": _DOCS / "numbers.md", "nb": _DOCS / "numbers.nb.md"}
_BELOW = "<!-- Below: `make pages` -->\n"
_PARTS: Sequence[tuple[Mapping[Language, str], Sequence[str]]] = (
    (
        {"en": "Rates and money", "nb": "Rater og beløp"},
        (*KINDS, *RATES, "net", "conversions", "revenue"),
    ),
    ({"en": "Effects", "nb": "Effekter"}, MEASURES[MEASURES.index("incremental") :]),
    ({"en": "Data quality", "nb": "Datakvalitet"}, (*QUALITY, "srm_p_value")),
)


def number_page(language: Language) -> str:
    """Return the page as it should be."""
    by_hand, below, _ = PAGES[language].read_text("utf-8").partition(_BELOW)
    return "\n".join([by_hand + below, *_terms(language)])


def _terms(language: Language) -> Iterator[str]:
    glossary = glossary_of(language)
    for heading, names in _PARTS:
        yield f"## {heading[language]}\n"
        for name in names:
            term = glossary.terms[name]
            yield f"### {term.name[0].upper()}{term.name[1:]}\n\n{term.definition}\n"
            yield f"*{term.formula}* (`{name}`)\n\n{term.advice}\n"


def main() -> None:
    """Write both pages."""
    for language, page in PAGES.items():
        page.write_text(number_page(language), "utf-8")


if __name__ == "__main__":
    main()
