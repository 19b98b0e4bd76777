"""The connections that callers hold to this process, of which the quietest are closed in time.

The HTTP server accepts a bounded number of connections and closes those that send no head of a
request in time. It does not count them by address, so that one caller could hold all of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mersalg.serving.addresses import caller_at, parse_address
from mersalg.serving.metrics import Metrics

_log = logging.getLogger("mersalg.service")

_OTHER_FILES = 512
"""Files that a worker may hold open besides its connections."""
_FEWEST = 64
_ROOM = 0.25
"""Share of the connections that is kept free: new callers must get in while others are quiet."""
_LOG_SECONDS = 60.0
_FILES = Path("/proc/self/fd")
_QUIET_SECONDS, _BUSY_SECONDS = 1.0, 0.1
_PAUSES = 20
"""How many times as long as a look at all connections it waits until the next."""
_INFO_BYTES = 104
_OPEN_STATES = (1, 8)
"""Of `struct tcp_info` of Linux: established, and closed by the caller's side alone."""
_TIMES = struct.Struct("4I")
_TIMES_AT = 44
"""Where it has milliseconds since data was sent, (an acknowledgement was sent,) data came."""


def possible_connections(wanted: int) -> int:
    """Raise this process's limit of open files where it can be; return how many connections fit."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    return min(wanted, max(raised - _OTHER_FILES, _FEWEST))


class _Connection(NamedTuple):
    quiet: int
    """Milliseconds without data in either direction."""
    file: int
    peer: str


class Connections:
    """Connections to one port, in this process, of which the server accepts `maximum`.

    One address, or one /64 network of IPv6, may hold `of_address` of them where `is_limited` says
    so of the caller as `mersalg.serving.addresses` names it; 0 sets no limit.
    """

    def __init__(
        self,
        port: int,
        is_limited: Callable[[str], bool],
        metrics: Metrics,
        *,
        maximum: int,
        of_address: int,
    ) -> None:
        self._port, self._is_limited, self._metrics = port, is_limited, metrics
        self._most, self._of_address = maximum - int(maximum * _ROOM), of_address
        self._logged_at = float("-inf")

    async def watch(self) -> None:
        """Close what is too much until cancelled; on Linux only, which says what is open."""
        while _FILES.exists():
            began = time.monotonic()
            try:
                closed = await asyncio.to_thread(self.close_excess)
            except OSError as error:  # no more files can be opened, even to list them
                _log.warning("the open connections cannot be listed: %s", error.strerror)
                closed = 0
            # Where many are closed, many wait to be accepted; looking must not take a core.
            pause = _BUSY_SECONDS if closed else _QUIET_SECONDS
            await asyncio.sleep(max(pause, _PAUSES * (time.monotonic() - began)))

    def close_excess(self) -> int:
        """Close the quietest connections of an address that holds too many, and of all if need be.

        A browser or proxy opens a connection again that was closed between two requests. The number
        of those that were closed is returned.
        """
        fewest = min(self._most, self._of_address or self._most)
        with os.scandir(_FILES) as entries:
            files = [int(entry.name) for entry in entries]
        if len(files) <= fewest:
            return 0
        by_caller: dict[str, list[_Connection]] = defaultdict(list)
        for connection in self._of(files):
            by_caller[connection.peer].append(connection)
        remaining: list[_Connection] = []
        closed = 0
        for peer, held in by_caller.items():
            held.sort()
            if self._of_address and self._is_limited(peer):
                closed += self._close(held[self._of_address :], "address")
                held = held[: self._of_address]
            remaining += held
        if len(remaining) > self._most:
            remaining.sort()
            closed += self._close(remaining[self._most :], "total")
        if closed and time.monotonic() - self._logged_at >= _LOG_SECONDS:
            self._logged_at = time.monotonic()
            _log.warning("%d quiet connections were closed: callers hold too many", closed)
        return closed

    def _of(self, files: Iterable[int]) -> Iterator[_Connection]:
        for file in files:
            try:
                with _socket(file) as held:
                    if held.getsockname()[1] != self._port:
                        continue
                    peer = parse_address(held.getpeername()[0])
                    info = held.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
            except (OSError, IndexError):  # no socket of TCP, or not connected any more
                continue
            sent, _, received, _ = _TIMES.unpack_from(info, _TIMES_AT)
            if peer is not None and info[0] in _OPEN_STATES:
                yield _Connection(min(sent, received), file, caller_at(peer))

    def _close(self, connections: list[_Connection], reason: str) -> int:
        closed = 0
        for connection in connections:
            try:
                with _socket(connection.file) as held:
                    peer = parse_address(held.getpeername()[0])
                    if peer is not None and caller_at(peer) == connection.peer:
                        held.shutdown(socket.SHUT_RDWR)
                        closed += 1
            except (OSError, IndexError):  # closed by the caller meanwhile
                continue
        self._metrics.connections_closed.labels(reason).inc(closed)
        return closed


@contextmanager
def _socket(file: int) -> Generator[socket.socket, None, None]:
    """Yield a socket of the server; while it is held, its number is not another connection's."""
    copy = os.dup(file)
    try:
        held = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with held:
        yield held
