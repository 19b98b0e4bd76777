"""Whether the database answers, for those who keep asking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mersalg.engine.errors import StorageError

_SECONDS = 1.0


class HealthCheck:
    """Ask one question at a time: while the database hangs, all callers wait for the same answer.

    Parameters
    ----------
    ping
        Blocks; raises StorageError where the database does not answer.
    """

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping = ping
        self._asked: asyncio.Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mersalg-health-check")

    async def is_there(self) -> bool:
        """Return False where it fails, or has not answered within a second."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().run_in_executor(self._thread, self._ping)
        asked = self._asked
        done, _ = await asyncio.wait((asked,), timeout=_SECONDS)
        if not done:
            return False
        error = asked.exception()
        if error is not None and not isinstance(error, StorageError):
            raise error
        return error is None

    def close(self) -> None:
        """End the thread, without waiting for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
