"""An empty database is filled without indexes and keys, and is like any other in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec import structs
from sqlalchemy import Connection, create_engine, insert, inspect, text
from sqlalchemy.exc import IntegrityError

from engine.fact_json import parse_fact
from engine.storage import importing
from engine.storage.importing import ImportResult
from engine.storage.indexes import DEFERRED, missing_keys
from engine.storage.loader import Loader
from engine.storage.loading import Rows
from engine.storage.sql import SqlStore, open_store
from engine.storage.store import FactScope
from engine.storage.tables import offers
from tests.support.fact_files import (
    SECRET,
    a_file,
    before_the_third_load,
    clean_file,
    killed,
    run,
    told,
)


def present_indexes(store: SqlStore) -> set[str]:
    engine = create_engine(store.url)
    try:
        inspector = inspect(engine)
        return {
            str(entry["name"])
            for table in ("facts", "decisions", "offers", "named_offers")
            for entry in inspector.get_indexes(table)
        }
    finally:
        engine.dispose()


DEFERRED_NAMES = {str(index.name) for index in DEFERRED}


def deferred(store: SqlStore) -> set[str]:
    return present_indexes(store) & DEFERRED_NAMES


def keys_stand(store: SqlStore) -> bool:
    engine = create_engine(store.url)
    try:
        with engine.connect() as connection:
            return not missing_keys(connection)
    finally:
        engine.dispose()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[set[str], bool]]:
    """The indexes, and whether there were keys, at each write of a large file."""
    monkeypatch.setattr(importing, "_LARGE", 0)
    monkeypatch.setattr(importing, "_PIECE", 10)
    monkeypatch.setattr(importing, "_TOGETHER", 10)
    plain, seen = Loader.load, list[tuple[set[str], bool]]()
    stores = list[SqlStore]()
    make = SqlStore.loader

    def looks(self: Loader, pieces: Sequence[Rows], entry: tuple[str, str] | None) -> bool:
        seen.append((deferred(stores[-1]), keys_stand(stores[-1])))
        return plain(self, pieces, entry)

    def made(self: SqlStore, expected: int) -> Loader:
        stores.append(self)
        return make(self, expected)

    monkeypatch.setattr(Loader, "load", looks)
    monkeypatch.setattr(SqlStore, "loader", made)
    return seen


def test_a_large_first_load_builds_indexes_when_all_is_there(
    bulk_store: SqlStore, tmp_path: Path, seen: list[tuple[set[str], bool]]
) -> None:
    path, before = a_file(tmp_path), present_indexes(bulk_store)
    assert before >= DEFERRED_NAMES
    assert told(run(bulk_store, path)) == (80, 1, 3)
    assert [indexes for indexes, _ in seen] == [set()] * len(seen)
    assert not seen[0][1], "nor keys at first"
    assert present_indexes(bulk_store) >= before
    assert keys_stand(bulk_store)
    assert [fact.event_id for fact in bulk_store.facts_of_checkouts(["k3"])] == ["d3", "v3"]
    seen.clear()
    assert told(run(bulk_store, path)) == (0, 81, 3), "there are facts now: it does not do without"
    assert seen == [(DEFERRED_NAMES, True)] * len(seen)


@pytest.fixture
def expected_facts(tmp_path: Path) -> list[Any]:
    """Those of `clean_file`, recorded one by one."""
    plain = open_store(str(tmp_path / "one by one.db"), secret=SECRET)
    plain.migrate()
    for raw in clean_file(tmp_path).read_bytes().splitlines():
        assert plain.append([parse_fact(orjson.loads(raw))]).recorded == 1
    facts = list(plain.facts(FactScope()))
    plain.close()
    return facts


def test_a_database_filled_without_keys_is_like_any_other(
    bulk_store: SqlStore,
    tmp_path: Path,
    seen: list[tuple[set[str], bool]],
    expected_facts: list[Any],
) -> None:
    path = clean_file(tmp_path)
    assert told(run(bulk_store, path)) == (80, 0, 0)
    assert {stood for _, stood in seen} == {False}
    assert keys_stand(bulk_store)
    assert list(bulk_store.facts(FactScope())) == expected_facts
    first, other = (parse_fact(orjson.loads(raw)) for raw in path.read_bytes().splitlines()[:2])
    assert bulk_store.append([first]).duplicates == 1
    changed = structs.replace(other, offer_id="o9")
    assert [each.code for each in bulk_store.append([changed]).rejected] == ["conflict"]
    again = structs.replace(first, event_id="another")
    assert [each.code for each in bulk_store.append([again]).rejected] == ["conflict"]
    assert list(bulk_store.facts(FactScope())) == expected_facts
    assert bulk_store.erase_customer("c3") > 0


@pytest.mark.parametrize("serves", [False, True])
def test_who_writes_in_the_middle_of_a_load_builds_the_keys(
    bulk_store: SqlStore,
    fresh_database: str,
    tmp_path: Path,
    seen: list[tuple[set[str], bool]],
    monkeypatch: pytest.MonkeyPatch,
    expected_facts: list[Any],
    serves: bool,
) -> None:
    """And brings a fact that the file holds too, which nobody but the database can know."""
    path = clean_file(tmp_path)
    lines = path.read_bytes().splitlines()

    def another_writes() -> None:
        other = open_store(fresh_database, secret=SECRET, bulk=not serves)
        other.migrate(serving=serves)
        fact = parse_fact(orjson.loads(lines[-1]))
        assert other.append([fact]).recorded == 1
        other.close()
        assert keys_stand(bulk_store)

    before_the_third_load(monkeypatch, another_writes)
    assert told(run(bulk_store, path)) == (79, 1, 0)
    assert list(bulk_store.facts(FactScope())) == expected_facts
    assert deferred(bulk_store) == DEFERRED_NAMES


def test_two_loads_at_once_record_every_fact_once(
    bulk_store: SqlStore,
    fresh_database: str,
    tmp_path: Path,
    seen: list[tuple[set[str], bool]],
    monkeypatch: pytest.MonkeyPatch,
    expected_facts: list[Any],
) -> None:
    path, results = clean_file(tmp_path), list[ImportResult]()
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes())

    def another_loads() -> None:
        other = open_store(fresh_database, secret=SECRET, bulk=True)
        other.migrate()
        results.append(run(other, copy))
        other.close()

    before_the_third_load(monkeypatch, another_loads)
    results.append(run(bulk_store, path))
    assert sum(result.recorded for result in results) == 80
    assert sum(result.duplicates for result in results) == 80
    assert list(bulk_store.facts(FactScope())) == expected_facts


def test_a_database_that_is_served_keeps_its_indexes(
    bulk_store: SqlStore, tmp_path: Path, seen: list[tuple[set[str], bool]]
) -> None:
    bulk_store.migrate(serving=True)
    assert told(run(bulk_store, a_file(tmp_path))) == (80, 1, 3)
    assert seen == [(DEFERRED_NAMES, True)] * len(seen)
    assert not {"served", "loader"} & set(bulk_store.settings())


@pytest.mark.parametrize("dirty", [False, True])
def test_whoever_comes_after_a_killed_load_finds_the_indexes(
    bulk_store: SqlStore,
    tmp_path: Path,
    seen: list[tuple[set[str], bool]],
    monkeypatch: pytest.MonkeyPatch,
    dirty: bool,
) -> None:
    path = a_file(tmp_path) if dirty else clean_file(tmp_path)
    before_the_third_load(monkeypatch, killed)
    with pytest.raises(KeyboardInterrupt):
        run(bulk_store, path)
    assert deferred(bulk_store) == set()
    bulk_store.migrate()
    assert deferred(bulk_store) == set(), "one that loads goes on without"
    result = run(bulk_store, path)
    assert result.resumed_at == 21
    assert told(result) == ((80, 1, 3) if dirty else (80, 0, 0))
    assert {indexes == set() for indexes, _ in seen} == {True}
    if not dirty:
        assert {stood for _, stood in seen} == {False}, "what was there was read"
    assert deferred(bulk_store) == DEFERRED_NAMES
    assert keys_stand(bulk_store)


def test_what_stands_twice_across_a_kill_is_found(
    bulk_store: SqlStore,
    tmp_path: Path,
    seen: list[tuple[set[str], bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = clean_file(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[0], lines[3]]))
    before_the_third_load(monkeypatch, killed)
    with pytest.raises(KeyboardInterrupt):
        run(bulk_store, path)
    result = run(bulk_store, path)
    assert result.resumed_at == 21
    assert told(result) == (80, 2, 0)


def test_a_report_after_a_killed_load_builds_the_indexes(
    bulk_store: SqlStore, fresh_database: str
) -> None:
    bulk_store.loader(0)
    assert deferred(bulk_store) == set()
    other = open_store(fresh_database, secret=SECRET)
    try:
        other.upgrade()
    finally:
        other.close()
    assert deferred(bulk_store) == DEFERRED_NAMES
    assert keys_stand(bulk_store)


def test_a_later_load_waits_for_what_an_earlier_one_is_writing(
    bulk_store: SqlStore,
    fresh_database: str,
    tmp_path: Path,
    seen: list[tuple[set[str], bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It looks up what is there, and that must be all."""
    alone, begun, came = Loader.is_alone, list[threading.Thread](), list[float]()

    def begins() -> None:
        other = open_store(fresh_database, secret=SECRET, bulk=True)
        other.loader(0)
        came.append(time.monotonic())
        other.close()

    def held(self: Loader, connection: Connection) -> bool:
        answer = alone(self, connection)
        if not begun:
            begun.append(threading.Thread(target=begins))
            begun[0].start()
            begun[0].join(0.5)
            assert not came
        return answer

    monkeypatch.setattr(Loader, "is_alone", held)
    assert told(run(bulk_store, clean_file(tmp_path))) == (80, 0, 0)
    begun[0].join()
    assert came
    assert [stood for _, stood in seen][0::7] == [False, True]


@pytest.mark.postgres
def test_references_hold_again_after_a_first_load(
    fresh_postgres_url: str, tmp_path: Path, seen: list[tuple[set[str], bool]]
) -> None:
    store = open_store(fresh_postgres_url, secret=SECRET, bulk=True)
    store.migrate()
    before = constraints_of(store)
    assert len(before) == 9
    assert told(run(store, clean_file(tmp_path))) == (80, 0, 0)
    assert constraints_of(store) == before
    engine = create_engine(store.url)
    with pytest.raises(IntegrityError, match="offers_event_id_fkey"), engine.begin() as connection:
        connection.execute(insert(offers), {"offer_id": "new", "event_id": "nowhere"})
    engine.dispose()
    store.close()


def constraints_of(store: SqlStore) -> set[tuple[str, str]]:
    """Keys and references, and what each says."""
    query = text(
        "SELECT conname, replace(pg_get_constraintdef(oid), ' NOT VALID', '') FROM pg_constraint"
        " WHERE contype IN ('p', 'u', 'f') AND conrelid IN ("
        "to_regclass('facts'), to_regclass('fact_ids'), to_regclass('decisions'),"
        " to_regclass('offers'), to_regclass('named_offers'))"
    )
    engine = create_engine(store.url)
    with engine.connect() as connection:
        found = {(str(name), str(rule)) for name, rule in connection.execute(query)}
    engine.dispose()
    return found
