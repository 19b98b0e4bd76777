"""How long the files of shops take to read, check and clean, beside reading their columns alone.

    python -m tests.benchmarks.reading [ROUNDS]

Online Retail and retail.dat of the shared data sets, and the whole of Complete Journey; sets that
are not there are left out. Processor time, so that what else runs on the machine counts less.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from mersalg.engine.config import load_config
from mersalg.engine.progress import SilentProgress
from mersalg.training.reading.basket_files import read_baskets
from mersalg.training.reading.dataset import load_dataset
from mersalg.training.simulation.complete_journey import write_shop
from tests.benchmarks.mining_sets import Missing, shared
from tests.benchmarks.side_by_side import in_turns, print_ratio
from tests.support.shops import online_retail_config


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory(prefix="mersalg-benchmark-") as folder:
        for case in (online_retail, basket_file, complete_journey):
            try:
                case(Path(folder), rounds)
            except (Missing, ModuleNotFoundError) as missing:
                print(f"{case.__name__}: left out, {missing}")


def compare(
    label: str, rounds: int, ours: Callable[[], object], floor: Callable[[], object], goal: float
) -> None:
    def processor_seconds(work: Callable[[], object]) -> float:
        begun = time.process_time()
        work()
        return time.process_time() - begun

    processor_seconds(ours)  # what is compiled and imported once is no part of it
    own, other = in_turns(rounds, lambda: processor_seconds(ours), lambda: processor_seconds(floor))
    print_ratio(label, own, other, "the columns alone", goal)


def online_retail(folder: Path, rounds: int) -> None:
    del folder
    lines = shared("online_retail/online_retail.parquet")
    compare(
        "Online Retail as a shop",
        rounds,
        lambda: load_dataset(*online_retail_config(), SilentProgress()),
        lambda: pd.read_parquet(lines),
        30,
    )


def basket_file(folder: Path, rounds: int) -> None:
    del folder
    path = shared("fimi_retail/retail.dat")
    compare(
        "retail.dat as baskets",
        rounds,
        lambda: read_baskets(path),
        lambda: [[int(item) for item in line.split()] for line in path.read_text().splitlines()],
        0.5,
    )


def complete_journey(folder: Path, rounds: int) -> None:
    shop = write_shop(folder / "journey")
    compare(
        "Complete Journey as a shop",
        rounds,
        lambda: load_dataset(load_config(shop), shop.parent, SilentProgress()),
        lambda: pd.read_parquet(shop.parent / "orders.parquet"),
        50,
    )


if __name__ == "__main__":
    main()
