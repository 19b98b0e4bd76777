"""Reports computed for a service by a process of their own.

The facts of a busy day take much memory, and computing keeps the interpreter busy for long: neither
may slow a checkout down. The process is replaced after some reports, which returns its memory, and
ends with its service, even one that is killed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mersalg.engine.errors import StorageUnavailable
from mersalg.engine.processes import Workers

if TYPE_CHECKING:
    from mersalg.engine.storage.store import Store
    from mersalg.engine.tracking.guardrail import Limits
    from mersalg.engine.tracking.report import ReportQuery

Report = dict[str, object]

_REPORTS_OF_A_PROCESS = 20
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

    Raises
    ------
    StorageUnavailable
        The machine has no pipe left for another process.
    """

    def __init__(self, url: str) -> None:
        try:
            self._workers = Workers(1, _begin, url, max_tasks_per_child=_REPORTS_OF_A_PROCESS)
        except OSError as error:
            raise StorageUnavailable(f"{_NOT_STARTED}: {error}") from error
        self.is_dead = False

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
        died = "the process that computes reports died"
        try:
            future = self._workers.submit(function, argument)
        except RuntimeError as error:  # it died before, or was closed
            self.is_dead = True
            raise StorageUnavailable(died) from error
        except OSError as error:
            self.is_dead = True
            raise StorageUnavailable(f"{_NOT_STARTED}: {error}") from error
        try:
            return future.result()
        except (BrokenProcessPool, CancelledError) as error:
            self.is_dead = True
            raise StorageUnavailable(died) from error


_own: dict[str, Store] = {}


def _begin(url: str) -> None:
    from mersalg.engine.storage.store import open_store

    # A signal to the whole group is the service's to handle; this process ends with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _own["store"] = open_store(url)


def _report(query: ReportQuery) -> Report:
    from mersalg.engine.tracking.report import build_report

    return build_report(_own["store"], query)


def _judge(judgement: Judgement) -> None:
    from mersalg.engine.tracking import guardrail

    guardrail.check(_own["store"], judgement.version, judgement.limits, judgement.now)
