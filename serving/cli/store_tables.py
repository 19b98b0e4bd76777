"""Print how the stores of a shop agree with its rules, for `mersalg models show --stores`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mersalg.engine.words import counted
from mersalg.serving.cli import console

if TYPE_CHECKING:
    from mersalg.engine.cross_sell.rules import RuleTable
    from mersalg.engine.cross_sell.stores import StoreCounts, Stores
    from mersalg.engine.model import Model

_SHOWN_STORES = 3


def stores_as_json(model: Model, n_rules: int) -> dict[str, Any] | None:
    """Return the first `n_rules` flagged rules of each kind by store, None with one store only.

    `confidence` of a store is drawn to that of all stores as far as stores are alike.
    """
    import numpy as np

    from mersalg.engine.cross_sell.stores import MIXED

    stores = model.stores
    if stores is None:
        return None
    mixed = np.flatnonzero(stores.offered.flag == MIXED)
    offered = (model.rules.take(mixed), stores.offered.take(mixed))
    contradicted = (stores.contradicted_rules, stores.contradicted)
    return {
        "stores": len(stores.store_ids),
        "contradicted": _flagged(model, stores, *contradicted, n_rules),
        "n_contradicted": len(stores.contradicted_rules),
        "mixed": _flagged(model, stores, *offered, n_rules),
        "n_mixed": len(mixed),
    }


def _flagged(
    model: Model, stores: Stores, table: RuleTable, counts: StoreCounts, n_rules: int
) -> list[dict[str, Any]]:
    import numpy as np

    names, ids = model.catalogue.names, [*stores.store_ids, None]
    confidence, lift, shrunk = table.confidence(), table.lift(), counts.shrunk_confidence(table)
    entries: list[dict[str, Any]] = []
    for rule in np.argsort(-table.n_joint, kind="stable")[:n_rules].tolist():
        cells = range(*counts.stores.indptr[rule : rule + 2].tolist())
        log_odds = float(counts.log_odds[rule])
        entries.append(
            {
                "antecedent": [names[item] for item in table.antecedents[rule].tolist()],
                "consequent": names[int(table.consequent[rule])],
                "n_joint": int(table.n_joint[rule]),
                "confidence": float(confidence[rule]),
                "lift": float(lift[rule]),
                "odds_ratio_of_stores": float(np.exp(log_odds)) if log_odds < 700 else None,
                "stores": [
                    {
                        "store": ids[int(counts.stores.values[cell])],
                        "n_joint": int(counts.n_joint[cell]),
                        "n_antecedent": int(counts.n_antecedent[cell]),
                        "confidence": float(shrunk[cell]),
                    }
                    for cell in cells
                ],
            }
        )
    return entries


def print_stores(found: dict[str, Any] | None) -> None:
    """Print both kinds of flagged rules, with the stores that have most of their antecedents."""
    if found is None:
        console.out.print("orders are not known to be of several stores")
        return
    titles = {
        "contradicted": "not offered: the stores together contradict them",
        "mixed": "offered, and opposed by some store",
    }
    for kind, title in titles.items():
        console.out.print(f"{counted(found[f'n_{kind}'], 'rule')} {title}")
        if not found[kind]:
            continue
        columns = ("antecedent", "consequent", ">orders", ">confidence", ">lift")
        console.print_table(
            (*columns, ">odds of stores", "confidence by store"), map(_cells, found[kind])
        )


def _cells(rule: dict[str, Any]) -> tuple[str, ...]:
    odds = rule["odds_ratio_of_stores"]
    largest = sorted(rule["stores"], key=lambda store: -store["n_antecedent"])
    return (
        ", ".join(rule["antecedent"]),
        rule["consequent"],
        f"{rule['n_joint']:,}",
        f"{rule['confidence']:.3f}",
        f"{rule['lift']:.2f}",
        f"{odds:.2f}" if odds is not None else "",
        ", ".join(
            f"{store['store'] or 'not known'} {store['confidence']:.3f}"
            for store in largest[:_SHOWN_STORES]
        ),
    )
