"""What the service tells Prometheus about itself."""

from __future__ import annotations

import os
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE = CONTENT_TYPE_LATEST

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Names a folder where the workers of one service keep their numbers, to be added up."""

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """One an application, with a registry of its own."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self._registry = own
        self.requests = Counter(
            "mersalg_requests", "Answers given", ("route", "method", "status"), registry=own
        )
        self.request_seconds = Histogram(
            "mersalg_request_seconds", "Time to answer", ("route",), buckets=_FAST, registry=own
        )
        self.decisions = Counter(
            "mersalg_decisions",
            "Suggestion calls by where their fact went",
            ("tracking",),
            registry=own,
        )
        self.offers = Counter("mersalg_offers", "Offers answered", ("kind",), registry=own)
        self.decide_failures = Counter(
            "mersalg_decide_failures",
            "Suggestion calls answered empty after an error of ours",
            registry=own,
        )
        self.events = Counter("mersalg_events", "Facts sent by shops", ("result",), registry=own)
        self.commit_seconds = Histogram(
            "mersalg_commit_seconds", "Time of one transaction", buckets=_FAST, registry=own
        )
        self.batch_facts = Histogram(
            "mersalg_commit_facts", "Facts sharing one transaction", buckets=_SIZES, registry=own
        )
        self.database_up = Gauge(
            "mersalg_database_up",
            "1 while the database takes facts",
            multiprocess_mode="livemin",
            registry=own,
        )
        self.paused = Gauge(
            "mersalg_paused",
            "1 while the guardrail, or somebody, has paused the offers",
            multiprocess_mode="livemax",
            registry=own,
        )
        self.spooled = Counter("mersalg_spooled", "Facts kept in the spool", registry=own)
        self.replayed = Counter("mersalg_replayed", "Facts replayed from the spool", registry=own)
        self.spool_bytes = Gauge(
            "mersalg_spool_bytes", "Size of the spool", multiprocess_mode="max", registry=own
        )
        self.model_loaded_at = Gauge(
            "mersalg_model_loaded_timestamp_seconds",
            "When the model served was loaded",
            ("version",),
            multiprocess_mode="livemax",
            registry=own,
        )
        self.model_failures = Counter(
            "mersalg_model_load_failures", "Published versions that could not be taken",
            registry=own,
        )  # fmt: skip

    def exposition(self) -> bytes:
        """The text format, of all workers where they share a folder."""
        folder = os.environ.get(SHARED_FOLDER)
        if not folder:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, path=folder)
        return generate_latest(together)

    def serving(self, version: str) -> None:
        """Tells which model is served; the latest loaded is the one."""
        self.model_loaded_at.labels(version).set(time.time())


class MeasureRequests:
    """ASGI middleware: counts and times answers by the path template, never by the path."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            # Whatever strangers send, the number of series stays small.
            method = scope["method"] if route != "unmatched" else "ANY"
            answers, seconds = self._series(route, method, status)
            answers.inc()
            seconds.observe(time.perf_counter() - started)

    def _series(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        key = (route, method, status)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = (
                self._metrics.requests.labels(*key),
                self._metrics.request_seconds.labels(route),
            )
        return found
