"""Integer columns as bytes, small: the narrowest type, one value for all, equal columns once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.tracking.intervals import RatioSums

Ints = NDArray[Any]
"""One-dimensional, of some integer type."""

_TYPES = ("u1", "<u2", "<u4", "<i4", "<i8")
_FITS = 2**62
_HALF = 20
_SPARSE = 8  # a column with fewer than one in so many that are not 0 is kept by those


def pack_columns(columns: Mapping[str, Ints], notes: Mapping[str, object]) -> bytes:
    """Columns and a JSON object as one piece of bytes; see `unpack_columns`."""
    entries: dict[str, object] = {}
    parts: list[bytes] = []
    places: dict[tuple[bytes, str], int] = {}
    size = 0

    def place(column: Ints) -> list[object]:
        nonlocal size
        narrow = column.astype(_narrowest(column))
        raw, kind = narrow.tobytes(), narrow.dtype.str
        if (raw, kind) not in places:
            places[raw, kind] = size
            parts.append(raw)
            size += len(raw)
        return [kind, places[raw, kind], len(narrow)]

    for name, column in columns.items():
        if len(column) and (column == column[0]).all():
            entries[name] = {"value": int(column[0]), "n": len(column)}
            continue
        (filled,) = np.nonzero(column)
        if len(filled) * _SPARSE < len(column):
            where, values = place(filled), place(column[filled])
            entries[name] = {"where": where, "values": values, "n": len(column)}
        else:
            entries[name] = {"all": place(column)}
    head = orjson.dumps({"columns": entries, "notes": notes})
    return b"".join((len(head).to_bytes(4, "little"), head, *parts))


def unpack_columns(body: bytes) -> tuple[dict[str, Ints], dict[str, Any]]:
    """Columns, of narrow types, and notes; equal columns are one array."""
    length = int.from_bytes(body[:4], "little")
    head: dict[str, Any] = orjson.loads(body[4 : 4 + length])
    seen: dict[str, Ints] = {}

    def read(entry: list[Any]) -> Ints:
        kind, start, size = entry
        return np.frombuffer(body, np.dtype(kind), size, 4 + length + start)

    columns: dict[str, Ints] = {}
    for name, entry in head["columns"].items():
        key = repr(entry)
        if key not in seen:
            if "all" in entry:
                seen[key] = read(entry["all"])
            elif "where" in entry:
                values = read(entry["values"])
                seen[key] = np.zeros(entry["n"], values.dtype)
                seen[key][read(entry["where"])] = values
            else:
                value = entry["value"]
                seen[key] = np.full(entry["n"], value, np.min_scalar_type(value))
        columns[name] = seen[key]
    return columns, head["notes"]


def _narrowest(column: Ints) -> str:
    if not len(column):
        return "u1"
    lowest, highest = int(column.min()), int(column.max())
    for kind in _TYPES:
        limits = np.iinfo(kind)
        if limits.min <= lowest and highest <= limits.max:
            return kind
    raise OverflowError("a count does not fit into 64 bits")


def halved(column: Ints) -> Ints:
    """An ascending column of int64 in half the memory, where that holds it."""
    fits = not len(column) or int(column[-1]) <= np.iinfo(np.int32).max
    return column.astype(np.int32) if fits else column


def ratio_sums(x: Ints, m: Ints) -> RatioSums:
    """`RatioSums.of` of two columns of clusters, as exact."""
    x, m = (each.astype(np.int64, copy=False) for each in (x, m))
    return RatioSums(
        len(m),
        int(x.sum(dtype=np.int64)),
        int(m.sum(dtype=np.int64)),
        product(x, x),
        product(x, m),
        product(m, m),
    )


def product(a: Ints, b: Ints) -> int:
    """The sum of products, exact where 64 bits would not hold it."""
    if not len(a):
        return 0
    largest_a, largest_b = (max(int(each.max()), -int(each.min())) for each in (a, b))
    if largest_a * largest_b * len(a) < _FITS:
        return int(np.dot(a.astype(np.int64, copy=False), b.astype(np.int64, copy=False)))
    if largest_a < largest_b:
        return product(b, a)
    a = a.astype(np.int64, copy=False)
    high, low = a >> _HALF, a & (2**_HALF - 1)
    return (product(high, b) << _HALF) + product(low, b)
