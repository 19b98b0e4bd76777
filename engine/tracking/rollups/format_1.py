"""Roll-ups of earlier formats, for days whose facts are gone: their counts live on.

In version 0.1.0 a body was a length, a JSON object and integer columns over the units of the day,
each of the narrowest type, written as one value where all are equal, or as the few that are not 0.
Later ones are tables of Arrow; the first said which row has the unit's first decision by a flag.
How many of the day's offers, checkouts and orders each unit had was in neither: the day's counts
are shared out evenly among the units that may have had some. Nor was it said who bought when: units
that bought that day did so after they were shown an offer.
"""

# pyarrow has no types for a checker.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from mersalg.engine.facts import KINDS, Kind
from mersalg.engine.tracking.query import UNKNOWN
from mersalg.engine.tracking.rates import UNIT_COUNTS, Counts
from mersalg.engine.tracking.rollups.day import (
    FLAGS,
    KEYS,
    TOTALS,
    TWINS,
    AnyStratum,
    Columns,
    Key,
    Notes,
    columns_of,
    write_day,
)
from mersalg.engine.tracking.sample_ratio import GROUP_KEYS
from mersalg.engine.tracking.strata import ARMS

_ARROW = b"\xff" * 4
"""What every stream of Arrow begins with."""

_MARKS = (
    *(f"{kind}_{name}" for kind in KINDS for name in ("shown", "sold", "kept")),
    "buying",
    "drawn",
)
"""Of the bits of `flags` in the first Arrow tables; in version 0.1.0 `buying` was the first."""
_GROUPS = ((UNKNOWN,) * len(GROUP_KEYS),)
_UNKNOWN_SHARE = _NOT_DRAWN = -1
_SUMS = {
    "checkouts": "checkouts",
    "converted": "converted",
    "completed": "completed",
    "ordered": "order_revenue",
    "owed": "offer_revenue",
}


_COUNTED_OF = {"shown": "shown", "accepted": "shown", "converted": "sold", "kept": "kept"}
"""The mark of the units that a count may be of, by the end of its name."""


def renewed(body: bytes) -> bytes:
    """Return a roll-up in the present format; one of an earlier format keeps its numbers."""
    return _with_counts_of_units(body) if body.startswith(_ARROW) else _converted(body)


def _with_counts_of_units(body: bytes) -> bytes:
    """Return a roll-up in tables of Arrow with the counts of units, which the first ones lack."""
    strata: dict[AnyStratum, Columns] = {}
    with pa.ipc.open_stream(body) as reader:
        metadata = reader.schema.metadata
        if b"counts" in metadata:
            return body
        notes = msgspec.json.decode(metadata[b"notes"], type=Notes)
        names = set(reader.schema.names) - {field.name for field in KEYS}
        for batch in reader:
            arm, share = (batch[name].values[0].as_py() for name in ("arm", "share"))
            columns = {name: batch[name].to_numpy() for name in names}
            columns |= {
                name: columns.get(TWINS.get(name, ""), np.zeros(batch.num_rows, np.int64))
                for name in TOTALS
                if name not in names
            }
            strata[arm, share] = columns
    return write_day(
        msgspec.structs.replace(notes, groups=_GROUPS), _shared_out(notes.counts, strata)
    )


def _shared_out(
    counts: Mapping[Kind, Counts], strata: Mapping[AnyStratum, Columns]
) -> Mapping[AnyStratum, Columns]:
    """Return columns with the day's counts among them, shared out among its units."""
    lengths = [len(columns["flags"]) for columns in strata.values()]
    flags = np.concatenate([np.zeros(0, np.int64), *(each["flags"] for each in strata.values())])
    has = {name: flags >> bit & 1 for bit, name in enumerate(_MARKS)}
    marks = {"ordered": has["buying"], "buying": has["buying"]}
    results: dict[str, NDArray[np.int64]] = {}
    for kind in KINDS:
        shown, sold = has[f"{kind}_shown"], has[f"{kind}_sold"]
        marks |= {f"{kind}_shown": shown, f"{kind}_bought": shown & (has["buying"] | sold)}
        marks["buying"] = marks["buying"] | sold
        eligible = [each[f"{kind}_checkouts"] > 0 for each in strata.values()]
        results[f"{kind}_drawn"] = has["drawn"] * np.concatenate([has["drawn"][:0], *eligible])
        for name in UNIT_COUNTS:
            total, mark = getattr(counts[kind], name), _COUNTED_OF[name.partition("_")[2]]
            units = np.flatnonzero(has[f"{kind}_{mark}"])
            results[f"{kind}_{name}"] = column = np.zeros(len(flags), np.int64)
            column[units] = total // max(len(units), 1)
            column[units[: total % max(len(units), 1)]] += 1
    results["flags"] = sum(
        (marks[name] * flag for name, flag in FLAGS.items()), np.zeros_like(flags)
    )
    parts = {name: np.split(column, np.cumsum(lengths)[:-1]) for name, column in results.items()}
    return {
        stratum: {**columns, **{name: part[at] for name, part in parts.items()}}
        for at, (stratum, columns) in enumerate(strata.items())
    }


def _converted(body: bytes) -> bytes:
    """Return a roll-up of version 0.1.0 in the present format."""
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
        rows[keys[-1]]["flags"] = flags >> 1 | (flags & 1) << 6 | drawn << 7
    for kind in KINDS:
        for arm in ARMS:
            sums: list[list[int]] = [columns[f"{kind}/{arm}/{old}"].tolist() for old in _SUMS]
            places: list[int] = np.cumsum(columns[f"{kind}/{arm}"], dtype=np.int64).tolist()
            for at, index in enumerate(places):
                # Clusters did not say their share: they have that of their unit's first decision.
                first = keys[index]
                row = rows[first if first[0] == arm else (arm, None, units[index])]
                for name, column in zip(_SUMS.values(), sums, strict=True):
                    row[f"{kind}_{name}"] = column[at]
    counts: dict[Kind, Counts] = {kind: _counts(kind, notes) for kind in KINDS}
    return write_day(
        Notes(
            counts,
            {**notes["quality"], "orders": sum(notes["orders"].values())},
            notes["orders"],
            notes["currency"],
            frozenset[str](notes["currencies"]),
            groups=_GROUPS,
        ),
        _shared_out(counts, columns_of(rows)),
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
