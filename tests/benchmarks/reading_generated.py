"""How long order lines take to read, check and number, and in how much memory, as they grow.

    python -m tests.benchmarks.reading_generated [MILLIONS ...]

Generated lines, by default 1 and 10 million: ten a basket, items and customers by Zipf's law, ids
as text in Parquet. Each size is read by a process of its own; seconds are of its processor.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from mersalg.engine.config import load_config
from mersalg.engine.progress import SilentProgress
from mersalg.training.reading.dataset import load_dataset

_GROUP = 1_000_000
_START, _SECOND = 1_700_000_000, 1_000_000
_SHOP = """
[shop]
name = "Generated"
currency = "NOK"
timezone = "Europe/Oslo"
[orders]
path = "orders.parquet"
[orders.columns]
order_id = "order_id"
customer_id = "customer_id"
ordered_at = "ordered_at"
item_id = "item_id"
quantity = "quantity"
unit_price = "unit_price"
"""


def main() -> None:
    if sys.argv[1:2] == ["--read"]:
        read(Path(sys.argv[2]))
        return
    for millions in map(int, sys.argv[1:] or ("1", "10")):
        with tempfile.TemporaryDirectory(prefix="mersalg-benchmark-") as folder:
            write_lines(Path(folder), millions)
            command = [sys.executable, "-m", "tests.benchmarks.reading_generated", "--read", folder]
            print(f"{millions} million lines: ", end="", flush=True)
            subprocess.run(command, check=True)


def write_lines(folder: Path, millions: int) -> None:
    draw = np.random.default_rng(1)
    (folder / "shop.toml").write_text(_SHOP)
    writer = None
    for group in range(millions):
        orders = (np.arange(_GROUP) + group * _GROUP) // 10
        at = (_START + orders * 10) * _SECOND
        table = pa.table(
            {
                "order_id": _ids("order", orders),
                "customer_id": _ids("customer", draw.zipf(1.2, _GROUP // 10) % 1_000_003).take(
                    pa.array(np.arange(_GROUP) // 10)
                ),
                "ordered_at": pa.array(at).cast(pa.timestamp("us")),
                "item_id": _ids("item", draw.zipf(1.2, _GROUP) % 40_009),
                "quantity": draw.integers(1, 4, _GROUP),
                "unit_price": draw.integers(100, 9_900, _GROUP) / 100,
            }
        )
        writer = writer or pyarrow.parquet.ParquetWriter(folder / "orders.parquet", table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _ids(kind: str, numbers: np.ndarray) -> pa.Array:
    texts = pa.array(numbers).cast(pa.string())
    return pa.compute.binary_join_element_wise(kind, texts, "-")


def read(folder: Path) -> None:
    begun = time.process_time()
    dataset = load_dataset(load_config(folder / "shop.toml"), folder, SilentProgress())
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{seconds:.1f} s, {peak:.2f} GB, {dataset.n_orders:,} orders")


if __name__ == "__main__":
    main()
