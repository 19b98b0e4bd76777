"""How fast the local engine mines, beside other miners, and how much memory it takes.

    python -m tests.benchmarks.mining                      # every case
    python -m tests.benchmarks.mining --cases prod-30 retail-20 --engines local rusket
    python -m tests.benchmarks.mining --peers FOLDER       # where rusket and PyFIM are installed
    CLOCK=processor python -m tests.benchmarks.mining      # processor time, on a busy machine

Every engine runs in a process of its own, in turns, and all find the same sets of up to three
items. Times are medians (and minima) over all turns, in milliseconds; "with rules" adds the rules
of at least 5% confidence with their counts. Memory is what the run adds to the loaded baskets.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mersalg.engine.progress import SilentProgress
from mersalg.training.mining.local import LocalEngine
from mersalg.training.mining.protocol import min_count_of_support
from mersalg.training.mining.rules import at_least, rules_from_itemsets
from mersalg.training.reading.basket_files import read_baskets
from tests.benchmarks.mining_sets import Missing, generated, prepared, shared
from tests.benchmarks.mining_worker import ENGINES

_ROOT = Path(__file__).parents[2]
_MIN_COUNTS = {
    "prod": (100, 30, 10),
    "type": (779, 156),
    "retail": (20,),
    "online": (100,),
    "prod10": (300, 100),
    "quest": (300,),
    "giant": (30,),
}
CASES = {
    f"{name}-{min_count}": (name, min_count)
    for name, min_counts in _MIN_COUNTS.items()
    for min_count in min_counts
}
_SLOW = ("mlxtend fpgrowth", "mlxtend hmine", "mlxtend apriori")
_AIMS = (
    ("mlxtend fpgrowth", "with rules", 100.0),
    ("best of mlxtend", "with rules", 50.0),
    ("rusket", "mining", 2.5),
    ("PyFIM eclat", "mining", 2.0),
)
Measured = dict[str, Any]


def measure(
    engine: str, files: tuple[Path, Path], min_count: int, repeats: int, limit: float, peers: str
) -> Measured:
    """What `mining_worker` tells, or `problem`."""
    command = [sys.executable, "-m", "tests.benchmarks.mining_worker", engine, *map(str, files)]
    command += [str(min_count), str(repeats), *([peers] if peers else [])]
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"problem": f"over {limit:.0f} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"problem": lines[-1][:60] if lines else f"ended with {done.returncode}"}
    return json.loads(done.stdout)


def together(turns: list[Measured]) -> Measured:
    """Several turns of one engine on one set as one; the first problem if there is any."""
    problem = next((turn for turn in turns if "problem" in turn), None)
    if problem is not None:
        return problem
    seconds = [run for turn in turns for run in turn["seconds"]]
    totals = {
        "mining": [run["mining"] for run in seconds],
        "with rules": [run["mining"] + run.get("rules", 0.0) for run in seconds],
        "everything": [sum(run.values()) for run in seconds],
    }
    return {
        **turns[0],
        "peak_mb": max(turn["peak_mb"] for turn in turns),
        "median": {part: statistics.median(values) for part, values in totals.items()},
        "least": {part: min(values) for part, values in totals.items()},
    }


def run_case(
    case: str, engines: list[str], folder: Path, options: argparse.Namespace
) -> dict[str, Measured]:
    name, min_count = CASES[case]
    files = prepared(name, folder)
    turns: dict[str, list[Measured]] = {engine: [] for engine in engines}
    for turn in range(options.turns):
        for engine in engines:
            if turn and (engine in _SLOW or "problem" in turns[engine][0]):
                continue
            repeats = 1 if engine in _SLOW else options.repeats
            turns[engine].append(
                measure(engine, files, min_count, repeats, options.limit, options.peers)
            )
    found = {engine: together(of_engine) for engine, of_engine in turns.items()}
    print_case(case, found)
    return found


def print_case(case: str, found: dict[str, Measured]) -> None:
    print(f"\n{case}: {'/'.join(map(str, _sizes(found)))} sets")
    titles = ("mining", "with rules", "everything")
    heads = "".join(f"{title + ', median (min)':>26}" for title in titles)
    print(f"  {'':<20}{heads}{'memory':>10}{'rules':>10}")
    for engine, of_engine in found.items():
        if "problem" in of_engine:
            print(f"  {engine:<20}  {of_engine['problem']}")
            continue
        median, least = of_engine["median"], of_engine["least"]
        times = "".join(
            f"{f'{1e3 * median[part]:,.1f} ({1e3 * least[part]:,.1f})':>26}" for part in titles
        )
        rules = "" if of_engine["rules"] is None else f"{of_engine['rules']:,}"
        differs = "" if of_engine["sizes"] == _sizes(found) else f"  FOUND {of_engine['sizes']}"
        print(f"  {engine:<20}{times}{of_engine['peak_mb']:>7,.0f} MB{rules:>10}{differs}")
    for line in ratios(found):
        print(f"    {line}")


def ratios(found: dict[str, Measured]) -> list[str]:
    """What the others take, in times of what the local engine takes with rules."""
    reported = {name: of_engine for name, of_engine in found.items() if "problem" not in of_engine}
    ours = reported.get("local")
    if ours is None:
        return []
    slow = [name for name in _SLOW if name in reported]
    if slow:
        best = min(slow, key=lambda name: reported[name]["median"]["with rules"])
        reported["best of mlxtend"] = reported[best]
    lines: list[str] = []
    for name, part, aim in _AIMS:
        if name not in reported:
            continue
        theirs = reported[name]
        by_median, by_least = (
            theirs[kind][part] / ours[kind]["with rules"] for kind in ("median", "least")
        )
        memory = f"{ours['peak_mb'] / max(theirs['peak_mb'], 0.1):.2f} of its memory"
        verdict = "reached" if by_median >= aim else "NOT REACHED"
        lines.append(
            f"{by_median:,.1f}x {name} ({by_least:,.1f}x by minima; goal {aim:g}x {verdict});"
            f" {memory}"
        )
    return lines


def _sizes(found: dict[str, Measured]) -> list[int]:
    return next((of_engine["sizes"] for of_engine in found.values() if "sizes" in of_engine), [])


def giant_ratio(all_found: dict[str, dict[str, Measured]]) -> str | None:
    plain, giant = (all_found.get(case, {}).get("local") for case in ("prod-30", "giant-30"))
    if not plain or not giant:
        return None
    kinds = ("median", "least")
    by_median, by_least = (giant[k]["with rules"] / plain[k]["with rules"] for k in kinds)
    return f"one basket of 10,000 items: {by_median:.2f}x the time ({by_least:.2f}x by minima)"


def groceries() -> None:
    """The published numbers of single-consequent rules."""
    baskets, _ = read_baskets(shared("groceries/groceries.csv"))
    found = []
    for support, confidence in (("0.001", "0.8"), ("0.01", "0.5"), ("0.006", "0.25")):
        min_count = min_count_of_support(Fraction(support), baskets.n_orders)
        itemsets = LocalEngine().itemsets(baskets, min_count, 10, SilentProgress())
        reached = at_least(rules_from_itemsets(itemsets), Fraction(confidence), None)
        found.append(int(reached.sum()))
    print(f"\ngroceries: {' / '.join(map(str, found))} rules; published 410 / 15 / 463")


def linear(options: argparse.Namespace, folder: Path) -> None:
    """Time for a million generated baskets, as they become many; the threshold grows with them."""
    print("\ngenerated baskets, at least 300 of every million")
    per_million: dict[int, float] = {}
    for millions in options.millions:
        path, lines = folder / "generated.npz", folder / "generated.parquet"
        baskets = generated(millions)
        np.savez(path, indptr=baskets.indptr, items=baskets.items, n_items=baskets.n_items)
        del baskets
        few = prepared("quest", folder)[1]
        lines.unlink(missing_ok=True)
        lines.symlink_to(few)
        found = together([measure("local", (path, lines), 300 * millions, 3, 600.0, "")])
        if "problem" in found:
            print(f"  {millions} million: {found['problem']}")
            continue
        per_million[millions] = found["least"]["with rules"] / millions
        growth = per_million[millions] / next(iter(per_million.values()))
        print(
            f"  {millions:>3} million: {1e3 * found['median']['with rules']:,.0f} ms"
            f" ({1e3 * found['least']['with rules']:,.0f} least), {found['peak_mb']:,.0f} MB,"
            f" sets {'/'.join(map(str, found['sizes']))}; {growth:.2f}x the time a basket",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--engines", nargs="*", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--turns", type=int, default=3, help="times each engine has its turn")
    parser.add_argument("--repeats", type=int, default=3, help="runs in a turn")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds a turn may take")
    parser.add_argument("--peers", default="", help="folder of packages that are not installed")
    parser.add_argument("--millions", type=int, nargs="*", default=[1, 2, 5, 10])
    parser.add_argument("--folder", type=Path, help="where the sets are kept for the next time")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        every: dict[str, dict[str, Measured]] = {}
        for case in options.cases:
            try:
                every[case] = run_case(case, options.engines, folder, options)
            except Missing as missing:
                print(f"\n{case}: left out, {missing}")
            sys.stdout.flush()
        try:
            groceries()
        except Missing as missing:
            print(f"\ngroceries: left out, {missing}")
        if reported := giant_ratio(every):
            print(f"\n{reported}")
        if options.millions:
            linear(options, folder)
        if options.json:
            options.json.write_text(json.dumps(every, indent=1))


if __name__ == "__main__":
    main()
