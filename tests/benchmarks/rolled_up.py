"""A year by week out of roll-ups, for one and for ten million offers; and where the time goes.

    python -m tests.benchmarks.rolled_up [DATABASE_URL]

The days are made up column by column, as large and as full as that many offers of two kinds to
customers who come back two or three times a year would make them. The floor, in the same run, is
reading the bytes alone. A SQLite file in a temporary folder is used unless an empty database of
PostgreSQL is named.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import create_engine

from engine.facts import KINDS
from engine.storage.store import Store, open_store
from engine.storage.tables import rollups
from engine.tracking.counts import Counts
from engine.tracking.report import ReportQuery, build_report
from engine.tracking.rollups.cells import ARMS, BUYING, Cell, bits
from engine.tracking.rollups.columns import Ints
from engine.tracking.rollups.rolling import made_with

FIRST, DAYS, ROUNDS = date(2025, 1, 1), 365, 5


def made_up(rng: np.random.Generator, checkouts: int, customers: int) -> Cell:
    """A day of `checkouts`, each of another customer, with an offer of either kind."""
    units = np.sort(rng.choice(customers, checkouts, replace=False)) + 1
    control = units % 10 == 0
    flags = np.where(rng.random(checkouts) < 0.8, BUYING, 0)
    counts: dict[str, Counts] = {}
    cluster_units: dict[tuple[str, str], Ints] = {}
    clusters: dict[tuple[str, str, str], Ints] = {}
    completed = rng.random(checkouts) < 0.8
    ordered = np.where(completed, rng.integers(5_000, 200_000, checkouts), 0)
    for kind in KINDS:
        shown, converted_bit, kept = bits(kind)
        converted = completed & (rng.random(checkouts) < 0.15)
        hit = converted & ~control
        flags = flags | np.where(control, 0, shown) | np.where(hit, converted_bit | kept, 0)
        n_shown, n_hit = int((~control).sum()), int(hit.sum())
        counts[kind] = Counts(
            *(n_shown, n_hit, n_hit, n_hit, n_hit, n_shown, n_hit, n_hit, n_shown, n_hit, n_hit),
            revenue_minor=n_hit * 4_900,
            net_revenue_minor=n_hit * 4_900,
        )
        for arm in ARMS:
            (places,) = np.nonzero(control if arm == "control" else ~control)
            cluster_units[kind, arm] = places
            clusters[kind, arm, "checkouts"] = np.ones(len(places), np.int64)
            clusters[kind, arm, "converted"] = converted[places].astype(np.int64)
            clusters[kind, arm, "completed"] = completed[places].astype(np.int64)
            clusters[kind, arm, "ordered"] = ordered[places]
            clusters[kind, arm, "owed"] = np.where(converted[places], 4_900, 0)
    return Cell(
        units,
        flags,
        control.astype(np.int64),
        np.full(checkouts, 100_000, np.int64),
        cluster_units,  # type: ignore[arg-type]
        clusters,  # type: ignore[arg-type]
        counts,  # type: ignore[arg-type]
        {"duplicates": 0, "late": 0, "unmatched": 0, "bots_excluded": 0, "bots_by_rate": 0},
        dict.fromkeys(KINDS, 0),
        {"NOK": int(completed.sum())},
        "NOK",
        frozenset(("NOK",)),
    )


def fill(store: Store, offers: int) -> None:
    own = ReportQuery().filled(store.reports.settings())
    store.reports.rollups.begin(made_with(own))
    checkouts = offers // 2
    rng = np.random.default_rng(offers)
    engine = create_engine(store.url)
    for day in range(DAYS):
        cell = made_up(rng, checkouts // DAYS, max(checkouts * 2 // 5, 10))
        row = {"day": (FIRST + timedelta(days=day)).isoformat(), "body": cell.pack()}
        with engine.begin() as connection:
            connection.execute(rollups.insert(), row)
    engine.dispose()


def measure(url: str, offers: int) -> None:
    store = open_store(url, secret=b"of no importance here")
    store.migrate()
    store.reports.save_settings({"currency": "NOK", "timezone": "Europe/Oslo"})
    fill(store, offers)
    query = ReportQuery(since=FIRST, until=FIRST + timedelta(days=DAYS - 1), by=("week",))
    reports: list[float] = []
    floors: list[float] = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        size = sum(len(body) for _, body in store.reports.rollups.bodies(None, None))
        floors.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        report = build_report(store, query)
        reports.append(time.perf_counter() - begun)
    report_s, floor_s = statistics.median(reports), statistics.median(floors)
    groups = report["groups"]
    assert isinstance(groups, list)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{offers:>12,} offers: {len(groups)} weeks and the year in {report_s:.2f} s,"
        f" {report_s / floor_s:.1f}x reading {size / 1e6:.0f} MB alone ({floor_s:.2f} s);"
        f" peak memory so far {peak:,.0f} MiB"
    )
    store.close()


def main() -> None:
    for offers in (1_000_000, 10_000_000):
        if len(sys.argv) > 1:
            measure(sys.argv[1], offers)
        else:
            with tempfile.TemporaryDirectory() as folder:
                measure(str(Path(folder) / "facts.db"), offers)


if __name__ == "__main__":
    main()
