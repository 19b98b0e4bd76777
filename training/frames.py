"""Data frames and lists as the tables and baskets that training reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from mersalg.engine.arrays import Float64s, Int64s
from mersalg.engine.config import ShopConfig, parse_config
from mersalg.engine.errors import DataError
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.engine.source_sections import CatalogueColumns
from mersalg.engine.vocabulary import StringTable
from mersalg.training.reading.basket_files import baskets_of_table
from mersalg.training.reading.dataset import Dataset, load_dataset, sources_of
from mersalg.training.reading.sources import SourceTable, single

FINE = 10_000
"""Prices of frames are compared in units this fine, whatever their currency."""
_TOO_LARGE = 1e12


def frame_of(data: Any) -> nw.DataFrame[Any]:
    """Return any frame of pandas, Polars or Arrow as a narwhals frame."""
    frame = nw.from_native(data, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, nw.DataFrame):
        raise TypeError(f"a pandas, Polars or Arrow frame is needed, not {type(data).__name__}")
    return frame


def table_of(data: Any, needed: Iterable[str]) -> pa.Table:
    """Return a frame as an Arrow table; of pandas frames without the index."""
    frame = frame_of(data)
    for name in needed:
        if name not in frame.columns:
            listed = ", ".join(map(str, frame.columns))
            raise ValueError(f"the frame has no column {name!r}; there are {listed}")
    if isinstance(data, pd.DataFrame):
        return pa.Table.from_pandas(data, preserve_index=False)
    return frame.to_arrow()


def families_and_prices(items: Any) -> tuple[NDArray[Any], Float64s]:
    """Return the family and price of each item, "" and 0 where not known."""
    table = table_of(items, ("family", "price"))
    family = np.array(
        ["" if each is None else _id_of(each) for each in table["family"].to_pylist()]
    )
    prices = [0.0 if each is None else float(each) for each in table["price"].to_pylist()]
    price = np.array(prices, dtype=np.float64)
    # What rounds to nothing, or is infinite or larger than money can be, is no price.
    return family, np.where((price * FINE >= 1) & (price < _TOO_LARGE), price, 0.0)


def is_frame(data: Any) -> bool:
    """Return whether data is a frame and not a list."""
    return isinstance(data, pd.DataFrame) or (
        not isinstance(data, (list, tuple))
        and isinstance(nw.from_native(data, pass_through=True), (nw.DataFrame, nw.LazyFrame))
    )


def baskets_of_orders(orders: Any) -> tuple[Baskets, StringTable]:
    """Return the baskets of order lines or lists, and the items they index."""
    if is_frame(orders):
        table = table_of(orders, ("order_id", "item_id"))
        both = table.select(["order_id", "item_id"]).drop_null()
        return baskets_of_table(both, "orders")
    baskets, names = baskets_of([map(_id_of, basket) for basket in _listed(orders)], True)
    return baskets, StringTable.from_texts(names or ())


def baskets_of(data: Any, use_colnames: bool) -> tuple[Baskets, Sequence[Any] | None]:
    """Return baskets, and the names of their items; None where their positions are wanted."""
    if not is_frame(data):
        rows = [set(basket) for basket in _listed(data)]
        names = sorted({item for row in rows for item in row}, key=lambda item: (str(item), item))
        number_of_name = {name: number for number, name in enumerate(names)}
        lengths = [len(row) for row in rows]
        items = np.fromiter(
            (number_of_name[item] for row in rows for item in row), np.int64, sum(lengths)
        )
        orders = np.repeat(np.arange(len(rows)), lengths)
        return Baskets.from_pairs(orders, items, len(rows), len(names)), names
    frame = data if isinstance(data, pd.DataFrame) else frame_of(data)
    orders, items, shape = _cells(frame)
    return Baskets.from_pairs(orders, items, *shape), [*frame.columns] if use_colnames else None


def _listed(baskets: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the baskets of a list, without the blanks of rows that a table has filled up.

    A text in place of a basket would be one of its letters.
    """
    if isinstance(baskets, (Mapping, np.ndarray)):
        raise TypeError(f"a frame or a list of lists is needed, not {type(baskets).__name__}")
    for basket in baskets:
        if isinstance(basket, (str, bytes)) or not isinstance(basket, Iterable):
            raise TypeError(f"each basket is a list of items, not {basket!r}")
        # What differs from itself is no number, as a blank cell of pandas.
        yield [item for item in basket if not (item is None or item is pd.NA or item != item)]


def _id_of(item: object) -> str:
    """Return an id as text: 7.0, which is 7 beside a blank cell, is 7 as in a column of orders."""
    return str(int(item) if isinstance(item, float) and item.is_integer() else item)


def _cells(data: Any) -> tuple[Int64s, Int64s, tuple[int, int]]:
    """Return row and column of each cell that is 1, and the shape of a one-hot frame."""
    kinds = data.dtypes if isinstance(data, pd.DataFrame) else ()
    if len(kinds) and all(isinstance(kind, pd.SparseDtype) for kind in kinds):
        cells = data.sparse.to_coo()
        values, rows, columns = cells.data, cells.row, cells.col
        rows, columns = rows[values != 0], columns[values != 0]
    else:
        values = data.to_numpy()
        if values.dtype == np.object_:
            values = np.where(pd.isna(values), np.nan, values)
        # Read as it is stored, most often column by column: several times as fast.
        by_column = values.flags.f_contiguous
        cells = np.flatnonzero(values.ravel("F" if by_column else "C"))
        rows, columns = np.unravel_index(cells, values.shape, "F" if by_column else "C")
    if values.dtype != np.bool_ and not np.isin(values, (0, 1)).all():
        raise ValueError("a one-hot frame holds True and False, or 1 and 0, and nothing else")
    return rows.astype(np.int64), columns.astype(np.int64), data.shape


def carts_of(carts: Any) -> Iterator[tuple[Any, list[str]]]:
    """Yield each cart's id and items."""
    if not is_frame(carts):
        for index, cart in enumerate(_listed(carts)):
            yield index, [_id_of(item) for item in cart]
        return
    table = table_of(carts, ("cart_id", "item_id"))
    carts_by_id: dict[Any, list[str]] = {}
    for cart_id, item in zip(
        table["cart_id"].to_pylist(), table["item_id"].to_pylist(), strict=True
    ):
        carts_by_id.setdefault(cart_id, []).extend([] if item is None else [_id_of(item)])
    yield from carts_by_id.items()


def dataset_of(
    orders: Any, items: Any, currency: str, settings: dict[str, Any] | None
) -> tuple[Dataset, ShopConfig]:
    """Return frames as training reads files; columns are known by the names of the fields."""
    lines = table_of(orders, ("order_id", "item_id"))
    if not lines.num_rows:
        raise DataError("there are no rows", file="orders")
    document: dict[str, Any] = {
        "shop": {"name": "in memory", "currency": currency},
        "orders": {"path": "orders"},
    }
    catalogue: SourceTable | None = None
    if items is not None:
        table = table_of(items, ("item_id",))
        others = [name for name in table.column_names if name not in CatalogueColumns.model_fields]
        document["catalogue"] = {"path": "items", "attributes": others}
        catalogue = single(table, "items")
    for name, section in (settings or {}).items():
        document[name] = {**document.get(name, {}), **section}
    config = parse_config(document, source="settings")
    sources = sources_of(config, single(lines, "orders"), catalogue)
    dataset = load_dataset(sources.config, Path(), SilentProgress(), sources=sources)
    return dataset, sources.config
