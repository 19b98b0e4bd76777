"""The ASGI server, told to stop: first it says so, then it ends."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Any

from granian import Granian

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


class DrainingServer(Granian):
    """Granian finishes the requests that have begun; who balances load must hear of the end before,
    or calls that come meanwhile find a closed port.
    """

    _drain: tuple[Path, float] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.respawned_wrks = _Respawns()

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
