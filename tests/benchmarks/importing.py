"""`mersalg events import` of a large file, against the database alone, in the same run.

    python -m tests.benchmarks.importing [DATABASE_URL] [CHECKOUTS]

The facts are those of an invented year: decisions with two offers, views, clicks and purchases,
under ids in no order. The floor writes the rows that came out of it into a fresh table with the
same indexes by the database's driver alone, in transactions as large: no reading, checking or
hashing. SQLite in a temporary folder is used, and compared, unless an empty PostgreSQL database is
named.
"""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from mersalg.engine.progress import SilentProgress
from mersalg.engine.storage.fact_import import Source, import_facts
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.tracking.report import ReportQuery, build_report

_TOGETHER = 20_000
_BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


def write_facts(path: Path, checkouts: int) -> int:
    draw, n_facts = random.Random(1), 0
    with path.open("w") as file:
        for number in range(checkouts):
            at = (_BEGIN + timedelta(days=365 * number / checkouts)).isoformat()
            key = f"{draw.getrandbits(48):012x}{number:08x}"
            who = {"checkout_id": f"k{key}", "session_id": f"s{key}"}
            who["customer_id"] = f"c{draw.randrange(checkouts)}"
            base = {"item_id": f"i{draw.randrange(5_000)}", "quantity": 1}
            offers = [
                {"offer_id": f"x{key}", "kind": "cross_sell", "item_id": "mug", "unit_price": "49"},
                {"offer_id": f"u{key}", "kind": "upsell", "item_id": "jug", "replaces": base},
            ]
            facts: list[dict[str, object]] = [
                {
                    "type": "decision",
                    "event_id": f"d{key}",
                    "decision_id": f"d{key}",
                    **who,
                    "arm": "treatment",
                    "currency": "NOK",
                    "control_share": 0.1,
                    "lines": [{**base, "unit_price": "199.00"}],
                    "offers": offers,
                },
                *(
                    {"type": kind, "event_id": f"{place}{key}", "offer_id": f"{offer}{key}"}
                    for place, (kind, offer) in enumerate(
                        (("view_promotion", "x"), ("view_promotion", "u"))
                        + (("add_to_cart", "x"),) * (draw.random() < 0.3)
                        + (("view_promotion", "x"),) * 2
                    )
                ),
                {
                    "type": "purchase",
                    "event_id": f"p{key}",
                    "transaction_id": f"t{key}",
                    **who,
                    "currency": "NOK",
                    "items": [{**base, "price": "199.00"}],
                },
            ]
            for fact in facts:
                file.write(json.dumps({**fact, "occurred_at": at}) + "\n")
            n_facts += len(facts)
    return n_facts


def floor(rows: list[tuple[object, ...]], schema: list[str], path: Path) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -262144"):
        connection.execute(f"PRAGMA {pragma}")
    for statement in schema:
        connection.execute(statement)
    values = ", ".join("?" * len(rows[0]))
    begun = time.perf_counter()
    for start in range(0, len(rows), _TOGETHER):
        connection.execute("begin immediate")
        connection.executemany(
            f"insert into facts values ({values})",
            sorted(rows[start : start + _TOGETHER]),  # type: ignore[type-var]
        )
        connection.execute("commit")
    seconds = time.perf_counter() - begun
    connection.close()
    return seconds


def report_seconds(store: Store) -> float:
    query = ReportQuery(since=_BEGIN.date(), until=date(2025, 12, 31), by=("week",))
    begun = time.perf_counter()
    report = build_report(store, query)
    assert report["groups"]
    return time.perf_counter() - begun


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else ""
    checkouts = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path, database = Path(folder) / "facts.jsonl", Path(folder) / "facts.db"
        n_facts = write_facts(path, checkouts)
        store = open_store(url or str(database), secret=b"of no importance here", bulk=True)
        store.migrate()
        begun = time.perf_counter()
        with path.open("rb") as file:
            rejects = path.with_suffix(".no")
            result = import_facts(store, Source.of(file, path), rejects, SilentProgress())
        seconds = time.perf_counter() - begun
        reports = [report_seconds(store) for _ in range(3)]
        store.close()
        assert result.recorded == n_facts
        reported = f"{n_facts:,} facts in {seconds:.1f} s: {n_facts / seconds:,.0f} a second"
        if not url:
            connection = sqlite3.connect(database)
            rows = connection.execute("select * from facts").fetchall()
            schema = [
                str(row[0])
                for row in connection.execute(
                    "select sql from sqlite_master where tbl_name = 'facts' and sql is not null"
                )
            ]
            connection.close()
            alone = floor(rows, schema, Path(folder) / "floor.db")
            reported += (
                f"; {seconds / alone:.2f}x the driver alone ({n_facts / alone:,.0f} a second)"
            )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{reported}; peak memory {peak:,.0f} MiB, the floor's rows included")
        print(
            f"the year by week: {reports[0]:.1f} s the first time, which rolls up its days"
            f" ({n_facts / reports[0]:,.0f} facts a second), then {min(reports[1:]):.2f} s"
        )


if __name__ == "__main__":
    main()
