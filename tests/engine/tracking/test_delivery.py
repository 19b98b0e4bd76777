"""Facts may come in any order, twice and late: the report is the same, to the byte."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine import clock
from mersalg.engine.facts import Fact
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import open_store
from mersalg.engine.tracking.report import ReportQuery, build_report, report_of
from tests.support.facts import START, histories
from tests.support.repetitions import repetitions

SECRET = b"a secret of the tests, long enough"
QUERY = ReportQuery(by=("day", "item", "rule"), timezone="Europe/Oslo", currency="NOK")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without facts, to be copied: cheaper than migrating every time."""
    path = tmp_path_factory.mktemp("empty") / "facts.db"
    store = open_store(str(path), secret=SECRET)
    store.migrate()
    store.close()
    return path


def report_after(empty: Path, batches: Iterable[list[Fact]], query: ReportQuery) -> str:
    """The report of a fresh database that was handed `batches` one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.db"
        shutil.copy(empty, path)
        store = open_store(str(path), secret=SECRET)
        try:
            for batch in batches:
                assert not store.facts.append(batch).rejected
            return json.dumps(build_report(store, query))
        finally:
            store.close()


@settings(max_examples=repetitions(25))
@given(facts=histories(), data=st.data())
def test_shuffled_repeated_and_late_facts_give_the_same_bytes(
    empty: Path, facts: list[Fact], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(facts), max_size=10)) if facts else []
    shuffled = data.draw(st.permutations([*facts, *again]))
    cut = data.draw(st.integers(0, len(shuffled)))
    delivered = [shuffled[:cut], shuffled[cut:], list(facts)]
    assert report_after(empty, [facts], QUERY) == report_after(empty, delivered, QUERY)


@settings(max_examples=repetitions(25))
@given(facts=histories(), hours=st.tuples(st.integers(0, 40), st.integers(1, 40)))
def test_a_report_of_some_hours_reads_enough(
    empty: Path, facts: list[Fact], hours: tuple[int, int]
) -> None:
    """The store reads only what a period needs; a store handed nothing else says the same."""
    since = START + hours[0] * 3_600_000_000
    query = ReportQuery(
        since=clock.to_datetime(since),
        until=clock.to_datetime(since + hours[1] * 3_600_000_000),
        timezone="Europe/Oslo",
        currency="NOK",
        impressions="viewed",
        attribution_window_days=0,
        holdout=0.1,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.db"
        shutil.copy(empty, path)
        store = open_store(str(path), secret=SECRET)
        try:
            store.facts.append(facts)
            everything = list(store.facts.read(FactScope()))
            assert json.dumps(build_report(store, query)) == json.dumps(
                report_of(everything, query)
            )
        finally:
            store.close()
