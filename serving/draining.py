"""The ASGI server, told to stop: first it says so, then it ends."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from granian import Granian


class DrainingServer(Granian):
    """Granian finishes the requests that have begun; who balances load must hear of the end before,
    or calls that come meanwhile find a closed port.
    """

    _drain: tuple[Path, float] | None = None

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
