"""`mersalg mine` as a whole process beside a script with rusket, from Parquet to rules or itemsets.

    python -m tests.benchmarks.mining_processes PEERS [LINES ...]

PEERS is the folder in which rusket is installed (`pip install --target PEERS rusket`). Lines, by
default 1,380,000, 10,000,000 and 50,000,000, are generated: some ten a basket, items by Zipf's law,
ids as text. The script numbers both columns by pandas' factorize and derives no rules. Both run in
turns; memory is the peak of the process. 100,000,000 lines take rusket some 13 GB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

_SHAPES = {1_380_000: (131_209, 39_000), 10_000_000: (950_000, 50_000)}
_SHARE = 0.0003
_GROUP = 1_000_000
_SCRIPT = """
import sys
import numpy as np, pandas as pd, rusket
from scipy.sparse import csr_matrix
lines = pd.read_parquet(sys.argv[1], columns=["order_id", "item_id"])
orders, _ = pd.factorize(lines["order_id"])
items, names = pd.factorize(lines["item_id"])
ones = np.ones(len(orders), dtype=np.int8)
matrix = csr_matrix((ones, (orders, items)), shape=(orders.max() + 1, len(names)))
matrix.data[:] = 1
rusket.fpgrowth(matrix, min_support=float(sys.argv[2]), max_len=3, use_colnames=False)
"""


def main() -> None:
    peers, *sizes = sys.argv[1:]
    for lines in map(int, sizes or (*_SHAPES, 50_000_000)):
        with tempfile.TemporaryDirectory(prefix="mersalg-benchmark-") as name:
            folder = Path(name)
            path = folder / "lines.parquet"
            write_lines(path, lines)
            ours = [
                "-m",
                "mersalg.serving.cli.main",
                "mine",
                str(path),
                "--min-support",
                str(_SHARE),
            ]
            theirs = ["-c", _SCRIPT, str(path), str(_SHARE)]
            for label, command in (("mersalg", ours), ("rusket", theirs)) * 2:
                wall, busy, memory = run(command, peers)
                took = f"{wall:.2f} s of the wall, {busy:.2f} s of the processors"
                print(f"{lines:,} lines, {label}: {took}, {memory:,.0f} MB", flush=True)


def write_lines(path: Path, n_lines: int) -> None:
    draw = np.random.default_rng(2)
    n_orders, n_items = _SHAPES.get(n_lines, (n_lines * 95 // 1_000, 50_000))
    writer = None
    for start in range(0, n_lines, _GROUP):
        n = min(_GROUP, n_lines - start)
        orders = np.arange(start, start + n) * n_orders // n_lines
        table = pa.table(
            {
                "order_id": _ids("order", orders),
                "item_id": _ids("item", draw.zipf(1.35, n) % n_items),
            }
        )
        writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _ids(kind: str, numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(kind, pa.array(numbers).cast(pa.string()), "-")


def run(command: list[str], peers: str) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak megabytes of a process of its own."""
    path = os.pathsep.join([peers, os.environ.get("PYTHONPATH", str(Path.cwd()))])
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:3]} ended with {process.returncode}")
    wall = time.perf_counter() - begun
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


if __name__ == "__main__":
    main()
