"""Databases of earlier schemas keep what is in them, and ids mean their bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, inspect, text

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.storage import connection as database
from mersalg.engine.storage import tables
from mersalg.engine.storage.fact_rows import Batch, row_of
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.months import create_month
from mersalg.engine.storage.store import SCHEMA_VERSION, Store, open_store
from mersalg.engine.tracking.report import ReportQuery, build_report
from tests.support.fact_files import RECORDS, SECRET, clean_file, run
from tests.support.postgres import PostgresServer


def schema_of(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return database.schema_version(connection)


def go_back(engine: Engine) -> None:
    """To the last schema whose tables of facts were others."""
    config = Config()
    folder = Path(database.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0007")


def bring_to(engine: Engine, version: str) -> None:
    """Apply the migrations up to one version, as the program of its day did."""
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def without_keys(engine: Engine) -> None:
    """Leave the tables as an interrupted load of that day did: no key and no index."""
    names_of_tables = ("named_offers", "offers", "decisions", "facts")
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            names = connection.execute(
                text(
                    "SELECT conname, conrelid::regclass FROM pg_constraint WHERE contype IN"
                    " ('p', 'u', 'f') AND conrelid::regclass::text IN ('fact_ids', 'facts',"
                    " 'decisions', 'offers', 'named_offers') ORDER BY contype"
                )
            ).all()
            for name, table in names:
                connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        for table in names_of_tables:
            for entry in inspect(connection).get_indexes(table):
                connection.execute(text(f"DROP INDEX IF EXISTS {entry['name']}"))
        if engine.dialect.name == "sqlite":
            for table in names_of_tables:
                connection.execute(text(f"CREATE TABLE bare_{table} AS SELECT * FROM {table}"))
                connection.execute(text(f"DROP TABLE {table}"))
                connection.execute(text(f"ALTER TABLE bare_{table} RENAME TO {table}"))


def structure_of(engine: Engine) -> dict[str, tuple[Any, ...]]:
    inspector = inspect(engine)
    return {
        table: (
            sorted(
                (entry["name"], entry["column_names"]) for entry in inspector.get_indexes(table)
            ),
            inspector.get_pk_constraint(table)["constrained_columns"],
            len(inspector.get_unique_constraints(table)),
            len(inspector.get_foreign_keys(table)),
        )
        for table in ("facts", "decisions", "offers", "named_offers", "fresh_facts")
    }


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_database_of_schema_0006_is_brought_up(
    bulk_store: Store,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    interrupted: bool,
) -> None:
    """Written by the migrations and with the rows of that day; also in the middle of a load."""
    prepared = [row_of(parse_fact(each), bulk_store.people.pseudonyms) for each in RECORDS]
    if bulk_store.url.get_backend_name() == "sqlite":
        url = f"sqlite:///{tmp_path / 'earlier.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.new_database()
    engine = create_engine(database.parse_url(url))
    bring_to(engine, "0006")
    batch = Batch(prepared)
    rows = [
        (tables.facts, batch.rows),
        (tables.decisions, batch.decision_rows),
        (tables.offers, batch.offer_rows),
        (tables.named_offers, batch.named_rows),
        (tables.fresh_facts, [(row[0],) for row in batch.rows]),
    ]
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            create_month(connection, (2026, 2))
            rows.insert(0, (tables.fact_ids, [(row[0], row[2]) for row in batch.rows]))
        for table, values in rows:
            connection.execute(
                table.insert(),
                # Columns that came later are last.
                [dict(zip(table.columns.keys(), row, strict=False)) for row in values],
            )
    if interrupted:
        without_keys(engine)
    later = open_store(url, secret=SECRET)
    later.migrate()
    assert schema_of(engine) == SCHEMA_VERSION
    new = create_engine(bulk_store.url)
    expected, found = structure_of(new), structure_of(engine)
    new.dispose()
    if interrupted and engine.dialect.name == "sqlite":
        # SQLite cannot add a key to a table: a unique index does the same.
        indexes = [*expected["facts"][0], ("facts_key", ["event_id"])]
        assert found["facts"] == (indexes, [], 0, 0)
        del found["facts"], expected["facts"]
    assert found == expected
    assert later.facts.append_rows(prepared).duplicates == len(prepared)
    again = [
        msgspec.structs.replace(fact, event_id="again") for fact in map(parse_fact, RECORDS[:1])
    ]
    assert [each.code for each in later.facts.append(again).rejected] == ["conflict"]
    assert bulk_store.facts.append_rows(prepared).recorded == len(prepared)
    assert list(later.facts.read(FactScope())) == list(bulk_store.facts.read(FactScope()))
    assert report_of(later) == report_of(bulk_store)
    later.close()
    engine.dispose()


def report_of(store: Store) -> object:
    groups = build_report(store, ReportQuery(by=("day",)))["groups"]
    assert isinstance(groups, list)
    assert groups
    return groups


def test_an_earlier_schema_is_brought_up_with_all_that_is_in_it(
    bulk_store: Store, fresh_database: str, tmp_path: Path
) -> None:
    run(bulk_store, clean_file(tmp_path))
    bulk_store.reports.save_settings({"currency": "NOK"})
    facts, report = list(bulk_store.facts.read(FactScope())), report_of(bulk_store)
    assert facts
    engine = create_engine(bulk_store.url)
    now = structure_of(engine)
    go_back(engine)
    assert schema_of(engine) < SCHEMA_VERSION
    assert structure_of(engine) != now
    later = open_store(fresh_database, secret=SECRET)
    later.migrate()
    assert schema_of(engine) == SCHEMA_VERSION
    assert structure_of(engine) == now
    engine.dispose()
    assert list(later.facts.read(FactScope())) == facts
    assert report_of(later) == report
    assert later.facts.append(facts, trusted=True).duplicates == len(facts)
    later.close()


@pytest.mark.postgres
def test_postgres_compares_every_id_by_its_bytes(fresh_postgres_url: str) -> None:
    """Months that come later, too."""
    store = open_store(fresh_postgres_url, secret=SECRET)
    store.migrate()
    store.close()
    query = text(
        "SELECT table_name, column_name, collation_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND data_type = 'text'"
        " AND (column_name LIKE '%\\_id' OR table_name = 'rollup_units')"
    )
    engine = create_engine(store.url)
    with engine.begin() as connection:
        create_month(connection, (2031, 5))
        found = connection.execute(query).all()
    engine.dispose()
    assert "facts_2031_05" in {table for table, _, _ in found}
    assert {(table, column) for table, column, collation in found if collation != "C"} == set()


def test_each_index_holds_one_column_and_no_reference_is_checked(bulk_store: Store) -> None:
    engine = create_engine(bulk_store.url)
    found = structure_of(engine)
    engine.dispose()
    expected = {
        "facts": {("occurred_at",), ("checkout_id",), ("session_id",)}
        | {("customer_id",), ("offer_id",), ("transaction_id",)},
        "offers": {("event_id",)},
    }
    for table, (indexes, _, n_unique, n_references) in found.items():
        assert {tuple(columns) for _, columns in indexes} == expected.get(table, set())
        assert (n_unique, n_references) == (0, 0)
