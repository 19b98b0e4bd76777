"""Rows of facts, against those that version 0.1.0 wrote, and what became of batches of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from sqlalchemy import create_engine, insert

from mersalg.engine.fact_json import parse_fact, unpack
from mersalg.engine.facts import Decision, Fact
from mersalg.engine.storage import tables
from mersalg.engine.storage.fact_rows import AppendResult, Rejection, row_of
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.pseudonyms import Pseudonyms
from mersalg.engine.storage.store import open_store

SECRET = b"a secret of thirty-two bytes, so"
OLD: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "rows_of_0_1_0.jsonl").read_bytes().splitlines()
]
"""What was sent, and the row that the version before this schema wrote of it."""

FINER = {"p1": {'"2.66"': '"2.665"', '"2.68"': '"2.675"'}, "p3": {'"0.000"': '"0.0005"'}}
"""Unit prices that it rounded to the minor unit. Their facts still have the same digests."""


@pytest.mark.parametrize("old", OLD, ids=lambda old: old["columns"][1])
def test_a_row_is_what_it_was(old: dict[str, Any]) -> None:
    row = row_of(parse_fact(old["sent"]), Pseudonyms(SECRET))
    assert list(row[:8]) == old["columns"]
    body = old["body"]
    for rounded, finer in FINER.get(old["columns"][0], {}).items():
        body = body.replace(rounded, finer)
    assert (row.digest.hex(), row.body) == (old["digest"], body)
    assert (row.decision_id, row.offer_ids, row.named) == (
        old["decision_id"],
        tuple(old["offer_ids"]),
        tuple(old["named"]),
    )


def test_facts_of_an_earlier_database_are_duplicates_when_they_come_again(tmp_path: Path) -> None:
    """The rows of an earlier version, in its tables: read, exported and compared by this one."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    store = open_store(url, secret=SECRET)
    store.migrate()
    names = [column.name for column in tables.facts.columns]
    engine = create_engine(url)
    with engine.begin() as connection:
        for old in OLD:
            digest = bytes.fromhex(old["digest"])
            values = dict(zip(names, [*old["columns"], digest, old["body"]], strict=True))
            connection.execute(insert(tables.facts).values(values))
            if old["decision_id"] is not None:
                own = {"event_id": old["columns"][0], "decision_id": old["decision_id"]}
                connection.execute(insert(tables.decisions).values(own))
    engine.dispose()
    sent: list[Fact] = [parse_fact(old["sent"]) for old in OLD]
    again = store.facts.append(sent)
    assert (again.recorded, again.duplicates, again.rejected) == (0, len(OLD), ())
    stored = {fact.event_id: fact for fact in store.facts.read(FactScope())}
    assert stored == {old["columns"][0]: unpack(old["body"]) for old in OLD}
    exported = store.facts.append(list(stored.values()), trusted=True)
    assert exported.duplicates == len(OLD)
    changed = [structs.replace(fact, occurred_at=fact.occurred_at + 1) for fact in sent]
    assert {one.code for one in store.facts.append(changed).rejected} == {"conflict"}
    store.close()


@pytest.mark.parametrize("spoilt", ["", "a\x00b", "x" * 1_000, "half of a pair \ud800"])
def test_a_decision_whose_ids_cannot_be_stored_is_a_problem(spoilt: str) -> None:
    fact = parse_fact(OLD[11]["sent"])
    assert isinstance(fact, Decision)
    assert row_of(fact, Pseudonyms(SECRET)).problem is None
    offers = (structs.replace(fact.offers[0], item_id=spoilt),)
    lines = (structs.replace(fact.lines[0], item_id=spoilt),)
    for wrong in (structs.replace(fact, offers=offers), structs.replace(fact, lines=lines)):
        assert row_of(wrong, Pseudonyms(SECRET)).problem is not None


@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=6),
    fates=st.lists(st.sampled_from("rdx"), min_size=24, max_size=24),
)
def test_a_batch_is_taken_apart_as_if_each_call_had_been_alone(
    sizes: list[int], fates: list[str]
) -> None:
    def result_of(own: Sequence[str]) -> AppendResult:
        return AppendResult(
            own.count("r"),
            own.count("d"),
            tuple(Rejection(place, "x", "m") for place, fate in enumerate(own) if fate == "x"),
            tuple(place for place, fate in enumerate(own) if fate == "d"),
        )

    together = fates[: sum(sizes)]
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    alone = [
        result_of(together[start : start + size]) for start, size in zip(starts, sizes, strict=True)
    ]
    assert [*result_of(together).split(sizes)] == alone
