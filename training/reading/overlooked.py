"""Warns of what a shop file may have overlooked in its sources."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from mersalg.engine.arrays import Int32s
from mersalg.engine.merchandising.targets import category_path
from mersalg.engine.source_sections import CatalogueColumns, OrderColumns
from mersalg.engine.words import read_toml
from mersalg.training.reading.arrow import pc
from mersalg.training.reading.keys import MISSING, Keys, codes_of
from mersalg.training.reading.sources import SourceTable, single
from mersalg.training.reading.survey import Survey

_FIELDS = {
    "orders": ("customer_id", "ordered_at", "quantity", "unit_price", "store_id", "currency"),
    "catalogue": ("name", "category", "price", "in_stock", "active", "cost"),
}
_DASHES = "[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]"
_MANY = 20
"""Order lines of one customer that may be those of all guests."""
_SHARE = 0.2
_TIMES_THE_NEXT = 5


def sensitive_categories(categories: Iterable[str]) -> dict[str, str]:
    """Return the names among category paths that sound sensitive, each with its topic.

    Of a path the first part that does: of `Food > Wine > Red wine` it is `Wine`, which holds for
    all below it. Names that differ in letter case alone are one.
    """
    topics: dict[str, tuple[str, str]] = {}
    patterns, others = _patterns()
    for category in categories:
        for name in category_path(category):
            text = name.casefold()
            named = (topic for topic, pattern in patterns.items() if pattern.search(text))
            if not others.search(text) and (topic := next(named, None)):
                topics.setdefault(text, (name, topic))
                break
    return dict(sorted(topics.values()))


@lru_cache
def _patterns() -> tuple[dict[str, re.Pattern[str]], re.Pattern[str]]:
    table = read_toml("mersalg.training", "sensitive.toml")
    topics = {topic: _any_of(names) for topic, names in table["names"].items()}
    return topics, _any_of(table["not"]["words"])


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    listed = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.compile(rf"(?<![^\W_])(?:{listed})(?![^\W_])")


def unused_fields(
    section: str, columns: OrderColumns | CatalogueColumns, source: SourceTable
) -> Iterator[str]:
    """Yield a warning of unused columns that by their names may be fields which are not set."""
    names = [name for name in source.unused if source.table.column_names.count(name) == 1]
    file = Survey(Path(source.files[0]), single(source.table.select(names), source.files[0]))
    may_be: dict[str, str] = {}
    for field in _FIELDS[section]:
        if getattr(columns, field) is None and field not in columns.model_fields_set:
            if field == "unit_price" and getattr(columns, "line_total", None) is not None:
                continue
            called = [*file.candidates(section, field)]
            if field == "unit_price":
                called += file.candidates(section, "amount")
            if called and called[0] not in may_be.values():
                may_be[field] = called[0]
    if may_be:
        listed = ", ".join(f"{field} = {json.dumps(name)}" for field, name in may_be.items())
        yield (
            f"{section}: columns that are not used may be fields by their names; set [{section}]"
            f' columns = {{ {listed} }}, or a field to "" where they are not'
        )


def written_alike(what: str, *listed: pa.Array) -> Iterator[str]:
    """Yield a warning of ids that differ only in letter case, spaces, zeros, marks or dashes."""
    texts = pc.unique(pa.concat_arrays([each.cast(pa.large_string()) for each in listed]))
    forms = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    forms = pc.replace_substring_regex(forms, _DASHES, "-")
    forms = pc.replace_substring_regex(forms, r"\s+", " ")
    forms = pc.replace_substring_regex(forms, r"^([0-9]+),0+$", r"\1")
    forms = pc.replace_substring_regex(forms, r"^0+([0-9]+)$", r"\1")
    forms = pc.replace_substring_regex(forms, r"([0-9]),([0-9]{3})\b", r"\1\2")
    encoded = forms.dictionary_encode()
    if len(encoded.dictionary) < len(texts):
        codes = codes_of(encoded)
        several = np.bincount(codes) > 1
        one, other = np.flatnonzero(codes == int(np.argmax(several)))[:2].tolist()
        yield (
            f"{int(several.sum()):,} {what} are written in several forms, as"
            f" {texts[one].as_py()!r} and {texts[other].as_py()!r}, and each form counts as"
            " another; write each in one form in all files"
        )


def perhaps_nobody(customers: Keys, codes: Int32s) -> Iterator[str]:
    """Yield a warning of a customer with so many lines that it may stand for all guests.

    `codes`: positions in the customers, one an order line.
    """
    counts = np.bincount(codes[codes != MISSING])
    if len(counts) < 2:
        return
    second, first = np.sort(counts)[-2:].tolist()
    if first >= max(_MANY, _SHARE * counts.sum(), _TIMES_THE_NEXT * second):
        who = customers.texts[int(counts.argmax())].as_py()
        yield (
            f"orders: customer {who!r} has {first:,} of {int(counts.sum()):,} order lines; if it"
            " stands for guests, leave these cells empty"
        )
