"""Reports out of roll-ups, for one and for ten million offers in a year.

    python -m tests.benchmarks.rolled_up [DATABASE_URL]

The days are made up column by column, as large and as full as that many offers of two kinds to
customers who come back two or three times a year would make them. A SQLite file in a temporary
folder is used unless an empty database of PostgreSQL is named.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import create_engine

from mersalg.engine.facts import KINDS
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.storage.tables import rollups
from mersalg.engine.tracking.rates import UNIT_COUNTS, Counts
from mersalg.engine.tracking.report import ReportQuery, build_report
from mersalg.engine.tracking.rollups.day import BESIDE, FLAGS, Notes, write_day
from mersalg.engine.tracking.rollups.offer_table import (
    OFFERS,
    TALLIES,
    VISIT,
    OfferTable,
    write_offers,
)
from mersalg.engine.tracking.rollups.stored import made_with
from mersalg.engine.tracking.rollups.sums import summed
from mersalg.engine.tracking.strata import WHOLE

FIRST, DAYS, ROUNDS = date(2025, 1, 1), 365, 5


def made_up(
    rng: np.random.Generator, checkouts: int, customers: int, number: int
) -> tuple[bytes, bytes]:
    """A day of `checkouts`, each of another customer, with an offer of either kind; its offers."""
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
    body = summed(write_day(notes, strata))  # type: ignore[arg-type]
    return body, write_offers(offers_of(rng, columns, control, number), ())


def offers_of(
    rng: np.random.Generator,
    columns: dict[str, NDArray[np.int64]],
    control: NDArray[np.bool_],
    number: int,
) -> OfferTable:
    """The offers of a day, of a thousand items by five thousand rules in twenty stores."""
    n = len(control)
    stores, segments = rng.integers(0, 20, n), rng.integers(0, 3, n)
    completed, nothing = columns["buying"], np.zeros(n, np.int64)
    spent = columns["cross_sell_order_revenue"]
    returned = -columns["cross_sell_kept_orders"]
    visits = {
        "unit": columns["unit"],
        "day": np.full(n, number),
        "checkout": np.arange(n),
        "stratum": control.astype(np.int64),
        "begun": np.ones(n, np.int64),
        "orders": completed,
        "completed": completed,
        "kept_orders": completed - returned,
        "order_revenue": spent,
        "net_order_revenue": spent * (1 - returned),
    }
    tallies: list[NDArray[np.int64]] = []
    keys: list[tuple[str, ...]] = []
    for kind in KINDS:
        own = {name: columns[f"{kind}_{name}"] for name in ("shown", "bought", *UNIT_COUNTS)}
        converted = columns[f"{kind}_converted"]
        credited = own["offers_converted"]
        own |= {"offers_clicked_first": credited, "lines_credited": credited}
        own |= {"converted": converted, "kept": converted * (1 - returned)}
        own |= {"offered_units": converted * WHOLE, "kept_units": own["kept"] * WHOLE}
        tallies.append(np.column_stack([own.get(name, nothing) for name in TALLIES]))
        rules = (rng.zipf(1.3, n) % 5_000).tolist()
        for rule, store, segment in zip(rules, stores.tolist(), segments.tolist(), strict=True):
            item = f"item {rule % 1_000}"
            text = f"base {rule} -> {item}"
            pair = ("unknown", text) if kind == "upsell" else (text, "unknown")
            where = ("checkout", "v1", "treatment", f"store {store}", f"segment {segment}")
            keys.append((item, "unknown", *pair, *where))
    different, tally = np.unique(np.concatenate(tallies), axis=0, return_inverse=True)
    converted, kept = (
        different[tally.ravel(), TALLIES.index(name)] for name in ("converted", "kept")
    )
    shown = different[tally.ravel(), TALLIES.index("shown")]
    visit = np.tile(np.arange(n), 2)
    offers = {
        "visit": visit,
        "judged": visit,
        "kind": np.repeat((0, 1), n),
        "key": np.arange(2 * n),
        "tally": tally.ravel(),
        "revenue_minor": converted * shown * 4_900,
        "net_revenue_minor": kept * shown * 4_900,
        "offer_revenue": converted * 4_900,
        "net_offer_revenue": kept * 4_900,
    }
    order = np.argsort(visit, kind="stable")
    return OfferTable(
        [("treatment", 100_000), ("control", 100_000)],
        {name: visits.get(name, nothing) for name in VISIT},
        {name: offers.get(name, np.zeros(2 * n, np.int64))[order] for name in OFFERS},
        different,
        keys,
    )


def fill(store: Store, offers: int) -> None:
    own = ReportQuery().filled(store.reports.settings())
    store.reports.rollups.begin(made_with(own))
    checkouts = offers // 2
    rng = np.random.default_rng(offers)
    engine = create_engine(store.url)
    for day in range(DAYS):
        name, number = (FIRST + timedelta(days=day)).isoformat(), FIRST.toordinal() + day
        body, offers = made_up(rng, checkouts // DAYS, max(checkouts * 2 // 5, 10), number)
        row = {"day": name, "body": body, "offers": offers}
        with engine.begin() as connection:
            connection.execute(rollups.insert(), row)
    engine.dispose()


def measure(url: str, offers: int) -> None:
    store = open_store(url, secret=b"of no importance here")
    store.migrate()
    store.reports.save_settings({"currency": "NOK", "timezone": "Europe/Oslo"})
    fill(store, offers)
    year = ReportQuery(since=FIRST, until=FIRST + timedelta(days=DAYS - 1))
    month = replace(year, since=FIRST + timedelta(days=DAYS - 28))
    print(f"{offers:>12,} offers:")
    for name, period in (("28 days", month), ("the year", year)):
        for by in (("week",), ("store",), ("item",), ("rule",), ("upgrade",), ("store", "item")):
            took: list[float] = []
            for _ in range(ROUNDS if period is month or by == ("week",) else 1):
                begun = time.process_time()
                report = build_report(store, replace(period, by=by))
                took.append(time.process_time() - begun)
            groups = cast("list[object]", report["groups"])
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"    {name} by {' and '.join(by)}: {len(groups)} groups in"
                f" {statistics.median(took):.2f} s of CPU; peak memory so far {peak:,.0f} MiB"
            )
    rollups = store.reports.rollups
    for name, bodies in (("totals", rollups.bodies), ("offers", rollups.offers)):
        size = sum(len(body) for _, body in bodies(None, None))
        print(f"    {name}: {size / DAYS / 1e3:.0f} kB a day")
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
