"""Waiting in tests for other threads and processes: the one place that says for how long.

No test asserts how fast anything is: a machine that is slow or busy must not fail one. A test
asserts what happens, in which order and how often, and waits for it with `eventually`. The clients,
sockets and processes of tests have `WAIT_SECONDS` as their timeout, which is reached only where
something hangs. How fast Mersalg is, `tests/benchmarks` measures beside a floor in the same run.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

WAIT_SECONDS = float(
    os.environ.get("MERSALG_TEST_WAIT_SECONDS") or (180 if os.environ.get("CI") else 60)
)
"""How long a test waits before it fails: a minute; three where `CI` is set, since the machines of
such services are shared; `MERSALG_TEST_WAIT_SECONDS` where that is set."""

_STEP_SECONDS = 0.02


def eventually(
    condition: Callable[[], Value],
    *,
    ignoring: tuple[type[Exception], ...] = (),
    sleep: Callable[[float], object] = time.sleep,
) -> Value:
    """Wait until the condition holds, and return the true value it gave.

    Args:
        condition: called again and again.
        ignoring: exceptions of the condition that mean "not yet", such as those of a connection to
            a service that is starting; all others are raised at once.
        sleep: waits some seconds between two calls.

    Raises:
        AssertionError: it did not hold within `WAIT_SECONDS`; names the condition and its last
            value or exception.
    """
    attempts = _Attempts(condition, ignoring)
    while not attempts.succeed():
        sleep(_STEP_SECONDS)
    return attempts.value


async def eventually_async(condition: Callable[[], Value]) -> Value:
    """Wait as `eventually` does while the running event loop goes on."""
    attempts = _Attempts(condition, ())
    while not attempts.succeed():
        await asyncio.sleep(_STEP_SECONDS)
    return attempts.value


class _Attempts(Generic[Value]):
    """Calls of one condition, up to a deadline that is set when the first is about to be made."""

    value: Value

    def __init__(
        self, condition: Callable[[], Value], ignoring: tuple[type[Exception], ...]
    ) -> None:
        self._condition, self._ignoring = condition, ignoring
        self._deadline = time.monotonic() + WAIT_SECONDS

    def succeed(self) -> bool:
        """Call the condition once; raise AssertionError if it fails after the deadline."""
        problem: Exception | None = None
        try:
            self.value = self._condition()
            if self.value:
                return True
            outcome = f"its last value is {self.value!r}"
        except self._ignoring as error:
            problem, outcome = error, f"it last raised {error!r}"
        if time.monotonic() >= self._deadline:
            raise AssertionError(
                f"not within {WAIT_SECONDS:g} seconds: {_source(self._condition)}; {outcome}"
            ) from problem
        return False


def _source(condition: Callable[[], object]) -> str:
    """Return the text of a condition on one line; its name where there is no text."""
    try:
        return " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        return repr(condition)
