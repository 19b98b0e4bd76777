"""The ASGI server when it is stopped: `/readyz` says so first, then the process ends."""

from __future__ import annotations

import os
import threading
from collections import deque
from pathlib import Path
from typing import Any

from granian.server import MPServer

_MAX_RESPAWNS, _WITHIN_SECONDS = 10, 60.0


class _Respawns(dict[int, float]):
    """When Granian last started each worker again; entered only where that came too often.

    Granian takes a worker that dies within seconds of such an entry for one that cannot live, and
    ends them all. A worker that was killed twice can live.
    """

    def __init__(self) -> None:
        super().__init__()
        self._times: deque[float] = deque(maxlen=_MAX_RESPAWNS)

    def __setitem__(self, worker: int, started: float) -> None:
        self._times.append(started)
        if len(self._times) == _MAX_RESPAWNS and started - self._times[0] <= _WITHIN_SECONDS:
            super().__setitem__(worker, started)


def end_of(stopping: Path) -> Path:
    """Return the file, beside `stopping`, that is made when the drain time is over."""
    return stopping.with_name("end")


class DrainingServer(MPServer):
    """Granian that announces its end before it closes the port.

    Granian finishes the requests that have begun. A load balancer must know of the end before, or
    calls that come meanwhile find a closed port.
    """

    _stopping: Path
    _drain_seconds: float

    def drain_by(self, stopping: Path, seconds: float) -> None:
        """Make the file `stopping` at the first signal, end after `seconds` or a second one."""
        self._stopping, self._drain_seconds = stopping, seconds
        self.respawned_wrks = _Respawns()

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Begin to drain; a second signal ends at once."""
        if os.getpid() != self.pid:
            # A worker has the handlers of its parent until it sets its own. It has taken nothing
            # yet, and what it is sent says nothing of the other workers.
            os._exit(0)
        is_repeated = self._stopping.exists()
        self._stopping.touch()
        if is_repeated or not self._drain_seconds:
            self._end()
            return
        later = threading.Timer(self._drain_seconds, self._end)
        later.daemon = True
        later.start()

    def _end(self) -> None:
        # A worker that was started a moment ago may miss the signal that Granian sends it.
        end_of(self._stopping).touch()
        super().signal_handler_interrupt()  # pyright: ignore[reportUnknownMemberType]
