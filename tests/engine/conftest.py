"""Fixtures of several files here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.storage.sql import SqlStore, open_store
from tests.support.fact_files import SECRET


@pytest.fixture(params=["sqlite", "postgresql"])
def bulk_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    url = (
        str(tmp_path / "facts.db")
        if request.param == "sqlite"
        else request.getfixturevalue("fresh_postgres_url")
    )
    store = open_store(url, secret=SECRET, bulk=True)
    store.migrate()
    yield store
    store.close()
