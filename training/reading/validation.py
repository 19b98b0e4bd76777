"""Problems in the rows of a shop's files: counted by reason, with examples.

A row is left out for the first reason that holds, so that the counts add up:

    orders: rows_read = rows_kept + left_out + returns.lines + returns.lines_removed
    catalogue: rows_read = rows_kept + left_out
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mersalg.engine.arrays import Bools
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.config import ShopConfig
from mersalg.engine.locales import language_of
from mersalg.engine.merchandising.targets import unknown_names
from mersalg.engine.source_sections import AttributesSection
from mersalg.engine.upsell.numbers import attribute_label
from mersalg.engine.upsell.tiers import useless_upgrades
from mersalg.engine.words import counted, read_toml
from mersalg.training.reading.moments import forms_of
from mersalg.training.reading.sources import SourceTable, columns_of
from mersalg.training.reading.survey import sensitive_categories

N_EXAMPLES = 5

_MESSAGES: dict[str, dict[str, str]] = read_toml("mersalg.training.reading", "row_messages.toml")
REASONS = _MESSAGES["reasons"]
"""Why rows are left out."""
NOTES = _MESSAGES["notes"]
"""What was noticed about rows that were kept."""
_ADVICE = _MESSAGES["advice"]
"""What may mend it."""
_INTENDED = frozenset({"ignored_item", "filtered", "refunded"})
_GREAT_PART = 0.2
_NOTES_TO_WARN_OF = frozenset(
    "bad_catalogue_price negative_catalogue_price foreign_catalogue_price bad_cost bad_discount"
    " blank_flag continued_item continued_row shortened_id partial_refund".split()
)
"""Notes that are warned of."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row that shows a reason; `row` is 1-based in its file, header excluded."""

    file: str
    row: int
    column: str
    value: str

    @property
    def words(self) -> str:
        """The place and what is written there."""
        where = f"{Path(self.file).name} row {self.row}"
        return f"{where}, {self.column} {self.value!r}" if self.column else where


@dataclass(frozen=True, slots=True)
class Finding:
    """Number of rows, and up to five of them in reading order."""

    rows: int
    examples: list[Example] = field(default_factory=list[Example])


@dataclass(frozen=True, slots=True)
class SourceQuality:
    """Rows of one section of the shop file."""

    files: list[str]
    """What was read."""
    rows_read: int
    rows_kept: int
    left_out: Mapping[str, Finding] = field(default_factory=dict[str, Finding])
    """Reason (a key of REASONS) -> rows that serve no further."""
    notes: Mapping[str, Finding] = field(default_factory=dict[str, Finding])
    """A key of NOTES -> rows that were kept."""
    columns_used_by_name: list[str] = field(default_factory=list[str])
    """Columns used because they bear a field's own name."""
    columns_unused: list[str] = field(default_factory=list[str])
    """Columns not used."""
    warnings: tuple[str, ...] = ()
    """What the shop should know or set."""


@dataclass(frozen=True, slots=True)
class ReturnsQuality:
    """Counts of return lines by their outcome."""

    lines: int = 0
    """Return lines read (negative quantity or cancellation)."""
    matched_units: float = 0.0
    unmatched_units: float = 0.0
    """`matched_units`, `unmatched_units`: units taken off earlier purchases, and those without
    any."""
    unmatched_lines: int = 0
    """Return lines of which some unit found no purchase."""
    lines_removed: int = 0
    orders_removed: int = 0
    """`lines_removed`, `orders_removed`: purchase lines, and orders, of which nothing was left."""


@dataclass(frozen=True, slots=True)
class DataQuality:
    """Everything a person should know about what was read."""

    orders: SourceQuality
    catalogue: SourceQuality | None
    returns: ReturnsQuality

    @property
    def sections(self) -> dict[str, SourceQuality]:
        """The sections of the shop file that there are."""
        both = {"catalogue": self.catalogue, "orders": self.orders}
        return {name: source for name, source in both.items() if source is not None}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        fields = asdict(self)
        for name in self.sections:
            del fields[name]["warnings"]
        return fields


def shop_warnings(catalogue: Catalogue, config: ShopConfig, quality: DataQuality) -> list[str]:
    """Return what the shop should know before it trains.

    These are names and settings that hold for nothing, what it may want to set, and rows that could
    not be read.
    """
    offers = config.offers
    said = [*unknown_names(catalogue, offers), *useless_upgrades(catalogue, offers)]
    if "sensitive" not in offers.model_fields_set and (
        categories := sensitive_categories(catalogue.category_names)
    ):
        topics = ", ".join(dict.fromkeys(categories.values()))
        said.append(
            f"categories of {topics} are offered beside any cart; set [offers] sensitive ="
            f" {json.dumps([*categories], ensure_ascii=False)}, or = [] to keep it so"
        )
    language, attributes = language_of(config.shop.locale), AttributesSection()
    if config.catalogue is not None:
        attributes = config.catalogue.reading
    unnamed = [
        name for name in catalogue.attributes if not attribute_label(name, language, attributes)[0]
    ]
    if unnamed:
        said.append(
            f"offers say nothing of {', '.join(map(repr, unnamed))}, whose names are no words for"
            f" buyers; set [catalogue] attribute_labels, as {{ {unnamed[0]} = {{ {language} ="
            ' "..." } }'
        )
    no_cost = int((catalogue.cost_minor == UNKNOWN).sum())
    said += [
        f"offers.{name} does not hold for {no_cost:,} of {counted(len(catalogue), 'item')}, whose"
        " cost is not known; set [catalogue] columns.cost"
        for name in ("min_margin", "min_margin_amount")
        if no_cost and getattr(offers, name) is not None
    ]
    if len(catalogue) and (catalogue.price_minor == UNKNOWN).all():
        said.append(
            "no item has a price, so none can be an upgrade; set [orders] columns.unit_price or"
            " [catalogue] columns.price"
        )
    return [*said, *warnings_of(quality)]


def rows_left_out(quality: DataQuality) -> list[str]:
    """One line for each reason for which rows are left out against the shop's will."""
    return [
        f"{name}: left out {counted(finding.rows, 'row')}: {REASONS[why]}"
        f" ({finding.examples[0].words}){_advice(why, finding)}"
        for name, source in quality.sections.items()
        for why, finding in source.left_out.items()
        if why not in _INTENDED
    ]


def warnings_of(quality: DataQuality) -> list[str]:
    """Return what the shop should know of its rows.

    These are each section's own warnings, reasons that leave out a great part unintended, and what
    could not be read.
    """
    said: list[str] = []
    for name, source in quality.sections.items():
        said += source.warnings
        lost = {why: each.rows for why, each in source.left_out.items() if why not in _INTENDED}
        rows = sum(lost.values())
        most = max(lost, key=lost.__getitem__, default="")
        if rows > _GREAT_PART * source.rows_read:
            said.append(
                f"{name}: left out {rows:,} of {counted(source.rows_read, 'row')}, {lost[most]:,}"
                f" of them for this: {REASONS[most]}{_advice(most, source.left_out[most])}"
            )
        elif negative := source.left_out.get("negative_price"):
            said.append(
                f"{name}: left out {counted(negative.rows, 'row')}: {REASONS['negative_price']}"
                f"{_advice('negative_price', negative)}"
            )
        said += [
            f"{name}: {counted(finding.rows, 'row')} {NOTES[what]}"
            for what, finding in source.notes.items()
            if what in _NOTES_TO_WARN_OF
        ]
    return said


def _advice(reason: str, found: Finding) -> str:
    advice = _ADVICE.get(reason, "")
    if advice == "set date_format" and found.examples:
        form = next(iter(forms_of(found.examples[0].value.strip())), "%d/%m/%Y")
        advice += f", for example {form!r}"
    return advice and f"; {advice}"


class RowAudit:
    """Collects, while a source is read, which rows are left out and why."""

    def __init__(self, source: SourceTable) -> None:
        self._source = source
        self.kept = np.ones(source.n_rows, dtype=np.bool_)
        self._left_out: dict[str, Finding] = {}
        self._notes: dict[str, Finding] = {}
        self.warnings: list[str] = []
        if source.ragged:
            examples = [
                Example(row.file, row.row, "", row.text[:200]) for row in source.ragged[:N_EXAMPLES]
            ]
            self._left_out["ragged_row"] = Finding(len(source.ragged), examples)

    def leave_out(self, reason: str, rows: Bools, columns: tuple[str, ...] | str) -> None:
        """Leave out the rows of a mask that no earlier reason has taken; bool (n_rows,)."""
        rows = rows & self.kept
        self._record(self._left_out, reason, rows, columns)
        self.kept &= ~rows

    def note(self, what: str, rows: Bools, columns: tuple[str, ...] | str) -> None:
        """Count kept rows that have something a person should know; bool (n_rows,)."""
        self._record(self._notes, what, rows & self.kept, columns)

    def quality(self, rows_kept: int | None = None) -> SourceQuality:
        """`rows_kept` where less was kept than what the audit left."""
        return SourceQuality(
            files=[*self._source.files],
            rows_read=self._source.n_rows + len(self._source.ragged),
            rows_kept=int(self.kept.sum()) if rows_kept is None else rows_kept,
            left_out=self._left_out,
            notes=self._notes,
            columns_used_by_name=[*self._source.by_name],
            columns_unused=[*self._source.unused],
            warnings=tuple(self.warnings),
        )

    def why_nothing_is_left(self) -> str:
        """Return the reasons with their counts and first example, the most frequent first."""
        parts: list[str] = []
        for reason, finding in sorted(self._left_out.items(), key=lambda entry: -entry[1].rows):
            first = finding.examples[0]
            where = f"row {first.row}" + (f", column {first.column}" if first.column else "")
            advice = _advice(reason, finding)
            parts.append(f"{finding.rows} {reason} (for example {where}: {first.value!r}{advice})")
        return "; ".join(parts)

    def _record(
        self, into: dict[str, Finding], reason: str, rows: Bools, columns: tuple[str, ...] | str
    ) -> None:
        count = int(rows.sum())
        if not count:
            return
        names = columns_of(columns)
        examples = [self._example(int(row), names) for row in np.flatnonzero(rows)[:N_EXAMPLES]]
        before = into.get(reason, Finding(0))
        into[reason] = Finding(before.rows + count, (before.examples + examples)[:N_EXAMPLES])

    def _example(self, row: int, columns: tuple[str, ...]) -> Example:
        file, number = self._source.place(row)
        values = [self._source.value(row, name) for name in columns]
        # Of a key of several columns the empty one is what is missing.
        empty = [index for index, value in enumerate(values) if not value.strip()]
        if len(columns) > 1 and empty:
            return Example(file, number, columns[empty[0]], values[empty[0]])
        return Example(file, number, " + ".join(columns), " ".join(values))
