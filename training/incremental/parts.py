"""The orders of a shop in parts: one for each file, or one for a database."""

from __future__ import annotations

import codecs
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.config import OrdersSection
from engine.errors import DataError
from training.csv_files import CsvRest, RaggedRow, read_csv
from training.incremental.row_digests import slimmed
from training.order_lines import needed_columns
from training.sources import (
    SourceTable,
    aligned,
    is_csv,
    joined,
    matching_files,
    read_file,
    require_columns,
    single,
)
from training.validation import N_EXAMPLES

_RACY_NS = 2_000_000_000
"""A file changed so shortly before it was read may change again and look the same."""
_SINGLE_BYTE = ("utf-8", "ascii", "iso8859", "cp125")
"""Encodings in which the bytes of a line's end and of a quote mean nothing else."""
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one file, or of a database, and what tells whether it has changed.

    Attributes:
        name: path of the file, relative to the folder of the shop file where it lies below that;
            the URL of a database without its password.
        columns: those of the source, in its order.
        table: the columns the shop file names, and one number for the others.
        ragged: rows that are not in the table.
        sha256: of the file's bytes, or of the rows whatever their order.
        size: of the file in bytes, 0 of a database.
        modified_ns: time of the file's last change; 0: look into the file to tell.
        may_grow: further rows can be appended: the file ends with the end of a row.
    """

    name: str
    columns: tuple[str, ...]
    table: pa.Table
    ragged: tuple[RaggedRow, ...]
    sha256: str
    size: int
    modified_ns: int
    may_grow: bool

    @property
    def n_rows(self) -> int:
        return self.table.num_rows + len(self.ragged)

    def facts(self) -> dict[str, Any]:
        """All but the table, as JSON."""
        return {
            "name": self.name,
            "columns": list(self.columns),
            # Beyond the examples of a report only the numbers are asked for.
            "ragged": [
                [row.row, row.text if place < N_EXAMPLES else ""]
                for place, row in enumerate(self.ragged)
            ],
            "sha256": self.sha256,
            "size": self.size,
            "modified_ns": self.modified_ns,
            "may_grow": self.may_grow,
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], table: pa.Table) -> Part:
        """Raises KeyError, TypeError or ValueError where the facts are not those of a part."""
        name = str(facts["name"])
        return cls(
            name=name,
            columns=tuple(map(str, facts["columns"])),
            table=table,
            ragged=tuple(RaggedRow(name, int(row), str(text)) for row, text in facts["ragged"]),
            sha256=str(facts["sha256"]),
            size=int(facts["size"]),
            modified_ns=int(facts["modified_ns"]),
            may_grow=bool(facts["may_grow"]),
        )


@dataclass(slots=True)
class Reading:
    """What was read anew, for people.

    Attributes:
        unchanged, grown, anew, gone: files (or databases) whose rows were remembered, remembered
            but for those appended, read whole, and remembered though there no longer.
        rows_read, rows_remembered: rows taken from the source, and from memory.
        reason: why a database was read whole; "" where it was not.
    """

    unchanged: int = 0
    grown: int = 0
    anew: int = 0
    gone: int = 0
    rows_read: int = 0
    rows_remembered: int = 0
    reason: str = ""

    @property
    def is_changed(self) -> bool:
        return bool(self.grown or self.anew or self.gone)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_file_parts(
    section: OrdersSection, folder: Path, remembered: Mapping[str, Part]
) -> tuple[list[Part], Reading]:
    """The files of a section, in the order of their names; only what is new in them is read.

    A file of the same size and time of change is taken for unchanged, any other is compared by
    sha256. A CSV file that begins as it was and goes on is read from there.

    Raises:
        DataError: as `sources.read_source`.
    """
    parts: list[Part] = []
    reading = Reading()
    for path in matching_files(section.path or "", folder):
        name = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
        known = remembered.get(name)
        part = _from_memory(path, section, known, reading) if known is not None else None
        parts.append(part or _read_whole(path, name, section, folder, parts, reading))
    names = {part.name for part in parts}
    reading.gone = sum(name not in names for name in remembered)
    return parts, reading


def source_of(parts: Sequence[Part], section: OrdersSection, folder: Path) -> SourceTable:
    """The parts as one table, as if it had been read together.

    Args:
        folder: that of the shop file.

    Raises:
        DataError: columns that do not fit together, or no row at all.
    """
    if section.url is not None:
        source = single(parts[0].table, parts[0].name, section.decimal)
    else:
        source = joined(
            [part.table for part in parts],
            [part.ragged for part in parts],
            [folder / part.name for part in parts],
            section.decimal,
        )
    if not source.n_rows and not source.ragged:
        raise DataError("there are no rows", file=source.files[0])
    return source


def _from_memory(path: Path, section: OrdersSection, known: Part, reading: Reading) -> Part | None:
    """`known`, with the rows appended since; None where the file has changed otherwise."""
    status = path.stat()
    same_size = status.st_size == known.size
    if same_size and status.st_mtime_ns == known.modified_ns:
        return _unchanged(known, reading)
    if status.st_size < known.size or _sha256(path, known.size) != known.sha256:
        return None
    if same_size:
        # The new time is remembered, so that it need not be looked into again.
        return _unchanged(replace(known, modified_ns=_settled(status)), reading)
    return _grown(path, section, known, reading) if known.may_grow else None


def _read_whole(
    path: Path,
    name: str,
    section: OrdersSection,
    folder: Path,
    earlier: Sequence[Part],
    reading: Reading,
) -> Part:
    status = path.stat()
    table, ragged = read_file(path, section)
    columns, needed = tuple(table.column_names), needed_columns(section)
    if earlier:
        first = earlier[0]
        aligned(_empty(columns), _empty(first.columns), path, folder / first.name)
    else:
        require_columns(columns, needed, str(path))
    reading.anew += 1
    reading.rows_read += table.num_rows + len(ragged)
    part = Part(name, columns, slimmed(table, needed), tuple(ragged), "", 0, 0, may_grow=False)
    return _with_mark(part, path, section, status)


def _unchanged(part: Part, reading: Reading) -> Part:
    reading.unchanged += 1
    reading.rows_remembered += part.n_rows
    return part


def _grown(path: Path, section: OrdersSection, known: Part, reading: Reading) -> Part:
    status = path.stat()
    rest = CsvRest(known.size, known.columns, known.n_rows)
    table, ragged = read_csv(
        path, separator=section.separator, encoding=section.encoding, rest=rest
    )
    reading.grown += 1
    reading.rows_read += table.num_rows + len(ragged)
    reading.rows_remembered += known.n_rows
    slim = slimmed(table, needed_columns(section))
    part = replace(
        known,
        table=pa.concat_tables([known.table, slim]),
        ragged=(*known.ragged, *ragged),
    )
    return _with_mark(part, path, section, status)


def _with_mark(part: Part, path: Path, section: OrdersSection, before: os.stat_result) -> Part:
    """`part` with what tells later whether the file has changed since `before` it was read."""
    after = path.stat()
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        # Of a file that changed while it was read nobody can say which rows were in it.
        return replace(part, sha256="", size=0, modified_ns=0, may_grow=False)
    return replace(
        part,
        sha256=_sha256(path, before.st_size),
        size=before.st_size,
        modified_ns=_settled(before),
        may_grow=is_csv(path) and _ends_with_a_row(path, section.encoding),
    )


def _settled(status: os.stat_result) -> int:
    """The time of the last change, 0 where another could follow unnoticed."""
    recent = time.time_ns() - status.st_mtime_ns < _RACY_NS
    return 0 if recent else status.st_mtime_ns


def _sha256(path: Path, size: int) -> str:
    """Of the first `size` bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, _BLOCK))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()


def _ends_with_a_row(path: Path, encoding: str) -> bool:
    if not codecs.lookup(encoding).name.startswith(_SINGLE_BYTE):
        return False
    quotes, last = 0, b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            quotes += block.count(b'"')
            last = block[-1:]
    return last == b"\n" and quotes % 2 == 0


def _empty(columns: Sequence[str]) -> pa.Table:
    return pa.Table.from_arrays([pa.array([])] * len(columns), names=list(columns))
