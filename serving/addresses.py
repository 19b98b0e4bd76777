"""Network addresses of callers: read in every spelling, and trusted or not."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from fastapi import Request

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LONGEST = 64
"""Characters of a stated address; no address and port have more."""
_MAPPED_BITS = 96


@lru_cache(4096)  # reading an address costs more than all else here
def parse_address(text: str) -> Address | None:
    """Return an address, with or without a port, `::ffff:192.0.2.1` as IPv4, or None."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> Network:
    """Return an address or a network, `::ffff:192.0.2.0/120` as IPv4; raise ValueError for none."""
    network = ipaddress.ip_network(text)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_BITS))


@lru_cache(4096)
def caller_at(address: Address) -> str:
    """Return what one caller has: an IPv4 address, or the /64 network of an IPv6 address."""
    if address.version == 4:
        return str(address)
    return str(ipaddress.IPv6Network((address, 64), strict=False))


class CallerAddresses:
    """Addresses of callers, for a service behind the `trusted` proxies (addresses or networks)."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = tuple(map(parse_network, trusted))

    def caller_of(self, request: Request) -> str:
        """Return the caller's address or /64 network, as the nearest trusted proxy states it."""
        text = request.client.host if request.client is not None else ""
        address = parse_address(text)
        if self._trusted:
            # A proxy may add a line of its own behind that of its caller.
            hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
            for hop in reversed([hop for part in hops if (hop := part.strip()[:_LONGEST])]):
                if not self._is_trusted(address):
                    break
                text, address = hop, parse_address(hop)
        return text if address is None else caller_at(address)

    def is_limited(self, caller: str) -> bool:
        """Return whether a caller, as `caller_of` names it, is limited by its address.

        A trusted proxy calls for many, and so may programs of this machine.
        """
        address = parse_address(caller.removesuffix("/64"))
        return address is None or not (address.is_loopback or self._is_trusted(address))

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)
