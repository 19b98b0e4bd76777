"""What was wrong with the rows of a shop's files: counted by reason, with examples.

A row is left out for the first reason that holds, so that the counts add up:

    orders: rows_read = rows_kept + left_out + returns.lines + returns.lines_removed
    catalogue: rows_read = rows_kept + left_out
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.sources import SourceTable

N_EXAMPLES = 5

REASONS: dict[str, str] = {
    "ragged_row": "the row has more or fewer cells than the header",
    "missing_order_id": "no order id",
    "missing_item_id": "no item id",
    "ignored_item": "named in ignore_items",
    "other_currency": "not in the shop's currency",
    "bad_quantity": "the quantity is missing or no number",
    "zero_quantity": "the quantity is zero",
    "absurd_quantity": "the quantity is above a thousand million",
    "bad_price": "the price is no amount of money",
    "negative_price": "the price is below zero",
    "absurd_price": "the price is more than 1000 times the item's median",
    "bad_date": "the date is missing or cannot be read",
    "impossible_date": "the date is before 1970",
    "future_date": "the date is more than a day ahead of now",
    "unknown_item": "the item is not in the catalogue",
    "duplicate_line": "every cell equals an earlier row",
    "duplicate_item": "the item id stood before; the first row counts",
}
"""Why rows are left out."""
_INTENDED = frozenset({"ignored_item", "other_currency"})
_GREAT_PART = 0.2

NOTES: dict[str, str] = {
    "guest_line": "without a customer",
    "missing_price": "without a price",
    "bad_discount": "with a discount that is no amount of money, taken as none",
    "several_customers": "of an order that names more than one customer",
    "bad_catalogue_price": "with a list price that is no amount of money; order prices stand in",
    "negative_catalogue_price": "with a list price below zero; order prices stand in",
    "bad_cost": "with a cost that is no amount of money",
    "bad_flag": "with a word for in stock or active that is neither yes nor no, taken as no",
    "unknown_compatible_item": "compatible with an item that the catalogue does not hold",
    "bad_tier": "with a tier that is neither a number nor named in attribute_levels",
    "unknown_upgrade_item": "with a better version that the catalogue does not hold",
    "unknown_bundle_item": "a bundle of an item that the catalogue does not hold",
}
"""What was noticed about rows that were kept."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row that shows a reason; `row` is 1-based in its file, header excluded."""

    file: str
    row: int
    column: str
    value: str

    def to_json(self) -> dict[str, Any]:
        return {"file": self.file, "row": self.row, "column": self.column, "value": self.value}


@dataclass(frozen=True, slots=True)
class Finding:
    """How many rows, and up to five of them in reading order."""

    rows: int
    examples: tuple[Example, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "examples": [example.to_json() for example in self.examples]}


@dataclass(frozen=True, slots=True)
class SourceQuality:
    """Rows of one section of the shop file.

    Attributes:
        files: what was read.
        left_out: reason (a key of REASONS) -> rows that serve no further.
        notes: a key of NOTES -> rows that were kept, but.
    """

    files: tuple[str, ...]
    rows_read: int
    rows_kept: int
    left_out: Mapping[str, Finding] = field(default_factory=dict[str, Finding])
    notes: Mapping[str, Finding] = field(default_factory=dict[str, Finding])

    def to_json(self) -> dict[str, Any]:
        return {
            "files": list(self.files),
            "rows_read": self.rows_read,
            "rows_kept": self.rows_kept,
            "left_out": {reason: found.to_json() for reason, found in self.left_out.items()},
            "notes": {reason: found.to_json() for reason, found in self.notes.items()},
        }


@dataclass(frozen=True, slots=True)
class ReturnsQuality:
    """What became of return lines.

    Attributes:
        lines: return lines read (negative quantity or cancellation).
        matched_units, unmatched_units: units taken off earlier purchases, and those without any.
        unmatched_lines: return lines of which some unit found no purchase.
        lines_removed, orders_removed: purchase lines, and orders, of which nothing was left.
    """

    lines: int = 0
    matched_units: float = 0.0
    unmatched_units: float = 0.0
    unmatched_lines: int = 0
    lines_removed: int = 0
    orders_removed: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "lines": self.lines,
            "matched_units": self.matched_units,
            "unmatched_units": self.unmatched_units,
            "unmatched_lines": self.unmatched_lines,
            "lines_removed": self.lines_removed,
            "orders_removed": self.orders_removed,
        }


@dataclass(frozen=True, slots=True)
class DataQuality:
    """Everything a person should know about what was read."""

    orders: SourceQuality
    catalogue: SourceQuality | None
    returns: ReturnsQuality

    def to_json(self) -> dict[str, Any]:
        return {
            "orders": self.orders.to_json(),
            "catalogue": self.catalogue.to_json() if self.catalogue else None,
            "returns": self.returns.to_json(),
        }


def much_left_out(quality: DataQuality) -> list[str]:
    """A warning for each section of which a great part serves no further, against its will."""
    said: list[str] = []
    for name, source in (("catalogue", quality.catalogue), ("orders", quality.orders)):
        if source is None:
            continue
        lost = {why: each.rows for why, each in source.left_out.items() if why not in _INTENDED}
        rows = sum(lost.values())
        if rows > _GREAT_PART * source.rows_read:
            most = max(lost, key=lost.__getitem__)
            said.append(
                f"{name}: {rows:,} of {source.rows_read:,} rows are left out,"
                f" {lost[most]:,} of them for this: {REASONS[most]}"
            )
    return said


class RowAudit:
    """Collects, while a source is read, which rows are left out and why."""

    def __init__(self, source: SourceTable) -> None:
        self._source = source
        self.kept = np.ones(source.n_rows, dtype=np.bool_)
        self._left_out: dict[str, Finding] = {}
        self._notes: dict[str, Finding] = {}
        if source.ragged:
            examples = [
                Example(row.file, row.row, "", row.text[:200]) for row in source.ragged[:N_EXAMPLES]
            ]
            self._left_out["ragged_row"] = Finding(len(source.ragged), tuple(examples))

    def leave_out(
        self, reason: str, rows: NDArray[np.bool_], columns: tuple[str, ...] | str
    ) -> None:
        """Leave out the rows of a mask that no earlier reason has taken; bool (n_rows,)."""
        rows = rows & self.kept
        self._record(self._left_out, reason, rows, columns)
        self.kept &= ~rows

    def note(self, what: str, rows: NDArray[np.bool_], columns: tuple[str, ...] | str) -> None:
        """Count kept rows that have something a person should know; bool (n_rows,)."""
        self._record(self._notes, what, rows & self.kept, columns)

    def quality(self, rows_kept: int | None = None) -> SourceQuality:
        """`rows_kept` where less was kept than what the audit left."""
        return SourceQuality(
            files=self._source.files,
            rows_read=self._source.n_rows + len(self._source.ragged),
            rows_kept=int(self.kept.sum()) if rows_kept is None else rows_kept,
            left_out=self._left_out,
            notes=self._notes,
        )

    def why_nothing_is_left(self) -> str:
        """The reasons with their counts, the most frequent first, each with its first example."""
        parts: list[str] = []
        for reason, found in sorted(self._left_out.items(), key=lambda entry: -entry[1].rows):
            first = found.examples[0]
            where = f"row {first.row}" + (f", column {first.column}" if first.column else "")
            parts.append(f"{found.rows} {reason} (for example {where}: {first.value!r})")
        return "; ".join(parts)

    def _record(
        self,
        into: dict[str, Finding],
        reason: str,
        rows: NDArray[np.bool_],
        columns: tuple[str, ...] | str,
    ) -> None:
        count = int(rows.sum())
        if not count:
            return
        names = (columns,) if isinstance(columns, str) else columns
        examples = tuple(self._example(int(row), names) for row in _first(rows, N_EXAMPLES))
        before = into.get(reason, Finding(0))
        into[reason] = Finding(before.rows + count, (*before.examples, *examples)[:N_EXAMPLES])

    def _example(self, row: int, columns: tuple[str, ...]) -> Example:
        file, number = self._source.place(row)
        values = [self._source.value(row, name) for name in columns]
        # Of a key of several columns the empty one is what is missing.
        empty = [place for place, value in enumerate(values) if not value.strip()]
        if len(columns) > 1 and empty:
            return Example(file, number, columns[empty[0]], values[empty[0]])
        return Example(file, number, " + ".join(columns), " ".join(values))


def _first(rows: NDArray[np.bool_], n: int) -> NDArray[np.intp]:
    return np.flatnonzero(rows)[:n]
