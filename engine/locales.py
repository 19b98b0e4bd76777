"""The languages offers are written in, and the one message catalogue they are written from.

The catalogue is gettext's: `engine/locale/<language>/LC_MESSAGES/mersalg.po`, compiled in memory
when a language is first spoken, so that what translators edit is what is served. English sentences
are the keys; the English file holds only words whose key is not how they are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from gettext import GNUTranslations
from importlib import resources
from io import BytesIO
from typing import Literal

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

Language = Literal["en", "nb"]
LANGUAGES: tuple[Language, ...] = ("en", "nb")

_LANGUAGES: Mapping[str, Language] = {"en": "en", "nb": "nb", "no": "nb", "nn": "nb"}


def language_of(*wanted: str | None) -> Language:
    """The first of `wanted` (`nb-NO`, `no`, `en_GB`, ...) that is spoken here, else English."""
    for each in wanted:
        language = _spoken(each)
        if language is not None:
            return language
    return "en"


def is_spoken(locale: str) -> bool:
    return _spoken(locale) is not None


def _spoken(locale: str | None) -> Language | None:
    tag = (locale or "").strip().replace("_", "-").partition(",")[0].partition(";")[0]
    return _LANGUAGES.get(tag.partition("-")[0].casefold())


@lru_cache
def messages_of(language: Language) -> GNUTranslations:
    """The messages of one language; what it does not translate comes back as it was asked for."""
    folder = resources.files("mersalg.engine") / "locale" / language / "LC_MESSAGES"
    text = (folder / "mersalg.po").read_bytes()
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(text), locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


def translate_words(words: Sequence[str], language: Language) -> str:
    """Words of an attribute name: together where the catalogue knows them so (`pack size`), else
    one by one; as the shop wrote them where it does not."""
    together = " ".join(words)
    found = _translated(together, language)
    return found or " ".join(_translated(word, language) or word for word in words)


def _translated(words: str, language: Language) -> str:
    asked = words.casefold()
    found = messages_of(language).pgettext("attribute", asked)
    return "" if found == asked else found
