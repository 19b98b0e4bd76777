"""`pytest --fast`: the tests of a minute, without what starts a process or trains a model.

A test is not marked for it. What starts a process (a service, PostgreSQL, a browser, Spark, a
command) or trains a model is skipped at that point, so that a new test cannot be forgotten.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from typing import NoReturn

import pytest

_LEFT_OUT = ("realdata", "demo", "spark", "browser", "postgres", "thorough")
"""Markers of tests that need a large data set, a server or many repetitions."""
_NO_PROCESS = "--fast starts no process"


def leave_out(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Return the tests that `--fast` keeps and those that it leaves out by their markers."""
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        is_slow = any(item.get_closest_marker(name) for name in _LEFT_OUT)
        (left_out if is_slow else kept).append(item)
    return kept, left_out


def skip_trainings() -> None:
    """Skip, from now on, every test of this process that trains a model.

    To be called before `mersalg.training.pipeline` and the tests import these names.
    """
    from mersalg.training import model_fit
    from mersalg.training.ranking import ranker

    def no_training(*_arguments: object, **_named: object) -> NoReturn:
        pytest.skip("--fast trains no model")

    model_fit.fit_model = no_training
    ranker.fit_scorers = no_training


def skip_processes() -> None:
    """Skip, from now on, every test of this process that starts another process."""

    def no_process(event: str, _arguments: tuple[object, ...]) -> None:
        if event in {"subprocess.Popen", "os.posix_spawn", "os.fork"}:
            pytest.skip(_NO_PROCESS)

    def no_pool(*_arguments: object, **_named: object) -> NoReturn:
        pytest.skip(_NO_PROCESS)

    sys.addaudithook(no_process)
    # Its processes are started without an audit event.
    ProcessPoolExecutor.__init__ = no_pool
