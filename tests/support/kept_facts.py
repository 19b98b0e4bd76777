"""What a database and a spool hold, for tests that take things away meanwhile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import open_store


def kept_facts(url: str, secret: bytes | None = None) -> Counter[str]:
    """How often each decision, and each event, stands in the database."""
    store = open_store(url, secret=secret)
    try:
        return Counter(
            getattr(fact, "decision_id", fact.event_id) for fact in store.facts.read(FactScope())
        )
    finally:
        store.close()


def is_empty(spool: Path) -> bool:
    return not list(spool.glob("*.spool"))
