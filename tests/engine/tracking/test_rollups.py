"""Reports from roll-ups are those from the facts, to the byte, however the facts came in."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import processes
from engine.facts import Decision, Fact
from engine.progress import SilentProgress
from engine.storage import writer
from engine.storage.fact_import import Source, import_facts
from engine.storage.facts import Facts, FactScope
from engine.storage.store import Store, open_store
from engine.tracking.intervals import RatioSums
from engine.tracking.report import ReportQuery, build_report
from engine.tracking.rollups import rolling
from engine.tracking.rollups.adding import Adder
from engine.tracking.rollups.columns import pack_columns, ratio_sums, unpack_columns
from tests.benchmarks.importing import write_facts
from tests.support.facts import histories
from tests.support.repetitions import repetitions

SECRET = b"a secret of the tests, long enough"
FIRST = date(2026, 3, 28)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "facts.db"
    store = open_store(str(path), secret=SECRET)
    store.migrate()
    store.reports.save_settings({"timezone": "Europe/Oslo", "bot_decisions_per_hour": "2"})
    store.close()
    return path


@contextmanager
def copied(empty: Path) -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.db"
        shutil.copy(empty, path)
        store = open_store(str(path), secret=SECRET)
        try:
            yield store
        finally:
            store.close()


def days() -> st.SearchStrategy[tuple[date | None, date | None]]:
    def period(start: int | None, length: int | None) -> tuple[date | None, date | None]:
        first = None if start is None else FIRST + timedelta(days=start)
        if length is None:
            return first, None
        return first, (first or FIRST) + timedelta(days=length)

    maybe = st.one_of(st.none(), st.integers(0, 3))
    return st.builds(period, maybe, maybe)


def queries() -> st.SearchStrategy[ReportQuery]:
    return st.builds(
        lambda bounds, by, currency, watched: ReportQuery(
            since=bounds[0], until=bounds[1], by=by, currency=currency, watched=watched
        ),
        days(),
        st.sampled_from([(), ("day",), ("week",), ("month", "day")]),
        st.sampled_from([None, None, "NOK", "SEK"]),
        st.booleans(),
    )


def same(store: Store, query: ReportQuery) -> None:
    reads: list[FactScope] = []
    plain = Facts.read

    def counted(self: Facts, scope: FactScope) -> Iterator[Fact]:
        reads.append(scope)
        return plain(self, scope)

    from_facts = json.dumps(build_report(store, query, from_facts=True))
    assert json.dumps(build_report(store, query)) == from_facts
    with patch.object(Facts, "read", counted):
        again = json.dumps(build_report(store, query))
    assert again == from_facts
    own = store.reports.settings().get("currency")
    if query.currency == own:
        # Rolled up once, no day is read again unless its money is of several currencies.
        currencies = len(json.loads(from_facts)["quality"]["currency"].split(",")) > 1
        assert not reads or currencies


@pytest.mark.thorough
@settings(max_examples=repetitions(20, 60))
@given(facts=histories(), data=st.data())
@pytest.mark.parametrize("bulk", [False, True])
def test_roll_ups_follow_the_facts(
    bulk: bool, empty: Path, facts: list[Fact], data: st.DataObject
) -> None:
    """Facts come in three deliveries in any order, with reports between them."""
    shuffled = data.draw(st.permutations(facts))
    cuts = sorted(data.draw(st.tuples(*[st.integers(0, len(facts))] * 2)))
    parts = [shuffled[: cuts[0]], shuffled[cuts[0] : cuts[1]], shuffled[cuts[1] :]]
    most = 0 if bulk else 1_000
    with (
        copied(empty) as store,
        patch.object(writer, "NOTED_SINGLY", most),
    ):
        for part in parts:
            store.facts.append(part)
            same(store, data.draw(queries()))
        same(store, data.draw(queries()))


@settings(max_examples=repetitions(20))
@given(facts=histories(), data=st.data())
def test_another_setting_of_the_shop_rolls_up_anew(
    empty: Path, facts: list[Fact], data: st.DataObject
) -> None:
    with copied(empty) as store:
        store.facts.append(facts)
        build_report(store, ReportQuery())
        store.reports.save_settings(
            data.draw(
                st.sampled_from(
                    [
                        {"timezone": "Asia/Tokyo"},
                        {"impressions": "served"},
                        {"currency": "NOK"},
                        {"bot_decisions_per_hour": "1"},
                    ]
                )
            )
        )
        same(store, data.draw(queries()))


@settings(max_examples=repetitions(20))
@given(facts=histories(), data=st.data())
def test_a_forgotten_customer_counts_as_before(
    empty: Path, facts: list[Fact], data: st.DataObject
) -> None:
    with copied(empty) as store:
        store.facts.append(facts)
        before = json.dumps(build_report(store, ReportQuery(by=("day",))))
        store.people.erase("ann")
        assert json.dumps(build_report(store, ReportQuery(by=("day",)))) == before
        same(store, data.draw(queries()))


def test_a_day_rolled_up_from_facts_read_before_is_not_saved(empty: Path) -> None:
    with copied(empty) as store:
        rollups = store.reports.rollups
        rollups.begin("x")
        store.facts.append([_decision("d1")])
        rollups.sort_fresh(lambda _: "2026-03-28")
        (stale,) = rollups.stale()
        store.facts.append([_decision("d2")])
        rollups.sort_fresh(lambda _: "2026-03-28")
        assert not rollups.save(stale, b"old", {}, [])
        (newer,) = rollups.stale()
        assert rollups.save(newer, b"new", {}, [])
        assert list(rollups.bodies(None, None)) == [("2026-03-28", b"new")]
        assert rollups.stale() == []


def _decision(name: str) -> Decision:
    return Decision(
        event_id=name,
        decision_id=name,
        occurred_at=1_774_700_000_000_000,
        checkout_id=name,
        session_id=None,
        customer_id=None,
        arm="treatment",
        model_version=None,
        placement="checkout",
        currency="NOK",
        lines=(),
        offers=(),
    )


INTS = st.one_of(
    st.integers(0, 3), st.integers(-(2**40), 2**40), st.sampled_from([0, -(2**63), 2**63 - 1])
)


@given(columns=st.dictionaries(st.text(max_size=3), st.lists(INTS, max_size=40), max_size=5))
def test_columns_come_back(columns: dict[str, list[int]]) -> None:
    packed = pack_columns(
        {name: np.array(values, np.int64) for name, values in columns.items()}, {"a": [1]}
    )
    found, notes = unpack_columns(packed)
    assert {name: column.tolist() for name, column in found.items()} == columns
    assert notes == {"a": [1]}


@given(
    st.lists(st.tuples(st.integers(-(2**50), 2**50), st.integers(1, 2**20)), max_size=30),
)
def test_sums_of_squares_are_exact(clusters: list[tuple[int, int]]) -> None:
    x = np.array([each for each, _ in clusters], np.int64)
    m = np.array([each for _, each in clusters], np.int64)
    assert ratio_sums(x, m) == RatioSums.of(clusters)


def test_many_days_are_rolled_up_by_many_processes(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "facts.jsonl"
    write_facts(file, 60)  # over a year
    query = ReportQuery(since=date(2025, 1, 1), until=date(2025, 12, 31), by=("month",))
    reports: list[str] = []
    started: list[int] = []
    make = processes.Workers

    def counted(most: int, *others: object) -> object:
        started.append(most)
        return make(most, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(processes, "Workers", counted)
    for many in (10**6, 16):
        monkeypatch.setattr(rolling, "_MANY", many)
        monkeypatch.setattr(rolling.os, "cpu_count", lambda: 2)
        with copied(empty) as store:
            with file.open("rb") as lines:
                rejects = tmp_path / "rejects"
                import_facts(store, Source.of(lines, file), rejects, SilentProgress())
            store.reports.rollups.begin("anew")  # every day is stale, as after a large import
            told = build_report(store, query)
            told.pop("generated_at", None)
            reports.append(json.dumps(told, default=str))
            assert not store.reports.rollups.stale()
    assert reports[0] == reports[1]
    assert len(json.loads(reports[0])["groups"]) == 12
    assert started == [2]


@given(
    st.lists(st.lists(st.integers(1, 40), unique=True, max_size=12).map(sorted), max_size=6),
    st.integers(1, 1_000),
)
def test_units_have_one_number_each_whether_they_are_many_or_few(
    days: list[list[int]], apart: int
) -> None:
    adder = Adder()
    for _ in range(2):  # what was noted for one period does not matter to the next
        units = [np.array(day, np.int32) * apart for day in days]
        rows = adder.numbered(units)
        pairs = {
            (int(unit), int(number))
            for of_day, numbers in zip(units, rows.of_cells, strict=True)
            for unit, number in zip(of_day, numbers, strict=True)
        }
        everybody = {unit for day in days for unit in day}
        assert len(pairs) == len({n for _, n in pairs}) == len(everybody)
        assert all(0 <= number < rows.n for _, number in pairs)
        days.reverse()
