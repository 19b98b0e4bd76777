"""Fixtures of several files here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mersalg.engine.storage.store import Store, open_store
from tests.support.fact_files import SECRET


@pytest.fixture
def bulk_store(fresh_database: str) -> Iterator[Store]:
    store = open_store(fresh_database, secret=SECRET, bulk=True)
    store.migrate()
    yield store
    store.close()
