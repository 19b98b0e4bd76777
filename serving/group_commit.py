"""Group commit: threads that take all waiting jobs of many callers and commit them together.

`TimeBudget` bounds how long a caller waits for the result of a job.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

_log = logging.getLogger("mersalg.intake")

_LIGHT = 64
"""Size from which on a batch does not wait: an fsync less saves less time than the wait takes."""
_TICK_SECONDS = 0.0015
"""The event loop counts whole milliseconds, the one that has begun too; no wait ends too soon."""

Job = TypeVar("Job")
Result = TypeVar("Result")


class QueueFull(Exception):
    """More jobs wait than can be written soon."""


@dataclass(slots=True)
class Waiting(Generic[Job, Result]):
    """A job, and the future of its result."""

    job: Job
    future: asyncio.Future[Result]


_Settled = tuple["asyncio.Future[Result]", Result | Exception]


class GroupCommit(Generic[Job, Result]):
    """Call `commit(jobs)` in threads of its own, with all jobs that wait at that moment.

    A batch is one piece of the queue, and the results of writes come in its order.

    Parameters
    ----------
    name
        Of the thread.
    commit
        Writes the jobs and returns the result or the error of each, in order. It may block, as it
        ends in an fsync. If it raises on several jobs, each is tried alone, so that one bad job
        does not fail the others.
    weight
        Returns the size of a job.
    maximum
        Size from which on a batch takes no more jobs.
    backlog
        Jobs that may wait before `submit` refuses.
    linger
        Seconds a light batch may wait for as many jobs as the one before it had. Under load callers
        come back together, and one write for all of them beats many small ones; a caller who is
        alone never waits.
    threads
        Number of batches that are committed at the same time.
    only_reads
        Whether jobs are left out whose callers gave up meanwhile, and no batch waits for an earlier
        one, which may hang.
    """

    def __init__(
        self,
        name: str,
        commit: Callable[[Sequence[Job]], Sequence[Result | Exception]],
        *,
        weight: Callable[[Job], int] = lambda _job: 1,
        maximum: int = 512,
        backlog: int = 20_000,
        linger: float = 0.005,
        threads: int = 1,
        only_reads: bool = False,
    ) -> None:
        self._commit, self._weight = commit, weight
        self._maximum, self._backlog = maximum, backlog
        self._linger, self._only_reads = linger, only_reads
        self._expected = self._wanted = 1
        self._jobs: deque[Waiting[Job, Result]] = deque()
        # What wakes each thread that waits: of several that wait for one thing all would wake.
        self._idle: deque[queue.SimpleQueue[None]] = deque()
        self._lingering: queue.SimpleQueue[None] | None = None
        self._is_called = False
        self._collecting = threading.Lock()
        self._last_settled = threading.Event()
        self._last_settled.set()
        self._threads = [
            threading.Thread(target=self._run, name=name, daemon=True) for _ in range(threads)
        ]
        self._closed = False

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether all threads run."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def waiting(self) -> int:
        """Number of jobs that wait."""
        return len(self._jobs)

    def submit(self, job: Job) -> asyncio.Future[Result]:
        """Return the future result of a job, in the running loop.

        Raise QueueFull where too many jobs wait, or `close` was called.
        """
        if self._closed or len(self._jobs) >= self._backlog:
            raise QueueFull
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._jobs.append(Waiting(job, future))
        # One thread takes all jobs: to wake one for each would cost the event loop its turn. While
        # a batch is written, light jobs are not worth another one.
        is_enough = self._weight(job) >= _LIGHT or (
            len(self._jobs) >= self._wanted and self._last_settled.is_set()
        )
        if is_enough and not self._is_called:
            self._call()
        return future

    def close(self, timeout: float | None = None) -> None:
        """Write the waiting jobs, then end the threads; block up to `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        self._closed = True
        for wake in tuple(self._idle):
            wake.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(until and max(0.0, until - time.monotonic()))

    def _call(self) -> None:
        """Wake the thread that collects a batch, else the one that went to sleep last."""
        self._is_called = True
        try:
            wake = self._lingering or self._idle.pop()
        except IndexError:  # All work; they look for jobs before they sleep.
            self._is_called = False
        else:
            wake.put(None)

    def _sleep(self, wake: queue.SimpleQueue[None], seconds: float | None = None) -> None:
        """Wait until this thread is called, or `seconds` are over."""
        self._idle.append(wake)
        # For a job that came before this nobody was called.
        if len(self._jobs) < self._wanted and not self._closed:
            with suppress(queue.Empty):
                wake.get(timeout=seconds)
        with suppress(ValueError):
            self._idle.remove(wake)
        self._is_called = False

    def _run(self) -> None:
        wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        while not self._closed or self._jobs:
            self._sleep(wake)
            while self._commit_next(wake):
                pass

    def _commit_next(self, wake: queue.SimpleQueue[None]) -> bool:
        """Commit a batch; return False where no job waits."""
        with self._collecting:
            batch = self._collect(wake)
            if not batch:
                return False
            earlier, settled = self._last_settled, threading.Event()
            if self._only_reads:
                batch = [waiting for waiting in batch if not waiting.future.done()]
            else:
                self._last_settled = settled
        try:
            results = self._results([waiting.job for waiting in batch]) if batch else ()
            earlier.wait()
            _settle(batch, results)
        finally:
            settled.set()
        return True

    def _collect(self, wake: queue.SimpleQueue[None]) -> list[Waiting[Job, Result]]:
        """Return the jobs of the next batch, none where no job waits."""
        batch: list[Waiting[Job, Result]] = []
        weight, until = 0, time.monotonic() + self._linger
        while weight < self._maximum:
            try:
                waiting = self._jobs.popleft()
            except IndexError:
                if not batch or weight >= _LIGHT or self._closed:
                    break
                missing, left = self._expected - len(batch), until - time.monotonic()
                if missing <= 0 or left <= 0:
                    break
                self._wanted, self._lingering = missing, wake
                self._sleep(wake, left)
                self._wanted, self._lingering = 1, None
            else:
                batch.append(waiting)
                weight += self._weight(waiting.job)
        if batch:
            self._expected = len(batch)
        return batch

    def _results(self, jobs: Sequence[Job]) -> Sequence[Result | Exception]:
        try:
            return self._commit(jobs)
        except Exception as error:
            if len(jobs) > 1:
                return [result for job in jobs for result in self._results([job])]
            _log.exception("%s failed", threading.current_thread().name)
            return [error]


def _settle(batch: Sequence[Waiting[Job, Result]], results: Sequence[Result | Exception]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Settled[Result]]] = {}
    for waiting, result in zip(batch, results, strict=True):
        by_loop.setdefault(waiting.future.get_loop(), []).append((waiting.future, result))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_here, pairs)
        except RuntimeError:  # The loop is closed: no caller waits any more.
            _log.warning("%d results came after their callers had gone", len(pairs))


def _settle_here(pairs: Sequence[_Settled[Result]]) -> None:
    """Set the results of futures of the running loop."""
    for future, result in pairs:
        if future.done():  # Its caller no longer waits.
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
            future.exception()  # Retrieved, as a caller that gave up must not cause a warning.
        else:
            future.set_result(result)


class TimeBudget:
    """Seconds a call may still wait for the database; every wait makes them less.

    So a slow database costs a call its deadline once, however many questions it has.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    @property
    def is_spent(self) -> bool:
        """Whether the call may not wait any longer."""
        return self._left <= 0

    async def wait_for(self, future: asyncio.Future[Any]) -> bool:
        """Return whether the future, whose only waiter this is, was done in time."""
        done, waited = await wait_within(future, self._left)
        self._left -= waited
        return done


async def wait_within(future: asyncio.Future[Any], seconds: float) -> tuple[bool, float]:
    """Wait for a future, whose only waiter this is; return whether it was in time, and the seconds.

    A future that was not in time is done afterwards, with a TimeoutError.
    """
    started = time.monotonic()
    if not future.done():
        timer = future.get_loop().call_later(seconds + _TICK_SECONDS, _expire, future)
        try:
            await future
        except TimeoutError:
            return False, time.monotonic() - started
        except Exception:  # noqa: S110 - the caller looks at the future
            pass
        finally:
            timer.cancel()
    return True, time.monotonic() - started


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
