"""Rules as a file: counts, every measure, and how certain each rule is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell import measures
from engine.cross_sell.rules import RuleTable
from engine.errors import ConfigError
from engine.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = (".parquet", ".csv")


def strongest_first(table: RuleTable, items: Vocabulary) -> NDArray[np.int64]:
    """Rule positions by falling lower bound of lift, ties by their ids; shape (n,)."""
    labels = [
        (*(items[item] for item in table.antecedent(rule).tolist()), items[consequent])
        for rule, consequent in enumerate(table.consequent.tolist())
    ]
    lower = table.lift_lower().tolist()
    order = sorted(range(len(table)), key=lambda rule: (-lower[rule], labels[rule]))
    return np.array(order, dtype=np.int64)


def rules_to_arrow(
    table: RuleTable, p: NDArray[np.float64], q: NDArray[np.float64], items: Vocabulary
) -> pa.Table:
    """One row a rule in the table's order; `conviction` is infinite where a rule never fails."""
    import pyarrow as pa

    counts = table.counts()
    n_joint, n_antecedent, _, n_orders = counts
    ids = list(items.ids)
    antecedents = [
        [ids[item] for item in table.antecedent(rule).tolist()] for rule in range(len(table))
    ]
    return pa.table(
        {
            "antecedent": pa.array(antecedents, pa.list_(pa.string())),
            "consequent": pa.array([ids[item] for item in table.consequent.tolist()], pa.string()),
            "n_joint": pa.array(n_joint, pa.int64()),
            "n_antecedent": pa.array(n_antecedent, pa.int64()),
            "n_consequent": pa.array(table.n_consequent, pa.int64()),
            "n_orders": pa.array(np.full(len(table), n_orders), pa.int64()),
            "support": measures.support(n_joint, n_orders),
            "confidence": table.confidence(),
            "lift": table.lift(),
            "lift_lower": table.lift_lower(),
            "leverage": measures.leverage(*counts),
            "conviction": measures.conviction(*counts),
            "p_value": p,
            "q_value": q,
        }
    )


def check_out_path(path: Path) -> None:
    """Raises ConfigError where rules cannot be written to `path`."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"rules are written as {' or '.join(FORMATS)}, not {path.name!r}")
    if not path.parent.is_dir():
        raise ConfigError(f"no folder {path.parent} to write {path.name} to")


def write_rules(rules: pa.Table, path: Path) -> None:
    """Parquet or CSV by suffix; a reader sees the old file or the new one, never a part.

    In CSV an antecedent is a JSON list, since ids may hold any separator.
    """
    check_out_path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            _write(rules, file, path.suffix.lower())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(rules: pa.Table, file: Any, suffix: str) -> None:
    import pyarrow as pa
    from pyarrow import csv, parquet

    if suffix == ".parquet":
        parquet.write_table(rules, file)
        return
    texts = [json.dumps(ids, ensure_ascii=False) for ids in rules["antecedent"].to_pylist()]
    column = pa.array(texts, pa.string())
    csv.write_csv(rules.set_column(0, "antecedent", column), file)
