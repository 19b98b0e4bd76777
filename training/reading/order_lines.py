"""Turns the rows of an order file into checked order lines."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from mersalg.engine import clock
from mersalg.engine.arrays import Bools, Int64s
from mersalg.engine.catalogue import UNKNOWN
from mersalg.engine.config import ShopConfig
from mersalg.engine.errors import DataError
from mersalg.engine.fact_values import LARGEST_QUANTITY
from mersalg.engine.source_sections import OrdersSection
from mersalg.engine.words import NOBODY
from mersalg.training.keyed import medians_of
from mersalg.training.reading import order_rows
from mersalg.training.reading.arrow import numpy_of, pc
from mersalg.training.reading.keys import CUT_SHORT, MISSING, Keys, as_words, read_keys
from mersalg.training.reading.moments import Moments, read_moments
from mersalg.training.reading.numbers import (
    Marks,
    Numbers,
    may_be_currency,
    money_to_minor,
    read_numbers,
)
from mersalg.training.reading.sources import SourceTable, columns_of
from mersalg.training.reading.validation import RowAudit

Check = tuple[str, tuple[str, ...] | str | None, Callable[[], Bools]]
"""A reason, the columns to show it by (none: it is not asked), and the rows; bool (n_rows,)."""

ABSURD_PRICE_RATIO = 1000
"""A price this many times the item's median is a slip of the decimal mark, not a price."""


@dataclass(frozen=True, slots=True)
class OrderLines:
    """Checked lines, purchases and returns."""

    frame: pd.DataFrame
    """One line a row in reading order: order, item, customer, store (int32 codes of the keys below,
    MISSING), ordered_at (int64 micros, 0), quantity (float64, > 0, also of returns),
    unit_price_minor (int64, UNKNOWN), discount_minor (int64), returned (bool)."""
    orders: Keys
    items: Keys
    customers: Keys | None
    stores: Keys | None
    item_ids: pa.Array
    """The catalogue's ids; without a catalogue those bought, sorted (large_string)."""
    timed: bool
    """Whether the shop tells when orders were made."""


def filter_columns(section: OrdersSection) -> list[str]:
    """Every source column that says which rows are sales."""
    return [*section.only, *section.not_, *(section.returns or ())]


def read_order_lines(
    config: ShopConfig,
    source: SourceTable,
    audit: RowAudit,
    catalogue_ids: pa.Array | None,
    catalogue_file: str = "",
) -> OrderLines:
    """Check every row; the audit learns what was left out and why.

    `catalogue_ids` can be offered; without a catalogue it is None, else `catalogue_file` its name.

    Raises DataError: a column is missing, or no line is left.
    """
    section, columns, currency = config.orders, config.orders.columns, config.shop.currency
    stated, items = (read_keys(source, each) for each in (columns.order_id, columns.item_id))
    of_order = (columns.ordered_at, columns.customer_id, columns.store_id, columns.currency)
    orders = order_rows.continued(
        source, stated, items, [*columns.order_id, *itertools.chain(*map(columns_of, of_order))]
    )
    customers, stores = (
        _inherited(source, orders, names, nobody) if names else None
        for names, nobody in ((columns.customer_id, NOBODY), (columns.store_id, ()))
    )
    quantity = _numbers(source, section, "quantity", 1.0)
    units = np.nan_to_num(quantity.values)
    by_word, of_returns = order_rows.return_rows(source, section)
    returned = (units < 0) | by_word
    if section.cancellation_prefix:
        returned |= orders.by_key(pc.starts_with(orders.texts, section.cancellation_prefix), False)
    unit_price = _numbers(source, section, "unit_price", np.nan, currency)
    line_total = _numbers(source, section, "line_total", np.nan, currency)
    amounts, priced = unit_price.values, ~np.isnan(unit_price.values)
    if columns.line_total is not None:
        of_one = line_total.values / np.where(units == 0, 1, units)
        amounts = np.where(priced, amounts, of_one)
    price, too_large = money_to_minor(amounts, currency)
    price_columns = tuple(name for name in (columns.unit_price, columns.line_total) if name)
    # Also where the units are below zero: then the money is, or both are.
    paid_back = amounts < 0
    refunds = order_rows.paid_back_rows(items.codes, price, paid_back & ~returned & ~too_large)
    returned |= refunds
    price[np.isnan(amounts) | too_large | paid_back] = UNKNOWN
    moments = _moments(source, section, config.shop.timezone)
    moments = order_rows.with_inherited_moments(orders.codes, moments)
    latest = clock.now() + clock.MICROS_PER_DAY

    def filtered() -> Bools:
        rows = np.zeros(source.n_rows, dtype=np.bool_)
        for wanted, states in ((True, section.only), (False, section.not_)):
            for name, words in states.items():
                said = order_rows.rows_saying(source, name, words, orders.codes)
                if not said.any():
                    audit.warnings.append(order_rows.unmatched_words(source, name, words))
                rows |= said != wanted
        return rows

    def other_currency() -> Bools:
        stated = _inherited(source, orders, columns_of(columns.currency))
        named = [may_be_currency(text, currency) for text in stated.texts.to_pylist()]
        in_ours = stated.by_key(np.array(named, dtype=np.bool_), False)
        return ~(in_ours | unit_price.own | line_total.own)

    def refunded() -> Bools:
        refunds = _numbers(source, section, "amount_refunded", 0.0, currency)
        back = np.abs(np.nan_to_num(refunds.values))
        line = np.nan_to_num(amounts) * units
        whole, part = order_rows.refunded_rows(orders.codes, back, line, audit.kept & ~returned)
        audit.note("partial_refund", part, columns.amount_refunded or "")
        return whole

    def unknown_item() -> Bools:
        assert catalogue_ids is not None
        in_catalogue = items.recode(catalogue_ids) != MISSING
        if audit.kept.any() and not (audit.kept & in_catalogue).any():
            codes = pd.unique(items.codes[audit.kept])[:3]
            ordered = ", ".join(map(repr, items.texts.take(pa.array(codes)).to_pylist()))
            listed = ", ".join(map(repr, catalogue_ids[:3].to_pylist()))
            raise DataError(
                f"no ordered item is in the catalogue: orders name {ordered},"
                f" the catalogue {catalogue_file} holds {listed}",
                file=source.files[0],
                column=" + ".join(columns.item_id),
            )
        return ~in_catalogue

    def repeated() -> Bools:
        # Rows that differ in what was read are no repetitions: few are compared cell by cell.
        key = orders.codes.astype(np.int64) * max(len(items.values), 1) + items.codes
        return _repeated_rows(source, key, audit.kept)

    def absurd() -> Bools:
        usable = audit.kept & ~returned & (price > 0)
        medians = medians_of(items.codes[usable], price[usable], len(items.values) + 1)
        return usable & (price > ABSURD_PRICE_RATIO * medians[items.codes])

    checks: tuple[Check, ...] = (
        ("missing_order_id", columns.order_id, lambda: orders.codes == MISSING),
        ("missing_item_id", columns.item_id, lambda: items.codes == MISSING),
        (
            "ignored_item",
            columns.item_id if section.ignore_items else None,
            lambda: items.recode(section.ignore_items) != MISSING,
        ),
        ("filtered", (*section.only, *section.not_), filtered),
        ("other_currency", price_columns, lambda: unit_price.foreign | line_total.foreign),
        ("other_currency", columns.currency, other_currency),
        ("bad_quantity", columns.quantity, lambda: quantity.bad | quantity.missing),
        ("zero_quantity", columns.quantity, lambda: units == 0),
        # No fact may hold more either.
        ("absurd_quantity", columns.quantity, lambda: np.abs(units) > LARGEST_QUANTITY),
        ("bad_price", columns.unit_price, lambda: unit_price.bad & ~returned),
        ("negative_price", columns.unit_price, lambda: (unit_price.values < 0) & ~returned),
        ("absurd_price", columns.unit_price, lambda: too_large & ~returned & priced),
        ("bad_price", columns.line_total, lambda: line_total.bad & ~returned),
        ("negative_price", columns.line_total, lambda: (amounts < 0) & ~returned),
        ("absurd_price", columns.line_total, lambda: too_large & ~returned),
        ("bad_date", columns.ordered_at, lambda: moments.bad),
        # 0 means "no time", and a clock that says 1970-01-01 was never set.
        ("impossible_date", columns.ordered_at, lambda: moments.micros <= 0),
        ("future_date", columns.ordered_at, lambda: moments.micros > latest),
        ("unknown_item", None if catalogue_ids is None else columns.item_id, unknown_item),
        # Without a quantity, two equal rows are how such a file says that two were bought.
        ("refunded", columns.amount_refunded, refunded),
        ("duplicate_line", columns.quantity and (*columns.order_id, *columns.item_id), repeated),
        ("absurd_price", price_columns, absurd),
    )
    for reason, names, rows in checks:
        if names:
            audit.leave_out(reason, rows(), names)
    if not (audit.kept & ~returned).any():
        raise DataError(
            f"no order line can be used: {audit.why_nothing_is_left() or 'all are returns'}",
            file=source.files[0],
        )
    if section.split_orders is not False:
        orders, said = order_rows.split_by_visit(
            *(orders, columns, moments),
            ((columns.store_id, "stores", stores), (columns.customer_id, "customers", customers)),
            audit.kept & ~returned,
            config.shop.timezone,
            split=section.split_orders,
        )
        audit.warnings += said
    audit.warnings += order_rows.unused_states(source, of_returns)
    discount = _numbers(source, section, "discount", 0.0)
    # Some shops write discounts as deductions.
    discount_minor, too_much = money_to_minor(np.abs(discount.values), config.shop.currency)
    missing = np.full(source.n_rows, MISSING, dtype=np.int32)
    customer = missing if customers is None else customers.codes
    guest = customer == MISSING

    def several_customers() -> Bools:
        usable = audit.kept & ~returned & ~guest
        several, _ = order_rows.differing(orders.codes, customer, usable)
        return usable & np.append(several, False)[orders.codes]

    notes: tuple[Check, ...] = (
        ("continued_row", columns.order_id, lambda: stated.codes == MISSING),
        ("return_row", tuple(of_returns), lambda: by_word),
        ("refund_row", price_columns, lambda: refunds),
        (
            "shortened_id",
            columns.item_id,
            lambda: items.by_key(pc.match_substring_regex(items.texts, CUT_SHORT), False),
        ),
        ("bad_discount", columns.discount, lambda: discount.bad | too_much),
        ("guest_line", columns.customer_id, lambda: guest),
        ("several_customers", columns.customer_id, several_customers),
        ("missing_price", price_columns, lambda: (price == UNKNOWN) & ~returned),
    )
    for what, names, rows in notes:
        if names:
            audit.note(what, rows(), names)
    chosen = slice(None) if audit.kept.all() else audit.kept
    item_ids = catalogue_ids
    if item_ids is None:
        _, item_ids = items.take(audit.kept & ~returned).by_text()
    frame = {
        "order": orders.codes,
        "item": items.codes,
        "ordered_at": moments.micros,
        "quantity": np.abs(units),
        "unit_price_minor": price,
        "returned": returned,
        "customer": customer,
        "store": missing if stores is None else stores.codes,
        "discount_minor": discount_minor,
    }
    return OrderLines(
        frame=pd.DataFrame({name: values[chosen] for name, values in frame.items()}, copy=False),
        orders=orders,
        items=items,
        customers=customers,
        stores=stores,
        item_ids=item_ids,
        timed=columns.ordered_at is not None,
    )


def _numbers(
    source: SourceTable, section: OrdersSection, field: str, otherwise: float, currency: str = ""
) -> Numbers:
    """Return the numbers of a field; where the shop has none, `otherwise` in every row."""
    column = getattr(section.columns, field)
    if column is not None:
        return read_numbers(source, column, Marks.of(section, field), currency=currency)
    nowhere = np.zeros(source.n_rows, dtype=np.bool_)
    return Numbers(np.full(source.n_rows, otherwise), nowhere, nowhere, nowhere, nowhere)


def _inherited(
    source: SourceTable, orders: Keys, names: Sequence[str], nobody: Collection[str] = ()
) -> Keys:
    """Return a key that rows may leave out where another row of their order gives it.

    `nobody`: words that are no key.
    """
    keys = read_keys(source, names)
    if nobody:
        empty = numpy_of(pc.is_in(as_words(keys.texts), pa.array(sorted(nobody))).cast(pa.uint8()))
        if empty.any():
            codes = np.where(keys.by_key(empty > 0, True), MISSING, keys.codes)
            keys = Keys(codes, keys.values)
    return Keys(order_rows.inherited(orders.codes, keys.codes), keys.values)


def _moments(source: SourceTable, section: OrdersSection, timezone: str) -> Moments:
    columns = section.columns.ordered_at
    if columns is None:
        nothing = np.zeros(source.n_rows, dtype=np.int64)
        return Moments(nothing, nothing.astype(np.bool_), nothing.astype(np.bool_))
    return read_moments(source, columns, section.date_format, timezone)


def _repeated_rows(source: SourceTable, key: Int64s, kept: Bools) -> Bools:
    """Return the kept rows of which `key` and every source cell equal an earlier kept row's."""
    repeated = np.zeros(len(key), dtype=np.bool_)
    ascending = np.sort(key[kept])
    alike = ascending[1:][ascending[1:] == ascending[:-1]]
    if len(alike):
        rows = np.flatnonzero(kept & np.isin(key, alike))
        columns = (column.take(pa.array(rows)) for column in source.table.columns)
        cells = pd.DataFrame(
            {
                # pandas compares no lists.
                number: map(str, column.to_pylist())
                if pa.types.is_nested(column.type)
                else column.to_pandas(types_mapper=pd.ArrowDtype)
                for number, column in enumerate(columns)
            }
        )
        repeated[rows] = cells.duplicated().to_numpy()
    return repeated
