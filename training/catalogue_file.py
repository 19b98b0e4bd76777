"""Turns the rows of a catalogue file into the catalogue that is served."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.arrays import Ragged
from engine.catalogue import UNKNOWN, Catalogue
from engine.config import CatalogueSection
from engine.errors import DataError
from engine.vocabulary import StringTable, Vocabulary
from training.keys import MISSING, read_keys, string_table, texts_of
from training.numbers import money_to_minor, parse_number, read_numbers
from training.sources import SourceTable
from training.upsell.given import ranks_of
from training.validation import RowAudit

PATH_SEPARATOR = " > "
"""Stands between the parts of a category."""

_TEXT = pa.large_string()
_EMPTY = pa.scalar("", _TEXT)
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
    taken = pa.array(rows)

    def texts(column: str) -> pa.Array:
        return pc.utf8_trim_whitespace(texts_of(source, column).take(taken))

    def joined(names: Sequence[str] | None, separator: str) -> pa.Array:
        """Return the parts that are there, joined; "" where none is, or no column is named."""
        together = pa.repeat(_EMPTY, len(rows))
        for text in map(texts, names or ()):
            both = pc.binary_join_element_wise(together, text, pa.scalar(separator, _TEXT))
            both = pc.if_else(pc.equal(text, ""), together, both)
            together = pc.if_else(pc.equal(together, ""), text, both)
        return together

    def note(what: str, unclear: NDArray[np.bool_], column: str) -> None:
        noted = np.zeros(source.n_rows, dtype=np.bool_)
        noted[rows] = unclear
        audit.note(what, noted, column)

    item_ids = keys.texts.take(pa.array(keys.codes[rows]))
    names = joined(columns.name, " ")
    names = pc.if_else(pc.equal(names, ""), item_ids, names)
    category, category_names = _codes(joined(columns.category, PATH_SEPARATOR))
    family, family_names = _codes(joined(columns.family, PATH_SEPARATOR))
    in_stock = _flags(source, audit, columns.in_stock)[rows]
    active = _flags(source, audit, columns.active)[rows]
    offerable = in_stock & active
    attributes = {name: texts(name) for name in section.attributes}
    for name, column in (("brand", columns.brand), ("pack_size", columns.pack_size)):
        if column is not None and column not in attributes:
            attributes[name] = texts(column)
    items = Vocabulary.from_ids(string_table(item_ids))
    # In ids made of several columns the bar is part of the id.
    marks = ";," if len(columns.item_id) > 1 else ";|,"
    lists: dict[str, Ragged[np.int32] | None] = {}
    for column, what in (
        (columns.compatible_with, "unknown_compatible_item"),
        (columns.bundle_of, "unknown_bundle_item"),
        (columns.upgrades, "unknown_upgrade_item"),
    ):
        lists[what] = None
        if column is None:
            continue
        named, unclear = _item_lists(texts(column).to_pylist(), items, marks)
        lists[what] = named
        note(what, unclear, column)
        if column == columns.compatible_with:
            # With no list it would fit every cart, the opposite of what the file says.
            offerable = offerable & ~(unclear & (named.lengths == 0))
    given_tier = None
    if columns.tier is not None:
        levels = section.attribute_levels.get("tier", ())
        given_tier, unclear = ranks_of(texts(columns.tier).to_pylist(), levels)
        note("bad_tier", unclear, columns.tier)
    price = _amounts(
        source, audit, columns.price, currency, "bad_catalogue_price", "negative_catalogue_price"
    )
    cost = _amounts(source, audit, columns.cost, currency, "bad_cost", "bad_cost")
    return Catalogue(
        items=items,
        names=string_table(names),
        price_minor=price[rows],
        cost_minor=cost[rows],
        category=category,
        category_names=category_names,
        family=family,
        family_names=family_names,
        offerable=offerable,
        attributes={name: string_table(cells) for name, cells in attributes.items()},
        compatible=lists["unknown_compatible_item"] or Ragged.empty(len(items), np.int32),
        currency=currency,
        sold_out=active & ~in_stock,
        bundles=lists["unknown_bundle_item"],
        given_tier=given_tier,
        upgrades=lists["unknown_upgrade_item"],
    )


def catalogue_of_ids(item_ids: pa.Array, currency: str) -> Catalogue:
    """Return a catalogue that knows nothing of its items but their ids, all on sale."""
    n_items, nothing, ids = len(item_ids), StringTable.from_texts([]), string_table(item_ids)
    return Catalogue(
        items=Vocabulary.from_ids(ids),
        names=ids,
        price_minor=np.full(n_items, UNKNOWN, dtype=np.int64),
        cost_minor=np.full(n_items, UNKNOWN, dtype=np.int64),
        category=np.full(n_items, UNKNOWN, dtype=np.int32),
        category_names=nothing,
        family=np.full(n_items, UNKNOWN, dtype=np.int32),
        family_names=nothing,
        offerable=np.ones(n_items, dtype=np.bool_),
        attributes={},
        compatible=Ragged.empty(n_items, np.int32),
        currency=currency,
    )


def parse_flag(text: str, decimal: str = ".") -> bool | None:
    """Yes or no, in English or Norwegian, or a number (of units in stock); None where neither."""
    word = text.strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    number = parse_number(word, decimal)
    return None if np.isnan(number) else number > 0


def _codes(texts: pa.Array) -> tuple[NDArray[np.int32], StringTable]:
    """Return codes into the sorted distinct texts, UNKNOWN for ""."""
    distinct = pc.unique(texts)
    distinct = distinct.take(pc.array_sort_indices(distinct))
    distinct = distinct.filter(pc.not_equal(distinct, ""))
    codes = pc.index_in(texts, distinct).fill_null(UNKNOWN)
    return codes.to_numpy().astype(np.int32), string_table(distinct)


def _flags(source: SourceTable, audit: RowAudit, column: str | None) -> NDArray[np.bool_]:
    """bool (n_rows,): True where not said, False where it is said in words nobody knows."""
    if column is None:
        return np.ones(source.n_rows, dtype=np.bool_)
    keys = read_keys(source, (column,))
    meaning = [parse_flag(text, source.decimal) for text in keys.texts.to_pylist()]
    unclear = np.array([flag is None for flag in meaning], dtype=np.bool_)
    audit.note("bad_flag", keys.by_key(unclear, False), column)
    return keys.by_key(np.array([bool(flag) for flag in meaning], dtype=np.bool_), True)


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


def _item_lists(
    cells: Sequence[str], items: Vocabulary, marks: str
) -> tuple[Ragged[np.int32], NDArray[np.bool_]]:
    """Return the items that each cell names, and who names unknown ones."""
    lists: list[list[int]] = []
    unclear = np.zeros(len(cells), dtype=np.bool_)
    for item, cell in enumerate(cells):
        found = [items.index_of(text) for text in split_ids(cell, items, marks)]
        lists.append(sorted({code for code in found if code is not None and code != item}))
        unclear[item] = None in found
    return Ragged.of_rows(lists, np.int32), unclear


def split_ids(cell: str, items: Vocabulary, marks: str = ";|,") -> list[str]:
    """Item ids in one cell: one id as it stands, else parted by a mark, else by white space."""
    if not cell or cell in items:
        return [cell] if cell else []
    parts = re.split(f"[{re.escape(marks)}]", cell) if set(marks) & set(cell) else cell.split()
    return [part.strip() for part in parts if part.strip()]
