"""The arm a session was given first, so that logging in never changes it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from engine.errors import StorageError
from engine.offers import Arm

_MOST_SESSIONS = 50_000
_THREADS = 4


class SessionArms:
    """A small memory of this process, and the database behind it within a deadline.

    Args:
        look_up: asks the database; blocks.
        deadline: seconds after which a session counts as new.
    """

    def __init__(self, look_up: Callable[[str], Arm | None], deadline: float) -> None:
        self._look_up, self._deadline = look_up, deadline
        self._known: OrderedDict[str, Arm] = OrderedDict()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mersalg-sessions")

    async def known(self, session_id: str | None, *, ask_database: bool = True) -> Arm | None:
        if session_id is None:
            return None
        arm = self._known.get(session_id)
        if arm is not None:
            self._known.move_to_end(session_id)
            return arm
        if not ask_database:
            return None
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(self._threads, self._ask, session_id)
        done, _ = await asyncio.wait((asked,), timeout=self._deadline)
        return asked.result() if done else None

    def remember(self, session_id: str | None, arm: Arm) -> None:
        if session_id is None:
            return
        self._known.setdefault(session_id, arm)
        self._known.move_to_end(session_id)
        if len(self._known) > _MOST_SESSIONS:
            self._known.popitem(last=False)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, session_id: str) -> Arm | None:
        try:
            return self._look_up(session_id)
        except StorageError:
            return None
