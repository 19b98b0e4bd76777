"""`mersalg audit`: what administrators did."""

from __future__ import annotations

from typing import Annotated

import typer

from mersalg.serving.cli import console
from mersalg.serving.cli.database import Database, existing_store


def command(
    database: Database,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of entries.")] = 50,
    as_json: console.JsonFlag = False,
) -> None:
    """List who published, rolled back, erased, exported, paused or dropped what, newest first."""
    with existing_store(database) as store:
        entries = [entry.to_json() for entry in store.audit.latest(limit)]
    if as_json:
        console.print_json({"entries": entries})
        return
    if not entries:
        console.out.print("the audit log has no entries")
        return
    rows = [[str(value or "") for value in entry.values()] for entry in entries]
    console.print_table(("when", "who", "action", "target", "outcome"), rows)
