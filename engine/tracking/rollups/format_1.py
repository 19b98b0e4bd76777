"""Roll-ups of earlier formats, for days whose facts are gone: their counts live on.

In version 0.1.0 a body was a length, a JSON object and integer columns over the units of the day,
each of the narrowest type, written as one value where all are equal, or as the few that are not 0.
Later ones are tables of Arrow; the first said which row has the unit's first decision by a flag.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from engine.facts import KINDS, Arm, Kind
from engine.tracking.query import UNKNOWN
from engine.tracking.rates import Counts
from engine.tracking.rollups.day import (
    FLAGS,
    MARKS,
    TOTALS,
    Columns,
    Day,
    Key,
    Notes,
    pack,
    write_day,
)
from engine.tracking.sample_ratio import GROUP_KEYS
from engine.tracking.strata import ARMS

_ARROW = b"\xff" * 4
"""What every stream of Arrow begins with."""

_MARKS = ("buying", *MARKS[:-1])
_DRAWN = 128
"""The flag of the row of a unit's first decision of the day; now it is a column for each kind."""
_GROUPS = ((UNKNOWN,) * len(GROUP_KEYS),)
_UNKNOWN_SHARE = _NOT_DRAWN = -1
_SUMS = {
    "checkouts": "checkouts",
    "converted": "converted",
    "completed": "completed",
    "ordered": "order_revenue",
    "owed": "offer_revenue",
}


def renewed(body: bytes) -> bytes:
    """Return a roll-up in the present format; one of an earlier format keeps its numbers."""
    if not body.startswith(_ARROW):
        return _converted(body)
    day = Day(body)
    if any(f"{KINDS[0]}_drawn" in rows.columns for rows in day.rows):
        return body
    strata: dict[tuple[Arm | None, int | None], Columns] = {}
    for rows in day.rows:
        flags = rows.column("flags")
        strata[rows.arm, rows.share] = {
            "unit": rows.column("unit"),
            "flags": flags & ~np.uint8(_DRAWN),
            **{name: rows.column(name).astype(np.int64) for name in TOTALS},
            **{
                f"{kind}_drawn": (
                    (flags & _DRAWN > 0) & (rows.column(f"{kind}_checkouts") > 0)
                ).astype(np.int64)
                for kind in KINDS
            },
        }
    return write_day(msgspec.structs.replace(day.notes, groups=_GROUPS), strata)


def _converted(body: bytes) -> bytes:
    columns, notes = _read(body)
    units: list[int] = np.cumsum(columns["units"], dtype=np.int64).tolist()
    rows: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    keys: list[Key] = []
    for unit, flags, arm, share in zip(
        units,
        *(columns[name].tolist() for name in ("flags", "arms", "shares")),
        strict=True,
    ):
        drawn: bool = arm != _NOT_DRAWN
        stated = None if share == _UNKNOWN_SHARE else int(share)
        keys.append((ARMS[int(arm)] if drawn else None, stated if drawn else None, int(unit)))
        rows[keys[-1]]["flags"] = sum(
            FLAGS[name] for bit, name in enumerate(_MARKS) if flags >> bit & 1
        )
    for kind in KINDS:
        for arm in ARMS:
            sums: list[list[int]] = [columns[f"{kind}/{arm}/{old}"].tolist() for old in _SUMS]
            places: list[int] = np.cumsum(columns[f"{kind}/{arm}"], dtype=np.int64).tolist()
            for at, place in enumerate(places):
                # Clusters did not say their share: they have that of their unit's first decision.
                first = keys[place]
                row = rows[first if first[0] == arm else (arm, None, units[place])]
                for name, column in zip(_SUMS.values(), sums, strict=True):
                    row[f"{kind}_{name}"] = column[at]
                row[f"{kind}_drawn"] = int(first[0] == arm)
    return pack(
        rows,
        Notes(
            {kind: _counts(kind, notes) for kind in KINDS},
            {**notes["quality"], "orders": sum(notes["orders"].values())},
            notes["orders"],
            notes["currency"],
            frozenset(notes["currencies"]),
            groups=_GROUPS,
        ),
    )


def _counts(kind: Kind, notes: Mapping[str, Any]) -> Counts:
    """Return the counts of a kind; of the credited lines one for each offer is known.

    No purchase stated its tax then, so all money is taken to include one.
    """
    counts, unpriced = notes["counts"][kind], notes["unpriced"][kind]
    credited = max(counts["offers_converted"], unpriced)
    return Counts(
        **counts,
        lines_credited=credited,
        lines_unpriced=unpriced,
        lines_untaxed=credited - unpriced,
    )


def _read(body: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    begin = 4 + int.from_bytes(body[:4], "little")
    head: dict[str, Any] = orjson.loads(body[4:begin])

    def array(entry: list[Any]) -> NDArray[Any]:
        kind, start, size = entry
        return np.frombuffer(body, np.dtype(kind), size, begin + start)

    columns: dict[str, NDArray[Any]] = {}
    for name, entry in head["columns"].items():
        if "all" in entry:
            columns[name] = array(entry["all"])
        elif "where" in entry:
            columns[name] = np.zeros(entry["n"], np.int64)
            columns[name][array(entry["where"])] = array(entry["values"])
        else:
            columns[name] = np.full(entry["n"], entry["value"], np.int64)
    return columns, head["notes"]
