"""Few facts are read along indexes, and PostgreSQL knows how many facts there are."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select, text

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.storage.facts import follow_indexes, keep_statistics
from mersalg.engine.storage.linked_facts import FactScope, event_ids_in, linked_to
from mersalg.engine.storage.questions import BuyerQuery, Questions
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.storage.tables import facts
from tests.support.waiting import eventually

SECRET = b"a secret of the tests, long enough"
DAY = 20_500


@pytest.fixture
def store(fresh_postgres_url: str) -> Iterator[Store]:
    opened = open_store(fresh_postgres_url, secret=SECRET)
    opened.migrate()
    yield opened
    opened.close()


def record(store: Store, n_days: int, *, of: str) -> None:
    views = [
        {
            "type": "view_promotion",
            "event_id": f"{of}{day}-{number}",
            "occurred_at": f"2026-{day % 12 + 1:02d}-{number % 28 + 1:02d}T10:00:00+00:00",
            "offer_id": f"o{day}-{number}",
            "checkout_id": f"k{day}-{number}",
            "session_id": f"s{day}-{number}",
        }
        for day in range(n_days)
        for number in range(40)
    ]
    assert store.facts.append([parse_fact(view) for view in views]).recorded == len(views)


@contextmanager
def connected(store: Store) -> Generator[Connection, None, None]:
    engine = create_engine(store.url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def known_facts(connection: Connection) -> float:
    query = text("SELECT reltuples FROM pg_class WHERE oid = to_regclass('facts')")
    return connection.scalar(query) or 0.0


@pytest.mark.postgres
def test_facts_are_counted_again_when_they_have_doubled(store: Store) -> None:
    with connected(store) as connection:
        assert known_facts(connection) == -1
        record(store, 20, of="a")
        assert len(list(store.facts.read(FactScope(0, MICROS_PER_DAY)))) == 0
        assert known_facts(connection) == 800
        record(store, 10, of="b")
        keep_statistics(connection.engine)
        assert known_facts(connection) == 800, "half as many again: not worth the while"
        # A connection reports what it wrote to the statistics when it ends, else after seconds.
        other = open_store(store.url.render_as_string(hide_password=False), secret=SECRET)
        record(other, 80, of="c")
        other.close()

        def counted_again() -> bool:
            keep_statistics(connection.engine)
            connection.rollback()
            return known_facts(connection) == 4_400

        eventually(counted_again)


@pytest.mark.postgres
def test_a_day_is_read_along_indexes(store: Store) -> None:
    record(store, 20, of="a")
    with connected(store) as connection:
        keep_statistics(connection.engine)
    day = FactScope(DAY * MICROS_PER_DAY, (DAY + 1) * MICROS_PER_DAY)
    assert day.is_narrow
    assert not FactScope(day.since, None).is_narrow
    assert not FactScope(day.since, (DAY + 31) * MICROS_PER_DAY).is_narrow
    ids = event_ids_in(day)
    assert ids is not None
    fresh = select(facts.c.event_id).where(facts.c.event_id.in_(["a3-7", "a4-1"]))
    for wanted in (ids, linked_to(fresh)):
        query = select(facts.c.body).where(facts.c.event_id.in_(wanted))
        with connected(store) as connection:
            compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
            follow_indexes(connection)
            plan = connection.exec_driver_sql(f"EXPLAIN {compiled}").scalars().all()
        assert any("Index" in line for line in plan)
        assert not [line for line in plan if "Seq Scan on facts" in line]


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("pg", marks=pytest.mark.postgres)])
def test_what_is_asked_of_a_buyer_is_read_along_indexes(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    store = open_store(
        request.getfixturevalue("fresh_postgres_url") if kind == "pg" else url, secret=SECRET
    )
    store.migrate()
    dismissal = {"type": "dismiss_promotion", "event_id": "e1", "offer_id": "o1"}
    store.facts.append([parse_fact({**dismissal, "occurred_at": "2026-01-02T10:00:00+00:00"})])
    asked: list[tuple[str, tuple[object, ...]]] = []
    rows_of = Questions._rows

    def noted(self: Questions, statement: str, *values: object) -> list[tuple[Any, ...]]:
        asked.append((statement, values))
        return rows_of(self, statement, *values)

    monkeypatch.setattr(Questions, "_rows", noted)
    store.questions.known_buyers([BuyerQuery("k1", "s1", "c1", "s1", 0, 0)])
    assert len(asked) == 2, "the second one is about what the buyer dismissed"
    explain = "EXPLAIN" if kind == "pg" else "EXPLAIN QUERY PLAN"
    with connected(store) as connection:
        if kind == "pg":  # so few facts are read fastest as a whole
            connection.exec_driver_sql("SET enable_seqscan = off")
        plans = [
            [row[-1] for row in connection.exec_driver_sql(f"{explain} {statement}", values)]
            for statement, values in asked
        ]
    store.close()
    for plan in plans:
        of_facts = ("Seq Scan on facts", "SCAN facts", "SCAN dismissal", "SCAN decision")
        assert not [line for line in plan if any(name in line for name in of_facts)]
        for column in ("session", "customer"):
            index = (f"{column}_id_idx", f"facts_by_{column}")
            assert [line for line in plan if any(name in line for name in index)]
