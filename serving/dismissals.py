"""What a buyer waved away of late, so that it is not offered again at once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from engine import clock
from engine.errors import StorageError
from engine.model import Model
from serving.schemas import SuggestionRequest

Buyer = tuple[str, str | None, str | None]
"""Checkout, session and customer of a call."""

_T = TypeVar("_T")
_DAY = 86_400_000_000
_FRESH_SECONDS = 0.1
"""For so long it is not asked again whether anybody dismissed anything."""
_MOST_BUYERS = 20_000
_THREADS = 4


class Dismissals:
    """Asks the database within a deadline, and only while there are any dismissals at all.

    Args:
        any_since: whether anybody dismissed something after a moment; blocks.
        look_up: the items one buyer dismissed after a moment; blocks.
        deadline: seconds after which the buyer counts as one who dismissed nothing new.
    """

    def __init__(
        self,
        any_since: Callable[[int], bool],
        look_up: Callable[[str, str | None, str | None, int], list[str]],
        deadline: float,
    ) -> None:
        self._any_since, self._look_up, self._deadline = any_since, look_up, deadline
        self._any, self._asked_at = False, float("-inf")
        self._known: OrderedDict[Buyer, list[str]] = OrderedDict()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mersalg-dismissals")

    async def of(
        self, model: Model | None, asked: SuggestionRequest, *, ask_database: bool = True
    ) -> Sequence[str]:
        """Item ids the buyer of a call dismissed within the shop's `declined_days`."""
        days = model.settings.offers.declined_days if model is not None else 0
        if not days:
            return ()
        buyer = (asked.checkout_id, asked.session_id, asked.customer_id)
        if not ask_database:
            return self._known.get(buyer, ())
        after = clock.now() - round(days * _DAY)
        if not await self._anybody(after):
            return ()
        found = await self._within(lambda: self._look_up(*buyer, after))
        if found is None:
            return self._known.get(buyer, ())
        self._remember(buyer, found)
        return found

    def heard(self) -> None:
        """A dismissal was recorded here."""
        self._any, self._asked_at = True, time.monotonic()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _anybody(self, after: int) -> bool:
        if time.monotonic() - self._asked_at < _FRESH_SECONDS:
            return self._any
        # Others that come meanwhile go by the last answer instead of asking too.
        self._asked_at = time.monotonic()
        found = await self._within(lambda: self._any_since(after))
        if found is not None:
            self._any = found
        return self._any

    async def _within(self, ask: Callable[[], _T]) -> _T | None:
        """The answer, or None where the database fails or is slower than the deadline."""

        def answer() -> _T | None:
            try:
                return ask()
            except StorageError:
                return None

        asked = asyncio.get_running_loop().run_in_executor(self._threads, answer)
        done, _ = await asyncio.wait((asked,), timeout=self._deadline)
        return asked.result() if done else None

    def _remember(self, buyer: Buyer, found: list[str]) -> None:
        if not found:
            self._known.pop(buyer, None)
            return
        self._known[buyer] = found
        self._known.move_to_end(buyer)
        if len(self._known) > _MOST_BUYERS:
            self._known.popitem(last=False)
