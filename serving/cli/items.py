"""`mersalg items`: stock, prices and new items into a database and out of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import typer

from mersalg.engine.errors import FactRejected
from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import Database, existing_store, migrated_store, source, target

if TYPE_CHECKING:
    from mersalg.engine.live_items import Stated

group = typer.Typer(
    no_args_is_help=True, help="Import and export the live catalogue: what changed since training."
)

_AT_ONCE = 1_000


@group.command("import")
def import_(file: Path, database: Database, as_json: console.JsonFlag = False) -> None:
    """Import every item of a file; a running service uses them within a second.

    A line is an item of [bold]POST /v1/items[/]: {"item_id": "case-1", "in_stock": false}. Rejected
    lines are listed; all others are imported, and the exit code is 2.
    """
    rejected: list[tuple[int, str]] = []
    n_changed = n_known = 0
    with migrated_store(database) as store:
        lines = _stated(file, rejected)
        while some := list(islice(lines, _AT_ONCE)):
            newer = sum(item is not None for item in store.live.take(some))
            n_changed, n_known = n_changed + newer, n_known + len(some) - newer
    if as_json:
        refused = [{"line": line, "message": message} for line, message in rejected]
        console.print_json({"recorded": n_changed, "duplicates": n_known, "rejected": refused})
    else:
        console.out.print(
            f"{counted(n_changed, 'item')} changed, {counted(n_known, 'duplicate')},"
            f" {len(rejected):,} rejected"
        )
        for line, message in rejected[:10]:
            console.note(f"line {line}: {message}")
    if rejected:
        raise typer.Exit(console.BAD_INPUT)


@group.command("export")
def export(database: Database, out: Path | None = None) -> None:
    """Write what changed since training, one item a line, as `items import` reads it."""
    with existing_store(database) as store, target(out) as file:
        for item_id, item in sorted(store.live.since(-1).items.items()):
            for body in item.bodies():
                file.write(orjson.dumps({"item_id": item_id, **body}) + b"\n")


def _stated(file: Path, rejected: list[tuple[int, str]]) -> Iterator[Stated]:
    from mersalg.engine import clock
    from mersalg.engine.live_items import decode_item

    now = clock.now()
    with source(file) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield decode_item(line, now)
            except FactRejected as error:
                rejected.append((number, error.message))
