"""Bound the time that a call may wait for the database."""

from __future__ import annotations

import asyncio
import time
from typing import Any

_TICK_SECONDS = 0.0015
"""The event loop counts whole milliseconds, the one that has begun too; no wait ends too soon."""


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
