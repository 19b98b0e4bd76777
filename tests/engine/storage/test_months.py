"""Partitions of PostgreSQL: few, whatever instants facts state, and none is missed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from mersalg.engine import clock
from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.facts import Event
from mersalg.engine.storage import months
from mersalg.engine.storage.connection import Database, parse_url
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.months import create_month, month_of
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.tracking.query import ReportQuery
from mersalg.engine.tracking.report import build_report

pytestmark = pytest.mark.postgres

SECRET = b"a secret of the tests, long enough"
YEAR = 365 * MICROS_PER_DAY


@pytest.fixture
def store(fresh_postgres_url: str) -> Iterator[Store]:
    opened = open_store(fresh_postgres_url, secret=SECRET)
    opened.migrate()
    yield opened
    opened.close()


def view(number: int, instant: int) -> Event:
    return Event(f"e{number}", "view_promotion", instant, offer_id=f"off_{number}")


def partitions(url: str) -> list[str]:
    query = "select relname from pg_inherits join pg_class on oid = inhrelid"
    engine = create_engine(parse_url(url))
    with engine.connect() as connection:
        names = connection.scalars(
            text(f"{query} where inhparent = 'facts'::regclass order by 1")
        ).all()
    engine.dispose()
    return list(names)


def name_of(instant: int) -> str:
    return "facts_{:04d}_{:02d}".format(*month_of(instant))


def test_facts_of_every_month_make_a_few_partitions(
    store: Store, fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(months, "_YEARS_BACK", 1)
    now = clock.now()
    instants = [now + n * 30 * MICROS_PER_DAY for n in range(-600, 600)]
    views = [view(number, instant) for number, instant in enumerate(instants)]
    assert store.facts.append(views).recorded == len(views)
    found = partitions(fresh_postgres_url)
    assert {name_of(now), "facts_default"} < set(found)
    assert len(found) <= 12 + 3
    assert len(list(store.facts.read(FactScope()))) == len(views)
    report = build_report(store, ReportQuery())
    assert report["quality"]["unmatched"] == len(views)
    assert build_report(store, ReportQuery(), from_facts=True)["quality"] == report["quality"]
    assert list(store.reports.rollups.bodies(None, None)) == [], "no day was counted"
    assert store.facts.append(views).duplicates == len(views)


def test_the_coming_month_is_there_before_it_begins(store: Store, fresh_postgres_url: str) -> None:
    now = clock.now()
    store.facts.append([view(1, now)])
    year, month = month_of(now)
    coming = f"facts_{year + month // 12:04d}_{month % 12 + 1:02d}"
    assert coming in partitions(fresh_postgres_url)


def test_a_month_of_the_default_partition_stays_there(
    store: Store, fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    with monkeypatch.context() as full:
        full.setattr(months, "MAXIMUM_MONTHS", 0)
        assert store.facts.append([view(1, now)]).recorded == 1
    assert partitions(fresh_postgres_url) == ["facts_default"]
    later = open_store(fresh_postgres_url, secret=SECRET)
    assert later.facts.append([view(2, now)]).recorded == 1
    assert name_of(now) not in partitions(fresh_postgres_url)
    assert later.facts.drop_before(now + 1, lambda _n_facts: None) == 2
    assert list(later.facts.read(FactScope())) == []
    later.close()


def test_a_reader_does_not_keep_facts_from_being_recorded(
    store: Store, fresh_postgres_url: str
) -> None:
    """To attach a partition, PostgreSQL waits for whoever reads the default one."""
    now = clock.now()
    engine = create_engine(parse_url(fresh_postgres_url))
    with engine.connect() as reader:
        reader.execute(text("select count(*) from facts"))
        assert store.facts.append([view(1, now)]).recorded == 1
    engine.dispose()
    assert partitions(fresh_postgres_url) == ["facts_default"]


def test_old_months_are_dropped_from_the_default_partition_too(store: Store) -> None:
    now = clock.now()
    old = [view(number, now - (6 + number) * YEAR) for number in range(3)]
    store.facts.append([*old, view(9, now)])
    assert store.facts.drop_before(now - YEAR, lambda _n_facts: None) == 3
    assert [fact.event_id for fact in store.facts.read(FactScope())] == ["e9"]


def test_the_upgrade_folds_months_beyond_the_maximum(
    store: Store, fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier versions made as many as facts were dated into, more than a transaction can lock."""
    database, now = Database(parse_url(fresh_postgres_url)), clock.now()
    store.facts.append([view(0, now)])
    with database.writing() as connection:
        for number in range(30):
            create_month(connection, (1990 + number // 12, number % 12 + 1))
        connection.execute(
            text(
                "insert into facts select 'old', type, 700000000000000, null, null, null,"
                " offer_id, null, digest, replace(body, 'e0', 'old') from facts"
            )
        )
    assert len(partitions(fresh_postgres_url)) == 33
    with database.writing() as connection:
        connection.execute(
            text("drop table facts_default, stray_events, live_entries, price_changes")
        )
        connection.execute(text("alter table rollups drop column offers"))
        connection.execute(text("update alembic_version set version_num = '0008'"))
    monkeypatch.setattr(months, "MAXIMUM_MONTHS", 3)
    monkeypatch.setattr(months, "_FOLDED_AT_ONCE", 10)
    later = open_store(fresh_postgres_url, secret=SECRET)
    later.migrate()
    found = partitions(fresh_postgres_url)
    assert len(found) == 4
    assert {name_of(now), "facts_1992_03", "facts_default"} <= set(found), "the smallest go"
    assert {fact.event_id for fact in later.facts.read(FactScope())} == {"e0", "old"}
    assert later.facts.append([view(1, now)]).recorded == 1
    later.close()
    database.engine.dispose()
