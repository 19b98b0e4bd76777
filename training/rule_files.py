"""Rules as a file: counts, every measure, and how certain each rule is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mersalg.engine.arrays import Float64s, Int64s
from mersalg.engine.cross_sell import measures
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.csv_cells import safe_cell
from mersalg.engine.errors import ConfigError
from mersalg.engine.vocabulary import StringTable
from mersalg.training.reading.arrow import arrow_of, numpy_of, pc

FORMATS = (".parquet", ".csv")


def strongest_first(table: RuleTable, items: StringTable) -> Int64s:
    """Rule positions by falling lower bound of lift, ties by their ids; shape (n,)."""
    lengths = table.lengths
    # Ids compare as their ranks do; the consequent follows the antecedent, then nothing.
    rank = np.empty(len(items), dtype=np.int32)
    rank[numpy_of(pc.array_sort_indices(_texts(items)))] = np.arange(len(items))
    ids = np.full((int(lengths.max(initial=0)) + 1, len(table)), -1, dtype=np.int32)
    antecedents = table.antecedents
    index = np.arange(len(antecedents.values)) - np.repeat(antecedents.indptr[:-1], lengths)
    ids[index, antecedents.owners()] = rank[antecedents.values]
    ids[lengths, np.arange(len(table))] = rank[table.consequent]
    lower = table.lift_lower()
    order = np.argsort(-lower, kind="stable")
    tied = np.flatnonzero(np.diff(lower[order]) == 0)
    # Only rules of equal strength are compared by their ids.
    among = np.zeros(len(table), dtype=np.bool_)
    among[tied] = among[tied + 1] = True
    some = order[among]
    order[among] = some[np.lexsort([*ids[::-1, some], -lower[some]])]
    return order


def _texts(items: StringTable) -> pa.LargeStringArray:
    buffers = (pa.py_buffer(items.offsets), pa.py_buffer(items.blob))
    return pa.LargeStringArray.from_buffers(len(items), *buffers)


def rules_to_arrow(table: RuleTable, p: Float64s, q: Float64s, items: StringTable) -> pa.Table:
    """One row a rule in the table's order; `conviction` is infinite where a rule never fails."""
    counts = table.counts()
    n_joint, n_antecedent, _, n_orders = counts
    ids = _texts(items).cast(pa.string())
    antecedents = pa.ListArray.from_arrays(
        arrow_of(table.antecedents.indptr.astype(np.int32)),
        ids.take(arrow_of(table.antecedents.values)),
    )
    columns = {
        "n_joint": n_joint.astype(np.int64),
        "n_antecedent": n_antecedent.astype(np.int64),
        "n_consequent": table.n_consequent.astype(np.int64),
        "n_orders": np.full(len(table), n_orders, dtype=np.int64),
        "support": measures.support(n_joint, n_orders),
        "confidence": table.confidence(),
        "lift": table.lift(),
        "lift_lower": table.lift_lower(),
        "leverage": measures.leverage(*counts),
        "conviction": measures.conviction(*counts),
        "p_value": p,
        "q_value": q,
    }
    consequents = ids.take(arrow_of(table.consequent))
    return pa.Table.from_arrays(
        [antecedents, consequents, *map(arrow_of, columns.values())],
        names=["antecedent", "consequent", *columns],
    )


def check_out_path(path: Path) -> None:
    """Raise ConfigError where rules cannot be written to `path`."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"rules are written as {' or '.join(FORMATS)}, not {path.name!r}")
    if not path.parent.is_dir():
        raise ConfigError(f"no folder {path.parent} to write {path.name} to")


def write_rules(rules: pa.Table, file: Any, suffix: str) -> None:
    """Write rules to an open file, as Parquet or CSV.

    In CSV an antecedent is a JSON list, since ids may hold any separator, and a consequent that a
    spreadsheet would run as a formula has a quote before it.
    """
    from pyarrow import csv, parquet

    if suffix == ".parquet":
        # Measures hardly repeat, so that a dictionary of them would only take time.
        texts: Any = ["antecedent.list.element", "consequent"]
        parquet.write_table(rules, file, use_dictionary=texts)
        return
    lists, consequents = (rules[at].combine_chunks() for at in range(2))
    items = _texts_of(lists.values, partial(json.dumps, ensure_ascii=False))
    comma, opening, closing, nothing = _strings([", ", "[", "]", ""])
    inside = pc.binary_join(pa.ListArray.from_arrays(lists.offsets, items), comma)
    antecedents = pc.binary_join_element_wise(opening, inside, closing, nothing)
    rules = rules.set_column(0, "antecedent", antecedents)
    csv.write_csv(rules.set_column(1, "consequent", _texts_of(consequents, safe_cell)), file)


def _texts_of(ids: pa.Array, text_of: Callable[[str], str]) -> pa.Array:
    """Return the text of each id; each distinct id is written once."""
    encoded = ids.dictionary_encode()
    texts = [text_of(item_id) for item_id in encoded.dictionary.to_pylist()]
    return _strings(texts).take(encoded.indices)


def _strings(texts: Sequence[str]) -> pa.Array:
    """Return texts as an Arrow array; `pa.array` and `pa.scalar` would load pandas."""
    return _texts(StringTable.from_texts(texts)).cast(pa.string())
