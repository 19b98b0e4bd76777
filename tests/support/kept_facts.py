"""What a database and a spool hold, for tests that take things away meanwhile."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from engine.storage.sql import open_store
from engine.storage.store import FactScope


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for what must come about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def kept_facts(url: str, secret: bytes | None = None) -> Counter[str]:
    """How often each decision, and each event, stands in the database."""
    store = open_store(url, secret=secret)
    try:
        return Counter(
            getattr(fact, "decision_id", fact.event_id) for fact in store.facts(FactScope())
        )
    finally:
        store.close()


def is_empty(spool: Path) -> bool:
    return not list(spool.glob("*.spool"))
