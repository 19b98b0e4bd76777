"""Reports for the API and the dashboard: computed once for all who ask at once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from mersalg.engine.storage.store import Store
from mersalg.engine.tracking.report import ReportQuery, build_report
from mersalg.serving.process import give_back
from mersalg.serving.reporting import Report, Reporter

_THREADS = 2
_IDLE_SECONDS = 60.0
_MOST_KEPT = 64
_TIMES = 3


@dataclass(slots=True)
class _Kept:
    computing: asyncio.Future[Report]
    since: float
    until: float | None = None
    """None while it is being computed."""


class Reports:
    """Compute each report once, and answer the same question from memory for some seconds.

    Reports are computed by processes of their own (`mersalg.serving.reporting`), which are kept for
    a while; those of a database in this process's memory are computed here.

    Parameters
    ----------
    store
        The facts.
    seconds
        How long a report is answered from memory, or three times as long as it took, if longer.
    address
        URL under which other processes open the database; None where it is in memory.
    """

    def __init__(self, store: Store, seconds: float, address: str | None = None) -> None:
        self._store, self._seconds, self._address = store, seconds, address
        self._kept: OrderedDict[ReportQuery, _Kept] = OrderedDict()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mersalg-reports")
        self._idle: list[tuple[float, Reporter]] = []
        self._busy: set[Reporter] = set()
        self._closed = False

    async def rates(self, query: ReportQuery) -> Report:
        """Return a report; raise what `build_report` raises. A failure is not remembered."""
        kept = self._kept.get(query)
        if kept is None or (kept.until is not None and kept.until <= time.monotonic()):
            loop = asyncio.get_running_loop()
            computing = loop.run_in_executor(self._threads, self._build, query)
            kept = self._kept[query] = _Kept(computing, time.monotonic())
            self._kept.move_to_end(query)
            computing.add_done_callback(lambda done: self._settle(query, kept, done))
            loop.call_later(_IDLE_SECONDS, self._let_go_of_the_idle)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        # Shielded: one reader who goes away must not take the report from the others.
        return await asyncio.shield(kept.computing)

    def _settle(self, query: ReportQuery, kept: _Kept, done: asyncio.Future[Report]) -> None:
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
        try:
            reporter = self._idle.pop()[1]
        except IndexError:
            reporter = Reporter(self._address)
        self._busy.add(reporter)
        try:
            return reporter.report(query)
        finally:
            self._busy.discard(reporter)
            if self._closed or reporter.is_spent:
                reporter.close()
            else:
                self._idle.append((time.monotonic(), reporter))
