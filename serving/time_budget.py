"""Bound the time that a call may wait for the database, by one timer for all that wait."""

from __future__ import annotations

import asyncio
import time
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any
from weakref import WeakKeyDictionary

_NUMBERS = count()


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
    """Wait for a future, whose only waiter this is.

    Returns
    -------
    bool, float
        Whether it was done in time, well or not, and how long it took. A future that was not is
        done afterwards, with a TimeoutError.
    """
    started = time.monotonic()
    if not future.done():
        loop = future.get_loop()
        deadlines = _deadlines.get(loop)
        if deadlines is None:
            deadlines = _deadlines[loop] = _Deadlines(loop)
        deadlines.add(future, max(seconds, 0.0))
        try:
            await future
        except TimeoutError:
            return False, time.monotonic() - started
        except Exception:  # noqa: S110 - the caller looks at the future
            pass
    return True, time.monotonic() - started


class _Deadlines:
    """The deadlines of one event loop.

    `asyncio.wait` makes a timer for each, which costs more than what most of them wait for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[tuple[float, int, asyncio.Future[Any]]] = []
        # The loop may run what is due within a millisecond at once, without a timer to ask.
        self._timer: asyncio.Handle | None = None
        self._timer_due = inf

    def add(self, future: asyncio.Future[Any], seconds: float) -> None:
        """Set a TimeoutError in the future if it is not done by then."""
        # The loop's own clock stands while a callback runs.
        due = time.monotonic() + seconds
        heappush(self._due, (due, next(_NUMBERS), future))
        if due < self._timer_due:
            self._set_timer(due)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_later(max(due - time.monotonic(), 0.0), self._expire)

    def _expire(self) -> None:
        due, now = self._due, time.monotonic()
        self._timer, self._timer_due = None, inf
        while due and (due[0][0] <= now or due[0][2].done()):
            future = heappop(due)[2]
            if not future.done():
                future.set_exception(TimeoutError())
        if due:
            self._set_timer(due[0][0])


_deadlines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Deadlines] = WeakKeyDictionary()
