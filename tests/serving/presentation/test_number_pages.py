"""The pages that say what each number means have all that a report shows, in both languages."""

from __future__ import annotations

import pytest

from mersalg.engine.locales import Language
from mersalg.serving.presentation.glossary import glossary_of
from tests.support.number_pages import PAGES, number_page


@pytest.mark.parametrize("language", PAGES)
def test_the_page_is_what_the_glossary_says(language: Language) -> None:
    page = PAGES[language].read_text("utf-8")

    assert page == number_page(language), "write it again: make pages"
    for term in glossary_of(language).explained:
        assert term.definition in page
        assert term.advice in page
