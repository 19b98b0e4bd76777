"""How long one call may wait for the database, over everything it asks of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from engine.errors import StorageError

_T = TypeVar("_T")


class DatabaseTime:
    """Seconds of patience, which every wait makes less: a slow database costs a call its deadline
    once, however many questions it has.

    Args:
        seconds: 0 or less asks nothing of the database.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    @property
    def is_over(self) -> bool:
        return self._left <= 0

    async def wait_for(self, future: asyncio.Future[Any]) -> bool:
        """Whether the future was done in time."""
        started = time.monotonic()
        done, _ = await asyncio.wait((future,), timeout=max(self._left, 0.0))
        self._left -= time.monotonic() - started
        return bool(done)

    async def ask(self, threads: ThreadPoolExecutor, question: Callable[[], _T]) -> _T | None:
        """The answer, or None where the database fails or does not answer in time."""
        if self.is_over:
            return None
        asked = asyncio.get_running_loop().run_in_executor(threads, question)
        if not await self.wait_for(asked):
            # Still in the queue, it is not asked at all: nobody waits for the answer any more.
            if not asked.cancel():
                asked.add_done_callback(_seen)
            return None
        try:
            return asked.result()
        except StorageError:
            return None


def _seen(answered: asyncio.Future[Any]) -> None:
    if not answered.cancelled():
        answered.exception()
