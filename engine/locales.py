"""The languages offers are written in, and the one message catalogue they are written from.

The catalogue is gettext's: `engine/locale/<language>/LC_MESSAGES/mersalg.po`, read when a
language is first spoken, so that what translators edit is what is served. English sentences
are the keys; the English file holds only words whose key is not how they are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from io import BytesIO
from typing import Literal

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

Language = Literal["en", "nb"]
LANGUAGES: tuple[Language, ...] = ("en", "nb")

_LANGUAGES: Mapping[str, Language] = {"en": "en", "nb": "nb", "no": "nb", "nn": "nb"}


def language_of(*wanted: str | None) -> Language:
    """Return the first of `wanted` (`nb-NO`, `no`, `en_GB`, ...) translated, else English."""
    for each in wanted:
        if (language := spoken_in(each)) is not None:
            return language
    return "en"


@lru_cache
def spoken_in(locale: str | None) -> Language | None:
    """Return the language that a locale is translated into; None without a translation."""
    tag = (locale or "").strip().replace("_", "-").partition(",")[0].partition(";")[0]
    return _LANGUAGES.get(tag.partition("-")[0].casefold())


class Messages(dict[tuple[str, str], str]):
    """The messages of a language by their context, "" where they have none, and their text."""

    def gettext(self, message: str) -> str:
        """Return a message, unchanged where the language does not translate it."""
        return self.get(("", message), message)

    def pgettext(self, context: str, message: str) -> str:
        """Return a message that means something else in another context."""
        return self.get((context, message), message)


@lru_cache
def messages_of(language: Language) -> Messages:
    """Return the messages of a language."""
    catalogue = _catalogue_of(language)
    return Messages(
        {(each.context or "", str(each.id)): str(each.string) for each in catalogue if each.string}
    )


def _catalogue_of(language: Language) -> Catalog:
    folder = resources.files("mersalg.engine") / "locale" / language / "LC_MESSAGES"
    return read_po(BytesIO((folder / "mersalg.po").read_bytes()), locale=language)


def translate_words(words: Sequence[str], language: Language) -> str:
    """Return the words of an attribute name in a language, "" where they are not known in it.

    Words are looked up together (`pack size`), then around a `per` (`posts per week`); a name may
    be English or Norwegian. Other words are not put together one by one: Norwegian would write
    them as one, and in words of its own.
    """
    names = _attribute_names(language)
    asked = [word.casefold() for word in words]
    parts = [" ".join(asked)]
    if parts[0] not in names:
        parts = [part.strip() for part in f" {parts[0]} ".partition(" per ") if part.strip()]
    return " ".join(names.get(part, "") for part in parts) if set(parts) <= set(names) else ""


@lru_cache
def _attribute_names(language: Language) -> dict[str, str]:
    """Return the names of attributes, in any language of the catalogues, as one language has them.

    Where several names have one translation, it is that of the first of them.
    """
    pairs: dict[str, tuple[str, str]] = {}
    for other in LANGUAGES:
        for message in _catalogue_of(other):
            if message.context == "attribute":
                english, norwegian = pairs.get(str(message.id), (str(message.id), ""))
                words = str(message.string)
                pairs[str(message.id)] = (words, norwegian) if other == "en" else (english, words)
    column = LANGUAGES.index(language)
    names = {
        translated.casefold(): pair[column]
        for pair in reversed(pairs.values())
        for translated in pair
    }
    return names | {name: pair[column] for name, pair in pairs.items()}
