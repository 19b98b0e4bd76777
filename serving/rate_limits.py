"""Limit callers: their calls, by token buckets in each worker's memory, and their new labels.

Each worker counts for itself, so a service of several allows as many times more. The least
recently seen of very many callers is forgotten, which can only let more through.
"""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Sequence

from fastapi import Request

from mersalg.serving import errors
from mersalg.serving.addresses import CallerAddresses
from mersalg.serving.keys import Key
from mersalg.serving.recent import Recent
from mersalg.serving.schemas import SuggestionRequest
from mersalg.serving.settings import ServeSettings

_MAX_CALLERS = 20_000
_BURST_SECONDS = 2.0
"""What a caller may save up."""


class TokenBuckets:
    """One bucket a caller, with `burst` tokens at first, of which `rate` come back each second.

    A rate of 0 sets no limit; `most` callers are remembered.
    """

    def __init__(self, rate: float, burst: float, most: int = _MAX_CALLERS) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: Recent[Hashable, tuple[float, float]] = Recent(most)

    def __len__(self) -> int:
        """Return the number of callers that are remembered."""
        return len(self._buckets)

    def take(self, caller: Hashable, now: float) -> float:
        """Take a token of `caller` and return 0.0, or the seconds until there is one."""
        if not self._rate:
            return 0.0
        tokens = self._tokens(caller, now)
        if tokens < 1:
            return (1 - tokens) / self._rate
        self._buckets[caller] = (tokens - 1, now)
        return 0.0

    def wait(self, caller: Hashable, now: float) -> float:
        """Return the same as `take`, without taking."""
        return max((1 - self._tokens(caller, now)) / self._rate, 0.0) if self._rate else 0.0

    def _tokens(self, caller: Hashable, now: float) -> float:
        held = self._buckets.get(caller)
        if held is None:
            return self._burst
        tokens, at = held
        return min(self._burst, tokens + max(now - at, 0.0) * self._rate)


class RateLimits:
    """The limits of one worker, of callers as `mersalg.serving.addresses` names them.

    `count` and `refuse` raise ApiError 429 where a caller has to wait.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._addresses = CallerAddresses(settings.trusted_proxies)
        self._by_key = _buckets(settings.key_rate)
        self._by_address = _buckets(settings.address_rate)
        self._refusals = TokenBuckets(settings.refusal_rate, 60 * settings.refusal_rate)
        self._admitted: Recent[tuple[str, str], None] = Recent(_MAX_CALLERS)

    def caller_of(self, request: Request) -> str:
        """Return who sends a request, by the address."""
        return self._addresses.caller_of(request)

    def comparable_keys(self, caller: str, keys: Sequence[Key]) -> Sequence[Key]:
        """Return the keys that are compared with the one that a caller presents.

        After too many unknown keys only those of pages are, which are no secret, and those that the
        caller used before: a shop's server beside the one who guesses goes on.
        """
        if not self._refusals.wait(caller, time.monotonic()):
            return keys
        return [
            key for key in keys if key.scope == "storefront" or (caller, key.id) in self._admitted
        ]

    def count(self, caller: str, held: Sequence[Key]) -> None:
        """Count a call with known keys, `held`."""
        now = time.monotonic()
        if any(key.scope != "storefront" for key in held):
            self._admitted[caller, held[0].id] = None
        elif self._addresses.is_limited(caller):
            # Strangers hold the key too. First, so that one address leaves the others what the key
            # may still call.
            _wait(self._by_address.take(caller, now))
        _wait(self._by_key.take(held[0].id, now))

    def refuse(self, caller: str) -> None:
        """Count a call without a known key, of which an address has only so many."""
        _wait(self._refusals.take(caller, time.monotonic()))


def _buckets(rate: float) -> TokenBuckets:
    return TokenBuckets(rate, max(rate * _BURST_SECONDS, 1.0))


def _wait(seconds: float) -> None:
    if seconds > 0:
        raise errors.ApiError(
            429,
            "too_many_requests",
            "this caller sends more than is allowed; wait and try again",
            details={"retry_after_seconds": math.ceil(seconds)},
            headers={"Retry-After": str(math.ceil(seconds))},
        )


OTHER = "other"
"""Replaces every further one."""

_MAX_OF_SERVERS = 10_000
_DAY_SECONDS = 86_400.0


class Labels:
    """Keep the words that strangers may send few: reports have a group for each.

    What calls with server keys say is taken, and known for a while. Of other words, pages may add
    `most` a field and day; the rest become `other`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._of_servers: Recent[tuple[str, str], None] = Recent(_MAX_OF_SERVERS)
        self._of_pages: dict[str, set[str]] = {}
        self._since = time.monotonic()

    def bound(self, request: SuggestionRequest, *, by_server: bool) -> None:
        """Replace in a request what is one too many."""
        for field in ("placement", "store_id", "segment"):
            label: str | None = getattr(request, field)
            if label is not None and not self._takes(field, label, by_server=by_server):
                setattr(request, field, OTHER)

    def _takes(self, field: str, label: str, *, by_server: bool) -> bool:
        if by_server:
            self._of_servers[field, label] = None
            return True
        if time.monotonic() - self._since >= _DAY_SECONDS:
            self._of_pages, self._since = {}, time.monotonic()
        pages = self._of_pages.setdefault(field, set())
        if label not in pages and (field, label) not in self._of_servers:
            if len(pages) >= self._most:
                return False
            pages.add(label)
        return True
