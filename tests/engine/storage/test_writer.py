"""Batches on their way into the tables: found new or known, in one transaction, over one
connection that may be lost."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from mersalg.engine.errors import StorageUnavailable
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import Fact
from mersalg.engine.storage.fact_rows import AppendResult, row_of
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import Store, open_store
from tests.support.fact_files import RECORDS, SECRET
from tests.support.waiting import WAIT_SECONDS, eventually


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    if request.param != "sqlite":
        url = cast("str", request.getfixturevalue("fresh_postgres_url"))
    opened = open_store(url, secret=SECRET)
    opened.migrate(serving=True)
    yield opened
    opened.close()


def view(number: int, offer: str = "o") -> Fact:
    return parse_fact(
        {
            "type": "view_promotion",
            "event_id": f"e{number}",
            "occurred_at": "2026-01-02T10:00:00+00:00",
            "offer_id": f"{offer}{number}",
        }
    )


def recorded(store: Store) -> list[str]:
    return [fact.event_id for fact in store.facts.read(FactScope())]


def test_known_facts_of_a_batch_are_distinguished(store: Store) -> None:
    store.facts.append([view(1)])
    result = store.facts.append([view(1), view(2), view(1, "p"), view(2)])
    assert (result.recorded, result.duplicate_indices) == (1, (0, 3))
    assert [(each.index, each.code) for each in result.rejected] == [(2, "conflict")]
    assert recorded(store) == ["e1", "e2"]


def test_a_batch_of_any_size_is_written_whole(store: Store) -> None:
    numbers = range(10_000, 10_000 + 2_777)
    assert store.facts.append([view(number) for number in numbers]).recorded == len(numbers)
    assert store.facts.append([view(number) for number in numbers]).duplicates == len(numbers)
    assert recorded(store) == [f"e{number}" for number in numbers]


def test_a_dropped_fact_is_recorded_again_though_no_roll_up_has_seen_it(store: Store) -> None:
    store.facts.append([view(1)])
    assert store.facts.drop_before(1_800_000_000_000_000, lambda _n_facts: None) == 1
    assert store.facts.append([view(1)]).recorded == 1
    assert recorded(store) == ["e1"]


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_offers_and_decisions_are_recorded_once_in_whatever_batches(
    data: st.DataObject, tmp_path: Path
) -> None:
    """Copies under other event ids conflict, in the batch of the first one or in a later one."""
    records = [
        *RECORDS,
        *({**each, "event_id": f"copy of {each['event_id']}"} for each in RECORDS[:3]),
        {**RECORDS[2], "event_id": "half", "decision_id": "half", "offers": RECORDS[2]["offers"]},
    ]
    store = open_store(str(tmp_path / "facts.db"), secret=SECRET)
    store.migrate()
    engine = create_engine(store.url)
    with engine.begin() as connection:
        for table in ("offers", "named_offers", "decisions", "fresh_facts", "facts"):
            connection.execute(text(f"delete from {table}"))
    shuffled = data.draw(st.permutations(records))
    n_recorded = n_rejected = start = 0
    while start < len(shuffled):
        size = data.draw(st.integers(1, len(shuffled) - start))
        facts = [
            row_of(parse_fact(each), store.people.pseudonyms)
            for each in shuffled[start : start + size]
        ]
        result = store.facts.append_rows(facts)
        assert result.duplicates == 0
        n_recorded, n_rejected = n_recorded + result.recorded, n_rejected + len(result.rejected)
        start += size
    assert n_recorded + n_rejected == len(shuffled)
    with engine.connect() as connection:
        names = {table: set[str]() for table in ("decisions", "offers")}
        for table, names_of in names.items():
            names_of |= {row[1] for row in connection.execute(text(f"select * from {table}"))}
        facts_left = set(connection.scalars(text("select event_id from facts")))
        fresh = set(connection.scalars(text("select event_id from fresh_facts")))
    engine.dispose()
    # Exactly one of each pair of copies; of those with the offers of the third, one of three.
    assert len(facts_left) == n_recorded == 6
    assert fresh == facts_left
    assert names["decisions"] == {each for each in facts_left if not each.startswith("p")}
    assert names["offers"] <= names["decisions"]
    store.close()


@pytest.mark.postgres
def test_a_connection_that_ended_since_the_last_batch_costs_no_fact(
    fresh_postgres_url: str,
) -> None:
    store = open_store(fresh_postgres_url, secret=SECRET)
    store.migrate(serving=True)
    store.facts.append([view(1)])
    engine = create_engine(store.url)
    with engine.connect() as connection:
        connection.execute(
            text(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where pid <> pg_backend_pid() and datname = current_database()"
            )
        )
    engine.dispose()
    assert store.facts.append([view(1), view(2)]).recorded == 1
    assert recorded(store) == ["e1", "e2"]
    store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("is_first_written", [True, False])
def test_a_batch_beside_another_waits_for_what_becomes_of_the_same_ids(
    fresh_postgres_url: str, is_first_written: bool
) -> None:
    """The first batch stops before its commit, or fails there, as the second one comes."""
    store = open_store(fresh_postgres_url, secret=SECRET)
    store.migrate(serving=True)
    assert store.facts.n_writers == 2
    inserted, gate = threading.Event(), threading.Event()

    def note(result: AppendResult) -> None:
        inserted.set()
        assert gate.wait(WAIT_SECONDS)
        if not is_first_written:
            raise OSError("no room")

    first, second = (store.facts.rows_of(batch) for batch in ([view(1), view(2)], later()))
    with ThreadPoolExecutor(2) as threads:
        writing = threads.submit(store.facts.append_rows, first, note)
        assert inserted.wait(WAIT_SECONDS)
        beside = threads.submit(store.facts.append_rows, second)
        engine = create_engine(store.url)
        with engine.connect() as connection:
            eventually(lambda: connection.scalar(text(_N_BLOCKED)) == 1)
        engine.dispose()
        assert not beside.done()
        gate.set()
        if is_first_written:
            assert writing.result().recorded == 2
            result = beside.result()
            assert (result.recorded, result.duplicate_indices) == (1, (0,))
            assert [(each.index, each.code) for each in result.rejected] == [(1, "conflict")]
        else:
            assert isinstance(writing.exception(), OSError)
            assert beside.result().recorded == 3
    assert recorded(store) == ["e1", "e2", "e3"]
    store.close()


_N_BLOCKED = (
    "select count(*) from pg_stat_activity"
    " where datname = current_database() and wait_event_type = 'Lock'"
)


def later() -> list[Fact]:
    """Return the first of two views again, the second with another offer, and a third."""
    return [view(1), view(2, "other"), view(3)]


@pytest.mark.postgres
def test_a_month_that_another_process_dropped_is_made_again(fresh_postgres_url: str) -> None:
    store = open_store(fresh_postgres_url, secret=SECRET)
    store.migrate()
    store.facts.append([view(1)])
    other = open_store(fresh_postgres_url, secret=SECRET)
    assert other.facts.drop_before(1_800_000_000_000_000, lambda _n_facts: None) == 1
    other.close()
    assert store.facts.append([view(2)]).recorded == 1
    assert recorded(store) == ["e2"]
    store.close()


def test_a_batch_waits_for_another_process_that_writes_but_not_for_ever(tmp_path: Path) -> None:
    database = tmp_path / "facts.db"
    store = open_store(str(database), secret=SECRET)
    store.migrate()
    with closing(sqlite3.connect(database, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.3, other.execute, ["ROLLBACK"])
        timer.start()
        assert store.facts.append([view(1)]).recorded == 1
        timer.join()
        other.execute("BEGIN IMMEDIATE")
        hasty = open_store(f"sqlite:///{database}?timeout=0.1", secret=SECRET)
        with pytest.raises(StorageUnavailable, match="locked"):
            hasty.facts.append([view(2)])
        other.execute("ROLLBACK")
        hasty.close()
    assert store.facts.append([view(2)]).recorded == 1
    assert recorded(store) == ["e1", "e2"]
    store.close()


def test_the_log_is_moved_into_the_database_beside_the_commits(tmp_path: Path) -> None:
    database, alone = tmp_path / "facts.db", tmp_path / "alone.db"
    store = open_store(f"sqlite:///{database}", secret=SECRET)
    store.migrate(serving=True)
    for number in range(5):
        assert store.facts.append([view(number)]).recorded == 1

    def moved() -> int:
        # The file without its log, as it is on disk: perhaps while it is being written to.
        shutil.copy(database, alone)
        with (
            closing(sqlite3.connect(f"file:{alone}?immutable=1", uri=True)) as connection,
            suppress(sqlite3.DatabaseError),
        ):
            return connection.execute("SELECT count(*) FROM facts").fetchone()[0]
        return 0

    try:
        eventually(lambda: moved() == 5)
    finally:
        store.close()
    assert not [each for each in threading.enumerate() if each.name == "mersalg-checkpoints"]


def test_a_database_is_its_owners_alone(tmp_path: Path) -> None:
    opened = open_store(f"sqlite:///{tmp_path / 'facts.db'}", secret=SECRET)
    opened.migrate()
    opened.facts.append([view(1)])
    with opened._database.reading():
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("facts.db*")}
    opened.close()
    assert modes == dict.fromkeys(("facts.db", "facts.db-wal", "facts.db-shm"), 0o600)


def test_the_log_of_a_service_is_bounded_and_emptied_when_nobody_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where commits follow each other without a pause, which no passive checkpoint meets."""
    monkeypatch.setattr("mersalg.engine.storage.checkpoints._LONG_LOG", 50)
    monkeypatch.setattr("mersalg.engine.storage.checkpoints._CHECKPOINT_SECONDS", 0.01)
    monkeypatch.setattr("mersalg.engine.storage.checkpoints._IDLE_SECONDS", 0.5)
    monkeypatch.setattr(
        "mersalg.engine.storage.writer._SERVING_PRAGMAS", ("PRAGMA wal_autocheckpoint = 0",)
    )
    log, ended = tmp_path / "facts.db-wal", threading.Event()
    opened = open_store(f"sqlite:///{tmp_path / 'facts.db'}", secret=SECRET)
    opened.migrate(serving=True)
    sizes: list[int] = []

    def write(thread: int) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            opened.facts.append([view(1_000_000 * thread + number)])
            sizes.append(log.stat().st_size)

    writers = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for thread in writers:
        thread.start()
    try:
        eventually(lambda: len(sizes) >= 2_000)
    finally:
        ended.set()
        for thread in writers:
            thread.join()
    assert max(sizes) < 20 * 2**20  # of 100 that were written
    eventually(lambda: log.stat().st_size == 0)
    opened.close()
