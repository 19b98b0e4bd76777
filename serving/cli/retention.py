"""`mersalg retention`: the facts of old months go, what they counted stays."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from mersalg.serving.cli import console
from mersalg.serving.cli.database import Database, existing_store


def command(
    database: Database,
    keep_months: Annotated[
        int, typer.Option(help="Whole months before the present one whose facts stay.")
    ] = 25,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell how many facts would go.")
    ] = False,
    as_json: console.JsonFlag = False,
) -> None:
    """Drop the facts of old months after rolling up their days.

    Reports of whole days stay as they are, but that a checkout with decisions on both sides of a
    midnight counts in the day it began; reports by item, rule or store can then look no further
    back, nor can `events export`. Facts that arrive late for a dropped month count for nothing.
    """
    from mersalg.engine.tracking.local_days import zone_of
    from mersalg.engine.tracking.query import ReportQuery
    from mersalg.engine.tracking.retention import drop_before, first_kept, would_drop
    from mersalg.serving.auditing import audited_here

    with existing_store(database) as store:
        zone = zone_of(ReportQuery.from_store(store).timezone or "UTC")
        since = first_kept(datetime.now(zone).date(), keep_months)
        if dry_run:
            n_facts = would_drop(store, since)
            _tell(f"{n_facts:,} facts before {since} would go", as_json, since, n_facts, None)
            return
        with (
            console.progress_bars(quiet=as_json) as progress,
            audited_here(store, "drop facts", f"before {since}"),
        ):
            done = drop_before(store, since, progress)
    text = (
        f"{done.dropped:,} facts before {since} are gone; {done.days:,} days before it are kept"
        " as roll-ups"
    )
    _tell(text, as_json, since, done.dropped, done.days)


def _tell(text: str, as_json: bool, since: object, n_facts: int, days: int | None) -> None:
    if as_json:
        console.print_json({"facts_since": str(since), "facts": n_facts, "days_kept": days})
    else:
        console.out.print(text)
