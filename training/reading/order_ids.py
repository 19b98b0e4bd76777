"""Decides which rows of an order file are one order, and fills in what rows leave out of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Int32s, Int64s
from mersalg.engine.source_sections import OrderColumns
from mersalg.training.reading.keys import MISSING, Keys, joined_keys
from mersalg.training.reading.moments import Moments
from mersalg.training.reading.sources import SourceTable

_MANY = 0.1
_FEW = 2
"""Share of the orders of several rows, and number, that may span days, stores or customers by
right."""
_MINUTES_APART = 60 * 60 * 1_000_000
"""Rows of one order id up to an hour apart (microseconds) are of one visit, also over midnight."""


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
    several days, the day becomes part of the key of every order; the same of stores and customers.

    Parameters
    ----------
    others
        What else may part orders: its columns, a word for it, its keys.
    usable : bool (n_rows,)
        Purchases that count; by them it is decided.
    split
        What the shop file says of it: whether any, or no id stands for several orders.

    Returns
    -------
    the keys, and in words what was done.
    """
    parts = [(names, word, keys) for names, word, keys in others if names and keys is not None]
    if columns.ordered_at and not agree(orders.codes, moments.micros, _MINUTES_APART):
        days = _visit_days(orders.codes, moments.micros, timezone)
        parts.insert(0, (columns.ordered_at[:1], "days", days))
    several, accepted = 0, list[str]()
    splits: list[tuple[str, Sequence[str], Keys, int]] = []
    for names, word, keys in parts:
        if agree(orders.codes, keys.codes):
            continue
        is_splittable = usable & (keys.codes != MISSING)
        spanning = int(differing(orders.codes, keys.codes, is_splittable)[0].sum())
        several = several or int((np.bincount(orders.codes[usable]) > 1).sum())
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


def agree(orders: Int32s, values: NDArray[np.integer[Any]], by: int = 0) -> bool:
    """Return whether the values of each order lie within `by`, as they nearly always do.

    May be False where they do, but are spread over rows that are not side by side.
    """
    if (orders[1:] >= orders[:-1]).all():
        same = orders[1:] == orders[:-1]
        return not (same & (np.abs(np.diff(values)) > by)).any()
    one = np.zeros(int(orders.max(initial=-1)) + 2, dtype=values.dtype)
    one[orders] = values
    return not (np.abs(values - one[orders]) > by).any()


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
