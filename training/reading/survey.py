"""Look at one order or catalogue file: how it is written, and what its columns may be.

Training warns of what a shop file may have overlooked in its sources.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mersalg.engine.arrays import Int32s
from mersalg.engine.errors import DataError
from mersalg.engine.merchandising.targets import category_path
from mersalg.engine.source_sections import CatalogueColumns, OrderColumns
from mersalg.engine.words import read_toml
from mersalg.training.reading.arrow import pc
from mersalg.training.reading.keys import MISSING, Keys, codes_of, read_keys
from mersalg.training.reading.sources import SourceTable, is_parquet, read_files, single

_SEPARATORS = ",;\t|"
_LOOKED_AT = 1 << 16
"""Characters of a file that tell its separator."""
_NR = re.compile(r"(?:number|nummer|numero|num|no|#)$")
# Bytes above 127 are these letters in one encoding and signs, mostly, in the others.
_LETTERS = frozenset("æøåäöüßéèêëàâçîïôûœñÆØÅÄÖÜÉ")
_ENCODINGS = ("cp1252", "cp850", "mac_roman")
_FIELDS = {
    "orders": ("customer_id", "ordered_at", "quantity", "unit_price", "store_id", "currency"),
    "catalogue": ("name", "category", "price", "in_stock", "active", "cost"),
}
_DASHES = "[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]"
_MANY = 20
"""Order lines of one customer that may be those of all guests."""
_SHARE = 0.2
_TIMES_THE_NEXT = 5


def names() -> dict[str, Any]:
    """Return what columns are called, by section, field and language."""
    return read_toml("mersalg.training", "export_names.toml")


@dataclass(frozen=True, slots=True)
class Header:
    """The name of a column."""

    key: str
    """The name without accents, signs, tax and currency, for comparison."""
    currency: str | None
    """The currency it names."""
    with_tax: bool | None
    """Whether it says that amounts include tax; None where it says nothing."""

    @classmethod
    @lru_cache(4_096)  # the names of the table are compared with those of each file
    def of(cls, name: str) -> Header:
        """Return the header of a column of this name."""
        spaced = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", name)
        written = re.findall(r"[^\W_]+|#", spaced)
        currency = next((word for word in written if word in names()["currencies"]["codes"]), None)
        words = [_plain(word) for word in written if word != currency or len(written) == 1]
        tax = names()["tax"]
        with_tax = [word in tax["with"] for word in words if word in tax["with"] + tax["without"]]
        if with_tax:
            words = [word for word in words if not any(word in each for each in tax.values())]
        return cls(_NR.sub("nr", "".join(words)), currency, with_tax[0] if with_tax else None)


def _keys(entries: Iterable[str]) -> list[str]:
    return [Header.of(entry).key for entry in entries]


@dataclass(frozen=True)
class Survey:
    """An order or catalogue file, or several alike, and what their columns may be."""

    path: Path
    """The first file."""
    source: SourceTable
    separator: str | None = None
    encoding: str | None = None
    """`separator`, `encoding`: None where the file is no CSV."""
    is_encoding_sure: bool = True
    """Whether no other encoding fits."""

    @property
    def columns(self) -> list[str]:
        """The names of its columns, in their order."""
        return self.source.table.column_names

    @cached_property
    def headers(self) -> dict[str, Header]:
        """Each column's header."""
        return {name: Header.of(name) for name in self.columns}

    @cached_property
    def export(self) -> Mapping[str, Any] | None:
        """The export of a known system that it is."""
        keys = {header.key for header in self.headers.values()}
        fitting = [each for each in names()["exports"] if {*_keys(each["signs"])} <= keys]
        return max(fitting, key=lambda each: len(each["signs"]), default=None)

    @cached_property
    def section(self) -> str | None:
        """`orders` or `catalogue`; None where the columns do not say."""
        if self.export:
            return self.export["section"]
        has = self.candidates
        if has("orders", "order_id") and (has("orders", "item_id") or has("orders", "item_name")):
            return "orders"
        if has("catalogue", "price") or (has("catalogue", "item_id") and has("catalogue", "name")):
            return "catalogue"
        return None

    def candidates(self, section: str, field: str) -> list[str]:
        """Return the columns that may be a field, the likeliest first; blank ones are none."""
        if self.export:
            if field not in self.export["columns"]:
                return []
            if columns := self._called([self.export["columns"][field]]):
                return columns
        columns = self._called(names()[section].get(field, {}).values())
        if (section, field) == ("catalogue", "item_id"):
            # It is better called as in orders.
            columns = [*dict.fromkeys([*self._called(names()["orders"][field].values()), *columns])]
        return columns

    def _called(self, listed: Iterable[Sequence[str]]) -> list[str]:
        """Return the columns whose names are in lists, those that are named first the first."""
        rank: dict[str, int] = {}
        for entries in listed:
            for index, key in enumerate(_keys(entries)):
                rank[key] = min(index, rank.get(key, index))
        # Of two that differ in tax alone, the one that buyers pay.
        taxed = {True: 0, None: 1, False: 2}
        columns = [
            (rank[key], taxed[header.with_tax], name)
            for name, header in self.headers.items()
            # Some systems write where a column is from before its own name: `Order Lines/Quantity`.
            for key in (header.key, Header.of(name.rpartition("/")[2]).key)
            if key in rank and self.filled(name)
        ]
        return [*dict.fromkeys(name for *_, name in sorted(columns, key=lambda each: each[:2]))]

    def languages(self) -> Counter[str]:
        """Return how much speaks for each language; English headers are found everywhere."""
        if self.export:
            language = self.export.get("language", "en")
            return Counter({language: len(self.columns) * (1 if language == "en" else 2)})
        counts: Counter[str] = Counter()
        for by_language in (*names()["orders"].values(), *names()["catalogue"].values()):
            english = {*_keys(by_language.get("en", ()))}
            for language, entries in by_language.items():
                keys = english if language == "en" else {*_keys(entries)} - english
                n_keys = sum(header.key in keys for header in self.headers.values())
                counts[language] += n_keys * (1 if language == "en" else 2)
        return counts

    def filled(self, column: str) -> float:
        """Return the share of rows that hold something in a column."""
        array = self.source.column(column)
        return 1 - array.null_count / max(len(array), 1)

    def same_rows(self, one: str, other: str) -> bool:
        """Return whether two columns tell the same rows apart."""
        several = ((one,), (other,), (one, other))
        return len({len(read_keys(self.source, columns).values) for columns in several}) == 1

    def texts(self, column: str) -> list[str]:
        """Return the distinct texts of a column."""
        return read_keys(self.source, (column,)).texts.to_pylist()


def survey(
    paths: Sequence[Path], separator: str | None = None, encoding: str | None = None
) -> Survey:
    """Read files of the same columns, finding out how they are written where that is not given.

    Raises DataError: a file cannot be read, or its columns cannot be separated or are not those of
    the first.
    """
    path = paths[0]
    if is_parquet(path):
        return Survey(path, read_files(paths, separator=",", encoding="utf-8"))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=str(path)) from error
    guessed, sure = (encoding, True) if encoding else _encoding_of(content)
    try:
        text = content[: 4 * _LOOKED_AT].decode(guessed, "ignore")[:_LOOKED_AT]
    except LookupError as error:
        raise DataError(f"no such encoding: {guessed}", file=str(path)) from error
    separator = separator or _separator_of(text.removeprefix("\ufeff"), path)
    return Survey(
        path, read_files(paths, separator=separator, encoding=guessed), separator, guessed, sure
    )


def _encoding_of(content: bytes) -> tuple[str, bool]:
    """Return the encoding of a file, and whether no other fits."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16", True
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        letters: Counter[str] = Counter()
        for encoding in _ENCODINGS:
            text = content.decode(encoding, "replace")
            high = Counter(sign for sign in text if sign > "\x7f")
            letters[encoding] = sum(n if sign in _LETTERS else -n for sign, n in high.items())
        (best, most), (_, second), *_ = letters.most_common()
        return best, most > 0 and most > 2 * second
    return "utf-8", True


def _separator_of(text: str, path: Path) -> str:
    """Return the mark that separates the first lines into the most columns, as many in each."""
    widths: dict[str, int] = {}
    for mark in _SEPARATORS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
        rows = [len(row) for row in islice(filter(None, reader), 100)]
        whole = rows[:-1] or rows  # The last row may be cut off.
        fitting = whole.count(rows[0]) >= 0.9 * len(whole) if rows else False
        widths[mark] = rows[0] if fitting else 0
    best = max(widths, key=widths.__getitem__)
    if widths[best] < 2:
        raise DataError(
            "the columns cannot be separated: the first line must name them, each line must"
            " have as many cells, separated by comma, semicolon, tab or bar",
            file=str(path),
        )
    return best


def _plain(word: str) -> str:
    """Return a word without case and accents."""
    parts = unicodedata.normalize("NFKD", word.casefold())
    return "".join(sign for sign in parts if not unicodedata.combining(sign))


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
