"""The ASGI server, told to stop: first it says so, then it ends."""

from __future__ import annotations

import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from granian import Granian

_MOST_DEATHS, _WITHIN_SECONDS = 10, 60.0


class DrainingServer(Granian):
    """Granian finishes the requests that have begun; who balances load must hear of the end before,
    or calls that come meanwhile find a closed port.
    """

    _drain: tuple[Path, float] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deaths: deque[float] = deque(maxlen=_MOST_DEATHS)

    def _respawn_workers(
        self, workers: Any, spawn_target: Any, target_loader: Any, delay: float = 0
    ) -> None:
        """Granian takes a worker that dies twice in some seconds for one that cannot live, and ends
        them all; one that is killed twice is no such thing."""
        super()._respawn_workers(workers, spawn_target, target_loader, delay)
        self._deaths.append(time.monotonic())
        if len(self._deaths) < _MOST_DEATHS or self._deaths[-1] - self._deaths[0] > _WITHIN_SECONDS:
            self.respawned_wrks.clear()

    def drain_by(self, stopping: Path, seconds: float) -> None:
        """Once told to stop, make the file `stopping` and go on for `seconds`; told twice, end."""
        self._drain = (stopping, seconds)

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        if self._drain is None:
            super().signal_handler_interrupt(*args, **kwargs)
            return
        (stopping, seconds), self._drain = self._drain, None
        stopping.touch()
        end = super().signal_handler_interrupt
        if not seconds:
            end(*args, **kwargs)
            return
        later = threading.Timer(seconds, end, args, kwargs)
        later.daemon = True
        later.start()
