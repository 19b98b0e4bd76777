"""Find which rows of an order file are one order, which are no sales, and what they leave out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from mersalg.engine.arrays import Bools, Float64s, Int32s, Int64s
from mersalg.engine.source_sections import OrderColumns, OrdersSection
from mersalg.engine.words import as_word, counted, read_toml
from mersalg.training.keyed import medians_of
from mersalg.training.reading.arrow import is_number, is_text, pc
from mersalg.training.reading.keys import MISSING, Keys, as_words, joined_keys, read_keys
from mersalg.training.reading.moments import Moments
from mersalg.training.reading.sources import SourceTable, as_field

_MANY = 0.1
_FEW = 2
"""Share of the orders of several rows, and number, that may span days, stores or customers by
right."""
_MINUTES_APART = 60 * 60 * 1_000_000
"""Rows of one order id up to an hour apart (microseconds) are of one visit, also over midnight."""
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
_FEW_WORDS = 50
"""Words a column of states may hold."""
_LOOKED_AT = 5_000


def continued(source: SourceTable, orders: Keys, items: Keys, columns: Sequence[str]) -> Keys:
    """Return the order ids with those of rows that leave out everything of their order.

    Some exports (Odoo's) write order id, date and customer in the first row of an order alone. Such
    a row, of which all `columns` that speak of an order are blank, belongs to the order above it.
    """
    if len({*columns}) < 2 or orders.codes.min(initial=0) > MISSING:
        return orders
    blank = (orders.codes == MISSING) & (items.codes != MISSING)
    return Keys(orders.codes[source.rows_above(blank, columns)], orders.values)


def inherited(orders: Int32s, codes: Int32s) -> Int32s:
    """Return codes with what rows leave out taken from the other rows of their order.

    Shopify, for one, writes what is true of a whole order in its first row alone. Where the other
    rows differ, nothing is taken.
    """
    if codes.min(initial=0) > MISSING:
        return codes
    blank = (codes == MISSING) & (orders != MISSING)
    named = (codes != MISSING) & (orders != MISSING)
    if not blank.any() or not named.any():
        return codes
    differ, of_order = differing(orders, codes, named)
    return np.where(blank, np.append(np.where(differ, MISSING, of_order), MISSING)[orders], codes)


def with_inherited_moments(orders: Int32s, moments: Moments) -> Moments:
    """Return moments with those of rows that give none taken from the earliest of their order."""
    if not moments.missing.any():
        return moments
    blank = moments.missing & (orders != MISSING)
    earliest = np.full(int(orders.max()) + 2, np.iinfo(np.int64).max)
    has_moment = ~moments.bad & (orders != MISSING)
    np.minimum.at(earliest, orders[has_moment], moments.micros[has_moment])
    taken = blank & (earliest[orders] < np.iinfo(np.int64).max)
    return Moments(
        np.where(taken, earliest[orders], moments.micros), moments.bad & ~taken, moments.missing
    )


def split_by_visit(
    orders: Keys,
    columns: OrderColumns,
    moments: Moments,
    others: Sequence[tuple[Sequence[str] | None, str, Keys | None]],
    usable: Bools,
    timezone: str,
    *,
    split: bool | None,
) -> tuple[Keys, list[str]]:
    """Tell orders of one id apart where ids are unique only in a day, a store or for a customer.

    Receipt numbers that begin again every day, or that each till counts for itself, would make one
    order of goods that never met. Where more than a tenth of the ids of several rows stand for
    several days, the day becomes part of the key of every order; the same of `others`: the columns,
    a word for them, and the keys. The `usable` rows decide, bool (n_rows,), unless `split` says
    whether any id stands for several orders.

    Returns
    -------
    the keys, and in words what was done.
    """
    parts = [(names, word, keys) for names, word, keys in others if names and keys is not None]
    earliest = np.full(int(orders.codes.max(initial=MISSING)) + 2, np.iinfo(np.int64).max)
    np.minimum.at(earliest, orders.codes, moments.micros)
    # The rows of nearly every order are of one visit, and days take long to tell.
    if columns.ordered_at and (moments.micros - earliest[orders.codes] > _MINUTES_APART).any():
        days = _visit_days(orders.codes, moments.micros, timezone)
        parts.insert(0, (columns.ordered_at[:1], "days", days))
    several, accepted = 0, list[str]()
    splits: list[tuple[str, Sequence[str], Keys, int]] = []
    for names, word, keys in parts:
        is_splittable = usable & (keys.codes != MISSING)
        spanning = int(differing(orders.codes, keys.codes, is_splittable)[0].sum())
        if spanning and not several:
            several = int((np.bincount(orders.codes[usable]) > 1).sum())
        if spanning and (split or spanning > max(_MANY * several, _FEW)):
            pairs = np.unique(
                orders.codes[is_splittable].astype(np.int64) << 32 | keys.codes[is_splittable]
            )
            splits.append((word, names, keys, int(np.bincount(pairs >> 32).max())))
        elif spanning > _FEW:
            accepted.append(f"{spanning:,} of {several:,} order ids stand for several {word}")
    said = [
        f"orders: {each} and are believed; set [orders] split_orders = true to tell these orders"
        " apart, or false where one id is one order"
        for each in accepted
    ]
    if not splits:
        return orders, said
    for _, _, keys, _ in splits:
        # Rows that do not say are an order of their own, and no key may be without a part.
        codes = np.where(keys.codes == MISSING, len(keys.values), keys.codes)
        texts = pa.concat_arrays([keys.texts, pa.array([""], pa.large_string())])
        orders = joined_keys(orders, Keys(codes.astype(np.int32), texts))
    if split is None:
        most = " and ".join(f"up to {n:,} {word}" for word, _, _, n in splits)
        words = " and ".join(word.removesuffix("s") for word, *_ in splits)
        names = dict.fromkeys([*columns.order_id, *(n for _, names, *_ in splits for n in names)])
        said.append(
            f"orders: one order id stands for {most}: orders are told apart by {words} too. Set"
            f" [orders] split_orders = true, or columns.order_id = {json.dumps([*names])} where"
            " these make an order unique; split_orders = false where one id is one order"
        )
    return orders, said


def differing(orders: Int32s, codes: Int32s, rows: Bools) -> tuple[Bools, Int32s]:
    """Return which orders have several of the codes among these rows, and one code of each."""
    one = np.full(int(orders.max(initial=-1)) + 1, MISSING, dtype=codes.dtype)
    differ = np.zeros(len(one), dtype=np.bool_)
    order, code = orders[rows], codes[rows]
    one[order] = code
    differ[order[code != one[order]]] = True
    return differ, one


def _visit_days(orders: Int32s, micros: Int64s, timezone: str) -> Keys:
    """Return the local day on which each row's visit began.

    Rows of an order follow each other within an hour in one visit, so that one over midnight is of
    one day.
    """
    rows = np.flatnonzero((orders != MISSING) & (micros > 0))
    rows = rows[np.lexsort((micros[rows], orders[rows]))]
    begins = np.append(True, np.diff(orders[rows]) != 0)
    begins[1:] |= np.diff(micros[rows]) > _MINUTES_APART
    began = micros[rows][begins][np.cumsum(begins) - 1]
    local = pd.DatetimeIndex(began.astype("datetime64[us]"), tz="UTC").tz_convert(timezone)
    days, index = np.unique(
        local.tz_localize(None).to_numpy().astype("datetime64[D]"), return_inverse=True
    )
    codes = np.full(len(orders), MISSING, dtype=np.int32)
    codes[rows] = index
    return Keys(codes, pa.array(days.astype(str), pa.large_string()))


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
    if not is_text(column.type) or len(column.slice(0, _LOOKED_AT).unique()) > _FEW_WORDS:
        return []
    texts = [str(text) for text in column.unique().to_pylist() if text is not None]
    said = {text: as_word(text) for text in texts}
    return sorted(
        text for text, word in said.items() if word in known or (like and like.search(word))
    )[:_FEW_WORDS]


def _n_holding(source: SourceTable, name: str) -> int:
    array = source.column(name)
    if pa.types.is_dictionary(array.type):
        keys = read_keys(source, (name,))
        return int(keys.by_key(pc.invert(pc.is_in(as_words(keys.texts), _EMPTY)), False).sum())
    if is_number(array.type):
        array = pc.cast(array, pa.float64(), safe=False)
        return int(pc.sum(pc.and_(pc.is_finite(array), pc.not_equal(array, 0))).as_py() or 0)
    return len(array) - array.null_count
