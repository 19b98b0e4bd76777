"""Offers made a moment ago for a cart just like this one: a page that reloads asks again."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from msgspec import Struct

from mersalg.engine.facts import Offer
from mersalg.serving.recent import Recent

_MAX = 512
"""Each takes some ten kilobytes; a page is reloaded soon or not at all."""
_MICROS_WITH_PAST = 60_000_000
"""What a customer bought grows older by the moment: for so long its age is taken as it was."""


class CachedOffers(Struct, frozen=True, gc=False):
    """Offers, still without ids of their own, and the items of the call's lists in the running."""

    offers: tuple[Offer, ...] = ()
    excluded_item_ids: tuple[str, ...] = ()
    declined_item_ids: tuple[str, ...] = ()


class OfferCache:
    """The last few hundred of one model, in this process.

    What is offered depends on the cart, the call's own wishes, the rules of the shop that hold,
    and what the buyer bought before; all of them are part of the key, except the moment.
    """

    def __init__(self, most: int = _MAX) -> None:
        self._made: Recent[Hashable, tuple[int, CachedOffers]] = Recent(most)

    def of(
        self, key: Hashable, at: int, make: Callable[[], CachedOffers], *, with_past: bool
    ) -> CachedOffers:
        """Return what was made for `key`, else what `make` makes.

        `key` is all that the offers depend on, besides the moment `at`, in microseconds. Those of a
        buyer `with_past` purchases are remembered for a minute only.
        """
        cached = self._made.get(key)
        if cached is not None and (not with_past or 0 <= at - cached[0] < _MICROS_WITH_PAST):
            self._made.move_to_end(key)
            return cached[1]
        made = make()
        self._made[key] = (at, made)
        return made
