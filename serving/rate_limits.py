"""How often one key or one address may call: token buckets, in the memory of each worker.

Each worker counts for itself, so a service of several allows as many times more. The least
recently seen of very many callers is forgotten, which can only let more through.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from functools import lru_cache

from fastapi import Request

from serving import errors
from serving.settings import ServeSettings

_MOST_CALLERS = 20_000
_BURST_SECONDS = 2.0
"""What a caller may save up."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TokenBuckets:
    """One bucket a caller, full at first.

    Parameters
    ----------
    rate
        Tokens that come back each second; 0 sets no limit.
    burst
        Tokens a full bucket holds.
    most
        Callers that are remembered.
    """

    def __init__(self, rate: float, burst: float, most: int = _MOST_CALLERS) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

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
        self._buckets.move_to_end(caller)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return 0.0

    def wait(self, caller: Hashable, now: float) -> float:
        """As `take`, without taking."""
        return max((1 - self._tokens(caller, now)) / self._rate, 0.0) if self._rate else 0.0

    def _tokens(self, caller: Hashable, now: float) -> float:
        held = self._buckets.get(caller)
        if held is None:
            return self._burst
        tokens, at = held
        return min(self._burst, tokens + max(now - at, 0.0) * self._rate)


class RateLimits:
    """The limits of one worker; every method raises ApiError 429 where a caller has to wait."""

    def __init__(self, settings: ServeSettings) -> None:
        self._trusted = tuple(map(ipaddress.ip_network, settings.trusted_proxies))
        self._keys = _buckets(settings.key_rate)
        self._addresses = _buckets(settings.address_rate)
        self._refusals = TokenBuckets(settings.refusal_rate, 60 * settings.refusal_rate)

    def admit(self, request: Request, key_id: str, *, by_address: bool) -> None:
        """Count a call with a known key; `by_address` where strangers hold the key too."""
        now = time.monotonic()
        _wait(self._keys.take(key_id, now))
        if by_address:
            address = self.address_of(request)
            # Whoever calls from here is another program of ours, or a proxy that is not named.
            if not _is_loopback(address):
                _wait(self._addresses.take(address, now))

    def refuse(self, request: Request) -> None:
        """Count a call without a known key, of which an address has only so many."""
        _wait(self._refusals.take(self.address_of(request), time.monotonic()))

    def address_of(self, request: Request) -> str:
        """Return the address of the caller, or that which the nearest trusted proxy states."""
        address = request.client.host if request.client is not None else ""
        if not self._trusted:
            return address
        # A proxy may add a line of its own behind that of whoever called it.
        stated = ",".join(request.headers.getlist("x-forwarded-for"))
        for hop in reversed([part.strip() for part in stated.split(",") if part.strip()]):
            if not _is_in(address, self._trusted):
                break
            address = hop
        return address


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


@lru_cache(1024)  # reading an address costs more than all else here
def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_in(address: str, networks: Iterable[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
