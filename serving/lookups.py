"""Questions to the database on behalf of buyers who wait, asked together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from engine.errors import StorageError
from serving.group_commit import GroupCommit

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

_THREADS = 2


class Lookups(Generic[Asked, Answer]):
    """Asks for all who wait at that moment; one question that hangs does not hold up the next.

    Args:
        look_up: answers each of several questions, in order; blocks.
    """

    def __init__(self, name: str, look_up: Callable[[Sequence[Asked]], Sequence[Answer]]) -> None:
        self._look_up = look_up
        self._threads: GroupCommit[Asked, Answer] = GroupCommit(
            name, self._answer, linger=0, threads=_THREADS, only_awaited=True
        )
        self._started = False

    def submit(self, asked: Asked) -> asyncio.Future[Answer]:
        """The answer to be; raises QueueFull where too many wait."""
        if not self._started:
            self._started = True
            self._threads.start()
        return self._threads.submit(asked)

    def close(self) -> None:
        self._threads.close(timeout=0)

    def _answer(self, asked: Sequence[Asked]) -> Sequence[Answer | Exception]:
        try:
            return self._look_up(asked)
        except StorageError as error:  # told by those who write, once
            return [error] * len(asked)
