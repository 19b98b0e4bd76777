"""The roll-up of one local day: an Arrow table with a row for each unit, and notes beside it.

Offers, checkouts and orders belong to one day, so their counts are notes that days add up. Units
return on other days: the rows keep what each unit did, so that a period counts it once. Checkouts
that several days share are left out (see `spanning_checkouts`); a report counts them from facts.
"""

# pyarrow has no types for a checker.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from engine.facts import KINDS, Arm, Kind
from engine.tracking.incremental import MEASURES, clusters_of, first_strata, stratum_of
from engine.tracking.intervals import RatioSums
from engine.tracking.measures import Part, count
from engine.tracking.rates import Counts
from engine.tracking.rollups.unit_sums import (
    MONEY,
    SUMS,
    TOTALS,
    TWINS,
    Columns,
    UnitSums,
    unit_sums,
)


def _constant(name: str, kind: pa.DataType) -> pa.Field:
    """Return a column of few runs of equal values, which needs no memory except for these."""
    return pa.field(name, pa.run_end_encoded(pa.int32(), kind))


KEYS = (
    _constant("arm", pa.string()),
    _constant("share", pa.int32()),
    _constant("vouched", pa.bool_()),
    *(_constant(name, pa.string()) for name in ("item", "rule", "placement", "store", "segment")),
)
"""What a row is about beside its unit; each record batch has rows of one combination.

The kind is the prefix of a measure's name, for most rows have offers of both. `arm` and `share`
(the stated control share in millionths) are those of the decision, in the sums those of the
checkout's first decision; null where there is none. The others are null, which means "in total":
the columns are there for roll-ups by one of them.
"""

FLAGS = ("shown", "sold", "kept")
"""Whether a unit was shown an offer of a kind, one of them converted, one of those was kept."""

MARKS = (*(f"{kind}_{name}" for kind in KINDS for name in FLAGS), "buying", "drawn")
"""The flags of a row, the lowest bit first.

`buying`: the unit bought, which is on one of its rows. `drawn`: the unit's first decision of the
day is in this row.
"""
DRAWN = 1 << MARKS.index("drawn")


FIELDS = (
    *KEYS,
    pa.field("unit", pa.int32(), nullable=False),
    pa.field("flags", pa.uint8(), nullable=False),
    *(pa.field(name, pa.int64(), nullable=False) for name in TOTALS),
)
"""The columns, with a row for each unit and combination of `KEYS`.

`unit` is a number of the table `rollup_units`. `flags` has a bit for each of `MARKS`. Each of
`TOTALS` has the smallest type of integers that holds it on that day: a year of days has to fit into
memory. Those of `TWINS` that are equal to their twins on that day are left out.
"""

ADDED = tuple(name for name in Counts.__slots__ if not name.startswith("units_"))
"""The fields of `Counts` that days simply add."""

_ONE_THREAD = pa.ipc.IpcReadOptions(use_threads=False)
"""A day is small: to share its columns out takes longer than to read them."""

_NOTES, _UNIT_SUMS = b"notes", b"unit_sums"

Key = tuple[Arm | None, int | None, int]
"""Arm and stated share (millionths) of a row, and the number of its unit."""

Rows = Mapping[Key, Mapping[str, int]]
"""Those measures of each row that are not 0."""


@dataclass(frozen=True, slots=True)
class Notes:
    """Counts of a day that days add, and what its money is in.

    Attributes
    ----------
    counts : mapping
        Of both kinds; only the fields `ADDED`.
    quality : mapping
        The report's counts of facts that count for nothing.
    unpriced : mapping
        Credited lines of each kind whose worth is unknown.
    orders_by_currency : mapping
        Orders of the day.
    currency : str or None
        Of all money in the roll-up.
    currencies : frozenset of str
        All that facts of the day name.
    """

    counts: Mapping[Kind, Counts]
    quality: Mapping[str, int]
    unpriced: Mapping[Kind, int]
    orders_by_currency: Mapping[str, int]
    currency: str | None
    currencies: frozenset[str]

    def to_json(self) -> bytes:
        """Return the notes as JSON."""
        counts = {
            kind: {name: getattr(self.counts[kind], name) for name in ADDED} for kind in KINDS
        }
        return orjson.dumps(
            {
                "counts": counts,
                "quality": dict(self.quality),
                "unpriced": dict(self.unpriced),
                "orders_by_currency": dict(self.orders_by_currency),
                "currency": self.currency,
                "currencies": sorted(self.currencies),
            },
            option=orjson.OPT_SORT_KEYS,
        )

    @classmethod
    def from_json(cls, text: bytes) -> Notes:
        """Read what `to_json` wrote."""
        notes: dict[str, Any] = orjson.loads(text)
        notes["counts"] = {kind: Counts(**notes["counts"][kind]) for kind in KINDS}
        notes["currencies"] = frozenset(notes["currencies"])
        return cls(**notes)


@dataclass(frozen=True, slots=True)
class UnitRows:
    """The rows of one stratum; each unit is in one of them.

    Attributes
    ----------
    arm, share
        The stratum; None for units without a decision.
    unit : int32 (n,)
        Ascending.
    flags : uint8 (n,)
        A bit for each of `MARKS`.
    sums : mapping
        The columns `TOTALS`, of any integer type, except those left out.
    unit_sums : mapping
        The sums over the units; empty for a part of a stratum.
    """

    arm: Arm | None
    share: int | None
    unit: NDArray[np.int32]
    flags: NDArray[np.uint8]
    sums: Columns
    unit_sums: UnitSums

    def column(self, name: str) -> NDArray[Any]:
        """Return one of `TOTALS`."""
        return self.sums[name if name in self.sums else TWINS[name]]

    def part(self, where: slice | NDArray[np.intp]) -> UnitRows:
        """Return some of the rows."""
        sums = {name: column[where] for name, column in self.sums.items()}
        return UnitRows(self.arm, self.share, self.unit[where], self.flags[where], sums, {})

    def without_money(self) -> UnitRows:
        """Return the rows with no money in them."""
        sums = {
            name: np.zeros_like(column) if name.endswith(MONEY) else column
            for name, column in self.sums.items()
        }
        return replace(self, sums=sums, unit_sums=unit_sums(sums.__getitem__, sums))


class Day:
    """The roll-up of a day as it is stored: Arrow's IPC stream.

    It is not compressed: to decompress it takes longer than to read it.

    Parameters
    ----------
    body : bytes
        What `pack` returned.

    Attributes
    ----------
    notes : Notes
        What days add.
    rows : sequence of UnitRows
        The rows of each stratum; their columns are in the body.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        with pa.ipc.open_stream(body, options=_ONE_THREAD) as reader:
            metadata = reader.schema.metadata
            totals = [name for name in reader.schema.names if name in TOTALS]
            self.rows = [
                _unit_rows(batch, totals, _from_texts(texts))
                for batch, texts in zip(reader, orjson.loads(metadata[_UNIT_SUMS]), strict=True)
            ]
        self.notes = Notes.from_json(metadata[_NOTES])

    def canonical(self) -> bytes:
        """Return the roll-up as this version of Arrow writes it."""
        with pa.ipc.open_stream(self._body) as reader:
            return _write(reader.schema, reader)


def _unit_rows(batch: pa.RecordBatch, totals: Sequence[str], sums: UnitSums) -> UnitRows:
    return UnitRows(
        batch["arm"].values[0].as_py(),
        batch["share"].values[0].as_py(),
        batch["unit"].to_numpy(),
        batch["flags"].to_numpy(),
        {name: batch[name].to_numpy() for name in totals},
        sums,
    )


def _as_texts(sums: UnitSums) -> dict[str, list[str]]:
    # A sum of squares may be larger than the integers that readers of JSON take.
    return {f"{kind}_{name}": [*map(str, astuple(each))] for (kind, name), each in sums.items()}


def _from_texts(texts: Mapping[str, Sequence[str]]) -> UnitSums:
    return {
        (kind, name): RatioSums(*map(int, texts[f"{kind}_{name}"]))
        for kind in KINDS
        for name in MEASURES
    }


def pack(rows: Rows, notes: Notes) -> bytes:
    """Write a roll-up: the same bytes for the same rows and notes."""
    strata: dict[tuple[Arm | None, int | None], Columns] = {}
    for stratum, keys in itertools.groupby(sorted(rows, key=_order), key=lambda key: key[:2]):
        units = list(keys)
        columns = {
            name: np.array([rows[key].get(name, 0) for key in units], np.int64)
            for name in (*MARKS, *TOTALS)
        }
        columns["unit"] = np.array([unit for _, _, unit in units], np.int64)
        columns["flags"] = flags_of(columns)
        strata[stratum] = columns
    return write_day(notes, strata)


def _order(key: Key) -> tuple[str, int, int]:
    arm, share, unit = key
    return arm or "", -1 if share is None else share, unit


def write_day(notes: Notes, strata: Mapping[tuple[Arm | None, int | None], Columns]) -> bytes:
    """Write a roll-up from the columns of each stratum; units ascend in it."""
    left_out = {
        name
        for name, twin in TWINS.items()
        if all(np.array_equal(columns[name], columns[twin]) for columns in strata.values())
    }
    fields = [
        field.with_type(_smallest([columns[field.name] for columns in strata.values()]))
        if field.name in TOTALS
        else field
        for field in FIELDS
        if field.name not in left_out
    ]
    stored = set(TOTALS) - left_out
    sums = [_as_texts(unit_sums(columns.__getitem__, stored)) for columns in strata.values()]
    schema = pa.schema(fields, {_NOTES: notes.to_json(), _UNIT_SUMS: orjson.dumps(sums)})
    batches: list[pa.RecordBatch] = []
    for (arm, share), columns in strata.items():
        keys = {"arm": arm, "share": share}
        ends = pa.array([len(columns["unit"])], pa.int32())
        arrays = [
            pa.array(columns[field.name]).cast(field.type)
            if field.name in columns
            else pa.RunEndEncodedArray.from_arrays(
                ends, pa.array([keys.get(field.name)], field.type.value_type)
            )
            for field in fields
        ]
        batches.append(pa.record_batch(arrays, schema=schema))
    return _write(schema, batches)


def flags_of(columns: Columns) -> NDArray[np.int64]:
    """Return the column `flags` from columns of 0 and 1, one for each of `MARKS`."""
    flags = np.zeros(len(columns[MARKS[0]]), np.int64)
    for bit, name in enumerate(MARKS):
        flags |= columns[name] << bit
    return flags


def _smallest(columns: Sequence[NDArray[np.int64]]) -> pa.DataType:
    """Return the smallest type of integers that holds all values."""
    lowest = min((int(column.min(initial=0)) for column in columns), default=0)
    highest = max((int(column.max(initial=0)) for column in columns), default=0)
    kinds = (np.uint8, np.uint16, np.uint32, np.int32, np.int64)
    fits = (np.iinfo(kind).min <= lowest and highest <= np.iinfo(kind).max for kind in kinds)
    return pa.from_numpy_dtype(next(itertools.compress(kinds, fits)))


def _write(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def day_of(
    part: Part,
    quality: Mapping[str, int],
    currency: str | None,
    numbers: Callable[[Sequence[str]], Mapping[str, int]],
) -> bytes:
    """Count what falls into one day (or any period).

    Parameters
    ----------
    part : Part
        What falls into it, without the outcomes in checkouts that several days share.
    quality : mapping
        Counts of facts that count for nothing.
    currency : str or None
        Of all money.
    numbers : callable
        Returns the number of each unit, the same for every day.

    Returns
    -------
    bytes
        The roll-up, as `Day` reads it.
    """
    history = part.history
    rows: defaultdict[tuple[Arm | None, int | None, str], dict[str, int]] = defaultdict(dict)
    first = first_strata(history, part.decisions)
    for unit, stratum in first.items():
        rows[*stratum, unit]["drawn"] = 1
    for unit in part.buying_units():
        rows[*first.get(unit, (None, None)), unit]["buying"] = 1
    counts: dict[Kind, Counts] = {}
    for kind in KINDS:
        members = [each for each in part.outcomes if each.placed.offer.kind == kind]
        counts[kind] = count(members, frozenset(), history.orders_of, currency)
        for each in members:
            if each.shown:
                row = rows[*stratum_of(each.placed.decision), each.placed.unit]
                row[f"{kind}_shown"] = 1
                row[f"{kind}_sold"] = row.get(f"{kind}_sold", 0) | each.converted
                row[f"{kind}_kept"] = row.get(f"{kind}_kept", 0) | each.kept
        clusters = clusters_of(history, [each.placed for each in members], currency)
        for (stratum, unit), cluster in clusters.items():
            row = rows[*stratum, unit]
            for name in SUMS:
                row[f"{kind}_{name}"] = getattr(cluster, name)
    orders = Counter(order.currency for order in part.orders if order.currency is not None)
    notes = Notes(
        counts,
        quality,
        {kind: part.unpriced((kind,)) for kind in KINDS},
        orders,
        currency,
        part.currencies(),
    )
    number_of = numbers(sorted({unit for _, _, unit in rows}))
    return pack(
        {(arm, share, number_of[unit]): row for (arm, share, unit), row in rows.items()}, notes
    )
