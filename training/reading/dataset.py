"""A shop's orders and catalogue, read, checked and mapped to dense integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from mersalg.engine import clock
from mersalg.engine.arrays import Bools, Int32s, Int64s
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.config import ShopConfig
from mersalg.engine.errors import ConfigError, DataError
from mersalg.engine.live_catalogue import LiveCatalogue
from mersalg.engine.live_items import LiveItem
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import Progress
from mersalg.engine.vocabulary import StringTable
from mersalg.engine.words import counted
from mersalg.training.keyed import medians_of
from mersalg.training.reading import catalogue_file, order_lines
from mersalg.training.reading.arrow import pc
from mersalg.training.reading.keys import MISSING, Keys, first_of_order, string_table
from mersalg.training.reading.order_lines import OrderLines
from mersalg.training.reading.returns import subtract_returns
from mersalg.training.reading.sources import (
    SourceTable,
    names_of,
    read_source,
    require_columns,
    with_own_names,
)
from mersalg.training.reading.survey import perhaps_nobody, unused_fields, written_alike
from mersalg.training.reading.validation import DataQuality, RowAudit


@dataclass(frozen=True, slots=True)
class Dataset:
    """Everything training learns from."""

    catalogue: Catalogue
    """All items; `item` below is a position in it."""
    lines: pd.DataFrame
    """One order line a row, sorted by order and item: order (int64), item (int32), customer (int64,
    -1 unknown), ordered_at (int64 micros UTC, 0 where the shop gives no time), quantity (float64, >
    0), unit_price_minor (int64, -1 unknown), discount_minor (int64), store (int32, -1 unknown)."""
    ordered_at: Int64s
    """(n_orders,): the earliest time of an order's lines."""
    customer: Int64s
    """(n_orders,): -1 where unknown."""
    order_ids: StringTable
    customer_ids: StringTable
    store_ids: StringTable
    """`order_ids`, `customer_ids`, `store_ids`: external ids by dense number. Orders are numbered
    in time order (then by id), without times in the order of the file."""
    baskets: Baskets
    """The distinct items of each order."""
    quality: DataQuality
    """What was left out, and why."""

    @property
    def n_orders(self) -> int:
        """Number of orders."""
        return len(self.ordered_at)

    def select_orders(self, chosen: Bools | Int64s) -> Dataset:
        """Return the orders of a mask (n_orders,) or at positions, numbered again in that sequence.

        Catalogue, customers, stores and quality stay those of the whole.
        """
        orders = np.asarray(chosen)
        positions = (
            np.flatnonzero(orders) if orders.dtype == np.bool_ else np.unique(orders)
        ).astype(np.int64)
        number = np.full(self.n_orders, MISSING, dtype=np.int64)
        number[positions] = np.arange(len(positions))
        renumbered = number[self.lines["order"].to_numpy()]
        lines = self.lines[renumbered != MISSING].reset_index(drop=True)
        lines["order"] = renumbered[renumbered != MISSING]
        texts = list(self.order_ids)
        return replace(
            self,
            lines=lines,
            ordered_at=self.ordered_at[positions],
            customer=self.customer[positions],
            order_ids=StringTable.from_texts([texts[order] for order in positions.tolist()]),
            baskets=self.baskets.take(positions),
        )


@dataclass(frozen=True, slots=True)
class Sources:
    """The rows of a shop, as they were found; `catalogue` is None where it has none.

    `config` is the shop's, with the columns that are used by their own names.
    """

    config: ShopConfig
    orders: SourceTable
    catalogue: SourceTable | None
    items: Mapping[str, LiveItem] = field(default_factory=dict[str, LiveItem])
    """What is stated of items since, by id."""


def read_sources(config: ShopConfig, folder: Path, progress: Progress) -> Sources:
    """Read the rows of the catalogue and the orders; raises as `load_dataset`."""
    catalogue = None
    if config.catalogue is not None:
        with progress.task("Reading the catalogue"):
            catalogue = read_source(config.catalogue, folder)
    with progress.task("Reading orders"):
        return sources_of(config, read_source(config.orders, folder), catalogue)


def sources_of(config: ShopConfig, orders: SourceTable, catalogue: SourceTable | None) -> Sources:
    """Return rows with the columns that bear a field's own name; raises as `load_dataset`."""
    sections: dict[str, Any] = {}
    if (section := config.catalogue) is not None and catalogue is not None:
        columns, catalogue = with_own_names(section.columns, catalogue, section.attributes)
        sections["catalogue"] = section.model_copy(update={"columns": columns})
        needed = [*names_of(columns.model_dump()), *section.attributes]
        require_columns(catalogue.table.column_names, needed, catalogue.files[0])
    section = config.orders
    filters = order_lines.filter_columns(section)
    columns, orders = with_own_names(section.columns, orders, filters)
    sections["orders"] = section.model_copy(update={"columns": columns})
    needed = [*names_of(columns.model_dump()), *filters]
    require_columns(orders.table.column_names, needed, orders.files[0])
    if config.training.half_life_days is not None and columns.ordered_at is None:
        raise ConfigError("training.half_life_days needs orders.columns.ordered_at")
    return Sources(config.model_copy(update=sections), orders, catalogue)


def load_dataset(
    config: ShopConfig, folder: Path, progress: Progress, *, sources: Sources | None = None
) -> Dataset:
    """Read what a shop file describes; relative data paths start in its `folder`.

    `sources`: its rows, where they were read before.

    Raises
    ------
    ConfigError
        The database of the shop file cannot be used.
    DataError
        A file or column is missing, or nothing useful remains.
    """
    sources = sources or read_sources(config, folder, progress)
    config, source = sources.config, sources.orders
    catalogue, catalogue_quality, catalogue_name = None, None, ""
    if config.catalogue is not None and sources.catalogue is not None:
        with progress.task("Checking the catalogue"):
            audit = RowAudit(sources.catalogue)
            catalogue = catalogue_file.read_catalogue(
                config.catalogue, sources.catalogue, audit, config.shop.currency
            )
            catalogue = _with_items(catalogue, sources.items)
            audit.warnings += unused_fields(
                "catalogue", config.catalogue.columns, sources.catalogue
            )
            catalogue_quality, catalogue_name = audit.quality(), sources.catalogue.files[0]
    with progress.task("Checking order lines"):
        audit = RowAudit(source)
        item_ids = None
        if catalogue is not None:
            item_ids = pa.array(list(catalogue.items.ids), pa.large_string())
        lines = order_lines.read_order_lines(config, source, audit, item_ids, catalogue_name)
        audit.warnings += unused_fields("orders", config.orders.columns, source)
        of_items = lines.items.texts
        audit.warnings += written_alike(
            "item ids", of_items, of_items if item_ids is None else item_ids
        )
        if lines.customers is not None:
            audit.warnings += written_alike("customer ids", lines.customers.texts)
            audit.warnings += perhaps_nobody(lines.customers, lines.frame["customer"].to_numpy())
    with progress.task("Matching returns"):
        purchases, returns = subtract_returns(lines.frame, lines.orders.texts, timed=lines.timed)
        if not len(purchases):
            raise DataError("no order is left: every line was returned", file=source.files[0])
    with progress.task("Numbering orders"):
        if catalogue is None:
            catalogue = catalogue_file.catalogue_of_ids(lines.item_ids, config.shop.currency)
            catalogue = _with_items(catalogue, sources.items)
        item_codes = replace(lines.items, codes=purchases["item"].to_numpy())
        purchases["item"] = item_codes.recode(lines.item_ids)
        catalogue = with_order_prices(catalogue, purchases, timed=lines.timed)
        quality = DataQuality(audit.quality(len(purchases)), catalogue_quality, returns)
        return _numbered(catalogue, purchases, lines, quality)


def _with_items(catalogue: Catalogue, items: Mapping[str, LiveItem]) -> Catalogue:
    """Return a catalogue with what is stated of its items since, and with new ones."""
    if not items:
        return catalogue
    live = LiveCatalogue(catalogue)
    live.take(items)
    return live.catalogue()


def usual_prices(dataset: Dataset, least_lines: int = 1) -> Int64s:
    """Return the median unit price paid for each item, minor units; int64 (n_items,).

    UNKNOWN where fewer than `least_lines` lines say what was paid.
    """
    n_items = len(dataset.catalogue)
    item, paid = (dataset.lines[name].to_numpy() for name in ("item", "unit_price_minor"))
    item, paid = item[paid > 0], paid[paid > 0]
    is_frequent = np.bincount(item, minlength=n_items) >= least_lines
    medians = medians_of(item, paid, n_items)
    return np.rint(np.where(is_frequent, medians, UNKNOWN)).astype(np.int64)


def with_order_prices(catalogue: Catalogue, purchases: pd.DataFrame, *, timed: bool) -> Catalogue:
    """Return the catalogue with the median unit price of recent orders where it gives no price.

    Recent: the later half of the item's lines, so that a price raised last month is not averaged
    with last year's; all lines where the shop gives no times. `purchases` holds item (positions in
    the catalogue), ordered_at and unit_price_minor.
    """
    item, price = (purchases[name].to_numpy() for name in ("item", "unit_price_minor"))
    rows = np.flatnonzero((price > 0) & (catalogue.price_minor == UNKNOWN)[item])
    if timed and len(rows):
        moments = purchases["ordered_at"].to_numpy()[rows]
        rows = rows[moments >= medians_of(item[rows], moments, len(catalogue))[item[rows]]]
    medians = medians_of(item[rows], price[rows], len(catalogue))
    prices = np.where(np.isnan(medians), catalogue.price_minor, np.rint(np.nan_to_num(medians)))
    return replace(catalogue, price_minor=prices.astype(np.int64))


def _numbered(
    catalogue: Catalogue, purchases: pd.DataFrame, lines: OrderLines, quality: DataQuality
) -> Dataset:
    """Return number orders, customers and stores so that the order of the rows does not matter."""
    codes = purchases["order"].to_numpy()
    n_codes, moments = len(lines.orders.values), purchases["ordered_at"].to_numpy()
    # Read backwards, the first row of an order is the last one written.
    first_row = np.full(n_codes, MISSING, dtype=np.int64)
    first_row[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    present = np.flatnonzero(first_row != MISSING)
    texts = lines.orders.texts.take(pa.array(present))
    earliest = np.full(n_codes, np.iinfo(np.int64).max)
    np.minimum.at(earliest, codes, moments)
    earliest = earliest[present]
    if lines.timed:
        by_text = pc.array_sort_indices(texts).to_numpy().astype(np.int64)
        sequence = by_text[np.argsort(earliest[by_text], kind="stable")]
    else:
        sequence = np.argsort(first_row[present])
    number = np.empty(n_codes, dtype=np.int64)
    number[present[sequence]] = np.arange(len(present))
    customer, customer_ids = _dense(purchases["customer"].to_numpy(), lines.customers)
    store, store_ids = _dense(purchases["store"].to_numpy(), lines.stores)
    columns = {
        "order": number[codes],
        "item": purchases["item"].to_numpy(),
        "customer": customer.astype(np.int64),
        "ordered_at": moments,
        "quantity": purchases["quantity"].to_numpy(),
        "unit_price_minor": purchases["unit_price_minor"].to_numpy(),
        "discount_minor": purchases["discount_minor"].to_numpy(),
        "store": store,
    }
    rows = _in_sequence(columns, len(catalogue))
    frame = pd.DataFrame({name: values[rows] for name, values in columns.items()}, copy=False)
    orders = frame["order"].to_numpy()
    return Dataset(
        catalogue=catalogue,
        lines=frame,
        ordered_at=earliest[sequence],
        customer=first_of_order(orders, frame["customer"].to_numpy()),
        order_ids=string_table(texts.take(pa.array(sequence))),
        customer_ids=customer_ids,
        store_ids=store_ids,
        baskets=Baskets.from_pairs(orders, frame["item"].to_numpy(), len(present), len(catalogue)),
        quality=quality,
    )


def _dense(codes: Int32s, keys: Keys | None) -> tuple[Int32s, StringTable]:
    """Return codes into the sorted texts of the keys in use, MISSING where there is none."""
    if keys is None:
        return codes, StringTable.from_texts([])
    dense, texts = Keys(codes, keys.values).take(np.ones(len(codes), dtype=np.bool_)).by_text()
    return dense, string_table(texts)


def _in_sequence(columns: Mapping[str, NDArray[Any]], n_items: int) -> Int64s:
    """Return the rows by order and item, then by whatever tells two lines apart."""
    key = columns["order"] * n_items + columns["item"]
    rows = np.argsort(key)
    ascending = key[rows]
    tied = ascending[1:] == ascending[:-1]
    among = np.append(tied, False) | np.append(False, tied)
    some = rows[among]
    ties = ("discount_minor", "unit_price_minor", "quantity", "ordered_at", "customer", "store")
    rows[among] = some[np.lexsort((*(columns[name][some] for name in ties), key[some]))]
    return rows


def split_by_time(dataset: Dataset, test_share: float) -> tuple[Dataset, Dataset]:
    """Return (train, test): test is the last `test_share` of the time span, or of the orders.

    Whichever begins later: a shop that grew fast has most of its orders in its last weeks, and
    would otherwise learn from the few early ones. Where the shop gives no times it is the last
    `test_share` of the orders, at least one.

    Raises DataError: one side would be empty.
    """
    moments = dataset.ordered_at
    if not len(moments):
        raise DataError("there are no orders to split")
    if not moments.any():
        n_test = max(round(dataset.n_orders * test_share), 1)
        return _parted(dataset, np.arange(dataset.n_orders) >= dataset.n_orders - n_test, "")
    first, last = int(moments.min()), int(moments.max())
    by_count = int(moments[-max(round(len(moments) * test_share), 1)])
    return split_at(dataset, max(last - round((last - first) * test_share), by_count))


def split_at(dataset: Dataset, micros: int) -> tuple[Dataset, Dataset]:
    """(orders before the instant, orders from it on).

    Raises DataError: one side would be empty.
    """
    return _parted(dataset, dataset.ordered_at >= micros, f" at {clock.to_iso(micros)}")


def _parted(dataset: Dataset, later: np.ndarray, where: str) -> tuple[Dataset, Dataset]:
    if later.all() or not later.any():
        raise DataError(
            f"{counted(dataset.n_orders, 'order')} cannot be split in time{where}: one side"
            " would be empty"
        )
    return dataset.select_orders(~later), dataset.select_orders(later)
