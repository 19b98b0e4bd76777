"""Other processes for work that Python would do on one processor."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection


class Workers(ProcessPoolExecutor):
    """Processes that end when the one that started them does, even if it is killed.

    There may be `maximum` of them, started as work comes in; each calls `prepare` with `arguments`
    first.
    """

    def __init__(self, maximum: int, prepare: Callable[..., None], *arguments: object) -> None:
        # Each process is new: a fork would copy locks that other threads hold.
        context = get_context("spawn")
        # A process waits for work on a pipe whose two ends it holds, so it does not notice that
        # its parent was killed. Of this one only the parent holds the writing end.
        reader, self._lifeline = context.Pipe(duplex=False)
        self._terminating = threading.Lock()
        super().__init__(maximum, context, _begin, (reader, prepare, arguments))

    def terminate(self) -> None:
        """End all processes at once; what they were asked raises BrokenProcessPool.

        Several threads may call it, and it may be called again.
        """
        # The executor closes its pipes twice where two threads shut it down at the same time.
        with self._terminating:
            self._lifeline.close()
            self.shutdown(wait=True, cancel_futures=True)


def _begin(
    lifeline: Connection, prepare: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    # It would look through millions of rows again and again; who works for long collects between.
    gc.disable()
    prepare(*arguments)


def _end_with_parent(lifeline: Connection) -> None:
    lifeline.poll(None)
    os._exit(1)
