"""Fixtures every room may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import PostgresServer
from tests.support.spark import LocalSpark

# Shared machines are slow at moments; a slow example is no failure of the code.
settings.register_profile(
    "mersalg", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("mersalg")


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


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A server of the test's own, which it may stop and start."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def spark() -> Iterator[None]:
    """One local Spark a test process: to start one takes as long as all that is asked of it."""
    local = LocalSpark()
    yield
    local.stop()
