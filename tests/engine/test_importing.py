"""Large files: prepared by several processes, and taken up again after a kill."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, inspect

from engine.errors import FactRejected
from engine.fact_records import from_record
from engine.progress import SilentProgress
from engine.storage import importing, keys
from engine.storage.batch import Batch, Prepared, prepare
from engine.storage.importing import ImportResult, Source, import_facts
from engine.storage.indexes import DEFERRED
from engine.storage.loader import Loader
from engine.storage.loading import Rows, merged, rows_of
from engine.storage.ordinary import ordinary
from engine.storage.preparing import parsed, prepare_lines
from engine.storage.pseudonyms import Pseudonyms
from engine.storage.sql import SqlStore, open_store
from engine.storage.store import AppendResult, FactScope

SECRET = b"a secret of the tests, long enough"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    url = (
        str(tmp_path / "facts.db")
        if request.param == "sqlite"
        else request.getfixturevalue("fresh_postgres_url")
    )
    store = open_store(url, secret=SECRET, bulk=True)
    store.migrate()
    yield store
    store.close()


def a_file(folder: Path, visits: int = 40) -> Path:
    lines: list[object] = []
    for number in range(visits):
        when = f"2026-01-{number % 28 + 1:02d}T10:00:00+00:00"
        offer = {"offer_id": f"o{number}", "kind": "cross_sell", "item_id": "mug"}
        lines += [
            {
                "type": "decision",
                "event_id": f"d{number}",
                "decision_id": f"d{number}",
                "occurred_at": when,
                "checkout_id": f"k{number}",
                "customer_id": f"c{number % 7}",
                "arm": "treatment",
                "offers": [offer],
            },
            {
                "type": "view_promotion",
                "event_id": f"v{number}",
                "occurred_at": when,
                "offer_id": f"o{number}",
            },
        ]
    # A copy, a conflict and two lines that are no facts.
    lines += [lines[0], {**lines[3], "offer_id": "o7"}, {"type": "view_promotion"}]  # type: ignore[dict-item]
    path = folder / "facts.jsonl"
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines) + b"no json\n")
    return path


def run(store: SqlStore, path: Path) -> ImportResult:
    with path.open("rb") as file:
        return import_facts(store, Source.of(file, path), rejects_of(path), SilentProgress())


def rejects_of(path: Path) -> Path:
    return path.with_name("rejected.jsonl")


def told(result: ImportResult) -> tuple[int, int, int]:
    return result.recorded, result.duplicates, result.rejected


@pytest.mark.parametrize("large", [False, True])
def test_other_processes_prepare_what_this_one_would(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    monkeypatch.setattr(importing, "_LARGE", 0 if large else 10**9)
    monkeypatch.setattr(importing, "_PIECE", 7)
    path = a_file(tmp_path)
    assert told(run(store, path)) == (80, 1, 3)
    entries = [json.loads(line) for line in rejects_of(path).read_text().splitlines()]
    assert sorted((entry["line"], entry["code"]) for entry in entries) == [
        (82, "conflict"),
        (83, "invalid"),
        (84, "invalid"),
    ]
    assert [entry["text"] for entry in entries if entry["line"] == 84] == ["no json"]
    assert len(list(store.facts(FactScope()))) == 80
    assert told(run(store, path)) == (0, 81, 3), "the same file again"


def test_a_run_that_was_killed_goes_on_where_it_stopped(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_PIECE", 10)
    path = a_file(tmp_path)
    plain, written = SqlStore.append_prepared, list[int]()

    def dies_at_the_fourth(self: SqlStore, facts: Sequence[Prepared]) -> AppendResult:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(len(facts))
        return plain(self, facts)

    with monkeypatch.context() as patched:
        patched.setattr(SqlStore, "append_prepared", dies_at_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            run(store, path)
    assert len(list(store.facts(FactScope()))) == 30
    result = run(store, path)
    assert result.resumed_at == 31
    assert told(result) == (80, 1, 3), "what the first run counted is counted"
    assert "import:" not in "".join(store.settings())
    again = run(store, path)
    assert again.resumed_at is None, "it came to its end"


def test_a_file_that_changed_is_another_file(store: SqlStore, tmp_path: Path) -> None:
    path = a_file(tmp_path)
    with path.open("rb") as file:
        name = Source.of(file, path).name
    store.keep_setting(f"import:{name}", json.dumps({"offset": 5}))
    path.write_bytes(path.read_bytes() + b"\n")
    assert run(store, path).resumed_at is None


IDS = st.one_of(
    st.sampled_from(["a", "o1", "Ærø", "x" * 200, "x" * 201, "", "p1.00000000." + "0" * 32]),
    st.text(max_size=3),
    st.integers(0, 3),
    st.none(),
)
FEW_IDS = st.one_of(st.sampled_from(["a", "b", "c", "d", "e", "f"]), IDS)
WHENS = st.sampled_from(
    [
        "2026-01-31T12:00:00+00:00",
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.250+01:00",
        "2026-01-31T12:00:00",
        "0001-01-01T00:00:00+05:00",
        "soon",
    ]
)
FLAGS = st.sampled_from([True, False, None, 0, 1, "no"])
AMOUNTS = st.one_of(
    st.sampled_from(["12.50", "0", "-1", "1e2", " 3", "12.505", "NaN", "", "7.000", 0, 0.0, -0.0]),
    st.sampled_from([1.1, 2.675, 1e15, 1e16, 123456789012345678, 0.1 + 0.2, True, None, [], -5]),
    st.integers(0, 10**6),
    st.decimals(0, 1000, places=2).map(str),
    st.floats(0, 1e9),
)
QUANTITIES = st.sampled_from([1, 2, 0, -1, 1.0, 1.5, "2", True, None, 10**6, 10**6 + 1, 10**12])
CURRENCIES = st.sampled_from(["EUR", "EUR", "JPY", "KWD", "eur", "EURO", "XXX", "", None, 5])


def an_object(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


ITEMS = an_object(
    {"item_id": FEW_IDS},
    quantity=QUANTITIES,
    price=AMOUNTS,
    discount=AMOUNTS,
    offer_id=FEW_IDS,
)
LINES = an_object(
    {"item_id": FEW_IDS}, quantity=QUANTITIES, unit_price=AMOUNTS, discount=AMOUNTS, other=IDS
)
OFFERS = an_object(
    {
        "offer_id": FEW_IDS,
        "kind": st.sampled_from(["cross_sell", "upsell", "upsell", "gift", None]),
        "item_id": FEW_IDS,
    },
    name=IDS,
    family=IDS,
    position=st.sampled_from([1, 2, 0, -1, 1.0, True, "1", None, 1_000, 1_001]),
    unit_price=AMOUNTS,
    replaces=an_object({"item_id": FEW_IDS}, quantity=QUANTITIES, price_difference=AMOUNTS)
    | st.none(),
    score=AMOUNTS,
)
WHOSE = {
    "checkout_id": FEW_IDS,
    "session_id": IDS,
    "customer_id": IDS,
    "consent": FLAGS,
    "is_bot": FLAGS,
    "anything": IDS,
}
PROMOTIONS = an_object(
    {
        "type": st.sampled_from(["view_promotion", "add_to_cart", "dismiss_promotion"]),
        "event_id": IDS,
        "occurred_at": WHENS,
    },
    offer_id=IDS,
    promotion_id=IDS,
    **WHOSE,
)
ORDERS = an_object(
    {
        "type": st.sampled_from(["purchase", "refund", "cancel"]),
        "event_id": FEW_IDS,
        "occurred_at": WHENS,
        "transaction_id": FEW_IDS,
        "currency": CURRENCIES,
    },
    items=st.lists(ITEMS, max_size=3) | st.none(),
    offer_id=FEW_IDS,
    **WHOSE,
)
DECISIONS = an_object(
    {
        "type": st.just("decision"),
        "decision_id": FEW_IDS,
        "occurred_at": WHENS,
        "arm": st.sampled_from(["treatment", "control", "other", None]),
        "currency": CURRENCIES,
    },
    event_id=FEW_IDS,
    control_share=st.sampled_from([0.1, 0.5, 0, 1, 0.0, 1.0, -0.5, 2, "0.1", True, None]),
    model_version=IDS,
    placement=IDS,
    store_id=IDS,
    segment=IDS,
    lines=st.lists(LINES, max_size=2) | st.none(),
    offers=st.lists(OFFERS, max_size=3) | st.none(),
    **WHOSE,
)


@settings(max_examples=500)
@given(record=PROMOTIONS | ORDERS | DECISIONS)
def test_the_short_way_leads_to_the_same_row(record: dict[str, Any]) -> None:
    pseudonyms = Pseudonyms(SECRET)
    raw = orjson.dumps(record)
    piece = prepare_lines([raw], 1, pseudonyms)
    with suppress(FactRejected):
        expected = prepare(from_record(parsed(raw)), pseudonyms, trusted=True)
        assert piece.facts == [tuple(expected)]
        return
    with pytest.raises(FactRejected) as caught:
        from_record(parsed(raw))
    assert [refused.message for refused in piece.refused] == [caught.value.message]


WHEN = "2026-01-31T12:00:00Z"
USUAL = [
    {"type": "view_promotion", "event_id": "v", "occurred_at": WHEN, "offer_id": "o"},
    {
        "type": "purchase",
        "event_id": "b",
        "occurred_at": WHEN,
        "checkout_id": "k",
        "transaction_id": "t",
        "currency": "EUR",
        "items": [
            {"item_id": "mug", "quantity": 2, "price": "4.50", "discount": "0.00"},
            {"item_id": "tea", "price": 3.2, "discount": 0.5, "offer_id": "o"},
        ],
    },
    {
        "type": "decision",
        "decision_id": "d",
        "occurred_at": WHEN,
        "checkout_id": "k",
        "session_id": "s",
        "customer_id": "c",
        "arm": "treatment",
        "control_share": 0.1,
        "currency": "EUR",
        "lines": [{"item_id": "pot", "quantity": 1, "unit_price": "20.00"}],
        "offers": [
            {"offer_id": "o", "kind": "cross_sell", "item_id": "tea", "unit_price": "3.20"},
            {
                "offer_id": "u",
                "kind": "upsell",
                "item_id": "big pot",
                "position": 2,
                "replaces": {"item_id": "pot", "quantity": 1, "price_difference": "5.00"},
            },
        ],
    },
]


@pytest.mark.parametrize("record", USUAL, ids=lambda record: record["type"])
def test_usual_lines_take_the_short_way(record: dict[str, Any]) -> None:
    pseudonyms, raw = Pseudonyms(SECRET), orjson.dumps(record)
    short = ordinary(raw, pseudonyms)
    assert short == prepare(from_record(parsed(raw)), pseudonyms, trusted=True)


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
            return not keys.missing(connection)
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
    store: SqlStore, tmp_path: Path, seen: list[tuple[set[str], bool]]
) -> None:
    path, before = a_file(tmp_path), present_indexes(store)
    assert before >= DEFERRED_NAMES
    assert told(run(store, path)) == (80, 1, 3)
    assert [indexes for indexes, _ in seen] == [set()] * len(seen)
    assert seen[0][1] == is_postgres(store), "SQLite goes without keys at first"
    assert present_indexes(store) >= before
    assert keys_stand(store)
    assert [fact.event_id for fact in store.facts_of_checkouts(["k3"])] == ["d3", "v3"]
    seen.clear()
    assert told(run(store, path)) == (0, 81, 3), "there are facts now: it does not do without"
    assert seen == [(DEFERRED_NAMES, True)] * len(seen)


def is_postgres(store: SqlStore) -> bool:
    return store.url.get_backend_name() == "postgresql"


def clean_file(folder: Path, visits: int = 40) -> Path:
    """All new, so that keys are left for the end."""
    path = a_file(folder, visits)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: 2 * visits]))
    return path


@pytest.fixture
def expected_facts(tmp_path: Path) -> list[Any]:
    """Those of `clean_file`, recorded one by one."""
    plain = open_store(str(tmp_path / "one by one.db"), secret=SECRET)
    plain.migrate()
    for raw in clean_file(tmp_path).read_bytes().splitlines():
        assert plain.append([from_record(orjson.loads(raw))]).recorded == 1
    facts = list(plain.facts(FactScope()))
    plain.close()
    return facts


def test_a_database_filled_without_keys_is_like_any_other(
    store: SqlStore,
    tmp_path: Path,
    seen: list[tuple[set[str], bool]],
    expected_facts: list[Any],
) -> None:
    path = clean_file(tmp_path)
    assert told(run(store, path)) == (80, 0, 0)
    assert {stood for _, stood in seen} == {is_postgres(store)}
    assert keys_stand(store)
    assert list(store.facts(FactScope())) == expected_facts
    first, other = (from_record(orjson.loads(raw)) for raw in path.read_bytes().splitlines()[:2])
    assert store.append([first]).duplicates == 1
    changed = dataclasses.replace(other, offer_id="o9")
    assert [each.code for each in store.append([changed]).rejected] == ["conflict"]
    again = dataclasses.replace(first, event_id="another")
    assert [each.code for each in store.append([again]).rejected] == ["conflict"]
    assert list(store.facts(FactScope())) == expected_facts
    assert store.erase_customer("c3") > 0


@pytest.mark.parametrize("serves", [False, True])
def test_who_writes_in_the_middle_of_a_load_builds_the_keys(
    store: SqlStore,
    tmp_path: Path,
    seen: list[tuple[set[str], bool]],
    monkeypatch: pytest.MonkeyPatch,
    expected_facts: list[Any],
    serves: bool,
) -> None:
    """And brings a fact that the file holds too, which nobody but the database can know."""
    path, looks, calls = clean_file(tmp_path), Loader.load, list[int]()
    lines = path.read_bytes().splitlines()

    def interrupted(self: Loader, pieces: Sequence[Rows], entry: tuple[str, str] | None) -> bool:
        calls.append(1)
        if len(calls) == 3:
            other = open_store(
                store.url.render_as_string(hide_password=False), secret=SECRET, bulk=not serves
            )
            other.migrate(serving=serves)
            fact = from_record(orjson.loads(lines[-1]))
            assert other.append([fact]).recorded == 1
            other.close()
            assert keys_stand(store)
        return looks(self, pieces, entry)

    monkeypatch.setattr(Loader, "load", interrupted)
    assert told(run(store, path)) == (79, 1, 0)
    assert list(store.facts(FactScope())) == expected_facts
    assert deferred(store) == DEFERRED_NAMES


def test_two_loads_at_once_record_every_fact_once(
    store: SqlStore,
    tmp_path: Path,
    seen: list[tuple[set[str], bool]],
    monkeypatch: pytest.MonkeyPatch,
    expected_facts: list[Any],
) -> None:
    path, looks, results = clean_file(tmp_path), Loader.load, list[ImportResult]()
    calls = list[int]()
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes())

    def interrupted(self: Loader, pieces: Sequence[Rows], entry: tuple[str, str] | None) -> bool:
        calls.append(1)
        if len(calls) == 3:
            other = open_store(
                store.url.render_as_string(hide_password=False), secret=SECRET, bulk=True
            )
            other.migrate()
            results.append(run(other, copy))
            other.close()
        return looks(self, pieces, entry)

    monkeypatch.setattr(Loader, "load", interrupted)
    results.append(run(store, path))
    assert sum(result.recorded for result in results) == 80
    assert sum(result.duplicates for result in results) == 80
    assert list(store.facts(FactScope())) == expected_facts


def test_a_database_that_is_served_keeps_its_indexes(
    store: SqlStore, tmp_path: Path, seen: list[tuple[set[str], bool]]
) -> None:
    store.migrate(serving=True)
    assert told(run(store, a_file(tmp_path))) == (80, 1, 3)
    assert seen == [(DEFERRED_NAMES, True)] * len(seen)
    assert not {"served", "loader"} & set(store.settings())


@pytest.mark.parametrize("dirty", [False, True])
def test_whoever_comes_after_a_killed_load_finds_the_indexes(
    store: SqlStore,
    tmp_path: Path,
    seen: list[tuple[set[str], bool]],
    monkeypatch: pytest.MonkeyPatch,
    dirty: bool,
) -> None:
    path = a_file(tmp_path) if dirty else clean_file(tmp_path)
    plain, calls = Loader.load, list[int]()

    def dies(self: Loader, pieces: Sequence[Rows], entry: tuple[str, str] | None) -> bool:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(self, pieces, entry)

    monkeypatch.setattr(Loader, "load", dies)
    with pytest.raises(KeyboardInterrupt):
        run(store, path)
    assert deferred(store) == set()
    store.migrate()
    assert deferred(store) == set(), "one that loads goes on without"
    result = run(store, path)
    assert result.resumed_at == 21
    assert told(result) == ((80, 1, 3) if dirty else (80, 0, 0))
    assert {indexes == set() for indexes, _ in seen} == {True}
    if not dirty:
        assert {stood for _, stood in seen} == {is_postgres(store)}, "what was there was read"
    assert deferred(store) == DEFERRED_NAMES
    assert keys_stand(store)


def test_what_stands_twice_across_a_kill_is_found(
    store: SqlStore,
    tmp_path: Path,
    seen: list[tuple[set[str], bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, plain, calls = clean_file(tmp_path), Loader.load, list[int]()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[0], lines[3]]))

    def dies(self: Loader, pieces: Sequence[Rows], entry: tuple[str, str] | None) -> bool:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(self, pieces, entry)

    monkeypatch.setattr(Loader, "load", dies)
    with pytest.raises(KeyboardInterrupt):
        run(store, path)
    result = run(store, path)
    assert result.resumed_at == 21
    assert told(result) == (80, 2, 0)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_rows_made_ready_apart_are_what_one_batch_would_write(data: st.DataObject) -> None:
    pseudonyms = Pseudonyms(SECRET)
    facts = [
        prepare(from_record(record), pseudonyms, trusted=True)
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


def test_a_load_of_which_a_part_is_known_writes_nothing(store: SqlStore) -> None:
    facts = [prepare(from_record(each), store.pseudonyms) for each in RECORDS]
    assert store.append_prepared(facts[-1:]).recorded == 1
    rows = rows_of(facts, range(len(facts)))
    assert rows is not None
    assert not store.loader(0).load([rows], None)
    assert [fact.event_id for fact in store.facts(FactScope())] == [facts[-1].event_id]
    assert store.append_prepared(facts).recorded == len(facts) - 1


RECORDS: list[dict[str, object]] = [
    *(
        {
            "type": "decision",
            "event_id": f"d{number}",
            "decision_id": f"d{number}",
            "occurred_at": f"2026-02-0{number + 1}T10:00:00+00:00",
            "checkout_id": f"k{number}",
            "arm": "control",
            "offers": [
                {"offer_id": f"o{number}{place}", "kind": "cross_sell", "item_id": "mug"}
                for place in range(number)
            ],
        }
        for number in range(3)
    ),
    *(
        {
            "type": "purchase",
            "event_id": f"p{number}",
            "occurred_at": "2026-02-03T11:00:00+00:00",
            "checkout_id": f"k{number}",
            "transaction_id": f"t{number}",
            "currency": "NOK",
            "items": [{"item_id": "mug", "price": "49.00", "offer_id": f"o{number}0"}],
        }
        for number in range(3)
    ),
]


def test_a_report_after_a_killed_load_builds_the_indexes(store: SqlStore) -> None:
    store.loader(0)
    assert deferred(store) == set()
    other = open_store(store.url.render_as_string(hide_password=False), secret=SECRET)
    try:
        other.upgrade()
    finally:
        other.close()
    assert deferred(store) == DEFERRED_NAMES
    assert keys_stand(store)
