"""One engine on one set, in a process of its own so that its memory can be told."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from tests.benchmarks.mining_sets import load

CONFIDENCE = "0.05"
MAX_LENGTH = 3

Step = Callable[[], Any]
Run = dict[str, Any]
"""`seconds` by part, the number of sets by `sizes`, and of `rules`."""


def local(baskets: Baskets, lines: Path, min_count: int) -> Run:
    from mersalg.training.mining.local import LocalEngine
    from mersalg.training.mining.rules import at_least, rules_from_itemsets

    del lines
    engine, least = LocalEngine(), Fraction(CONFIDENCE)
    mining, itemsets = _timed(
        lambda: engine.itemsets(baskets, min_count, MAX_LENGTH, SilentProgress())
    )

    def rules() -> RuleTable:
        every = rules_from_itemsets(itemsets)
        return every.take(np.flatnonzero(at_least(every, least, None)))

    ruling, table = _timed(rules)
    sizes = [len(counts) for counts in itemsets.counts]
    return {"seconds": {"mining": mining, "rules": ruling}, "sizes": sizes, "rules": len(table)}


def local_tests(baskets: Baskets, lines: Path, min_count: int) -> Run:
    """All rules, and every test of them."""
    from mersalg.training.mining.local import LocalEngine
    from mersalg.training.mining.search import mine_rules

    del lines
    seconds, mined = _timed(
        lambda: mine_rules(
            baskets,
            LocalEngine(),
            min_count=min_count,
            max_length=MAX_LENGTH,
            progress=SilentProgress(),
        )
    )
    sizes = [len(counts) for counts in mined.itemsets.counts]
    return {"seconds": {"mining": seconds}, "sizes": sizes, "rules": len(mined.every)}


def local_lines(baskets: Baskets, lines: Path, min_count: int) -> Run:
    """From order lines in a Parquet file."""
    from mersalg.training.reading.basket_files import read_baskets

    del baskets
    reading, (read, _) = _timed(lambda: read_baskets(lines))
    run = local(read, lines, min_count)
    return {**run, "seconds": {"reading": reading, **run["seconds"]}}


def mlxtend(baskets: Baskets, lines: Path, min_count: int, algorithm: str) -> Run:
    """The frame, of frequent items alone, is made beforehand."""
    import pandas as pd
    from mlxtend import frequent_patterns
    from scipy.sparse import csr_matrix

    del lines
    ones = np.ones(len(baskets.items), dtype=np.bool_)
    shape = (baskets.n_orders, baskets.n_items)
    matrix = csr_matrix((ones, baskets.items, baskets.indptr), shape=shape)
    matrix = matrix[:, np.flatnonzero(baskets.item_counts() >= min_count)]
    frame = pd.DataFrame.sparse.from_spmatrix(matrix)
    options = {"min_support": (min_count - 0.5) / baskets.n_orders, "max_len": MAX_LENGTH}
    if algorithm == "apriori":
        options["low_memory"] = True
        # Apriori on a sparse frame wants names that are texts.
        frame.columns = [str(name) for name in frame.columns]
    mining, found = _timed(lambda: getattr(frequent_patterns, algorithm)(frame, **options))
    ruling, table = _timed(
        lambda: frequent_patterns.association_rules(
            found, metric="confidence", min_threshold=float(CONFIDENCE)
        )
    )
    single = int((table["consequents"].map(len) == 1).sum())
    sizes = np.bincount(found["itemsets"].map(len), minlength=MAX_LENGTH + 1)[1:].tolist()
    return {"seconds": {"mining": mining, "rules": ruling}, "sizes": sizes, "rules": single}


def rusket(baskets: Baskets, lines: Path, min_count: int) -> Run:
    import rusket as library
    from scipy.sparse import csr_matrix

    del lines
    ones = np.ones(len(baskets.items), dtype=np.int8)
    shape = (baskets.n_orders, baskets.n_items)
    matrix = csr_matrix((ones, baskets.items, baskets.indptr), shape=shape)
    support = (min_count - 0.5) / baskets.n_orders
    mining, found = _timed(
        lambda: library.fpgrowth(
            matrix, min_support=support, max_len=MAX_LENGTH, use_colnames=False
        )
    )
    lengths = np.array([len(items) for items in found["itemsets"]])
    sizes = np.bincount(lengths, minlength=MAX_LENGTH + 1)[1:].tolist()
    return {"seconds": {"mining": mining}, "sizes": sizes, "rules": None}


def pyfim(baskets: Baskets, lines: Path, min_count: int) -> Run:
    import fim

    del lines
    building, orders = _timed(
        lambda: [part.tolist() for part in np.split(baskets.items, baskets.indptr[1:-1])]
    )
    mining, found = _timed(
        lambda: fim.eclat(orders, target="s", supp=-min_count, zmax=MAX_LENGTH, report="a")
    )
    sizes = np.bincount([len(items) for items, _ in found], minlength=MAX_LENGTH + 1)[1:].tolist()
    return {"seconds": {"lists": building, "mining": mining}, "sizes": sizes, "rules": None}


ENGINES: dict[str, tuple[str, Callable[[Baskets, Path, int], Run]]] = {
    "local": ("numpy", local),
    "local, from lines": ("numpy", local_lines),
    "local, all tests": ("numpy", local_tests),
    "mlxtend fpgrowth": ("mlxtend", lambda *asked: mlxtend(*asked, "fpgrowth")),
    "mlxtend hmine": ("mlxtend", lambda *asked: mlxtend(*asked, "hmine")),
    "mlxtend apriori": ("mlxtend", lambda *asked: mlxtend(*asked, "apriori")),
    "rusket": ("rusket", rusket),
    "PyFIM eclat": ("fim", pyfim),
}
"""The module each engine needs, and how it is run."""


def _timed(step: Step) -> tuple[float, Any]:
    clock = time.process_time if os.environ.get("CLOCK") == "processor" else time.perf_counter
    start = clock()
    result = step()
    return clock() - start, result


def _memory(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main() -> None:
    name, csr, lines, min_count, repeats = sys.argv[1:6]
    sys.path += sys.argv[6:]
    warnings.simplefilter("ignore")
    module, run = ENGINES[name]
    try:
        __import__(module)
    except ImportError:
        print(json.dumps({"problem": "not installed"}))
        return
    baskets = load(Path(csr))
    # What must be loaded or compiled is loaded before memory and time are taken.
    few = baskets.take(np.arange(min(300, baskets.n_orders), dtype=np.int64))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "few.parquet"
        pq.write_table(pq.ParquetFile(lines).read_row_group(0).slice(0, 2_000), path)
        run(few, path, 5)
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory("VmRSS")
    runs = [run(baskets, Path(lines), int(min_count)) for _ in range(int(repeats))]
    answer = {
        **runs[0],
        "seconds": [run["seconds"] for run in runs],
        "peak_mb": max(0.0, _memory("VmHWM") - before),
        "version": version({"fim": "pyfim"}.get(module, module)),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
