"""Reports computed for a service by a process of their own.

The facts of a busy day take much memory, and computing keeps the interpreter busy for long: neither
may slow a checkout down. A process that has grown is replaced, which returns its memory, and all
end with their service, even one that is killed.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mersalg.engine.errors import StorageUnavailable
from mersalg.engine.processes import Workers
from mersalg.serving.process import give_back, resident_bytes

if TYPE_CHECKING:
    from mersalg.engine.storage.store import Store
    from mersalg.engine.tracking.guardrail import Limits
    from mersalg.engine.tracking.report import ReportQuery

Report = dict[str, object]

_MAY_GROW = 32 * 2**20
"""Bytes: less than what a new process has to load."""
_NOT_STARTED = "no process for reports can be started"
_T = TypeVar("_T")
_A = TypeVar("_A")


class Judgement(NamedTuple):
    """The arguments of `mersalg.engine.tracking.guardrail.check`."""

    version: str
    limits: Limits
    now: int


class Reporter:
    """One process that computes reports; for one thread at a time.

    Parameters
    ----------
    url : str
        Address of the database. It may hold a password, so it goes through a pipe.
    may_grow : int
        Bytes that the process may hold beyond those that it began with.

    Attributes
    ----------
    is_spent
        Whether the process died, or has grown by more: another one is to be started.

    Raises
    ------
    StorageUnavailable
        The machine has no pipe left for another process.
    """

    def __init__(self, url: str, may_grow: int = _MAY_GROW) -> None:
        try:
            self._workers = Workers(1, _begin, url)
        except OSError as error:
            raise StorageUnavailable(f"{_NOT_STARTED}: {error}") from error
        self._may_grow = may_grow
        self.is_spent = False

    def report(self, query: ReportQuery) -> Report:
        """Return the report.

        Raises
        ------
        StorageUnavailable
            The process died, or could not be started.
        Exception
            Whatever `build_report` raises.
        """
        return self._ask(_report, query)

    def judge(self, judgement: Judgement) -> None:
        """Check the guardrail as `engine.tracking.guardrail.check` does; raises likewise."""
        self._ask(_judge, judgement)

    def close(self) -> None:
        """End the process; a report that is being computed fails."""
        self._workers.terminate()

    def _ask(self, function: Callable[[_A], _T], argument: _A) -> _T:
        try:
            return self._run(function, argument)
        finally:
            if not self.is_spent:
                self.is_spent = self._run(_grown_by, None) > self._may_grow

    def _run(self, function: Callable[[_A], _T], argument: _A) -> _T:
        died = "the process that computes reports died"
        try:
            future = self._workers.submit(function, argument)
        except RuntimeError as error:  # it died before, or was closed
            self.is_spent = True
            raise StorageUnavailable(died) from error
        except OSError as error:
            self.is_spent = True
            raise StorageUnavailable(f"{_NOT_STARTED}: {error}") from error
        try:
            return future.result()
        except (BrokenProcessPool, CancelledError) as error:
            self.is_spent = True
            raise StorageUnavailable(died) from error


class _Own(NamedTuple):
    """Parts of a process that computes reports, and the bytes that it held at first."""

    store: Store
    began_with: int


_own: list[_Own] = []


def _begin(url: str) -> None:
    # What every report loads, so that the process is seen to grow by what reports leave alone.
    import_module("mersalg.engine.tracking.rollups.rolled_up")
    from mersalg.engine.storage.store import open_store

    # A signal to the whole group is the service's to handle; this process ends with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _own.append(_Own(open_store(url), resident_bytes()))


def _grown_by(_: None) -> int:
    """Free what the last report used, and return how many bytes more are held than at first."""
    gc.collect()
    give_back()
    return resident_bytes() - _own[0].began_with


def _report(query: ReportQuery) -> Report:
    from mersalg.engine.tracking.report import build_report

    return build_report(_own[0].store, query)


def _judge(judgement: Judgement) -> None:
    from mersalg.engine.tracking import guardrail

    guardrail.check(_own[0].store, judgement.version, judgement.limits, judgement.now)
