"""How often tests repeat what they draw at random: a number that fits, or a large one.

`make test` uses the usual numbers. `make soak` sets `MERSALG_THOROUGH=1`, runs the tests marked
`thorough` and uses the large ones.
"""

from __future__ import annotations

import os

THOROUGH = os.environ.get("MERSALG_THOROUGH") == "1"


def repetitions(usual: int, thorough: int) -> int:
    """Return `thorough` where the large numbers are asked for, else `usual`."""
    return thorough if THOROUGH else usual
