"""How long work tells how far it has come; the command line draws it, others stay silent."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    def advance(self, steps: int = 1) -> None: ...


class Progress(Protocol):
    def task(self, description: str, total: int | None = None) -> AbstractContextManager[Task]:
        """A stage of work; `total` steps where known, a spinner where not."""
        ...


class _SilentTask:
    def advance(self, steps: int = 1) -> None:
        del steps


class SilentProgress:
    """Progress nobody watches."""

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Generator[Task, None, None]:
        del description, total
        yield _SilentTask()
