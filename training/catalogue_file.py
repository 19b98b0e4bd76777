"""Turns the rows of a catalogue file into the catalogue that is served."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import UNKNOWN, Catalogue
from engine.config import CatalogueSection
from engine.errors import DataError
from engine.vocabulary import StringTable, Vocabulary
from training.keys import MISSING, column_texts, read_keys
from training.numbers import money_to_minor, parse_number, read_numbers
from training.sources import SourceTable
from training.upsell.given import ranks_of
from training.validation import RowAudit

PATH_SEPARATOR = " > "
"""Stands between the parts of a category."""

_YES = frozenset(
    {"true", "t", "yes", "y", "ja", "j", "on", "in stock", "på lager", "active", "aktiv"}
)
_NO = frozenset(
    {"false", "f", "no", "n", "nei", "off", "out of stock", "utsolgt", "inactive", "inaktiv"}
)


def needed_columns(section: CatalogueSection) -> list[str]:
    """Every source column the section names."""
    columns = section.columns
    several = (columns.item_id, columns.name, columns.category, columns.family)
    single = (
        *(columns.price, columns.brand, columns.pack_size, columns.cost),
        *(columns.in_stock, columns.active, columns.compatible_with, columns.bundle_of),
        *(columns.tier, columns.upgrades),
    )
    return [
        *(name for names in several if names is not None for name in names),
        *(name for name in single if name is not None),
        *section.attributes,
    ]


def read_catalogue(
    section: CatalogueSection, source: SourceTable, audit: RowAudit, currency: str
) -> Catalogue:
    """The items of a catalogue file in its order; of an id that stands twice the first row counts.

    Brand and pack size become the attributes `brand` and `pack_size`.

    Raises:
        DataError: a column is missing, or no row has an item id.
    """
    columns = section.columns
    keys = read_keys(source, columns.item_id)
    audit.leave_out("missing_item_id", keys.codes == MISSING, columns.item_id)
    first = np.zeros(source.n_rows, dtype=np.bool_)
    codes, positions = np.unique(keys.codes, return_index=True)
    first[positions[codes != MISSING]] = True
    audit.leave_out("duplicate_item", ~first, columns.item_id)
    rows = np.flatnonzero(audit.kept)
    if not len(rows):
        raise DataError(f"no item: {audit.why_nothing_is_left()}", file=source.files[0])

    def texts(column: str) -> list[str]:
        return [text.strip() for text in column_texts(source, column)[rows].tolist()]

    def joined(names: Sequence[str] | None, separator: str) -> list[str]:
        """The parts that are there, joined; "" where none is, or no column is named."""
        parts = [texts(name) for name in names or ()]
        if not parts:
            return [""] * len(rows)
        return [separator.join(filter(None, row)) for row in zip(*parts, strict=True)]

    item_ids = [keys.texts[code] for code in keys.codes[rows].tolist()]
    names = [name or item for name, item in zip(joined(columns.name, " "), item_ids, strict=True)]
    category, category_names = _codes(joined(columns.category, PATH_SEPARATOR))
    family, family_names = _codes(joined(columns.family, PATH_SEPARATOR))
    in_stock = _flags(source, audit, columns.in_stock)[rows]
    active = _flags(source, audit, columns.active)[rows]
    offerable = in_stock & active
    attributes = {name: texts(name) for name in section.attributes}
    for name, column in (("brand", columns.brand), ("pack_size", columns.pack_size)):
        if column is not None and column not in attributes:
            attributes[name] = texts(column)
    items = Vocabulary.from_ids(item_ids)
    indptr, compatible = np.zeros(len(items) + 1, dtype=np.int64), np.zeros(0, dtype=np.int32)
    # In ids made of several columns the bar is part of the id.
    marks = ";," if len(columns.item_id) > 1 else ";|,"
    if columns.compatible_with is not None:
        cells = texts(columns.compatible_with)
        indptr, compatible, offerable, unclear = _compatibility(cells, items, offerable, marks)
        noted = np.zeros(source.n_rows, dtype=np.bool_)
        noted[rows] = unclear
        audit.note("unknown_compatible_item", noted, columns.compatible_with)
    bundle_indptr, bundle_items = None, None
    if columns.bundle_of is not None:
        bundle_indptr, bundle_items, _, unclear = _compatibility(
            texts(columns.bundle_of), items, offerable, marks
        )
        noted = np.zeros(source.n_rows, dtype=np.bool_)
        noted[rows] = unclear
        audit.note("unknown_bundle_item", noted, columns.bundle_of)
    given_tier = None
    if columns.tier is not None:
        cells = texts(columns.tier)
        given_tier, unclear = ranks_of(cells, section.attribute_levels.get("tier", ()))
        noted = np.zeros(source.n_rows, dtype=np.bool_)
        noted[rows] = unclear
        audit.note("bad_tier", noted, columns.tier)
    upgrade_indptr, upgrade_items = None, None
    if columns.upgrades is not None:
        upgrade_indptr, upgrade_items, _, unclear = _compatibility(
            texts(columns.upgrades), items, offerable, marks
        )
        noted = np.zeros(source.n_rows, dtype=np.bool_)
        noted[rows] = unclear
        audit.note("unknown_upgrade_item", noted, columns.upgrades)
    price = _amounts(
        source, audit, columns.price, currency, "bad_catalogue_price", "negative_catalogue_price"
    )
    cost = _amounts(source, audit, columns.cost, currency, "bad_cost", "bad_cost")
    return Catalogue(
        items=items,
        names=StringTable.from_texts(names),
        price_minor=price[rows],
        cost_minor=cost[rows],
        category=category,
        category_names=category_names,
        family=family,
        family_names=family_names,
        offerable=offerable,
        attributes={
            name: StringTable.from_texts(list(cells)) for name, cells in attributes.items()
        },
        compatible_indptr=indptr,
        compatible_items=compatible,
        currency=currency,
        sold_out=active & ~in_stock,
        bundle_indptr=bundle_indptr,
        bundle_items=bundle_items,
        given_tier=given_tier,
        upgrade_indptr=upgrade_indptr,
        upgrade_items=upgrade_items,
    )


def catalogue_of_ids(item_ids: Sequence[str], currency: str) -> Catalogue:
    """A catalogue that knows nothing of its items but their ids, all on sale."""
    n_items, nothing = len(item_ids), StringTable.from_texts([])
    return Catalogue(
        items=Vocabulary.from_ids(item_ids),
        names=StringTable.from_texts(item_ids),
        price_minor=np.full(n_items, UNKNOWN, dtype=np.int64),
        cost_minor=np.full(n_items, UNKNOWN, dtype=np.int64),
        category=np.full(n_items, UNKNOWN, dtype=np.int32),
        category_names=nothing,
        family=np.full(n_items, UNKNOWN, dtype=np.int32),
        family_names=nothing,
        offerable=np.ones(n_items, dtype=np.bool_),
        attributes={},
        compatible_indptr=np.zeros(n_items + 1, dtype=np.int64),
        compatible_items=np.zeros(0, dtype=np.int32),
        currency=currency,
    )


def parse_flag(text: str, decimal: str = ".") -> bool | None:
    """Yes or no, in English or Norwegian, or a number (of units in stock); None where neither."""
    word = text.strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    number = parse_number(word, decimal)
    return None if np.isnan(number) else number > 0


def _codes(texts: Sequence[str]) -> tuple[NDArray[np.int32], StringTable]:
    """Codes into the sorted distinct texts, UNKNOWN for ""."""
    distinct = sorted(set(texts) - {""})
    index = {text: code for code, text in enumerate(distinct)} | {"": UNKNOWN}
    codes = np.array([index[text] for text in texts], dtype=np.int32)
    return codes, StringTable.from_texts(distinct)


def _flags(source: SourceTable, audit: RowAudit, column: str | None) -> NDArray[np.bool_]:
    """bool (n_rows,): True where not said, False where it is said in words nobody knows."""
    if column is None:
        return np.ones(source.n_rows, dtype=np.bool_)
    texts = column_texts(source, column)
    meaning = {text: parse_flag(text, source.decimal) for text in set(texts.tolist())}
    unclear = {text for text, flag in meaning.items() if flag is None and text}
    audit.note("bad_flag", np.array([text in unclear for text in texts.tolist()]), column)
    return np.array([not text or bool(meaning[text]) for text in texts.tolist()], dtype=np.bool_)


def _amounts(
    source: SourceTable,
    audit: RowAudit,
    column: str | None,
    currency: str,
    bad: str,
    negative: str,
) -> NDArray[np.int64]:
    """Minor units, UNKNOWN where the file does not give a usable amount; int64 (n_rows,)."""
    if column is None:
        return np.full(source.n_rows, UNKNOWN, dtype=np.int64)
    numbers = read_numbers(source, column)
    minor, too_large = money_to_minor(numbers.values, currency)
    below = numbers.values < 0
    audit.note(bad, numbers.bad | (too_large & ~below), column)
    audit.note(negative, below, column)
    return np.where(numbers.bad | numbers.missing | below | too_large, UNKNOWN, minor)


def _compatibility(
    cells: Sequence[str], items: Vocabulary, offerable: NDArray[np.bool_], marks: str
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.bool_], NDArray[np.bool_]]:
    """CSR of the items each needs one of, what can still be offered, who names unknown items."""
    lists: list[list[int]] = []
    offerable, unclear = offerable.copy(), np.zeros(len(cells), dtype=np.bool_)
    for item, cell in enumerate(cells):
        found = [items.index_of(text) for text in split_ids(cell, items, marks)]
        needed = sorted({code for code in found if code is not None and code != item})
        lists.append(needed)
        unclear[item] = None in found
        # With no list it would fit every cart, the opposite of what the file says.
        if unclear[item] and not needed:
            offerable[item] = False
    indptr = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum([len(needed) for needed in lists], out=indptr[1:])
    flat = np.array([code for needed in lists for code in needed], dtype=np.int32)
    return indptr, flat, offerable, unclear


def split_ids(cell: str, items: Vocabulary, marks: str = ";|,") -> list[str]:
    """Item ids in one cell: one id as it stands, else parted by a mark, else by white space."""
    if not cell or cell in items:
        return [cell] if cell else []
    parts = re.split(f"[{re.escape(marks)}]", cell) if set(marks) & set(cell) else cell.split()
    return [part.strip() for part in parts if part.strip()]
