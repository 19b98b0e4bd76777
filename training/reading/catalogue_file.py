"""Turns the rows of a catalogue file into the catalogue that is served."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mersalg.engine.arrays import Bools, Int16s, Int32s, Int64s, Ragged
from mersalg.engine.catalogue import PATH_SEPARATOR, UNKNOWN, Catalogue
from mersalg.engine.errors import DataError
from mersalg.engine.source_sections import CatalogueSection
from mersalg.engine.upsell.gains import compare_texts, is_step
from mersalg.engine.vocabulary import StringTable, Vocabulary
from mersalg.engine.words import as_word, read_toml
from mersalg.training.reading.arrow import pc
from mersalg.training.reading.keys import MISSING, Keys, as_written, read_keys, string_table
from mersalg.training.reading.numbers import Marks, money_to_minor, parse_number, read_numbers
from mersalg.training.reading.sources import SourceTable, as_field
from mersalg.training.reading.validation import RowAudit

_MAX = np.iinfo(np.int16).max
_TEXT = pa.large_string()
_CELLS = read_toml("mersalg.training")["cells"]
YES, NO = frozenset(_CELLS["yes"]), frozenset(_CELLS["no"])
"""In stock or active, and not."""
_EMPTY = pa.scalar("", _TEXT)
_MORE_IMAGES = r"[,;|\s]\s*https?://.*$"
_COUNT = re.compile(r"\s*\([0-9]+\)?$")
_OF_STOCK = re.compile(r"\s*(?:in stock|available|left|på lager|igjen)$")
_PRODUCTS = ("handle", "parent", "item_group_id", "parent_sku", "parent_id", "product_handle")
"""Columns (see `as_field`) that name the product of which a row is a variant."""


def ranks_of(cells: Sequence[str], levels: Sequence[str]) -> tuple[Int16s, Bools]:
    """Rank of each cell's tier among all of the shop's, and which cells name none that is known.

    Words of `levels` ascend as they stand there; without them numbers do, and words of one of the
    known scales (small, medium, large). Empty cells are UNKNOWN and clear.
    """
    texts = sorted({cell.strip().casefold() for cell in cells} - {""})
    rank_of_text: dict[str, float] = {}
    if levels:
        rank_of_text = {level.strip().casefold(): float(rank) for rank, level in enumerate(levels)}
    else:
        numbers = {text: parse_number(text, ".") for text in texts}
        rank_of_text = {text: number for text, number in numbers.items() if not np.isnan(number)}
        if not rank_of_text:
            # A word's rank: how many of the others it is a step above.
            on_scale = [text for text in texts if any(is_step(text, other) for other in texts)]
            rank_of_text = {
                text: float(sum(_above(text, other) for other in on_scale)) for text in on_scale
            }
    distinct = {value: rank for rank, value in enumerate(sorted({*rank_of_text.values()})[:_MAX])}
    ranks = {text: distinct.get(value, UNKNOWN) for text, value in rank_of_text.items()}
    words = [cell.strip().casefold() for cell in cells]
    results = [ranks.get(word, UNKNOWN) for word in words]
    unclear = [word != "" and word not in ranks for word in words]
    return np.array(results, dtype=np.int16), np.array(unclear, dtype=np.bool_)


def _above(text: str, other: str) -> bool:
    return is_step(other, text) and compare_texts(other, text) == "gain"


def read_catalogue(
    section: CatalogueSection, source: SourceTable, audit: RowAudit, currency: str
) -> Catalogue:
    """Return the items of a catalogue file in its order; of a repeated id the first row counts.

    Brand and pack size become the attributes `brand` and `pack_size`.

    Raises DataError: a column is missing, or no row has an item id.
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
    naming = (*(columns.name or ()), *(columns.category or ()), *(columns.family or ()))
    naming += tuple(filter(None, (columns.brand, columns.image_url)))
    of_product = (*naming, *filter(None, (columns.active,)))
    products, how = _products(source, keys, naming)
    inheriting = np.zeros(source.n_rows, dtype=np.bool_)

    def read(column: str) -> Keys:
        """Return a column's texts, where blank those of an earlier row of the product."""
        cells = read_keys(source, (column,), exact=True)
        if column not in of_product:
            return cells
        codes = cells.codes
        if products is not None:
            codes = np.where(codes == MISSING, codes[products], codes)
        inheriting[codes != cells.codes] = True
        return Keys(codes, cells.values)

    def texts(column: str) -> pa.Array:
        cells = read(column)
        filled = pa.concat_arrays([cells.texts, pa.array([""], _TEXT)])
        codes = np.where(cells.codes == MISSING, len(cells.values), cells.codes)
        return pc.utf8_trim_whitespace(filled.take(pa.array(codes[rows])))

    def joined(names: Sequence[str] | None, separator: str) -> pa.Array:
        """Return the parts that are there, joined; "" where none is, or no column is named."""
        together = pa.repeat(_EMPTY, len(rows))
        for text in map(texts, names or ()):
            both = pc.binary_join_element_wise(together, text, pa.scalar(separator, _TEXT))
            both = pc.if_else(pc.equal(text, ""), together, both)
            together = pc.if_else(pc.equal(together, ""), text, both)
        return together

    def note(what: str, unclear: Bools, column: str) -> None:
        noted = np.zeros(source.n_rows, dtype=np.bool_)
        noted[rows] = unclear
        audit.note(what, noted, column)

    def amounts(field: str, bad: str, negative: str, foreign: str) -> Int64s:
        """Return minor units, UNKNOWN where the file gives no usable amount; int64 (n_items,)."""
        column = getattr(columns, field)
        if column is None:
            return np.full(len(rows), UNKNOWN, dtype=np.int64)
        numbers = read_numbers(source, column, Marks.of(section, field), currency=currency)
        minor, too_large = money_to_minor(numbers.values, currency)
        below = numbers.values < 0
        audit.note(foreign, numbers.foreign, column)
        audit.note(bad, (numbers.bad | (too_large & ~below)) & ~numbers.foreign, column)
        audit.note(negative, below & ~numbers.foreign, column)
        unusable = numbers.bad | numbers.missing | below | too_large | numbers.foreign
        return np.where(unusable, UNKNOWN, minor)[rows]

    item_ids = keys.texts.take(pa.array(keys.codes[rows]))
    names = joined(columns.name, " ")
    names = pc.if_else(pc.equal(names, ""), item_ids, names)
    category, category_names = _codes(joined(columns.category, PATH_SEPARATOR))
    family, family_names = _codes(joined(columns.family, PATH_SEPARATOR))
    in_stock, active = (
        np.ones(len(rows), dtype=np.bool_)
        if column is None
        else _flags(source, audit, field, column, read(column))[rows]
        for field, column in (("in_stock", columns.in_stock), ("active", columns.active))
    )
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
    image_urls = None
    if columns.image_url is not None:
        image_urls = pc.replace_substring_regex(texts(columns.image_url), _MORE_IMAGES, "")
    audit.note(how, inheriting, tuple(of_product))
    reasons = ("bad_catalogue_price", "negative_catalogue_price", "foreign_catalogue_price")
    price = amounts("price", *reasons)
    cost = amounts("cost", "bad_cost", "bad_cost", "bad_cost")
    return Catalogue(
        items=items,
        names=string_table(names),
        price_minor=price,
        cost_minor=cost,
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
        image_urls=None if image_urls is None else string_table(image_urls),
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


def parse_flag(text: str) -> bool | None:
    """Return what a word says, in English or Norwegian, or a number (of units in stock).

    None where it says neither yes nor no.
    """
    word = _COUNT.sub("", as_word(text))
    if word in YES or word in NO:
        return word in YES
    number = _OF_STOCK.sub("", word).strip("+<>=≥~ ")
    # Whether a number is above zero, no decimal mark can change.
    parsed = [value for mark in ".," if not np.isnan(value := parse_number(number, mark))]
    return parsed[0] > 0 if parsed else None


def _codes(texts: pa.Array) -> tuple[Int32s, StringTable]:
    """Return codes into the sorted distinct texts, UNKNOWN for ""."""
    distinct = pc.unique(texts)
    distinct = distinct.take(pc.array_sort_indices(distinct))
    distinct = distinct.filter(pc.not_equal(distinct, ""))
    codes = pc.index_in(texts, distinct).fill_null(UNKNOWN)
    return codes.to_numpy().astype(np.int32), string_table(distinct)


def _products(source: SourceTable, items: Keys, naming: Sequence[str]) -> tuple[Int64s | None, str]:
    """Return the first row of the product that each row is of, and the note on rows that inherit.

    None where rows are not of products.

    A product is named in a column such as Shopify's `Handle`, or WooCommerce's `Parent` (of
    variants alone, by the product's own id, or `id:` and its `ID`). Without one, a row in which all
    is blank that is true of a product (Odoo) is of the product above it.
    """
    rows = np.arange(source.n_rows)
    for name in source.table.column_names:
        if as_field(name) in _PRODUCTS:
            named = read_keys(source, (name,))
            own = items.recode(named.texts)
            ids = [each for each in source.table.column_names if as_field(each) == "id"]
            if ids:
                texts = pc.replace_substring_regex(named.texts, "^id:", "")
                own = np.where(own == MISSING, read_keys(source, ids).recode(texts), own)
            product = np.where(named.codes == MISSING, own, named.codes)
            first = np.full(len(named.values), source.n_rows)
            np.minimum.at(first, product[product != MISSING], rows[product != MISSING])
            return np.where(product == MISSING, rows, np.append(first, 0)[product]), "inherited_row"
    if len(naming) < 2:
        return None, ""
    return source.rows_above(items.codes != MISSING, naming), "continued_item"


def _flags(source: SourceTable, audit: RowAudit, field: str, column: str, cells: Keys) -> Bools:
    """Return what each row says; bool (n_rows,).

    A blank cell says nothing, so yes; but no where the column only has words for yes (`X`).

    Raises DataError: a word that says neither yes nor no.
    """
    texts = cells.texts.to_pylist()
    meaning = [parse_flag(text) for text in texts]
    if field == "active":
        # No number of units: Magento writes 2 for what is disabled.
        numbers = [parse_number(text, ".") for text in texts]
        meaning = [None if n > 1 else said for n, said in zip(numbers, meaning, strict=True)]
    if None in meaning:
        word = meaning.index(None)
        file, row = source.place(int(np.argmax(cells.codes == word)))
        raise DataError(
            f"{texts[word]!r} says neither yes nor no; write yes or no, in_stock or out_of_stock,"
            f' or a number of units; or leave {field} unused by columns.{field} = ""',
            file=file,
            row=row,
            column=column,
        )
    only_yes = bool(meaning) and all(meaning) and {as_word(text) for text in texts} <= YES
    if only_yes:
        audit.note("blank_flag", cells.codes == MISSING, column)
    return cells.by_key(np.array(meaning, dtype=np.bool_), not only_yes)


def _item_lists(
    cells: Sequence[str], items: Vocabulary, marks: str
) -> tuple[Ragged[np.int32], Bools]:
    """Return the items that each cell names, and who names unknown ones."""
    lists: list[list[int]] = []
    unclear = np.zeros(len(cells), dtype=np.bool_)
    for item, cell in enumerate(cells):
        named = split_ids(cell, items, marks)
        indices = [items.index_of(text) for text in as_written(pa.array(named, _TEXT)).to_pylist()]
        lists.append(sorted({code for code in indices if code is not None and code != item}))
        unclear[item] = None in indices
    return Ragged.of_rows(lists, np.int32), unclear


def split_ids(cell: str, items: Vocabulary, marks: str = ";|,") -> list[str]:
    """Item ids in one cell: one id as it is, else parted by a mark, else by white space."""
    if not cell or cell in items:
        return [cell] if cell else []
    parts = re.split(f"[{re.escape(marks)}]", cell) if set(marks) & set(cell) else cell.split()
    return [part.strip() for part in parts if part.strip()]
