"""Metrics of the service, for Prometheus."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import (
    MultiProcessCollector,
    mark_process_dead,  # pyright: ignore[reportUnknownVariableType]
)

from mersalg.engine.facts import Arm, Kind, Tracking


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

    __slots__ = ("_at", "_listener", "_parts")

    def __init__(self, parts: Mapping[Part, Histogram], listener: Lap | None = None) -> None:
        self._parts, self._listener = parts, listener
        self._at = time.perf_counter()

    def lap(self, part: Part) -> None:
        """Note that the time since the last lap was spent in this part."""
        now = time.perf_counter()
        self._parts[part].observe(now - self._at)
        if self._listener is not None:
            self._listener(part, self._at, now)
        self._at = now


SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Names a folder where the workers of one service keep their numbers, to be added up."""

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_PARTS_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, *_FAST)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

PARTS = ("parse", "look_ups", "decide", "record", "answer")
"""Of a suggestion call, in their order."""

REASONS = (
    "no_model",  # none is published, or none could be loaded
    "decide_failure",  # an error of ours; it is logged
    "paused",  # by the guardrail, or somebody
    "database_away",  # known to be away: nothing was looked up in it
    "deadline",  # it did not answer in time
    "deferred",  # the decision waits in the spool
    "off",  # the decision is kept nowhere
)
"""Why a suggestion call got less than it could have; several may hold."""


class Metrics:
    """One an application, with a registry of its own."""

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        named: dict[str, Any] = {"registry": own, "namespace": "mersalg"}
        count, times = partial(Counter, **named), partial(Histogram, **named)
        # A gauge is of all workers together: the greatest of them, or as it says.
        gauge = partial(Gauge, **named, multiprocess_mode="livemax")
        newest = partial(Gauge, **named, multiprocess_mode="livemostrecent")
        self.requests = count("requests", "Answers given", ("route", "method", "status"))
        self.request_seconds = times("request_seconds", "Time to answer", ("route",), buckets=_FAST)
        decisions = count("decisions", "Suggestion calls by where their fact went", ("tracking",))
        self.decisions = {where: decisions.labels(where) for where in get_args(Tracking)}
        offers = count(
            "offers",
            "Offers made, by kind and arm; those of the control arm are withheld",
            ("kind", "arm"),
        )
        self.offers = {
            (kind, arm): CountTally(offers.labels(kind, arm))
            for kind in get_args(Kind)
            for arm in get_args(Arm)
        }
        self.unknown_items = count(
            "unknown_items", "Items of carts that the model does not know, each once a call"
        )
        degraded = count(
            "degraded",
            "Suggestion calls that got less than they could have, by reason",
            ("reason",),
        )
        self.degraded = {reason: degraded.labels(reason) for reason in REASONS}
        parts = times(
            "part_seconds",
            "Time of one part of a suggestion call",
            ("part",),
            buckets=_PARTS_BUCKETS,
        )
        self._parts = {part: parts.labels(part) for part in PARTS}
        self.part_listener: Lap | None = None
        """Hears of every part too, where calls are traced."""
        self.events = count("events", "Facts sent by shops", ("result",))
        self.unknown_fields = count("unknown_fields", "Events with fields that were ignored")
        self.commit_seconds = times("commit_seconds", "Time of one transaction", buckets=_FAST)
        self.batch_facts = times("commit_facts", "Facts sharing one transaction", buckets=_SIZES)
        self.database_up = gauge(
            "database_up", "1 while the database takes facts", multiprocess_mode="livemin"
        )
        self.paused = gauge("paused", "1 while the guardrail, or somebody, has paused the offers")
        self.asked = gauge(
            "guardrail_asks",
            "1 while all checkouts together show harm that vouched ones alone do not",
        )
        self.spooled = count("spooled", "Facts kept in the spool")
        self.replayed = count("replayed", "Facts replayed from the spool")
        self.spool_bytes = newest("spool_bytes", "Size of the spool")
        self.spool_segments = newest("spool_segments", "Files of the spool")
        self.queue = gauge(
            "queue_depth",
            "Jobs that wait to be written, by where they go",
            ("to",),
            multiprocess_mode="livesum",
        )
        self.connections_closed = count(
            "connections_closed",
            "Quiet connections that were closed because their address, or all callers in total,"
            " held too many",
            ("reason",),
        )
        self.model_age = gauge("model_age_seconds", "Time since the model served was trained")
        self.loop_lag = gauge(
            "loop_lag_seconds", "How late the event loop was within the last seconds, at worst"
        )
        self.model_loaded_at = gauge(
            "model_loaded_timestamp_seconds", "When the model served was loaded", ("version",)
        )
        self.model_failures = count(
            "model_load_failures", "Published versions that could not be taken"
        )
        self.model_problem = gauge(
            "model_problem",
            "1 while another model than the published one is served, or less of it, or none",
        )

    def exposition(self) -> bytes:
        """Return the text format, of all workers where they share a folder."""
        self.hand_on()
        folder = os.environ.get(SHARED_FOLDER)
        if not folder:
            return generate_latest(self._registry)
        _forget_the_dead(Path(folder))
        together = CollectorRegistry()
        MultiProcessCollector(together, path=folder)
        return generate_latest(together)

    def hand_on(self) -> None:
        """Add what was tallied to the series that are read; call it in the event loop's thread."""
        for tally in self.offers.values():
            tally.hand_on()

    def laps(self) -> Laps:
        """Return a stopwatch for one suggestion call."""
        return Laps(self._parts, self.part_listener)

    def serving(self, version: str) -> None:
        """Note which model is served: the one that was loaded last."""
        self.model_loaded_at.labels(version).set(time.time())


def _forget_the_dead(folder: Path) -> None:
    """Delete what workers that have ended said of themselves last."""
    for process in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}:
        if not Path(f"/proc/{process}").exists():
            mark_process_dead(process, str(folder))


class RequestMeter:
    """Counts and times answers by the path template, never by the path."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def note(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer and the time it took."""
        key = (route, method, status)
        series = self._known.get(key)
        if series is None:
            series = self._known[key] = (
                self._metrics.requests.labels(*key),
                self._metrics.request_seconds.labels(route),
            )
        series[0].inc()
        series[1].observe(seconds)
