"""A process that computes reports for a service: `python -m serving.reporting`, over pipes.

A busy day's facts take much memory, of which Python gives little back, and the interpreter for
long; here neither is the checkout's. The process ends when its standard input does, so none is left
behind by a service that was killed.
"""

from __future__ import annotations

import pickle
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from engine.errors import MersalgError, StorageUnavailable
from serving.memory import give_back

if TYPE_CHECKING:
    from engine.tracking.guardrail import Limits
    from engine.tracking.report import ReportQuery

Report = dict[str, object]

_SECONDS_TO_END = 5.0
_MOST_REPORTS = 50
_MOST_BYTES = 128 * 2**20


class Judgement(NamedTuple):
    """What `engine.tracking.guardrail.check` is asked."""

    version: str
    limits: Limits
    now: int


class ReportingFailed(Exception):
    """What went wrong over there, as text: it may not exist here."""


class Reporter:
    """The near end; for one thread at a time.

    Args:
        url: of the database; it may hold a password, so it goes through the pipe.
    """

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.computed, self.is_dead = 0, False
        self._send(url)

    def report(self, query: ReportQuery) -> Report:
        """Raises whatever `build_report` raises, and StorageUnavailable where the process died."""
        answer = self._ask(query)
        assert isinstance(answer, dict)
        return cast("Report", answer)

    def judge(self, judgement: Judgement) -> None:
        """As `engine.tracking.guardrail.check`; raises likewise."""
        self._ask(judgement)

    def _ask(self, told: object) -> object:
        self.computed += 1
        self._send(told)
        out = self._process.stdout
        assert out is not None
        try:
            # Written by a process of our own, over a pipe nobody else holds.
            answer: object = pickle.load(out)  # noqa: S301
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            self.is_dead = True
            raise StorageUnavailable("the process that computes reports died") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def is_spent(self) -> bool:
        """Whether another process should compute the next report: this one died, or holds much
        memory of what it computed."""
        if self.is_dead or self.computed >= _MOST_REPORTS:
            return True
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        except (OSError, ValueError):  # no Linux: the number of reports has to do
            return False
        return pages * resource.getpagesize() > _MOST_BYTES

    def close(self) -> None:
        """Ends the process, whatever it does."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Ends the process at once; a report that is being computed fails."""
        self._process.kill()

    def _send(self, told: object) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(OSError):  # it died: reading the answer finds out
            pickle.dump(told, pipe)
            pipe.flush()


def serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """The far end: the address of a database, then queries and judgements, each answered by what
    was found or an error; until there are no more."""
    from engine.storage.sql import open_store
    from engine.tracking import guardrail
    from engine.tracking.report import build_report

    store = open_store(pickle.load(asked))  # noqa: S301 - from the service that started us
    while True:
        try:
            query = pickle.load(asked)  # noqa: S301
        except EOFError:
            break
        answer: object
        try:
            if isinstance(query, Judgement):
                answer = guardrail.check(store, query.version, query.limits, query.now)
            else:
                answer = build_report(store, query)
        except MersalgError as error:
            answer = error
        except Exception as error:
            answer = ReportingFailed(repr(error))
        pickle.dump(answer, answers)
        answers.flush()
        del answer, query
        give_back()
    store.close()


def main() -> None:
    # Ends with the service, by its input; a signal to the whole group is the service's to take.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    # Under its own name: what goes through the pipe has to be the same class at both ends.
    from serving import reporting

    reporting.main()
