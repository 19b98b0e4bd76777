"""Many callers, one write: a thread that takes all that waits and commits it together."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

_log = logging.getLogger("mersalg.intake")

Job = TypeVar("Job")
Result = TypeVar("Result")


class QueueFull(Exception):
    """More waits than can be written soon."""


@dataclass(slots=True)
class Waiting(Generic[Job, Result]):
    """A job, and whom to tell of its result."""

    job: Job
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Result]


_Settled = tuple["asyncio.Future[Result]", Result | Exception]


class GroupCommit(Generic[Job, Result]):
    """Calls `commit(jobs)` in a thread of its own, with everything that waits at that moment.

    `commit` returns one result a job, in order, and may block (it ends in an fsync). If it raises
    on several jobs, each is tried alone, so that one bad job does not fail its neighbours.

    Args:
        commit: writes the jobs and returns their results, or the error of each.
        weight: how much of a batch a job takes.
        most: a batch is closed once its jobs weigh this much.
        backlog: jobs that may wait before `submit` refuses.
        linger: seconds a batch may wait for as many jobs as the one before it had. Under load
            callers come back together, and one write for all of them beats many small ones; a
            caller who is alone never waits.
        threads: more than one where `commit` only reads, so that one that hangs is not all.
        only_awaited: a job whose caller gave up meanwhile is not done at all.
    """

    def __init__(
        self,
        name: str,
        commit: Callable[[Sequence[Job]], Sequence[Result | Exception]],
        *,
        weight: Callable[[Job], int] = lambda _job: 1,
        most: int = 512,
        backlog: int = 20_000,
        linger: float = 0.005,
        threads: int = 1,
        only_awaited: bool = False,
    ) -> None:
        self._commit, self._weight, self._most, self._backlog = commit, weight, most, backlog
        self._linger, self._only_awaited = linger, only_awaited
        self._expected = 1
        self._queue: queue.SimpleQueue[Waiting[Job, Result] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=name, daemon=True) for _ in range(threads)
        ]
        self._closed = False

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def submit(self, job: Job) -> asyncio.Future[Result]:
        """A future of the running loop; raises QueueFull where too much waits or after `close`."""
        if self._closed or self._queue.qsize() >= self._backlog:
            raise QueueFull
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._queue.put(Waiting(job, loop, future))
        return future

    def close(self, timeout: float | None = None) -> None:
        """Write what waits, then end the thread; blocks up to `timeout` seconds."""
        if not self._closed:
            self._closed = True
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = self._collect(first)
            self._write(batch)
            if last:
                return

    def _collect(self, first: Waiting[Job, Result]) -> tuple[list[Waiting[Job, Result]], bool]:
        batch, weight = [first], self._weight(first.job)
        until = time.monotonic() + self._linger
        last = False
        while weight < self._most:
            patience = until - time.monotonic() if len(batch) < self._expected else 0.0
            try:
                waiting = self._queue.get(timeout=max(patience, 0.0))
            except queue.Empty:
                break
            if waiting is None:
                last = True
                break
            batch.append(waiting)
            weight += self._weight(waiting.job)
        self._expected = len(batch)
        return batch, last

    def _write(self, batch: list[Waiting[Job, Result]]) -> None:
        if self._only_awaited:
            batch = [waiting for waiting in batch if not waiting.future.done()]
            if not batch:
                return
        try:
            results = self._commit([waiting.job for waiting in batch])
        except Exception as error:
            if len(batch) > 1:
                for waiting in batch:
                    self._write([waiting])
                return
            _log.exception("%s failed", threading.current_thread().name)
            _settle(batch, [error])
        else:
            _settle(batch, results)


def _settle(batch: Sequence[Waiting[Job, Result]], results: Sequence[Result | Exception]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Settled[Result]]] = {}
    for waiting, result in zip(batch, results, strict=True):
        by_loop.setdefault(waiting.loop, []).append((waiting.future, result))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_here, pairs)
        except RuntimeError:  # the loop is closed: nobody waits any more
            _log.warning("%d results came after their callers had gone", len(pairs))


def _settle_here(pairs: Sequence[_Settled[Result]]) -> None:
    """Give futures of the running loop their results."""
    for future, result in pairs:
        if future.done():  # its caller no longer waits
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
            future.exception()  # seen: a caller that gave up must not cause a warning
        else:
            future.set_result(result)
