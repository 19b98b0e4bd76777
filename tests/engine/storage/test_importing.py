"""Large files: prepared by several processes, and taken up again after a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from sqlalchemy import create_engine, inspect

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.storage import fact_import, fact_lines
from mersalg.engine.storage.fact_import import ImportResult, Source
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.storage.writer import Writer
from tests.support.fact_files import (
    SECRET,
    a_file,
    before_the_third_write,
    clean_file,
    killed,
    rejects_of,
    reported,
    run,
)


@pytest.mark.parametrize("large", [False, True])
def test_other_processes_prepare_what_this_one_would(
    bulk_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    monkeypatch.setattr(fact_import, "_LARGE", 0 if large else 10**9)
    monkeypatch.setattr(fact_lines, "_PIECE", 7)
    path = a_file(tmp_path)
    assert reported(run(bulk_store, path)) == (80, 1, 3)
    entries = [json.loads(line) for line in rejects_of(path).read_text().splitlines()]
    assert sorted((entry["line"], entry["code"]) for entry in entries) == [
        (82, "conflict"),
        (83, "invalid"),
        (84, "invalid"),
    ]
    assert [entry["text"] for entry in entries if entry["line"] == 84] == ["no json"]
    assert len(list(bulk_store.facts.read(FactScope()))) == 80
    assert reported(run(bulk_store, path)) == (0, 81, 3), "the same file again"


def test_a_run_that_was_killed_goes_on_where_it_stopped(
    bulk_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fact_lines, "_PIECE", 10)
    path = a_file(tmp_path)
    with monkeypatch.context() as patched:
        before_the_third_write(patched, killed)
        with pytest.raises(KeyboardInterrupt):
            run(bulk_store, path)
    assert len(list(bulk_store.facts.read(FactScope()))) == 20
    result = run(bulk_store, path)
    assert result.resumed_at == 21
    assert reported(result) == (80, 1, 3), "what the first run counted is counted"
    assert "import:" not in "".join(bulk_store.reports.settings())
    again = run(bulk_store, path)
    assert again.resumed_at is None, "it came to its end"


def test_a_run_that_an_earlier_version_began_is_resumed(
    bulk_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fact_lines, "_PIECE", 10)
    path = a_file(tmp_path)
    with monkeypatch.context() as patched:
        before_the_third_write(patched, killed)
        with pytest.raises(KeyboardInterrupt):
            run(bulk_store, path)
    with path.open("rb") as file:
        name = f"import:{Source.of(file, path).name}"
    note = json.loads(str(bulk_store.note(name)))
    # 0.1.0 noted no size of the file of rejected lines.
    del note["rejected_bytes"]
    bulk_store.keep_note(name, json.dumps(note))
    result = run(bulk_store, path)
    assert (result.resumed_at, reported(result)) == (21, (80, 1, 3))
    assert len(rejects_of(path).read_text().splitlines()) == 3


def test_a_file_that_changed_is_another_file(bulk_store: Store, tmp_path: Path) -> None:
    path = a_file(tmp_path)
    with path.open("rb") as file:
        name = Source.of(file, path).name
    bulk_store.keep_note(f"import:{name}", json.dumps({"offset": 5}))
    path.write_bytes(path.read_bytes() + b"\n")
    assert run(bulk_store, path).resumed_at is None


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any file is a large one, of which ten lines are written at a time."""
    monkeypatch.setattr(fact_import, "_LARGE", 0)
    monkeypatch.setattr(fact_lines, "_PIECE", 10)
    monkeypatch.setattr(fact_import, "_TOGETHER", 10)


def structure_of(store: Store) -> dict[str, Any]:
    """Indexes and keys of the tables of facts."""
    engine = create_engine(store.url)
    try:
        inspector = inspect(engine)
        return {
            table: (
                sorted(str(entry["name"]) for entry in inspector.get_indexes(table)),
                inspector.get_pk_constraint(table)["constrained_columns"],
            )
            for table in ("facts", "decisions", "offers", "named_offers")
        }
    finally:
        engine.dispose()


@pytest.fixture
def expected_facts(tmp_path: Path) -> list[Any]:
    """Those of `clean_file`, recorded one by one."""
    plain = open_store(str(tmp_path / "one by one.db"), secret=SECRET)
    plain.migrate()
    for raw in clean_file(tmp_path).read_bytes().splitlines():
        assert plain.facts.append([parse_fact(orjson.loads(raw))]).recorded == 1
    facts = list(plain.facts.read(FactScope()))
    plain.close()
    return facts


@pytest.mark.usefixtures("small_pieces")
def test_indexes_and_keys_are_there_during_a_first_load(
    bulk_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = structure_of(bulk_store), list[dict[str, Any]]()
    assert all(key for _, key in before.values())
    before_the_third_write(monkeypatch, lambda: seen.append(structure_of(bulk_store)))
    assert reported(run(bulk_store, a_file(tmp_path))) == (80, 1, 3)
    assert seen == [before]
    assert structure_of(bulk_store) == before
    assert [fact.event_id for fact in bulk_store.facts.read_checkouts(["k3"])] == ["d3", "v3"]


@pytest.mark.usefixtures("small_pieces")
def test_a_database_filled_by_a_load_is_like_any_other(
    bulk_store: Store, tmp_path: Path, expected_facts: list[Any]
) -> None:
    path = clean_file(tmp_path)
    assert reported(run(bulk_store, path)) == (80, 0, 0)
    assert list(bulk_store.facts.read(FactScope())) == expected_facts
    first, other = (parse_fact(orjson.loads(raw)) for raw in path.read_bytes().splitlines()[:2])
    assert bulk_store.facts.append([first]).duplicates == 1
    changed = msgspec.structs.replace(other, offer_id="o9")
    assert [each.code for each in bulk_store.facts.append([changed]).rejected] == ["conflict"]
    again = msgspec.structs.replace(first, event_id="another")
    assert [each.code for each in bulk_store.facts.append([again]).rejected] == ["conflict"]
    assert list(bulk_store.facts.read(FactScope())) == expected_facts
    assert bulk_store.people.erase("c3") > 0


@pytest.mark.usefixtures("small_pieces")
def test_a_fact_that_another_writes_in_the_middle_of_a_load_is_recorded_once(
    bulk_store: Store,
    fresh_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expected_facts: list[Any],
) -> None:
    path = clean_file(tmp_path)
    lines = path.read_bytes().splitlines()

    def another_writes() -> None:
        other = open_store(fresh_database, secret=SECRET)
        other.migrate(serving=True)
        assert other.facts.append([parse_fact(orjson.loads(lines[-1]))]).recorded == 1
        other.close()

    before_the_third_write(monkeypatch, another_writes)
    assert reported(run(bulk_store, path)) == (79, 1, 0)
    assert list(bulk_store.facts.read(FactScope())) == expected_facts


@pytest.mark.usefixtures("small_pieces")
def test_two_loads_at_once_record_every_fact_once(
    bulk_store: Store,
    fresh_database: str,
    tmp_path: Path,
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

    before_the_third_write(monkeypatch, another_loads)
    results.append(run(bulk_store, path))
    assert sum(result.recorded for result in results) == 80
    assert sum(result.duplicates for result in results) == 80
    assert list(bulk_store.facts.read(FactScope())) == expected_facts


@pytest.mark.usefixtures("small_pieces")
def test_a_fact_on_both_sides_of_a_kill_is_recorded_once(
    bulk_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clean_file(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[0], lines[3]]))
    with monkeypatch.context() as patched:
        before_the_third_write(patched, killed)
        with pytest.raises(KeyboardInterrupt):
            run(bulk_store, path)
    result = run(bulk_store, path)
    assert result.resumed_at == 21
    assert reported(result) == (80, 2, 0)


@pytest.mark.usefixtures("small_pieces")
def test_lines_rejected_before_a_kill_are_in_the_side_file_once(
    bulk_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of a transaction that wrote them and never ended."""
    path = clean_file(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3:3] = lines[23:23] = [b"no json\n"]
    path.write_bytes(b"".join(lines))
    plain, writes = Writer.write, list[int]()

    def dies_before_its_end(self: Writer, facts: Any, note: Any = None) -> Any:
        writes.append(len(facts))
        if len(writes) < 3:
            return plain(self, facts, note)

        def killed_afterwards(result: Any) -> None:
            note(result)
            raise KeyboardInterrupt

        return plain(self, facts, killed_afterwards)

    with monkeypatch.context() as patched:
        patched.setattr(Writer, "write", dies_before_its_end)
        with pytest.raises(KeyboardInterrupt):
            run(bulk_store, path)
    rejected = [json.loads(line)["line"] for line in rejects_of(path).read_text().splitlines()]
    assert rejected == [4, 24]
    assert len(list(bulk_store.facts.read(FactScope()))) == 19
    result = run(bulk_store, path)
    assert (reported(result), result.resumed_at) == ((80, 0, 2), 21)
    rejected = [json.loads(line)["line"] for line in rejects_of(path).read_text().splitlines()]
    assert rejected == [4, 24]
