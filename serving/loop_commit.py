"""Many callers, one write, begun and ended on the event loop: no thread has to wake up for it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, NamedTuple, Protocol, TypeVar

from serving.group_commit import GroupCommit, QueueFull, Waiting, settle_here

Job = TypeVar("Job")
Result = TypeVar("Result")
Done = TypeVar("Done", covariant=True)

_STEP_SECONDS = 0.005
_HANGS_SECONDS = 0.02


class Started(Protocol[Done]):
    """A write on its way; `fileno` becomes readable when it has ended."""

    def fileno(self) -> int: ...

    def finish(self) -> Sequence[Done] | None:
        """One result a job, in order; None where nothing was written. Waits for the end."""
        ...


class _Flight(NamedTuple, Generic[Job, Result]):
    started: Started[Result]
    batch: list[Waiting[Job, Result]]
    loop: asyncio.AbstractEventLoop
    began: float


class LoopCommit(Generic[Job, Result]):
    """As a `GroupCommit`, which it falls back to; of both together one write is on its way.

    Args:
        begin: starts to write some jobs without waiting; None where only `long_way` can.
        long_way: a thread that writes; it must have no other jobs.
        weight, most, backlog, linger: as of a `GroupCommit`.
        only_reads: one that hangs does not hold up the next, and a job whose caller gave up
            meanwhile is not done at all.
    """

    def __init__(
        self,
        begin: Callable[[Sequence[Job]], Started[Result] | None],
        long_way: GroupCommit[Job, Result],
        *,
        weight: Callable[[Job], int] = lambda _job: 1,
        most: int = 512,
        backlog: int = 20_000,
        linger: float = 0.002,
        only_reads: bool = False,
    ) -> None:
        self._begin, self._long_way, self._only_reads = begin, long_way, only_reads
        self._weight, self._most, self._backlog = weight, most, backlog
        self._linger = linger
        self._queue: deque[Waiting[Job, Result]] = deque()
        self._due_on: asyncio.AbstractEventLoop | None = None
        self._flight: _Flight[Job, Result] | None = None
        self._expected, self._linger_until = 1, 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        long_way.when_idle = self._go_on

    def start(self) -> None:
        self._long_way.start()

    @property
    def is_alive(self) -> bool:
        return self._long_way.is_alive

    @property
    def waiting(self) -> int:
        return len(self._queue) + self._long_way.waiting

    def submit(self, job: Job) -> asyncio.Future[Result]:
        """A future of the running loop; raises QueueFull where too much waits or after `close`."""
        if self._closed or self.waiting >= self._backlog:
            raise QueueFull
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._queue.append(Waiting(job, loop, future))
        if self._due_on is not loop:
            # Whoever else is served in this round of the loop comes along.
            self._due_on = loop
            loop.call_soon(self._flush)
        return future

    def close(self, timeout: float) -> None:
        """Write what waits, then end the thread; blocks up to `timeout` seconds, so that a running
        loop must ask for it in another thread."""
        self._closed = True
        until = time.monotonic() + timeout
        while (loop := self._at_work()) is not None and time.monotonic() < until:
            if loop.is_running():
                time.sleep(_STEP_SECONDS)
            elif self._flight is not None:
                self._land()
            else:
                self._long_way.take(self._collected())
        self._long_way.close(timeout)

    def _at_work(self) -> asyncio.AbstractEventLoop | None:
        """The loop that has something on its way, or that has something waiting."""
        flight = self._flight
        if flight is not None:
            return flight.loop
        with suppress(IndexError):
            return self._queue[0].loop
        return None

    def _go_on(self) -> None:
        """Thread: the long way has nothing to do any more."""
        with suppress(IndexError, RuntimeError):  # nobody waits, or not any more
            self._queue[0].loop.call_soon_threadsafe(self._flush)

    def _flush(self) -> None:
        self._due_on = None
        if self._flight is not None and self._flight.loop.is_closed():
            self._land()  # nobody else will
        if not self._queue or self._must_wait():
            return
        if self._lingers():
            return
        batch = self._collected()
        self._expected = len(batch)
        if not batch:
            return
        started = None
        if self._flight is None:
            # What goes wrong here the long way finds out, and tells of which job it was.
            with suppress(Exception):
                started = self._begin([waiting.job for waiting in batch])
        if started is None:
            self._long_way.take(batch)
            return
        loop = asyncio.get_running_loop()
        self._flight = _Flight(started, batch, loop, time.monotonic())
        loop.add_reader(started.fileno(), self._land)

    def _lingers(self) -> bool:
        """Whether to wait a little for as many as came along the last time."""
        left = self._linger_until - time.monotonic()
        if len(self._queue) >= self._expected or left <= 0:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return False
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(left, self._linger_no_more)
        return True

    def _linger_no_more(self) -> None:
        self._timer, self._linger_until = None, 0.0
        self._flush()

    def _must_wait(self) -> bool:
        """Until what is on its way has ended, which looks after the rest."""
        if not self._only_reads:
            return self._flight is not None or self._long_way.unfinished > 0
        flight = self._flight
        return flight is not None and time.monotonic() - flight.began < _HANGS_SECONDS

    def _collected(self) -> list[Waiting[Job, Result]]:
        batch: list[Waiting[Job, Result]] = []
        weight = 0
        while self._queue and weight < self._most:
            waiting = self._queue.popleft()
            if self._only_reads and waiting.future.done():
                continue
            batch.append(waiting)
            weight += self._weight(waiting.job)
        return batch

    def _land(self) -> None:
        assert self._flight is not None
        started, batch, loop, _ = self._flight
        self._flight = None
        if not loop.is_closed():
            loop.remove_reader(started.fileno())
        results = None
        with suppress(Exception):  # which the long way finds too
            results = started.finish()
        if results is None:
            self._long_way.take(batch)
            return
        if loop.is_closed():
            return  # nobody waits any more
        self._linger_until = time.monotonic() + self._linger
        settle_here([(each.future, done) for each, done in zip(batch, results, strict=True)])
        if self._queue and loop.is_running():
            self._flush()
