"""Databases of earlier schemas keep what is in them, and ids mean their bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, text

from engine.storage import connection as database
from engine.storage.months import create_month
from engine.storage.sql import SCHEMA_VERSION, SqlStore, open_store
from engine.storage.store import FactScope
from engine.tracking.report import ReportQuery, build_report
from tests.support.fact_files import SECRET, clean_file, run


def schema_of(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return database.schema_version(connection)


def go_back(engine: Engine) -> None:
    """To the schema before the present one."""
    config = Config()
    folder = Path(database.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "-1")


def report_of(store: SqlStore) -> object:
    groups = build_report(store, ReportQuery(by=("day",)))["groups"]
    assert isinstance(groups, list)
    assert groups
    return groups


def test_an_earlier_schema_is_brought_up_with_all_that_is_in_it(
    bulk_store: SqlStore, fresh_database: str, tmp_path: Path
) -> None:
    run(bulk_store, clean_file(tmp_path))
    bulk_store.save_settings({"currency": "NOK"})
    facts, report = list(bulk_store.facts(FactScope())), report_of(bulk_store)
    assert facts
    engine = create_engine(bulk_store.url)
    go_back(engine)
    assert schema_of(engine) < SCHEMA_VERSION
    later = open_store(fresh_database, secret=SECRET)
    later.migrate()
    assert schema_of(engine) == SCHEMA_VERSION
    engine.dispose()
    assert list(later.facts(FactScope())) == facts
    assert report_of(later) == report
    assert later.append(facts, trusted=True).duplicates == len(facts)
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
