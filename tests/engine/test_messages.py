from __future__ import annotations

import string
from importlib import resources
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import mersalg.engine
from mersalg.engine.locales import LANGUAGES, Language, messages_of, translate_words
from mersalg.engine.upsell import packs
from mersalg.engine.upsell.packs import DIMENSIONS

FOLDER = Path(str(resources.files(mersalg.engine)))


def _catalogue(language: str) -> Catalog:
    text = (FOLDER / "locale" / language / "LC_MESSAGES" / "mersalg.po").read_bytes()
    return read_po(BytesIO(text), locale=language, abort_invalid=True)


def _asked() -> set[tuple[str | None, str]]:
    """Context and key of every message the code writes out in full."""
    found: set[tuple[str | None, str]] = set()
    for _, _, message, _, context in extract_from_dir(FOLDER, method_map=[("**.py", "python")]):
        assert isinstance(message, str)
        found.add((context, message))
    return found


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_message_is_translated_with_its_placeholders() -> None:
    norwegian = _catalogue("nb")
    asked = _asked()
    assert len(asked) >= 12
    for context, key in asked:
        message = norwegian.get(key, context=context)
        assert message is not None, key
        assert message.string, key
        assert _placeholders(str(message.string)) == _placeholders(key)


def test_no_message_is_left_that_nobody_asks_for() -> None:
    asked = _asked()
    for message in _catalogue("nb"):
        if message.id and message.context not in ("attribute", "per", "value"):
            assert (message.context, message.id) in asked


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_unit_of_a_pack_has_a_word(language: Language) -> None:
    units = {*DIMENSIONS, *packs._IMPERIAL} - {"span"}
    translated = {unit: messages_of(language).pgettext("per", unit) for unit in units}
    assert {unit for unit, word in translated.items() if word == unit} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalogues_are_sound(language: Language) -> None:
    catalogue = _catalogue(language)
    assert str(catalogue.locale) == language
    for message in catalogue:
        assert not message.fuzzy or message.id == ""
        assert [str(error) for error in message.check(catalogue)] == []


def test_words_are_translated_together() -> None:
    assert translate_words(["Pack", "size"], "nb") == "pakningsstørrelse"
    assert translate_words(["Pakningsstørrelse"], "en") == "pack size"
    assert translate_words(["posts", "per", "Week"], "nb") == "innlegg per uke"
    assert translate_words(["storage", "Xyz"], "nb") == ""
    assert translate_words(["storage", "size"], "nb") == "", "not lagring størrelse"
    assert translate_words(["Storage"], "en") == "storage"
    assert translate_words([], "nb") == ""
    assert translate_words(["ram"], "en") == "RAM"
