"""`mersalg.fpgrowth` and `association_rules` beside those of mlxtend, on one frame in the same run.

    python -m tests.benchmarks.frequent_patterns [ROUNDS]

The one-hot frame has the shape of mlxtend's own speed test (`speedtests/apriori.py`, `realistic`):
10,000 baskets of 240 items in groups of six; each basket takes two to six items of five groups.
Sets of up to four items in 3% of the baskets are mined; rules are those of 50% confidence.
Processor time, so that what else runs on the machine counts less.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd
from mlxtend.frequent_patterns import apriori
from mlxtend.frequent_patterns import association_rules as rules_of_mlxtend
from mlxtend.frequent_patterns import fpgrowth as fpgrowth_of_mlxtend

import mersalg

_BASKETS, _GROUPS, _OF_GROUP, _TAKEN = 10_000, 40, 6, 5
_SUPPORT, _LONGEST, _CONFIDENCE = 0.03, 4, 0.5
Miner = Callable[..., pd.DataFrame]


def one_hot() -> pd.DataFrame:
    """Return the baskets: of each group taken, items of the lowest draws."""
    draw = np.random.default_rng(123)
    shape = (_BASKETS, _GROUPS, _OF_GROUP)
    taken = draw.random(shape[:2]).argsort(axis=1) < _TAKEN
    n_items = draw.integers(2, _OF_GROUP + 1, shape[:2]) * taken
    items = draw.random(shape).argsort(axis=2) < n_items[:, :, None]
    names = [f"i{item}" for item in range(_GROUPS * _OF_GROUP)]
    return pd.DataFrame(items.reshape(_BASKETS, -1), columns=names)


BASKETS = one_hot()
SIDES: dict[str, tuple[Miner, Miner]] = {
    "mersalg": (mersalg.fpgrowth, mersalg.association_rules),
    "mlxtend, fpgrowth": (fpgrowth_of_mlxtend, rules_of_mlxtend),
    "mlxtend, apriori": (apriori, rules_of_mlxtend),
}


def measure(miner: Miner, rules_of: Miner) -> tuple[float, float, tuple[int, int]]:
    """Return the seconds of the sets and of the rules, and how many there are of each."""
    begun = time.process_time()
    sets = miner(BASKETS, min_support=_SUPPORT, use_colnames=True, max_len=_LONGEST)
    between = time.process_time()
    rules = rules_of(sets, metric="confidence", min_threshold=_CONFIDENCE)
    return between - begun, time.process_time() - between, (len(sets), len(rules))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    measure(*SIDES["mersalg"])  # what is imported once is no part of it
    turns = [{name: measure(*side) for name, side in SIDES.items()} for _ in range(rounds)]
    sizes = {sizes for turn in turns for _, _, sizes in turn.values()}
    if len(sizes) > 1:
        raise SystemExit(f"the sides find different numbers of sets and rules: {sizes}")
    print("{:,} sets, {:,} rules; milliseconds, in times of mersalg's".format(*sizes.pop()))
    for name in SIDES:
        cells = [f"{name:20}"]
        for what, of in (("sets", lambda m: m[0]), ("sets and rules", lambda m: m[0] + m[1])):
            theirs, ours = (median(of(turn[each]) for turn in turns) for each in (name, "mersalg"))
            cells.append(f"{what} {1e3 * theirs:8,.1f} ({theirs / ours:,.1f}x)")
        print("   ".join(cells))


if __name__ == "__main__":
    main()
