"""Long work in a thread that must not make the others wait."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

_SECONDS = 0.0001

_lock = threading.Lock()
_at_work = 0
_usual = sys.getswitchinterval()


@contextmanager
def small_steps() -> Generator[None, None, None]:
    """While any thread is in such a block, threads hand the interpreter on fifty times as often.

    A call takes the interpreter up tens of times on its way through the threads of a process, once
    after each word with the database. At Python's own 5 ms a turn, a thread that loads a model
    would add 100 ms to it.
    """
    global _at_work, _usual
    with _lock:
        if not _at_work:
            _usual = sys.getswitchinterval()
            sys.setswitchinterval(min(_SECONDS, _usual))
        _at_work += 1
    try:
        yield
    finally:
        with _lock:
            _at_work -= 1
            if not _at_work:
                sys.setswitchinterval(_usual)
