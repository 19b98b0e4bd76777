"""A report as CSV: a row for each group, kind and rate."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from mersalg.engine.csv_cells import safe_cell
from mersalg.engine.facts import KINDS
from mersalg.engine.tracking.many import EFFECTS
from mersalg.engine.tracking.rates import RATES

Report = Mapping[str, Any]

MEASURES = (
    *("value", "lower", "upper", "numerator", "denominator", "method", "status"),
    *("q_value", "shrunken"),
)
_MONEY = ("revenue", "net_revenue")
_OF_EFFECTS = (
    *("revenue_per_", "offer_revenue_per_", "margin_per_"),
    *("completion", "offered_units", "orders"),
)
"""Names that end in what is counted: checkouts or units."""


def csv_text(report: Report) -> str:
    """Return a report as CSV: a row for each group, kind and rate.

    Group columns are empty in the rows of the total.
    """
    keys = group_keys(report)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*keys, "kind", "rate", *MEASURES])
    for key, kind, rate, entry in rows_of(report):
        cells = [safe_cell(str(key.get(name, ""))) for name in keys]
        writer.writerow([*cells, kind, rate, *(entry.get(name) for name in MEASURES)])
    return text.getvalue()


def group_keys(report: Report) -> Sequence[str]:
    """Return the keys by which a report is split; none where it has no groups."""
    groups = cast("Sequence[Report]", report["groups"])
    return list(groups[0]["key"]) if groups else []


def rows_of(report: Report) -> Iterator[tuple[Mapping[str, str], str, str, Report]]:
    """Yield the group, kind, rate and measures of each row; the rows of the total come first."""
    rows: list[Report] = [{"key": {}, **report["total"]}, *report["groups"]]
    for row in rows:
        for kind in KINDS:
            if kind in row:
                for rate, entry in _of_kind(row[kind]):
                    yield row["key"], kind, rate, entry
    if "comparison" in report:
        for kind, change in report["comparison"]["change"].items():
            for rate in RATES:
                yield {}, kind, f"change_{rate}", change[rate]


def _of_kind(measured: Report) -> Iterator[tuple[str, Report]]:
    for rate in RATES:
        yield rate, measured[rate]
    for name, number in measured["conversions"].items():
        yield f"conversions_{name}", {"value": number, "status": "ok"}
    for name in _MONEY:
        amount = measured[name]
        yield name, {"value": amount, "status": "no_data" if amount is None else "ok"}
    if "extra_sales" in measured:  # buckets of time have none
        yield "extra_sales", measured["extra_sales"]
    for effect in EFFECTS:
        of_units = f"{effect}_per_unit"
        for of, trial, entry in (
            (effect, "checkout", measured[effect]),
            (of_units, "unit", measured[effect]["per_unit"]),
        ):
            yield of, entry
            for name in _OF_EFFECTS:
                name += trial if name.endswith("_") else ""
                yield f"{of}_{name}", entry[name]
