"""Numbers of the hot path: kept in plain Python, handed to Prometheus now and then.

A histogram shared by several processes takes 2 us an observation, a tally a quarter of one. A tally
belongs to one thread, that of the event loop, which also hands it on.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping

from prometheus_client import Counter, Histogram


class CountTally:
    """Counts for one series of a counter."""

    __slots__ = ("_series", "n")

    def __init__(self, series: Counter) -> None:
        self._series, self.n = series, 0

    def hand_on(self) -> None:
        n, self.n = self.n, 0
        if n:
            self._series.inc(n)


class TimeTally:
    """Observations, in seconds, for one series of a histogram."""

    __slots__ = ("_bounds", "_counts", "_series", "_sum")

    def __init__(self, series: Histogram) -> None:
        self._series = series
        # The library has no public way to add several observations at once.
        self._bounds: list[float] = list(series._upper_bounds)
        self._counts, self._sum = [0] * len(self._bounds), 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def hand_on(self) -> None:
        counts, total = self._counts, self._sum
        self._counts, self._sum = [0] * len(counts), 0.0
        for bucket, n in zip(self._series._buckets, counts, strict=True):
            if n:
                bucket.inc(n)
        if any(counts):
            self._series._sum.inc(total)


Part = str
Lap = Callable[[Part, float, float], None]
"""Told of a part with its beginning and end, by `time.perf_counter`."""


class Laps:
    """The parts of one call, one after the other."""

    __slots__ = ("_at", "_parts", "_tell")

    def __init__(self, parts: Mapping[Part, TimeTally], tell: Lap | None = None) -> None:
        self._parts, self._tell = parts, tell
        self._at = time.perf_counter()

    def lap(self, part: Part) -> None:
        """What was done since the last lap was this part."""
        now = time.perf_counter()
        self._parts[part].observe(now - self._at)
        if self._tell is not None:
            self._tell(part, self._at, now)
        self._at = now
