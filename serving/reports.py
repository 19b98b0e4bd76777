"""Reports for the API and the dashboard: computed once for all who ask at once, by other processes.

The facts of a busy day take much memory, and computing keeps the interpreter busy for long: neither
may slow a checkout down. A process keeps the memory of its last report for the next one, which then
need not ask the system for it again; one that holds very much is replaced, one that is idle ends
after a minute, and all end with their service, even one that is killed.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple, TypeVar

from mersalg.engine.errors import StorageUnavailable
from mersalg.engine.processes import Workers
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.tracking import guardrail
from mersalg.engine.tracking.report import ReportQuery, build_report
from mersalg.serving.process import give_back, resident_bytes
from mersalg.serving.recent import Recent

Report = dict[str, object]

_MAY_GROW = 512 * 2**20
"""Bytes: more than reports of ten million offers use, which are 380 MiB."""
_NOT_STARTED = "no process for reports can be started"
_T = TypeVar("_T")
_A = TypeVar("_A")


class Judgement(NamedTuple):
    """The arguments of `mersalg.engine.tracking.guardrail.check`."""

    version: str
    limits: guardrail.Limits
    now: int


class Reporter:
    """One process that computes reports; for one thread at a time.

    The address of the database may hold a password, so it goes through a pipe. `is_spent` says that
    the process died, or held `may_grow` bytes more than at first after a report: another one is to
    be started. Raise StorageUnavailable where the machine has no pipe left for another process.
    """

    def __init__(self, url: str, may_grow: int = _MAY_GROW) -> None:
        try:
            self._workers = Workers(1, _begin, url)
        except OSError as error:
            raise StorageUnavailable(f"{_NOT_STARTED}: {error}") from error
        self._may_grow = may_grow
        self.is_spent = False

    def report(self, query: ReportQuery) -> Report:
        """Return the report; raise as `build_report`, or StorageUnavailable if the process died."""
        return self._ask(_report, query)

    def judge(self, judgement: Judgement) -> None:
        """Check the guardrail as `engine.tracking.guardrail.check` does; raises likewise."""
        self._ask(_judge, judgement)

    def close(self) -> None:
        """End the process; a report that is being computed fails."""
        self._workers.terminate()

    def _ask(self, function: Callable[[_A], _T], argument: _A) -> _T:
        died = "the process that computes reports died"
        try:
            answer = self._workers.submit(function, argument)
            # Behind the answer, which does not wait for it.
            self._workers.submit(_grown_by).add_done_callback(self._note_growth)
        except RuntimeError as error:  # it died before, or was closed
            self.is_spent = True
            raise StorageUnavailable(died) from error
        except OSError as error:
            self.is_spent = True
            raise StorageUnavailable(f"{_NOT_STARTED}: {error}") from error
        try:
            return answer.result()
        except (BrokenProcessPool, CancelledError) as error:
            self.is_spent = True
            raise StorageUnavailable(died) from error

    def _note_growth(self, grown: Future[int]) -> None:
        failed = grown.cancelled() or grown.exception() is not None
        self.is_spent = self.is_spent or failed or grown.result() > self._may_grow


class _Own(NamedTuple):
    """Parts of a process that computes reports, and the bytes that it held at first."""

    store: Store
    began_with: int


_own: list[_Own] = []


def _begin(url: str) -> None:
    # What every report loads, so that the process is seen to grow by what reports leave alone.
    import_module("mersalg.engine.tracking.rollups.rolled_up")
    # A signal to the whole group is the service's to handle; this process ends with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # A report is many small parts: they are searched for garbage once, after it.
    gc.disable()
    _own.append(_Own(open_store(url), resident_bytes()))


def _grown_by() -> int:
    """Collect the garbage of the last report, and return how many bytes more are held than first.

    Memory is not returned to the system: the next report would take a sixth longer.
    """
    gc.collect()
    return resident_bytes() - _own[0].began_with


def _report(query: ReportQuery) -> Report:
    return build_report(_own[0].store, query)


def _judge(judgement: Judgement) -> None:
    guardrail.check(_own[0].store, judgement.version, judgement.limits, judgement.now)


_THREADS = 2
_IDLE_SECONDS = 60.0
_MAX_KEPT = 64
_TIMES = 3


@dataclass(slots=True)
class _CachedReport:
    computing: asyncio.Future[Report]
    since: float
    until: float | None = None
    """None while it is being computed."""


class Reports:
    """Compute each report once, and answer the same question from memory for some seconds.

    That is for `seconds`, or three times as long as it took, if longer. Reports are computed by
    processes of their own, which open the database by its `address` and are kept for a while; where
    it is None, the database is in this process's memory, and they are computed here.
    """

    def __init__(self, store: Store, seconds: float, address: str | None = None) -> None:
        self._store, self._seconds, self._address = store, seconds, address
        self._kept: Recent[ReportQuery, _CachedReport] = Recent(_MAX_KEPT)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mersalg-reports")
        self._idle: list[tuple[float, Reporter]] = []
        self._busy: set[Reporter] = set()
        self._closed = False

    async def rates(self, query: ReportQuery) -> Report:
        """Return a report; raise what `build_report` raises. A failure is not remembered."""
        cached = self._kept.get(query)
        if cached is None or (cached.until is not None and cached.until <= time.monotonic()):
            loop = asyncio.get_running_loop()
            computing = loop.run_in_executor(self._threads, self._build, query)
            cached = self._kept[query] = _CachedReport(computing, time.monotonic())
            computing.add_done_callback(lambda done: self._settle(query, cached, done))
            loop.call_later(_IDLE_SECONDS, self._let_go_of_the_idle)
        # Shielded: one reader who goes away must not take the report from the others.
        return await asyncio.shield(cached.computing)

    def _settle(
        self, query: ReportQuery, kept: _CachedReport, done: asyncio.Future[Report]
    ) -> None:
        if done.cancelled() or done.exception() is not None or not self._seconds:
            if self._kept.get(query) is kept:
                del self._kept[query]
        else:
            now = time.monotonic()
            kept.until = now + max(self._seconds, _TIMES * (now - kept.since))

    def close(self) -> None:
        """End all computations, also those that are waited for."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for reporter in list(self._busy):
            reporter.close()
        self._threads.shutdown(wait=True)
        while self._idle:
            self._idle.pop()[1].close()

    def _let_go_of_the_idle(self) -> None:
        now = time.monotonic()
        # The longest idle stand first; a thread may take the last meanwhile.
        with suppress(IndexError):
            while not self._closed and now - self._idle[0][0] >= _IDLE_SECONDS - 1:
                # A process takes a moment to end, in which checkouts must not wait.
                self._threads.submit(self._idle.pop(0)[1].close)

    def _build(self, query: ReportQuery) -> Report:
        """Compute a report, in a thread."""
        if self._address is None:
            try:
                return build_report(self._store, query)
            finally:
                give_back()
        reporter = self._idle_reporter() or Reporter(self._address)
        self._busy.add(reporter)
        try:
            return reporter.report(query)
        finally:
            self._busy.discard(reporter)
            if self._closed or reporter.is_spent:
                reporter.close()
            else:
                self._idle.append((time.monotonic(), reporter))

    def _idle_reporter(self) -> Reporter | None:
        with suppress(IndexError):
            while (reporter := self._idle.pop()[1]).is_spent:
                reporter.close()
            return reporter
        return None
