"""`mersalg retention`: the facts of old months go, what they counted stays."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.database import Database, existing_store


def command(
    database: Database,
    keep_months: Annotated[
        int, typer.Option(help="Whole months before the present one whose facts are kept.")
    ] = 25,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many facts would be dropped.")
    ] = False,
    as_json: console.JsonFlag = False,
) -> None:
    """Drop the facts of old months after rolling up their days.

    Reports of whole days stay as they are, except that a checkout with decisions before and after
    midnight counts in the day it began. Reports by item, rule or store and `events export` do not
    reach further back. Facts that arrive late for a dropped month are not counted.
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
            _tell(
                f"{counted(n_facts, 'fact')} before {since} to be dropped",
                as_json,
                since,
                n_facts,
                None,
            )
            return
        with (
            console.progress_bars(quiet=as_json) as progress,
            audited_here(store, "drop facts", f"before {since}"),
        ):
            done = drop_before(store, since, progress)
    text = (
        f"dropped {counted(done.dropped, 'fact')} before {since}; kept"
        f" {counted(done.days, 'day')} before it as roll-ups"
    )
    _tell(text, as_json, since, done.dropped, done.days)


def _tell(text: str, as_json: bool, since: object, n_facts: int, days: int | None) -> None:
    if as_json:
        console.print_json({"facts_since": str(since), "facts": n_facts, "days_kept": days})
    else:
        console.out.print(text)
