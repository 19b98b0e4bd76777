"""What a buyer waved away of late, so that it is not offered again at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from engine import clock
from engine.model import Model
from serving.database_time import DatabaseTime
from serving.lookups import Lookups
from serving.schemas import SuggestionRequest

Buyer = tuple[str, str | None, str | None]
"""Checkout, session and customer of a call."""

_FRESH_SECONDS = 0.1
"""For so long it is not asked again whether anybody dismissed anything."""
_MOST_BUYERS = 5_000


class Dismissals:
    """Asks the database, and only while there are any dismissals at all.

    Args:
        any_since: whether anybody dismissed something after a moment; blocks.
        look_up: the items one buyer dismissed after a moment; blocks.
    """

    def __init__(
        self,
        any_since: Callable[[int], bool],
        look_up: Callable[[str, str | None, str | None, int], list[str]],
    ) -> None:
        self._any, self._asked_at = False, float("-inf")
        self._known: OrderedDict[Buyer, list[str]] = OrderedDict()

        def anybody(moments: Sequence[int]) -> list[bool]:
            return [any_since(after) for after in moments]

        def answer(asked: Sequence[tuple[Buyer, int]]) -> list[list[str]]:
            return [look_up(*buyer, after) for buyer, after in asked]

        # Apart: what one buyer dismissed takes longer to find than whether anybody did.
        self._anybodies: Lookups[int, bool] = Lookups("mersalg-any-dismissed", anybody)
        self._buyers: Lookups[tuple[Buyer, int], list[str]] = Lookups("mersalg-dismissals", answer)

    async def of(
        self, model: Model | None, asked: SuggestionRequest, patience: DatabaseTime
    ) -> Sequence[str]:
        """Item ids the buyer of a call dismissed within the shop's `declined_days`; those known
        here where the database does not answer in time."""
        days = model.settings.offers.declined_days if model is not None else 0
        if not days:
            return ()
        buyer = (asked.checkout_id, asked.session_id, asked.customer_id)
        if patience.is_over:
            return self._known.get(buyer, ())
        after = clock.now() - round(days * clock.MICROS_PER_DAY)
        if not await self._anybody(after, patience):
            return ()
        found = await patience.ask(self._buyers, (buyer, after))
        if found is None:
            return self._known.get(buyer, ())
        self._remember(buyer, found)
        return found

    def heard(self) -> None:
        """A dismissal was recorded here."""
        self._any, self._asked_at = True, time.monotonic()

    def close(self) -> None:
        self._anybodies.close()
        self._buyers.close()

    async def _anybody(self, after: int, patience: DatabaseTime) -> bool:
        if time.monotonic() - self._asked_at < _FRESH_SECONDS:
            return self._any
        # Others that come meanwhile go by the last answer instead of asking too.
        self._asked_at = time.monotonic()
        found = await patience.ask(self._anybodies, after)
        if found is not None:
            self._any = found
        return self._any

    def _remember(self, buyer: Buyer, found: list[str]) -> None:
        if not found:
            self._known.pop(buyer, None)
            return
        self._known[buyer] = found
        self._known.move_to_end(buyer)
        if len(self._known) > _MOST_BUYERS:
            self._known.popitem(last=False)
