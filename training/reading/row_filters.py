"""Finds the rows of an order file that are no sales, and unused columns that seem to say so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from mersalg.engine.arrays import Bools, Float64s, Int32s, Int64s
from mersalg.engine.source_sections import OrdersSection
from mersalg.engine.words import as_word, counted, read_toml
from mersalg.training.keyed import medians_of
from mersalg.training.reading.arrow import is_number, is_text, pc
from mersalg.training.reading.keys import MISSING, Keys, as_words, read_keys
from mersalg.training.reading.order_ids import inherited
from mersalg.training.reading.sources import SourceTable, as_field

ANY = "*"
_CELLS, _COLUMNS = (read_toml("mersalg.training")[name] for name in ("cells", "columns"))
RETURNED, UNDONE, NO = (frozenset(_CELLS[name]) for name in ("returned", "undone", "no"))
_TYPES = frozenset(_COLUMNS["types"].split())
_OF_STATE, _OF_UNDONE, _OF_RETURN, _OF_AMOUNT, _OF_DONE = (
    re.compile("|".join(_COLUMNS[name].split()))
    for name in ("of_state", "of_undone", "of_return", "of_amount", "of_done")
)
_SAYS_UNDONE = re.compile(
    r"(?<!not )(?<!non )(?<!no )(?<!ikke )(?<!partially )(?<!partial )(?<!delvis )\b"
    rf"(?:{'|'.join(_COLUMNS['says_undone'].split())})"
)
_EMPTY = pa.array(_CELLS["empty"].split(), pa.large_string())
_OWN_PRICE = 0.6
"""Share of an item's median price above which a price below zero pays the item back."""
_ALL_BUT_ROUNDING = 0.99
_FEW = 50
"""Words a column of states may hold."""
_LOOKED_AT = 5_000


def rows_saying(
    source: SourceTable, column: str, words: Sequence[str], orders: Int32s | None
) -> Bools:
    """Return the rows in which a column says one of the words, whatever its letter case.

    With `orders`, a row that says nothing says what the other rows of its order do.
    """
    keys = read_keys(source, (column,))
    if orders is not None:
        keys = Keys(inherited(orders, keys.codes), keys.values)
    said = as_words(keys.texts)
    hits = pc.is_in(said, as_words(pa.array(words, pa.large_string())))
    if ANY in words:
        hits = pc.or_(hits, pc.invert(pc.is_in(said, _EMPTY)))
    return keys.by_key(hits, False)


def return_rows(source: SourceTable, section: OrdersSection) -> tuple[Bools, list[str]]:
    """Return the rows that are returns by what a column says, and the names of these columns."""
    given = section.returns
    if given is None:
        given = {
            name: tuple(said)
            for name in source.unused
            if as_field(name) in _TYPES and (said := words_of(source, name, RETURNED))
        }
    rows = np.zeros(source.n_rows, dtype=np.bool_)
    for name, words in given.items():
        rows |= rows_saying(source, name, words, None)
    return rows, [*given]


def unused_states(source: SourceTable, of_returns: Sequence[str]) -> Iterator[str]:
    """Yield a warning for each unused column that seems to say that rows are no sales.

    `of_returns`: columns that returns are known by.
    """
    for name in source.unused:
        if name in of_returns:
            continue
        field = as_field(name)
        n_rows = _n_holding(source, name) if _OF_UNDONE.search(field) else 0
        if 0 < n_rows < source.n_rows:
            if _OF_AMOUNT.search(field):
                setting = f"columns.amount_refunded = {json.dumps(name)}"
            else:
                which = "returns" if _OF_RETURN.search(field) else "not"
                setting = f'{which} = {{ {json.dumps(name)} = ["{ANY}"] }}'
            yield (
                f"orders: column {name!r} holds something in {counted(n_rows, 'row')}, counted as"
                f" sales; set [orders] {setting} where they are none"
            )
        elif words := [
            *words_of(
                source, name, UNDONE | RETURNED, _SAYS_UNDONE if _OF_STATE.search(field) else None
            ),
            *(words_of(source, name, NO) if _OF_DONE.fullmatch(field) else ()),
        ]:
            listed = json.dumps(words, ensure_ascii=False)
            yield (
                f"orders: column {name!r} says {', '.join(map(repr, words))}, and these rows count"
                f" as sales; set [orders] not = {{ {json.dumps(name)} = {listed} }} to leave them"
                f" out, or returns = {{ {json.dumps(name)} = {listed} }} where they are returns"
            )


def paid_back_rows(item: Int32s, price: Int64s, paid_back: Bools) -> Bools:
    """Return the rows below zero that pay back about the item's own price.

    What is well below it is a discount or a coupon, and no goods came back.
    """
    refunds = np.zeros(len(item), dtype=np.bool_)
    rows = np.flatnonzero(paid_back & (item != MISSING)) if paid_back.any() else []
    if len(rows):
        bought = np.flatnonzero((price > 0) & np.isin(item, item[rows]))
        usual = medians_of(item[bought], price[bought], int(item.max()) + 1)[item[rows]]
        refunds[rows] = -price[rows] >= _OWN_PRICE * usual
    return refunds


def refunded_rows(
    order: Int32s, back: Float64s, line: Float64s, kept: Bools
) -> tuple[Bools, Bools]:
    """Return the rows of which all the money was paid back, and those of which a part was.

    An amount of about the whole order is the order's, wherever in it; another is of its line.
    """
    rows = np.flatnonzero(kept)
    n_orders = int(order.max(initial=-1)) + 1
    total = np.bincount(order[rows], line[rows], n_orders)
    most = np.zeros(n_orders)
    np.maximum.at(most, order[rows], back[rows])
    of_order = (most >= _ALL_BUT_ROUNDING * total) & (total > 0)
    whole = np.zeros(len(order), dtype=np.bool_)
    of_line = (back >= _ALL_BUT_ROUNDING * line) & (back <= line / _ALL_BUT_ROUNDING) & (line > 0)
    whole[rows] = of_order[order[rows]] | of_line[rows]
    return whole, kept & ~whole & (back > 0)


def cancelled_rows(orders: Keys, prefix: str | None) -> Bools:
    """Return the rows whose order id has the prefix of cancellations."""
    if not prefix:
        return np.zeros(len(orders.codes), dtype=np.bool_)
    return orders.by_key(pc.starts_with(orders.texts, prefix), False)


def unmatched_words(source: SourceTable, column: str, words: Sequence[str]) -> str:
    """Return a warning about a filter by words that no row holds."""
    said = ", ".join(map(repr, read_keys(source, (column,)).texts[:10].to_pylist()))
    return f"orders: no row of column {column!r} says {', '.join(map(repr, words))}; it says {said}"


def words_of(
    source: SourceTable, name: str, known: frozenset[str], like: re.Pattern[str] | None = None
) -> list[str]:
    """Return the texts of a column of states that are among known words, or hold such a one."""
    column = source.table.column(name)
    # Most columns hold too many texts to be one, which their beginning tells.
    if not is_text(column.type) or len(column.slice(0, _LOOKED_AT).unique()) > _FEW:
        return []
    texts = [str(text) for text in column.unique().to_pylist() if text is not None]
    said = {text: as_word(text) for text in texts}
    return sorted(
        text for text, word in said.items() if word in known or (like and like.search(word))
    )[:_FEW]


def _n_holding(source: SourceTable, name: str) -> int:
    array = source.column(name)
    if pa.types.is_dictionary(array.type):
        keys = read_keys(source, (name,))
        return int(keys.by_key(pc.invert(pc.is_in(as_words(keys.texts), _EMPTY)), False).sum())
    if is_number(array.type):
        array = pc.cast(array, pa.float64(), safe=False)
        return int(pc.sum(pc.and_(pc.is_finite(array), pc.not_equal(array, 0))).as_py() or 0)
    return len(array) - array.null_count
