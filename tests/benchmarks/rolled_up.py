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
from numpy.typing import NDArray
from sqlalchemy import create_engine

from mersalg.engine.facts import KINDS
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.storage.tables import rollups
from mersalg.engine.tracking.rates import Counts
from mersalg.engine.tracking.report import ReportQuery, build_report
from mersalg.engine.tracking.rollups.day import BESIDE, FLAGS, Notes, write_day
from mersalg.engine.tracking.rollups.stored import made_with
from mersalg.engine.tracking.rollups.sums import summed

FIRST, DAYS, ROUNDS = date(2025, 1, 1), 365, 5


def made_up(rng: np.random.Generator, checkouts: int, customers: int) -> bytes:
    """A day of `checkouts`, each of another customer, with an offer of either kind."""
    units = np.sort(rng.choice(customers, checkouts, replace=False)) + 1
    control = units % 10 == 0
    completed = rng.random(checkouts) < 0.8
    returned = completed & (rng.random(checkouts) < 0.04)
    ordered = np.where(completed, rng.integers(5_000, 200_000, checkouts), 0)
    columns: dict[str, NDArray[np.int64]] = {
        "unit": units,
        "buying": completed.astype(np.int64),
        "ordered": completed.astype(np.int64),
    }
    counts: dict[str, Counts] = {}
    for kind in KINDS:
        converted = completed & (rng.random(checkouts) < 0.15)
        hit = converted & ~control
        kept = hit & ~returned
        of_units = {
            "offers_shown": ~control,
            "offers_accepted": (hit | (rng.random(checkouts) < 0.05)) & ~control,
            "checkouts_shown": ~control,
            "orders_shown": completed & ~control,
            **{f"{name}_converted": hit for name in ("offers", "checkouts", "orders")},
            **{f"{name}_kept": kept for name in ("offers", "checkouts", "orders")},
        }
        counts[kind] = Counts(
            **{name: int(column.sum()) for name, column in of_units.items()},
            revenue_minor=int(hit.sum()) * 4_900,
            net_revenue_minor=int(kept.sum()) * 4_900,
        )
        measures = {
            "drawn": np.ones(checkouts),
            **of_units,
            "shown": ~control,
            "bought": completed & ~control,
            "checkouts": np.ones(checkouts),
            "converted": converted,
            "completed": completed,
            "order_revenue": ordered,
            "offer_revenue": np.where(converted, 4_900, 0),
            "foreign": np.zeros(checkouts),
            # As changes of others: some send back what they bought, some take two of it.
            "kept": np.where(returned, -1 * converted, 0),
            "orders": np.zeros(checkouts),
            "kept_orders": np.where(returned, -1, 0),
            "net_order_revenue": np.where(returned, -ordered, 0),
            "net_offer_revenue": np.where(returned & converted, -4_900, 0),
            "offered_units": converted * (rng.random(checkouts) < 0.1) * 1_000_000,
            "kept_units": np.where(returned & converted, -1_000_000, 0),
            **dict.fromkeys(BESIDE, np.zeros(checkouts)),
        }
        columns |= {f"{kind}_{name}": column.astype(np.int64) for name, column in measures.items()}
    notes = Notes(
        counts,  # type: ignore[arg-type]
        {"duplicates": 0, "late": 0, "unmatched": 0, "bots_excluded": 0, "bots_by_rate": 0},
        {"NOK": int(completed.sum())},
        "NOK",
        frozenset(("NOK",)),
        groups=(("unknown", "unknown", "checkout"),),
    )
    columns["flags"] = np.sum([columns[name] * flag for name, flag in FLAGS.items()], axis=0)
    strata = {
        ("control" if is_control else "treatment", 100_000): {
            name: column[control == is_control] for name, column in columns.items()
        }
        for is_control in (False, True)
    }
    return summed(write_day(notes, strata))  # type: ignore[arg-type]


def fill(store: Store, offers: int) -> None:
    own = ReportQuery().filled(store.reports.settings())
    store.reports.rollups.begin(made_with(own))
    checkouts = offers // 2
    rng = np.random.default_rng(offers)
    engine = create_engine(store.url)
    for day in range(DAYS):
        body = made_up(rng, checkouts // DAYS, max(checkouts * 2 // 5, 10))
        row = {"day": (FIRST + timedelta(days=day)).isoformat(), "body": body}
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
