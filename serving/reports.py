"""Reports for the API and the dashboard: computed in a thread, once for all who ask at once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from engine.storage.store import Store
from engine.tracking.report import ReportQuery, build_report
from serving.memory import give_back

Report = dict[str, object]

_THREADS = 2
_MOST_KEPT = 64


@dataclass(slots=True)
class _Kept:
    computing: asyncio.Future[Report]
    until: float | None = None
    """None while it is being computed."""


class Reports:
    """Answers the same question from memory for `seconds` after it was computed."""

    def __init__(self, store: Store, seconds: float) -> None:
        self._store, self._seconds = store, seconds
        self._kept: OrderedDict[ReportQuery, _Kept] = OrderedDict()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mersalg-reports")

    async def rates(self, query: ReportQuery) -> Report:
        """Raises whatever `build_report` raises; a failure is not kept."""
        kept = self._kept.get(query)
        if kept is None or (kept.until is not None and kept.until <= time.monotonic()):
            loop = asyncio.get_running_loop()
            computing = loop.run_in_executor(self._threads, _build, self._store, query)
            kept = self._kept[query] = _Kept(computing)
            self._kept.move_to_end(query)
            computing.add_done_callback(lambda done: self._settle(query, kept, done))
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        # Shielded: one reader who goes away must not take the report from the others.
        return await asyncio.shield(kept.computing)

    def _settle(self, query: ReportQuery, kept: _Kept, done: asyncio.Future[Report]) -> None:
        if done.cancelled() or done.exception() is not None or not self._seconds:
            if self._kept.get(query) is kept:
                del self._kept[query]
        else:
            kept.until = time.monotonic() + self._seconds

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _build(store: Store, query: ReportQuery) -> Report:
    try:
        return build_report(store, query)
    finally:
        # A report of a busy day reads many facts at once, and a service runs for months.
        give_back()
