"""Words that mean something to Mersalg: tables of package data, and how words are compared."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Any

_BETWEEN = re.compile(r"([^\W\d_])[\s_-]+")
_BEFORE = re.compile(r"^(?:wc |https?://schema\.org/)")


@cache
def read_toml(package: str, name: str = "words.toml") -> dict[str, Any]:
    """Return the tables of a TOML file of a package, which is read once."""
    return tomllib.loads((resources.files(package) / name).read_text("utf-8"))


def counted(n: float, noun: str) -> str:
    """Return a number with its noun in the right form: `1 query`, `2,000 queries`."""
    if n != 1:
        if noun.endswith("y") and noun[-2] not in "aeou":
            noun = f"{noun[:-1]}ie"
        noun += "s"
    return f"{n:,.15g} {noun}"


@cache
def word_sets(package: str, table: str) -> Mapping[str, frozenset[str]]:
    """Return the lists of words, with spaces between, of a table of `words.toml`."""
    lists = read_toml(package)[table].items()
    return {name: frozenset(words.split()) for name, words in lists if isinstance(words, str)}


def as_word(text: str) -> str:
    """Return a word as the tables have it: `wc-on_hold` and `On hold` are `on hold`."""
    word = _BETWEEN.sub(r"\1 ", text.lower().strip(" \t\n\r\u00a0.!"))
    return _BEFORE.sub("", word)


NOBODY = frozenset(read_toml("mersalg.engine")["customers"]["nobody"])
_LONGEST_OF_NOBODY = max(map(len, NOBODY))


def customer_of(customer_id: str | None) -> str | None:
    """Return the id of a customer; None where it is a word for none: `0`, `guest`, `n/a`."""
    if customer_id is not None and len(customer_id) <= _LONGEST_OF_NOBODY:
        return None if _is_nobody(customer_id) else customer_id
    return customer_id


@lru_cache(4_096)  # the facts of one visit come together
def _is_nobody(customer_id: str) -> bool:
    return as_word(customer_id) in NOBODY
