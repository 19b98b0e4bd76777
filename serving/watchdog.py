"""Health of this process, and of its database."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from mersalg.engine.errors import StorageError
from mersalg.engine.registry import Registry
from mersalg.serving.intake import Intake
from mersalg.serving.live_model import LiveModel
from mersalg.serving.metrics import Metrics
from mersalg.serving.spool import Spool

_SECONDS = 1.0


class HealthCheck:
    """Ask one question at a time: while the database hangs, all callers wait for the same answer.

    `ping` blocks, and raises StorageError where the database does not answer.
    """

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping = ping
        self._asked: asyncio.Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mersalg-health-check")

    async def is_there(self) -> bool:
        """Return False where it fails, or has not answered within a second."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().run_in_executor(self._thread, self._ping)
        asked = self._asked
        done, _ = await asyncio.wait((asked,), timeout=_SECONDS)
        if not done:
            return False
        error = asked.exception()
        if error is not None and not isinstance(error, StorageError):
            raise error
        return error is None

    def close(self) -> None:
        """End the thread, without waiting for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)


_log = logging.getLogger("mersalg.service")

_BEAT_SECONDS = 1.0
_REMEMBERED_BEATS = 10


class Watchdog:
    """Beat once a second in the event loop, while a thread checks that it does.

    A loop that did not beat for `stuck_seconds` answers nobody and never will: the process logs
    where it is blocked and ends itself, so that another takes its place; 0: never. `stopping` is
    the file that `mersalg serve` makes when it is asked to stop.
    """

    def __init__(
        self,
        metrics: Metrics,
        registry: Registry,
        live: LiveModel,
        intake: Intake,
        spool: Spool,
        *,
        stuck_seconds: float = 0.0,
        stopping: Path | None = None,
    ) -> None:
        self._metrics, self._registry, self._live = metrics, registry, live
        self._intake, self._spool, self._stopping = intake, spool, stopping
        self._stuck_seconds = stuck_seconds
        self._beats = 0
        self._lags: deque[float] = deque((0.0,), maxlen=_REMEMBERED_BEATS)
        self._ended = threading.Event()
        self._trained: tuple[str, float] | None = None

    @property
    def lag(self) -> float:
        """How late the loop was in the last seconds, at worst, in seconds."""
        return max(self._lags)

    @property
    def is_stopping(self) -> bool:
        """Whether the service was asked to stop, and still answers callers."""
        return self._stopping is not None and self._stopping.exists()

    async def watch(self) -> None:
        """Beat until cancelled."""
        if self._stuck_seconds:
            threading.Thread(target=self._listen, name="mersalg-listening", daemon=True).start()
        try:
            while True:
                due = time.monotonic() + _BEAT_SECONDS
                await asyncio.sleep(_BEAT_SECONDS)
                self._lags.append(max(time.monotonic() - due, 0.0))
                self._beats += 1
                self._metrics.hand_on()
                await asyncio.to_thread(self.measure)
        finally:
            self._ended.set()

    def measure(self) -> None:
        """Set the gauges; this reads folders, so call it outside of the event loop."""
        self._intake.look()
        for where, waiting in self._intake.waiting.items():
            self._metrics.queue.labels(where).set(waiting)
        self._metrics.spool_bytes.set(self._spool.size())
        self._metrics.spool_segments.set(len(self._spool.segments()))
        self._metrics.loop_lag.set(self.lag)
        model = self._live.model
        if model is not None:
            self._metrics.model_age.set(time.time() - self._trained_at(model.version))

    def _trained_at(self, version: str) -> float:
        if self._trained is None or self._trained[0] != version:
            created = datetime.fromisoformat(self._registry.manifest(version).created_at)
            self._trained = (version, created.timestamp())
        return self._trained[1]

    def _listen(self) -> None:
        heard, silent = self._beats, 0
        # Its own seconds are counted, not those of a clock: a machine that slept is not stuck.
        while not self._ended.wait(_BEAT_SECONDS):
            silent = silent + 1 if self._beats == heard else 0
            heard = self._beats
            if silent * _BEAT_SECONDS >= self._stuck_seconds:
                _log.critical(
                    "the event loop is blocked for %d s; this process ends. It is here: %s",
                    silent,
                    _where(threading.main_thread()),
                )
                os.kill(os.getpid(), signal.SIGKILL)


def _where(thread: threading.Thread) -> str:
    # Documented, in spite of its name.
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
    frame = frames.get(thread.ident or 0)
    return " < ".join(
        f"{each.filename}:{each.lineno} {each.name}"
        for each in reversed(traceback.extract_stack(frame))
    )
