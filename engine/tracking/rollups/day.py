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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mersalg.engine.facts import KINDS, Arm, Kind
from mersalg.engine.tracking.rates import UNIT_COUNTS, Counts
from mersalg.engine.tracking.rollups.columns import (
    READING,
    array_of,
    constant_array,
    different_rows,
    smallest_type,
    written,
)
from mersalg.engine.tracking.sample_ratio import Group
from mersalg.engine.tracking.strata import MEASURES, MONEY, OF_BASKET, WHOLE


def _constant(name: str, kind: pa.DataType) -> pa.Field:
    """Return a column of few runs of equal values, which needs no memory except for these."""
    return pa.field(name, pa.run_end_encoded(pa.int32(), kind))


KEYS = (
    _constant("arm", pa.string()),
    _constant("share", pa.int32()),
    _constant("vouched", pa.bool_()),
    *(_constant(name, pa.string()) for name in ("item", "rule", "placement", "store", "segment")),
)
"""What a row is about beside its unit; each record batch has rows of one arm and share.

The kind is the prefix of a measure's name, for most rows have offers of both. `arm` and `share`
(the stated control share in millionths) are those of the decision, in the totals those of the
checkout's first decision; null where there is none. The others are null, which means "in total":
the columns are there for roll-ups by one of them.
"""

MARKS = (*(f"{kind}_{name}" for kind in KINDS for name in ("shown", "bought")), "ordered", "buying")
FLAGS = {name: 1 << bit for bit, name in enumerate(MARKS)}
"""The bit of each mark in the column `flags`.

`shown`: the unit was shown an offer of the kind. `bought`: it also bought in the checkout of one of
them, or on the same day at or after its decision, or what was bought is credited to one. `ordered`,
`buying`: the unit has an order of that day, or of that day or its checkouts; on one of its rows.
Other than counts and totals, marks are also of checkouts that several days share.
"""

OF_CLUSTER = ("checkouts", *MEASURES, "foreign")
BESIDE = tuple(f"beside_{name}" for name in OF_BASKET)
TOTALS = tuple(f"{kind}_{name}" for kind in KINDS for name in ("drawn", *OF_CLUSTER, *BESIDE))
"""Columns of the fields of `Cluster`: of a unit, over the day's eligible checkouts of a kind.

`drawn` is above 0 in the row of the unit's first eligible decision of the day: the place of its
groups among `Notes.groups`, from 1. Those of `BESIDE` are of its other checkouts: in the row
without an arm where these began before that decision, else in another of its rows.
"""

CHANGES = {
    "kept": ("converted", 1),
    "orders": ("completed", 1),
    "kept_orders": ("orders", 1),
    "net_order_revenue": ("order_revenue", 1),
    "net_offer_revenue": ("offer_revenue", 1),
    "offered_units": ("converted", WHOLE),
    "kept_units": ("offered_units", 1),
    "beside_completed": ("beside_orders", 1),
    "beside_kept_orders": ("beside_orders", 1),
    "beside_net_order_revenue": ("beside_order_revenue", 1),
}
"""Measures whose column holds what is added to a multiple of another one: 0 for most units.

Few units send something back, order twice in a checkout or take two of an item.
"""

_OFTEN_NONE = (*CHANGES, *BESIDE, "foreign")

COUNT_COLUMNS = tuple(f"{kind}_{name}" for kind in KINDS for name in UNIT_COUNTS)
"""Each of `UNIT_COUNTS`: of a unit, over the day's shown offers of a kind."""

TWINS = dict(zip(TOTALS[len(TOTALS) // 2 :], TOTALS, strict=False))
"""Columns of the second kind, and those of the first: equal where every decision offers both."""

FIELDS = (
    *KEYS,
    pa.field("unit", pa.int32(), nullable=False),
    pa.field("flags", pa.uint8(), nullable=False),
    *(pa.field(f"{kind}_counts", pa.uint8(), nullable=False) for kind in KINDS),
    *(pa.field(name, pa.int64(), nullable=False) for name in TOTALS),
)
"""The columns, with a row for each unit and combination of `KEYS`.

`unit` is a number of the table `rollup_units`. Most units of a day did one of few things: each
different row of `UNIT_COUNTS` is in a list beside the table, and `cross_sell_counts` and
`upsell_counts` are places in these lists. All columns have the smallest type of integers that holds
them on that day, for a year of days has to fit into memory. Those of `TWINS` that are equal to
their twins on that day are left out, and then those of `CHANGES` and `BESIDE`, and `foreign`, that
are 0.
"""

AnyStratum = tuple[Arm | None, int | None]
"""Arm and stated share of rows; None for units without a decision."""

Columns = Mapping[str, NDArray[Any]]
"""By name, of integers (n,)."""

Key = tuple[Arm | None, int | None, int]
"""Arm and stated share (millionths) of a row, and the number of its unit."""

Rows = Mapping[Key, Mapping[str, int]]
"""`flags`, `COUNT_COLUMNS` and `TOTALS` of each row, as far as they are not 0."""


class Notes(msgspec.Struct, frozen=True):
    """Counts of a day that days add, and what its money is in.

    `counts` are of both kinds, without those of units; `quality` are the report's counts of facts
    that count for nothing. All money is in `currency`; `currencies` are all that facts of the day
    name. `logged` decisions and orders are of offer logs. `groups` are those of the day's first
    eligible decisions, in order. `first` says when these were, by the number of the unit: of units
    with a checkout that several days share, which are counted from facts.
    """

    counts: Mapping[Kind, Counts]
    quality: Mapping[str, int]
    orders_by_currency: Mapping[str, int]
    currency: str | None
    currencies: frozenset[str]
    decisions: int = 0
    logged: int = 0
    groups: tuple[Group, ...] = ()
    first: Mapping[Kind, Mapping[str, int]] = msgspec.field(
        default_factory=dict[Kind, Mapping[str, int]]
    )


@dataclass(frozen=True, slots=True)
class UnitRows:
    """The rows of one stratum, which has no arm for units without a decision; each unit is in one.

    `columns` are `unit` (ascending), `flags`, `..._counts`, and those of `TOTALS` that are stored;
    `drawn` number the `groups` from 1. `counts` has of each kind the different rows of
    `UNIT_COUNTS` (m, 10). For rows of several days the column `day` has the days of `BESIDE`.
    """

    arm: Arm | None
    share: int | None
    columns: Columns
    groups: Sequence[Group]
    counts: Mapping[Kind, NDArray[np.int64]]
    day: int = 0

    def column(self, name: str) -> NDArray[Any]:
        """Return a column, or its twin where it is left out, or 0 where both are."""
        if (stored := self.columns.get(name)) is None:
            stored = self.columns.get(TWINS.get(name, name))
        return np.zeros(len(self.columns["unit"]), np.int8) if stored is None else stored

    def part(self, rows: slice | NDArray[np.intp]) -> UnitRows:
        """Return some of the rows."""
        return replace(self, columns={name: each[rows] for name, each in self.columns.items()})

    def unmarked(self) -> UnitRows:
        """Return the rows without marks."""
        flags = np.zeros_like(self.columns["flags"])
        return replace(self, columns={**self.columns, "flags": flags})

    def without_money(self) -> UnitRows:
        """Return the rows with no money in them."""
        columns = {
            name: np.zeros_like(column) if name.endswith(MONEY) else column
            for name, column in self.columns.items()
        }
        return replace(self, columns=columns)


class Day:
    """The roll-up of a day, from the `body` that `write_day` returned; days are numbered in order.

    `rows` are those of each stratum, `sums` are as they were given to `with_sums`.
    """

    def __init__(self, body: bytes, number: int = 0) -> None:
        # Arrow's own memory pools keep more memory than a report needs.
        pool = pa.system_memory_pool()
        with pa.ipc.open_stream(body, options=READING, memory_pool=pool) as reader:
            metadata = reader.schema.metadata
            self.notes = msgspec.json.decode(metadata[b"notes"], type=Notes)
            self.sums: bytes | None = metadata.get(b"sums")
            lists = msgspec.json.decode(metadata[b"counts"], type=dict[Kind, list[list[int]]])
            counts: dict[Kind, NDArray[np.int64]] = {
                kind: np.array(each, np.int64) for kind, each in lists.items()
            }
            keys = {field.name for field in KEYS}
            names = [name for name in reader.schema.names if name not in keys]
            self.rows = [
                UnitRows(
                    batch["arm"].values[0].as_py(),
                    batch["share"].values[0].as_py(),
                    {name: np.from_dlpack(batch[name]) for name in names},
                    self.notes.groups,
                    counts,
                    number,
                )
                for batch in reader
            ]


def with_sums(body: bytes, sums: bytes) -> bytes:
    """Return a roll-up with the sums of its units, as text, beside its rows."""
    with pa.ipc.open_stream(body) as reader:
        schema = reader.schema.with_metadata({**reader.schema.metadata, b"sums": sums})
        return written(schema, (each.replace_schema_metadata(schema.metadata) for each in reader))


def same_numbers(body: bytes, other: bytes) -> bool:
    """Return whether two roll-ups are equal, also where two versions of Arrow wrote them."""
    tables = [pa.ipc.open_stream(each).read_all() for each in (body, other)]
    return tables[0].equals(tables[1], check_metadata=True)


def columns_of(rows: Rows) -> dict[AnyStratum, Columns]:
    """Return the columns of each stratum, in order."""
    strata: dict[AnyStratum, Columns] = {}
    for stratum, keys in groupby(sorted(rows, key=_order), key=lambda key: key[:2]):
        units = [unit for _, _, unit in keys]
        of_units = [rows[*stratum, unit] for unit in units]
        nothing, present = np.zeros(len(units), np.int64), set[str]().union(*of_units)
        strata[stratum] = {"unit": np.array(units)} | {
            name: np.array([row.get(name, 0) for row in of_units], np.int64)
            if name in present
            else nothing
            for name in ("flags", *COUNT_COLUMNS, *TOTALS)
        }
    return strata


def _order(key: Key) -> tuple[str, int, int]:
    arm, share, unit = key
    return arm or "", -1 if share is None else share, unit


def write_day(notes: Notes, strata: Mapping[AnyStratum, Columns]) -> bytes:
    """Write a roll-up: the same bytes for the same notes and columns of `columns_of`."""
    strata, lists = _with_lists(strata)
    left_out = {
        name
        for name, twin in TWINS.items()
        if all(np.array_equal(columns[name], columns[twin]) for columns in strata.values())
    }
    left_out |= {
        name
        for name in TOTALS
        if name not in TWINS
        and name.removeprefix(f"{KINDS[0]}_") in _OFTEN_NONE
        and not any(columns[name].any() for columns in strata.values())
    }
    types = {
        name: smallest_type(*(columns[name] for columns in strata.values())) for name in TOTALS
    } | {f"{kind}_counts": np.min_scalar_type(len(each) - 1) for kind, each in lists.items()}
    fields = [
        field.with_type(pa.from_numpy_dtype(types[field.name])) if field.name in types else field
        for field in FIELDS
        if field.name not in left_out
    ]
    described = {
        name: msgspec.json.encode(each, order="deterministic")
        for name, each in (("notes", notes), ("counts", lists))
    }
    schema = pa.schema(fields, described)
    batches: list[pa.RecordBatch] = []
    for (arm, share), columns in strata.items():
        keys = {"arm": arm, "share": share}
        arrays = [
            array_of(columns[field.name], field.type)
            if field.name in columns
            else constant_array(len(columns["unit"]), keys.get(field.name), field.type)
            for field in fields
        ]
        batches.append(pa.record_batch(arrays, schema=schema))
    return written(schema, batches)


def unit_rows(strata: Mapping[AnyStratum, Columns]) -> list[UnitRows]:
    """Return columns as a day has them; their decisions are of no group."""
    strata, lists = _with_lists(strata)
    counts: dict[Kind, NDArray[np.int64]] = {
        kind: np.array(each, np.int64) for kind, each in lists.items()
    }
    left_out = {
        f"{kind}_{name}"
        for name in _OFTEN_NONE
        for kind in KINDS
        if not any(each[f"{kind}_{name}"].any() for each in strata.values() for kind in KINDS)
    }
    return [
        UnitRows(
            *stratum,
            {name: column for name, column in each.items() if name not in left_out},
            [()],
            counts,
        )
        for stratum, each in strata.items()
    ]


def _with_lists(
    strata: Mapping[AnyStratum, Columns],
) -> tuple[Mapping[AnyStratum, Columns], dict[Kind, list[list[int]]]]:
    """Return the columns with places in lists of different counts, and these lists."""
    lists: dict[Kind, list[list[int]]] = {}
    ends = np.cumsum([1, *(len(each["unit"]) for each in strata.values())])
    for kind in KINDS:
        columns = [
            np.concatenate([np.zeros(1, np.int8), *(each[name] for each in strata.values())])
            for name in (f"{kind}_{name}" for name in UNIT_COUNTS)
        ]
        lists[kind], places = different_rows(columns)
        strata = {
            stratum: {**each, f"{kind}_counts": own}
            for (stratum, each), own in zip(
                strata.items(), np.split(places, ends)[1:-1], strict=True
            )
        }
    return strata, lists
