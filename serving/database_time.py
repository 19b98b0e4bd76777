"""How long one call may wait for the database, over everything it asks of it."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from engine.errors import StorageError
from serving.alarms import in_time
from serving.group_commit import QueueFull
from serving.lookups import Lookups

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


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
        """Whether the future, whose only waiter this is, was done in time."""
        done, waited = await in_time(future, self._left)
        self._left -= waited
        return done

    async def ask(self, lookups: Lookups[_Asked, _Answer], asked: _Asked) -> _Answer | None:
        """The answer, or None where the database fails or does not answer in time."""
        if self.is_over:
            return None
        try:
            answering = lookups.submit(asked)
        except QueueFull:
            return None
        # Still in the queue when the time is over, it is not asked at all.
        if not await self.wait_for(answering):
            return None
        try:
            return answering.result()
        except StorageError:
            return None
