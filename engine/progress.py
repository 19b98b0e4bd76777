"""Progress of long work: the command line draws it, other callers stay silent."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """A stage of work under way."""

    def advance(self, steps: int = 1) -> None:
        """Report that so many steps more are done."""


class Progress(Protocol):
    """Shows how far long work is."""

    def task(self, description: str, total: int | None = None) -> AbstractContextManager[Task]:
        """Start a stage of work; `total` steps where known, a spinner where not."""
        ...


class _SilentTask:
    def advance(self, steps: int = 1) -> None:
        del steps


class SilentProgress:
    """Progress nobody watches."""

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Generator[Task, None, None]:
        """Show nothing."""
        del description, total
        yield _SilentTask()
