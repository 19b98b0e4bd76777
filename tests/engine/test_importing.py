"""Large files: prepared by several processes, and taken up again after a kill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.fact_json import parse_fact
from engine.storage import importing
from engine.storage.batch import Batch
from engine.storage.fact_rows import FactRow, row_of
from engine.storage.importing import Source
from engine.storage.loading import merged, rows_of
from engine.storage.pseudonyms import Pseudonyms
from engine.storage.sql import SqlStore
from engine.storage.store import AppendResult, FactScope
from tests.support.fact_files import RECORDS, SECRET, a_file, rejects_of, run, told


@pytest.mark.parametrize("large", [False, True])
def test_other_processes_prepare_what_this_one_would(
    bulk_store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    monkeypatch.setattr(importing, "_LARGE", 0 if large else 10**9)
    monkeypatch.setattr(importing, "_PIECE", 7)
    path = a_file(tmp_path)
    assert told(run(bulk_store, path)) == (80, 1, 3)
    entries = [json.loads(line) for line in rejects_of(path).read_text().splitlines()]
    assert sorted((entry["line"], entry["code"]) for entry in entries) == [
        (82, "conflict"),
        (83, "invalid"),
        (84, "invalid"),
    ]
    assert [entry["text"] for entry in entries if entry["line"] == 84] == ["no json"]
    assert len(list(bulk_store.facts(FactScope()))) == 80
    assert told(run(bulk_store, path)) == (0, 81, 3), "the same file again"


def test_a_run_that_was_killed_goes_on_where_it_stopped(
    bulk_store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_PIECE", 10)
    path = a_file(tmp_path)
    plain, written = SqlStore.append_prepared, list[int]()

    def dies_at_the_fourth(self: SqlStore, facts: Sequence[FactRow]) -> AppendResult:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(len(facts))
        return plain(self, facts)

    with monkeypatch.context() as patched:
        patched.setattr(SqlStore, "append_prepared", dies_at_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            run(bulk_store, path)
    assert len(list(bulk_store.facts(FactScope()))) == 30
    result = run(bulk_store, path)
    assert result.resumed_at == 31
    assert told(result) == (80, 1, 3), "what the first run counted is counted"
    assert "import:" not in "".join(bulk_store.settings())
    again = run(bulk_store, path)
    assert again.resumed_at is None, "it came to its end"


def test_a_file_that_changed_is_another_file(bulk_store: SqlStore, tmp_path: Path) -> None:
    path = a_file(tmp_path)
    with path.open("rb") as file:
        name = Source.of(file, path).name
    bulk_store.keep_setting(f"import:{name}", json.dumps({"offset": 5}))
    path.write_bytes(path.read_bytes() + b"\n")
    assert run(bulk_store, path).resumed_at is None


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_rows_made_ready_apart_are_what_one_batch_would_write(data: st.DataObject) -> None:
    pseudonyms = Pseudonyms(SECRET)
    facts = [
        row_of(parse_fact(record), pseudonyms, trusted=True)
        for record in data.draw(st.lists(st.sampled_from(RECORDS), max_size=12))
    ]
    cut = data.draw(st.integers(0, len(facts)))
    parts = [facts[:cut], facts[cut:]]
    rows = [rows_of(part, range(len(part))) for part in parts]
    for part, made in zip(parts, rows, strict=True):
        ids = [fact.event_id for fact in part]
        assert (made is not None) == (len(set(ids)) == len(ids))
        if made is not None:
            assert sorted(made.prepared()) == sorted(part)
            assert [part[number].event_id for number in made.numbers] == sorted(ids)
    together = [made for made in rows if made is not None]
    if len(together) < 2 or len({fact.event_id for fact in facts}) < len(facts):
        return
    batch, loaded = Batch(facts), merged(together)
    assert loaded.facts == batch.rows
    assert loaded.decisions == batch.decision_rows
    assert loaded.offers == batch.offer_rows
    assert loaded.named == batch.named_rows


def test_a_load_of_which_a_part_is_known_writes_nothing(bulk_store: SqlStore) -> None:
    facts = [row_of(parse_fact(each), bulk_store.pseudonyms) for each in RECORDS]
    assert bulk_store.append_prepared(facts[-1:]).recorded == 1
    rows = rows_of(facts, range(len(facts)))
    assert rows is not None
    assert not bulk_store.loader(0).load([rows], None)
    assert [fact.event_id for fact in bulk_store.facts(FactScope())] == [facts[-1].event_id]
    assert bulk_store.append_prepared(facts).recorded == len(facts) - 1
