"""Fixtures every room may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.distribution import ByFile, longest_first
from tests.support.fast_mode import leave_out, skip_processes, skip_trainings
from tests.support.postgres import PostgresServer
from tests.support.repetitions import repetitions
from tests.support.spark import LocalSpark
from tests.support.system import CHROMIUM_FLAGS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from xdist.remote import Producer

# Shared machines are slow at moments; a slow example is no failure of the code.
settings.register_profile(
    "mersalg",
    max_examples=repetitions(50, 400),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("mersalg")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only tests without processes or training")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fast"):
        skip_trainings()
        # A test that is skipped half-way leaves loops and sockets that nobody closes.
        left_open = "ignore::pytest.PytestUnraisableExceptionWarning"
        config.addinivalue_line("filterwarnings", left_open)


@pytest.fixture(autouse=True)
def _imports_from_the_current_folder() -> Iterator[None]:
    """Take back what the command sets in the environment when a test calls it in its process."""
    os.environ.pop("PYTHONSAFEPATH", None)
    yield
    os.environ.pop("PYTHONSAFEPATH", None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the test processes of `--numprocesses auto`: one more than there are cores.

    At any time some test waits for a server, a browser or a deadline.
    """
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    longest_first(items)
    if config.getoption("--fast"):
        items[:], left_out = leave_out(items)
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session", autouse=True)
def _fast_mode(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--fast"):
        skip_processes()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One real server a test process, shared by all its tests."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """One database for the whole session."""
    return postgres_server.new_database()


@pytest.fixture
def fresh_postgres_url(postgres_server: PostgresServer) -> str:
    """An own empty database."""
    return postgres_server.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The path of a file that is not there yet; then the URL of an own empty database."""
    if request.param == "sqlite":
        return str(tmp_path / "facts.db")
    return str(request.getfixturevalue("fresh_postgres_url"))


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A server of the test's own, which it may stop and start."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One real Chromium for the tests of a file, which open contexts of their own in it.

    Not for longer: while it is there, an event loop runs, and other tests want to run their own.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def spark() -> Iterator[None]:
    """One local Spark a test process: to start one takes as long as all that is asked of it."""
    local = LocalSpark()
    yield
    local.stop()
