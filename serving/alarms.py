"""Waiting for a future only so long, at the price of one timer for all that wait."""

from __future__ import annotations

import asyncio
import time
from heapq import heappop, heappush
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

_NUMBERS = count()


class Alarms:
    """Of one event loop; `asyncio.wait` would make a timer for each that waits, which costs more
    than what most of them wait for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[tuple[float, int, asyncio.Future[Any]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def set(self, future: asyncio.Future[Any], seconds: float) -> None:
        """TimeoutError for the future if it is not done by then."""
        due = self._loop.time() + seconds
        heappush(self._due, (due, next(_NUMBERS), future))
        if self._timer is None or due < self._timer.when():
            self._look_at(due)

    def _look_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        due, now = self._due, self._loop.time()
        self._timer = None
        while due and (due[0][0] <= now or due[0][2].done()):
            future = heappop(due)[2]
            if not future.done():
                future.set_exception(TimeoutError())
        if due:
            self._look_at(due[0][0])


_alarms: WeakKeyDictionary[asyncio.AbstractEventLoop, Alarms] = WeakKeyDictionary()


async def in_time(future: asyncio.Future[Any], seconds: float) -> tuple[bool, float]:
    """Whether the future, whose only waiter this is, was done in time, well or not; and how long
    it took. One that was not is done afterwards, with a TimeoutError."""
    started = time.monotonic()
    if not future.done():
        loop = future.get_loop()
        alarms = _alarms.get(loop)
        if alarms is None:
            alarms = _alarms[loop] = Alarms(loop)
        alarms.set(future, max(seconds, 0.0))
        try:
            await future
        except TimeoutError:
            return False, time.monotonic() - started
        except Exception:  # noqa: S110 - whoever asked looks at it
            pass
    return True, time.monotonic() - started
