"""Other processes for work that Python would do on one processor."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process


def helpers(most: int, prepare: Callable[..., None], *told: object) -> ProcessPoolExecutor:
    """Up to `most` processes that end when this one does, even if it is killed.

    Args:
        prepare: called in each with `told` before its first work.
    """
    # Each is made new; a fork would copy locks that other threads hold.
    return ProcessPoolExecutor(most, get_context("spawn"), _begin, (prepare, told))


def _begin(prepare: Callable[..., None], told: tuple[object, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The rows they work on by the million hold nothing that only the collector could free.
    gc.disable()
    prepare(*told)


def _end_with_parent() -> None:
    # Nobody would end them after a kill: they wait for work by a pipe each holds both ends of.
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
