"""Reports through real databases: no byte depends on the order, the number or the door of facts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from mersalg.engine.facts import Fact
from mersalg.engine.storage.connection import connect, parse_url
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.storage.tables import metadata
from mersalg.engine.tracking.report import ReportQuery, build_report, report_of
from tests.engine.tracking.test_report import queries
from tests.support.facts import histories
from tests.support.repetitions import repetitions

SECRET = b"a secret of the tests, long enough"
SPLIT = ("day", "item", "rule")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without facts, to be copied."""
    path = tmp_path_factory.mktemp("stores") / "empty.db"
    store = open_store(str(path), secret=SECRET)
    store.migrate()
    store.close()
    return path


def fresh(empty: Path, name: str) -> Store:
    copied = empty.with_name(f"{name}.db")
    for left in empty.parent.glob(f"{copied.name}*"):
        left.unlink()
    shutil.copy(empty, copied)
    return open_store(str(copied), secret=SECRET)


@settings(max_examples=repetitions(30, 240))
@given(facts=histories(), query=queries(), data=st.data())
def test_the_store_changes_no_byte_of_the_report(
    empty: Path, facts: list[Fact], query: ReportQuery, data: st.DataObject
) -> None:
    query = replace(query, by=SPLIT)
    expected = json.dumps(report_of(facts, query))
    again = data.draw(st.lists(st.sampled_from(facts), max_size=8))
    delivered = data.draw(st.permutations([*facts, *again]))
    cut = data.draw(st.integers(0, len(delivered)))
    store = fresh(empty, "shuffled")
    results = [store.facts.append(part) for part in (delivered[:cut], delivered[cut:])]
    assert sum(result.recorded for result in results) == len(facts)
    assert sum(result.duplicates for result in results) == len(again)
    # Only what the period needs is read, yet the report is that of all facts.
    assert json.dumps(build_report(store, query)) == expected
    moved = fresh(empty, "moved")
    moved.facts.append(list(store.facts.read(FactScope())), trusted=True)
    assert json.dumps(build_report(moved, query)) == expected
    assert list(moved.facts.read(FactScope())) == list(store.facts.read(FactScope()))
    store.close()
    moved.close()


@pytest.fixture(scope="module")
def server(postgres_url: str) -> Iterator[Store]:
    store = open_store(postgres_url, secret=SECRET)
    store.migrate()
    yield store
    _empty_tables(postgres_url)
    store.close()


def _empty_tables(url: str) -> None:
    engine = connect(parse_url(url))
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name != "settings":
                connection.execute(delete(table))
    engine.dispose()


@pytest.mark.postgres
@settings(max_examples=repetitions(20))
@given(facts=histories(), query=queries())
def test_a_server_changes_no_byte_either(
    server: Store, postgres_url: str, facts: list[Fact], query: ReportQuery
) -> None:
    _empty_tables(postgres_url)
    query = replace(query, by=SPLIT)
    server.facts.append(facts)
    assert json.dumps(build_report(server, query)) == json.dumps(report_of(facts, query))
