"""Turns the rows of an order file into checked order lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from engine import clock
from engine.catalogue import UNKNOWN
from engine.config import OrdersSection, ShopConfig, ShopSection
from engine.errors import DataError
from engine.fact_fields import LARGEST_QUANTITY
from training.keys import MISSING, Keys, column_texts, read_keys
from training.moments import read_moments
from training.numbers import Numbers, money_to_minor, read_numbers
from training.sources import SourceTable
from training.validation import RowAudit

ABSURD_PRICE_RATIO = 1000
"""A price this many times the item's median is a slip of the decimal mark, not a price."""


@dataclass(frozen=True, slots=True)
class OrderLines:
    """Checked lines, purchases and returns.

    Attributes:
        frame: one line a row in reading order: order, customer, store (int64 codes of the keys
            below, MISSING), item (int64 code of the key), ordered_at (int64 micros, 0), quantity
            (float64, > 0, also of returns), unit_price_minor (int64, UNKNOWN), discount_minor
            (int64), returned (bool).
        item_ids: the catalogue's ids; without a catalogue those bought, sorted.
        timed: whether the shop tells when orders were made.
    """

    frame: pd.DataFrame
    orders: Keys
    items: Keys
    customers: Keys | None
    stores: Keys | None
    item_ids: Sequence[str]
    timed: bool


def needed_columns(section: OrdersSection) -> list[str]:
    """Every source column the section names."""
    columns = section.columns
    single = (columns.quantity, columns.unit_price, columns.line_total, columns.discount)
    several = (columns.ordered_at, columns.customer_id, columns.store_id)
    return [
        *columns.order_id,
        *columns.item_id,
        *(name for name in (*single, columns.currency) if name is not None),
        *(name for names in several if names is not None for name in names),
    ]


def read_order_lines(
    config: ShopConfig,
    source: SourceTable,
    audit: RowAudit,
    catalogue_ids: Sequence[str] | None,
    catalogue_file: str = "",
) -> OrderLines:
    """Check every row; the audit learns what was left out and why.

    Args:
        catalogue_ids: items that can be offered, None where the shop has no catalogue.
        catalogue_file: its name for messages.

    Raises:
        DataError: a column is missing, or no line is left.
    """
    section, columns = config.orders, config.orders.columns
    orders = read_keys(source, columns.order_id)
    audit.leave_out("missing_order_id", orders.codes == MISSING, columns.order_id)
    items = read_keys(source, columns.item_id)
    audit.leave_out("missing_item_id", items.codes == MISSING, columns.item_id)
    if section.ignore_items:
        ignored = items.recode(section.ignore_items) != MISSING
        audit.leave_out("ignored_item", ignored, columns.item_id)
    _check_currency(source, audit, columns.currency, config.shop.currency)
    quantity = _quantities(source, audit, columns.quantity)
    returned = (quantity < 0) | _cancelled(orders, section.cancellation_prefix)
    price = _prices(source, audit, section, config.shop, quantity, returned)
    ordered_at = _moments(source, audit, section, config.shop.timezone)
    if catalogue_ids is not None:
        known = items.recode(catalogue_ids) != MISSING
        if audit.kept.any() and not (audit.kept & known).any():
            _no_item_known(source, audit, items, columns.item_id, catalogue_ids, catalogue_file)
        audit.leave_out("unknown_item", ~known, columns.item_id)
    frame = pd.DataFrame(
        {
            "order": orders.codes,
            "item": items.codes,
            "ordered_at": ordered_at,
            "quantity": np.abs(quantity),
            "unit_price_minor": price,
            "returned": returned,
        }
    )
    if columns.quantity is not None:
        # Without a quantity, two equal rows are how such a file says that two were bought.
        repeated = _repeated_rows(source, frame, audit.kept)
        audit.leave_out("duplicate_line", repeated, (*columns.order_id, *columns.item_id))
    price_columns = [name for name in (columns.unit_price, columns.line_total) if name]
    audit.leave_out("absurd_price", _absurd(frame, audit.kept), tuple(price_columns))
    if not (audit.kept & ~returned).any():
        raise DataError(
            f"no order line can be used: {audit.why_nothing_is_left() or 'all are returns'}",
            file=source.files[0],
        )
    customers, stores = _optional_keys(source, columns.customer_id, columns.store_id)
    frame["customer"] = MISSING if customers is None else customers.codes
    frame["store"] = MISSING if stores is None else stores.codes
    frame["discount_minor"] = _discounts(source, audit, columns.discount, config.shop.currency)
    if customers is not None and columns.customer_id is not None:
        audit.note("guest_line", customers.codes == MISSING, columns.customer_id)
        audit.note("several_customers", _several(frame, audit.kept), columns.customer_id)
    if price_columns:
        audit.note("missing_price", (price == UNKNOWN) & ~returned, tuple(price_columns))
    item_ids = catalogue_ids
    if item_ids is None:
        bought = np.unique(items.codes[audit.kept & ~returned]).tolist()
        item_ids = sorted(items.texts[code] for code in bought)
    return OrderLines(
        frame=frame[audit.kept].reset_index(drop=True),
        orders=orders,
        items=items,
        customers=customers,
        stores=stores,
        item_ids=item_ids,
        timed=columns.ordered_at is not None,
    )


def _optional_keys(source: SourceTable, *columns: tuple[str, ...] | None) -> list[Keys | None]:
    return [read_keys(source, names) if names is not None else None for names in columns]


def _check_currency(
    source: SourceTable, audit: RowAudit, column: str | None, currency: str
) -> None:
    if column is None:
        return
    texts = pd.Series(column_texts(source, column), dtype="str")
    other = texts.str.strip().str.upper().ne(currency).to_numpy(dtype=bool)
    audit.leave_out("other_currency", other, column)


def _quantities(source: SourceTable, audit: RowAudit, column: str | None) -> NDArray[np.float64]:
    if column is None:
        return np.ones(source.n_rows)
    numbers = read_numbers(source, column)
    audit.leave_out("bad_quantity", numbers.bad | numbers.missing, column)
    audit.leave_out("zero_quantity", numbers.values == 0, column)
    # No fact may hold more either.
    audit.leave_out("absurd_quantity", np.abs(numbers.values) > LARGEST_QUANTITY, column)
    return np.nan_to_num(numbers.values)


def _cancelled(orders: Keys, prefix: str | None) -> NDArray[np.bool_]:
    if not prefix:
        return np.zeros(len(orders.codes), dtype=np.bool_)
    begins = [text.startswith(prefix) for text in orders.texts]
    return np.array([*begins, False], dtype=np.bool_)[orders.codes]


def _prices(
    source: SourceTable,
    audit: RowAudit,
    section: OrdersSection,
    shop: ShopSection,
    quantity: NDArray[np.float64],
    returned: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Unit prices in minor units, UNKNOWN where none is given; returns need none."""
    columns = section.columns
    amounts = np.full(source.n_rows, np.nan)
    for column, divisor in ((columns.unit_price, None), (columns.line_total, quantity)):
        if column is None:
            continue
        numbers: Numbers = read_numbers(source, column)
        audit.leave_out("bad_price", numbers.bad & ~returned, column)
        values = numbers.values
        if divisor is not None:
            # A zero quantity has been left out above.
            values = values / np.where(divisor == 0, 1, divisor)
        amounts = np.where(np.isnan(amounts), values, amounts)
        audit.leave_out("negative_price", (amounts < 0) & ~returned, column)
        too_large = money_to_minor(amounts, shop.currency)[1]
        audit.leave_out("absurd_price", too_large & ~returned, column)
    minor, too_large = money_to_minor(amounts, shop.currency)
    return np.where(np.isnan(amounts) | too_large | (amounts < 0), UNKNOWN, minor)


def _discounts(
    source: SourceTable, audit: RowAudit, column: str | None, currency: str
) -> NDArray[np.int64]:
    """Discounts as positive amounts: some shops write them as deductions."""
    if column is None:
        return np.zeros(source.n_rows, dtype=np.int64)
    numbers = read_numbers(source, column)
    minor, too_large = money_to_minor(np.abs(numbers.values), currency)
    audit.note("bad_discount", numbers.bad | too_large, column)
    return minor


def _moments(
    source: SourceTable, audit: RowAudit, section: OrdersSection, timezone: str
) -> NDArray[np.int64]:
    columns = section.columns.ordered_at
    if columns is None:
        return np.zeros(source.n_rows, dtype=np.int64)
    moments = read_moments(source, columns, section.date_format, timezone)
    audit.leave_out("bad_date", moments.bad, columns)
    # 0 stands for "no time", and a clock that says 1970-01-01 was never set.
    audit.leave_out("impossible_date", moments.micros <= 0, columns)
    latest = clock.now() + clock.MICROS_PER_DAY
    audit.leave_out("future_date", moments.micros > latest, columns)
    return moments.micros


def _no_item_known(
    source: SourceTable,
    audit: RowAudit,
    items: Keys,
    columns: Sequence[str],
    catalogue_ids: Sequence[str],
    catalogue_file: str,
) -> None:
    codes = pd.unique(items.codes[audit.kept])[:3]
    ordered = ", ".join(repr(items.texts[code]) for code in codes.tolist())
    listed = ", ".join(repr(text) for text in catalogue_ids[:3])
    raise DataError(
        f"no ordered item is in the catalogue: orders name {ordered},"
        f" the catalogue {catalogue_file} holds {listed}",
        file=source.files[0],
        column=" + ".join(columns),
    )


def _several(frame: pd.DataFrame, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Kept purchases of an order that names more than one customer; bool (n_rows,)."""
    usable = kept & ~frame["returned"].to_numpy() & (frame["customer"] != MISSING).to_numpy()
    by_order = frame[usable].groupby("order")["customer"]
    several = np.zeros(len(frame), dtype=np.bool_)
    several[usable] = (by_order.transform("min") != by_order.transform("max")).to_numpy()
    return several


def _repeated_rows(
    source: SourceTable, frame: pd.DataFrame, kept: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Kept rows of which every source cell equals an earlier kept row's; bool (n_rows,)."""
    # Rows that differ in what was read are no repetitions: few are left to compare cell by cell.
    alike = frame[kept].duplicated(keep=False)
    rows = np.flatnonzero(kept)[alike.to_numpy()]
    repeated = np.zeros(len(frame), dtype=np.bool_)
    if len(rows):
        cells = pd.DataFrame(
            {
                number: _cell_codes(column.take(pa.array(rows)))
                for number, column in enumerate(source.table.columns)
            }
        )
        repeated[rows] = cells.duplicated().to_numpy()
    return repeated


def _cell_codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type):
        return pd.factorize(np.array([str(cell) for cell in column.to_pylist()], dtype=object))[0]
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _absurd(frame: pd.DataFrame, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Kept purchases priced beyond ABSURD_PRICE_RATIO times their item's median; bool (n_rows,)."""
    usable = kept & ~frame["returned"].to_numpy() & (frame["unit_price_minor"] > 0).to_numpy()
    priced = frame.loc[usable, ["item", "unit_price_minor"]]
    median = priced.groupby("item")["unit_price_minor"].transform("median")
    absurd = np.zeros(len(frame), dtype=np.bool_)
    absurd[usable] = (priced["unit_price_minor"] > ABSURD_PRICE_RATIO * median).to_numpy()
    return absurd
