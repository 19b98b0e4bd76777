"""One customer wherever something is kept of them: what models remember, and forgetting it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mersalg.engine import clock
from mersalg.engine.forgotten import Forgotten
from mersalg.engine.model import Model
from mersalg.engine.ranking.purchases import hash_of
from mersalg.engine.storage.pseudonyms import customer_key
from mersalg.engine.storage.store import Store


@dataclass(frozen=True)
class Remembered:
    """Orders of one customer that a model remembers: their times and their items."""

    model_version: str
    orders: list[dict[str, object]]


def remembered(customer_id: str, model: Model | None) -> Remembered | None:
    """Return what a model remembers of a customer; None where it does not know them."""
    if model is None or model.customers is None:
        return None
    row = model.customers.row_of(customer_id, model.customer_key)
    if row < 0:
        return None
    bought = model.customers.purchases
    first = int(bought.ordered_at.indptr[row])
    orders: list[dict[str, object]] = [
        {
            "ordered_at": clock.to_datetime(moment).isoformat(),
            "item_ids": [model.catalogue.items[item] for item in bought.items[order].tolist()],
        }
        for order, moment in enumerate(bought.ordered_at[row].tolist(), start=first)
    ]
    return Remembered(model.version, orders)


def erase_everywhere(customer_id: str, store: Store, models: Path | None) -> int:
    """Cut the tie in the facts and in the models; the number of facts touched.

    The models first: after a crash between the two, erasing again does the rest. Raise ModelError
    where the list beside the models cannot be written, StorageUnavailable where the database does
    not answer.
    """
    if models is not None:
        Forgotten(models).add(hash_of(customer_id, customer_key(models)))
    return store.people.erase(customer_id)
