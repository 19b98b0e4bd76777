"""How often tests repeat what they draw at random.

`MERSALG_TEST_EFFORT` is `usual` (`make test`), `fast` (`make fast`: a tenth of it) or `thorough`
(`make soak`, for the tests marked `thorough`: the large numbers).
"""

from __future__ import annotations

import os

EFFORT = os.environ.get("MERSALG_TEST_EFFORT", "usual")
MIN = 3

if EFFORT not in {"fast", "usual", "thorough"}:
    raise ValueError(f"MERSALG_TEST_EFFORT is {EFFORT!r}; it takes fast, usual or thorough")


def repetitions(usual: int, thorough: int | None = None) -> int:
    """Return how often to repeat: `usual`, or what the effort asked for makes of it.

    `thorough` is four times the usual number if not given.
    """
    if EFFORT == "fast":
        return max(MIN, usual // 10)
    if EFFORT == "thorough":
        return 4 * usual if thorough is None else thorough
    return usual
