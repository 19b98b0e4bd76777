"""Commands that keep a database: `audit`, `backup`, `restore`, `migrate` and `retention`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import Database, existing_store, migrated_store


def audit(
    database: Database,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    as_json: console.JsonFlag = False,
) -> None:
    """List who published, rolled back, erased, exported, paused or dropped what, newest first."""
    with existing_store(database) as store:
        entries = [entry.to_json() for entry in store.audit.latest(limit)]
    if as_json or not entries:
        console.answer(as_json, {"entries": entries}, "the audit log has no entries")
        return
    rows = [[str(value or "") for value in entry.values()] for entry in entries]
    console.print_table(("when", "who", "action", "target", "outcome"), rows)


def backup(file: Path, database: Database, as_json: console.JsonFlag = False) -> None:
    """Copy a SQLite database into one file, also while a service uses it.

    PostgreSQL is backed up by its own tools, such as pg_dump.
    """
    from mersalg.engine.storage.backup import back_up

    size = back_up(database, file)
    console.answer(as_json, {"file": str(file), "bytes": size}, f"{file}: {counted(size, 'byte')}")


def restore(file: Path, database: Database, as_json: console.JsonFlag = False) -> None:
    """Replace a SQLite database that nothing uses by a backup, and keep the old one.

    Facts that wait in the spool are recorded when the service starts. Customers who were erased
    after the backup was made must be erased again.
    """
    from mersalg.engine.storage import backup
    from mersalg.engine.storage.store import SCHEMA_VERSION
    from mersalg.serving.audit import audited_here

    replaced = backup.restore(database, file, SCHEMA_VERSION)
    with existing_store(database, reads=False) as store:
        store.upgrade()
        with audited_here(store, "restore database", file.name):
            pass
    text = f"{database} now has the facts of {file}"
    if replaced is not None:
        text += f"\nthe old database is kept as {replaced}; delete it when you no longer need it"
    former = None if replaced is None else str(replaced)
    console.answer(as_json, {"database": database, "kept": former}, text)


def migrate(database: Database, as_json: console.JsonFlag = False) -> None:
    """Bring a database to the schema of this version; safe to run again."""
    from mersalg.engine.storage.store import SCHEMA_VERSION

    with migrated_store(database) as store:
        store.ping()
    text = f"the database has schema {SCHEMA_VERSION}"
    console.answer(as_json, {"schema": SCHEMA_VERSION}, text)


def retention(
    database: Database,
    keep_months: int = 25,
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    as_json: console.JsonFlag = False,
) -> None:
    """Drop the facts of old months after rolling up their days.

    Reports of whole days stay as they are, except that a checkout with decisions before and after
    midnight counts in the day it began. Reports by item, rule or store and `events export` do not
    reach further back. Facts that arrive late for a dropped month are not counted.
    """
    from mersalg.engine.tracking.local_days import zone_of
    from mersalg.engine.tracking.query import ReportQuery
    from mersalg.engine.tracking.rollups.stored import drop_before, first_kept, would_drop
    from mersalg.serving.audit import audited_here

    with existing_store(database) as store:
        zone = zone_of(ReportQuery.from_store(store).timezone or "UTC")
        since = first_kept(datetime.now(zone).date(), keep_months)
        if dry_run:
            n_facts, n_days = would_drop(store, since), None
            text = f"{counted(n_facts, 'fact')} before {since} to be dropped"
        else:
            with (
                console.progress_bars(quiet=as_json) as progress,
                audited_here(store, "drop facts", f"before {since}"),
            ):
                done = drop_before(store, since, progress)
            n_facts, n_days = done.dropped, done.days
            text = f"dropped {counted(n_facts, 'fact')} before {since}"
            text += f"; kept {counted(n_days, 'day')} before it as roll-ups"
    data = {"facts_since": str(since), "facts": n_facts, "days_kept": n_days}
    console.answer(as_json, data, text)
