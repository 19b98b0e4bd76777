"""From the spool into the database: what a fact there becomes, and waiting until all is done."""

from __future__ import annotations

import time
from collections.abc import Sequence

from engine.errors import FactRejected, StorageUnavailable
from engine.events import Fact
from engine.fact_records import pack, unpack
from engine.storage.store import Store
from serving.spool import Spool

_LOOK_SECONDS = 0.1


def deliver(records: Sequence[bytes], spool: Spool, store: Store) -> None:
    """Record what was spooled; what can never be taken is set aside.

    Raises:
        StorageUnavailable: nothing of it was taken.
    """
    facts: list[Fact] = []
    for record in records:
        try:
            facts.append(unpack(record))
        except FactRejected:
            spool.set_aside(record, "unreadable")
    for rejection in store.append(facts).rejected:
        spool.set_aside(pack(facts[rejection.index]), rejection.code)


def settle(spool: Spool, store: Store, seconds: float = 10.0) -> None:
    """Bring all that waits now to the database, also what services that run hold themselves.

    Raises:
        StorageUnavailable: some of it did not get there in time.
    """
    until = time.monotonic() + seconds
    left = set(spool.segments())
    while left:
        spool.replay(lambda records: deliver(records, spool, store))
        left &= set(spool.segments())
        if left and time.monotonic() >= until:
            raise StorageUnavailable(WAITING)
        if left:
            time.sleep(_LOOK_SECONDS)


WAITING = "facts still wait in the spool; try again when they are in the database"
