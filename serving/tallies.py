"""Measurements of one suggestion call: the offers it made, and the time of each of its parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from prometheus_client import Counter, Histogram


class CountTally:
    """Counts of one series, added to the counter now and then by the thread that counts."""

    __slots__ = ("_series", "n")

    def __init__(self, series: Counter) -> None:
        self._series, self.n = series, 0

    def hand_on(self) -> None:
        """Add what was counted to the series."""
        n, self.n = self.n, 0
        if n:
            self._series.inc(n)


Part = str
Lap = Callable[[Part, float, float], None]
"""Called for a part with its beginning and end, by `time.perf_counter`."""


class Laps:
    """The parts of one call, one after the other."""

    __slots__ = ("_at", "_parts", "_tell")

    def __init__(self, parts: Mapping[Part, Histogram], tell: Lap | None = None) -> None:
        self._parts, self._tell = parts, tell
        self._at = time.perf_counter()

    def lap(self, part: Part) -> None:
        """Note that the time since the last lap was spent in this part."""
        now = time.perf_counter()
        self._parts[part].observe(now - self._at)
        if self._tell is not None:
            self._tell(part, self._at, now)
        self._at = now
