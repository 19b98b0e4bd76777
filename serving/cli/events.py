"""`mersalg events`: facts into a database and out of it, as JSON Lines."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from mersalg.engine import clock
from mersalg.engine.errors import ConfigError
from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import Database, existing_store, migrated_store, source, target

if TYPE_CHECKING:
    from mersalg.engine.adapters.offer_log import Translation
    from mersalg.engine.source_sections import LogMap

group = typer.Typer(no_args_is_help=True, help="Import and export facts, in the schema of the API.")


@group.command("import")
def import_(
    file: str,
    database: Database,
    source_system: Annotated[str | None, typer.Option("--from")] = None,
    log_map: Annotated[Path | None, typer.Option("--map")] = None,
    models: Path | None = None,
    as_json: console.JsonFlag = False,
) -> None:
    """Record every fact of a file; duplicates are counted and not recorded twice.

    Rejected lines are written to FILE.rejected.jsonl with their number and the reason; all others
    are recorded, and the exit code is 2. If interrupted, run it again and it resumes.
    """
    from mersalg.engine.adapters.selection import adapter_named
    from mersalg.engine.storage.fact_import import Source, import_facts

    if log_map is not None:
        if source_system is not None or file == "-":
            raise ConfigError("--map reads a file, and not together with --from")
        _import_log(Path(file), log_map, database, as_json)
        return
    adapter = None if source_system is None else adapter_named(source_system)
    rejects = Path("stdin.rejected.jsonl" if file == "-" else f"{file}.rejected.jsonl")
    names = None
    if models is not None and adapter is not None:
        from mersalg.engine.adapters.selection import ItemNames
        from mersalg.engine.registry import Registry

        names = ItemNames(Registry(models).load().catalogue)
    written = ignored = unknown_items = 0

    def translated(payload: object) -> Sequence[object]:
        nonlocal ignored, unknown_items
        assert adapter is not None
        facts = adapter(payload, written)
        ignored += not facts
        if names is not None:
            unknown_items += names.put_ids(facts)
        return facts

    with (
        source(file) as opened,
        migrated_store(database, bulk=True) as store,
        console.progress_bars(quiet=as_json) as progress,
    ):
        # What says no time happened when its file was written: the same at every run.
        written = clock.now() if file == "-" else os.fstat(opened.fileno()).st_mtime_ns // 1000
        lines = Source(opened) if file == "-" else Source.of(opened, Path(file))
        result = import_facts(
            store, lines, rejects, progress, None if adapter is None else translated
        )
    summary: dict[str, object] = {
        "recorded": result.recorded,
        "duplicates": result.duplicates,
        "rejected": result.rejected,
        "rejected_file": str(rejects) if result.rejected else None,
    }
    optional = {
        "ignored": None if adapter is None else ignored,
        "unknown_items": None if names is None else unknown_items,
        "unknown_fields": sorted(result.unknown) or None,
        "of_nobody": result.nobody or None,
        "resumed_at_line": result.resumed_at,
    }
    summary |= {name: value for name, value in optional.items() if value is not None}
    if as_json:
        console.print_json(summary)
    else:
        if result.resumed_at is not None:
            console.out.print(f"resumed at line {result.resumed_at:,}, where a run had stopped")
        console.out.print(
            f"{result.recorded:,} recorded, {counted(result.duplicates, 'duplicate')},"
            f" {result.rejected:,} rejected"
        )
        if result.unknown:
            fields = ", ".join(sorted(result.unknown))
            console.note(f"fields that are not known were ignored: {fields}")
        if result.nobody:
            facts = counted(result.nobody, "fact")
            console.err.print(f"ignored the customer_id of {facts}: a word for no customer")
        if ignored:
            console.out.print(
                f"ignored {counted(ignored, 'line')} without an offer, sale or return, or of a test"
            )
        if unknown_items:
            console.out.print(f"{counted(unknown_items, 'line')} of items that the catalogue lacks")
        for line, code, message in result.examples:
            console.note(f"line {line} ({code}): {message}")
    if result.rejected:
        console.note(f"the rejected lines and why: {rejects}")
        raise typer.Exit(console.BAD_INPUT)


def _import_log(file: Path, log_map: Path, database: str, as_json: bool) -> None:
    """Record an offer log; it is read as a whole before anything is recorded."""
    from tempfile import TemporaryFile

    from mersalg.engine.adapters.offer_log import read_rows, translate
    from mersalg.engine.config import load_section
    from mersalg.engine.source_sections import LogMap
    from mersalg.engine.storage.fact_import import Source, import_facts

    mapped = load_section(log_map, LogMap)
    rejects = Path(f"{file}.rejected.jsonl")
    with (
        migrated_store(database, bulk=True) as store,
        console.progress_bars(quiet=as_json) as progress,
    ):
        with progress.task("Reading the log") as task:

            def read() -> Generator[Mapping[str, str], None, None]:
                for row in read_rows(file, mapped):
                    task.advance()
                    yield row

            done = translate(read(), mapped)
        with TemporaryFile() as spool:
            for fact in done.facts:
                spool.write(orjson.dumps(fact) + b"\n")
            size = spool.tell()
            spool.seek(0)
            result = import_facts(
                store, Source(spool, size), rejects, progress, lambda record: (record,)
            )
    for refused in done.refused:
        with rejects.open("ab") as side:
            entry = {"line": refused.number, "code": "invalid", "message": refused.message}
            side.write(orjson.dumps({**entry, "text": dict(refused.row)}) + b"\n")
    counts = done.counts
    n_rejected = result.rejected + counts.rejected
    if as_json:
        console.print_json(
            {
                "recorded": result.recorded,
                "duplicates": result.duplicates,
                "rejected": n_rejected,
                "rejected_file": str(rejects) if n_rejected else None,
                "log": {
                    **counts.json(),
                    "words": [
                        {"word": word, "read_as": meaning, "rows": n}
                        for (word, meaning), n in sorted(done.words.items(), key=str)
                    ],
                },
            }
        )
    else:
        for line in _log_lines(done, mapped):
            console.say(line)
        console.out.print(
            f"{counted(result.recorded, 'fact')} recorded,"
            f" {counted(result.duplicates, 'duplicate')}, {n_rejected:,} rejected"
        )
        console.out.print("such a log has no control group: it cannot show what its offers changed")
    if n_rejected:
        console.note(f"the rejected rows and why: {rejects}")
        raise typer.Exit(console.BAD_INPUT)


def _log_lines(done: Translation, mapped: LogMap) -> Generator[str, None, None]:
    """Yield what became of the rows of a log, and all that had to be guessed."""
    counts = done.counts
    words = [
        f"{word!r} ({n:,})" if meaning is None else f"{word!r} as {meaning} ({n:,})"
        for (word, meaning), n in done.words.most_common(10)
    ]
    if mapped.columns.outcome is not None:
        yield (
            f"{counted(counts.rows, 'row')}, {counted(counts.accepted, 'offer')} accepted,"
            f" {counts.declined:,} declined; {mapped.columns.outcome} was read: {', '.join(words)}"
        )
        yield "each row counts as an offer that was shown"
    else:
        yield (
            f"{counted(counts.rows, 'row')}; {counted(counts.received, 'offer')} sent,"
            f" {counted(counts.viewed, 'view')}, {counted(counts.completed, 'completion')},"
            f" {counted(counts.purchased, 'other purchase')}"
        )
        yield (
            f"of the completions, credited to one of several open offers: {counts.ambiguous:,};"
            f" credited to none, since not viewed: {counts.unviewed:,}; without an offer:"
            f" {counts.unmatched_completions:,}; views without an offer: {counts.unmatched_views:,}"
        )
    if not counts.purchased:
        yield (
            "the log knows only who accepted, so that of all buyers 100% did: the rate to read is"
            " that of checkouts"
        )
    if counts.other:
        named = ", ".join(words)
        yield f"{counted(counts.other, 'row')} of events that the map does not name: {named}"
    if counts.duplicates:
        rows = counted(counts.duplicates, "row")
        yield f"left out {rows} with the {mapped.columns.id} of another"
    if counts.repeated:
        yield (
            f"counted {counted(counts.repeated, 'row')} equal to another in every column; to leave"
            " out copies, name a column that identifies rows in columns.id"
        )
    if counts.without_customer:
        yield (
            f"{counted(counts.without_customer, 'row')} without a customer: each has its own unit,"
            " and a view or a completion without one fits no offer"
        )
    if counts.without_time:
        yield (
            f"{counted(counts.without_time, 'row')} without a time: each is dated just after the"
            f" row before it, the first of a file at {clock.to_iso(mapped.time.start_micros)}"
        )


@group.command("campaigns")
def campaigns(out: Annotated[Path, typer.Option()], as_json: console.JsonFlag = False) -> None:
    r"""Write Complete Journey's campaigns and coupons as an offer log, with the map that reads it.

    It needs `pip install 'mersalg\[demo]'`. Import the log with `mersalg events import --map`.
    """
    from mersalg.training.simulation.complete_journey import write_campaigns

    log, log_map = write_campaigns(out)
    data = {"log": str(log), "map": str(log_map)}
    console.answer(as_json, data, f"{log} and {log_map} written")


@group.command("export")
def export(database: Database, out: Path | None = None, as_json: console.JsonFlag = False) -> None:
    """Write every fact, oldest first; customers and sessions stay under their pseudonyms.

    Importing the file elsewhere gives the same reports.
    """
    from mersalg.engine.fact_bodies import pack
    from mersalg.engine.storage.linked_facts import FactScope

    n_facts = 0
    with (
        existing_store(database) as store,
        console.progress_bars(quiet=as_json) as progress,
        target(out) as file,
        progress.task("Writing facts") as task,
    ):
        for fact in store.facts.read(FactScope()):
            file.write(pack(fact) + b"\n")
            n_facts += 1
            task.advance()
    if out is not None:
        text = f"{counted(n_facts, 'fact')} written to {out}"
        console.answer(as_json, {"exported": n_facts, "file": str(out)}, text)
