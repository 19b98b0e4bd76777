"""Forgetting one customer wherever something is kept of them."""

from __future__ import annotations

from pathlib import Path

from engine.forgotten import Forgotten
from engine.ranking.customers import hash_of
from engine.storage.pseudonyms import customer_key
from engine.storage.store import Store


def erase_everywhere(customer_id: str, store: Store, models: Path | None) -> int:
    """Cut the tie in the facts and in the models; the number of facts touched.

    The models first: after a crash between the two, erasing again does the rest.

    Raises:
        ModelError: the list beside the models cannot be written.
        StorageUnavailable: the database cannot answer.
    """
    if models is not None:
        Forgotten(models).add(hash_of(customer_id, customer_key(models)))
    return store.people.erase(customer_id)
