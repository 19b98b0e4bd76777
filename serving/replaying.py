"""Replay of the spool: its records become facts, or entries of the audit log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

import msgspec
import orjson

from mersalg.engine.errors import FactRejected, StorageUnavailable
from mersalg.engine.fact_json import unpack
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.storage.fact_rows import FactRow
from mersalg.engine.storage.store import Store
from mersalg.serving.spool import Spool

_LOOK_SECONDS = 0.1
_AUDIT = b'{"audit":'
_HASHED = b'{"hashed":'


def deliver(records: Sequence[bytes], spool: Spool, store: Store) -> None:
    """Record spooled facts and entries; set aside those that can never be recorded.

    Raises
    ------
    StorageUnavailable
        Nothing was recorded.
    """
    rows: list[FactRow] = []
    sent: list[bytes] = []
    entries: list[AuditEntry] = []
    for record in records:
        try:
            if record.startswith(_AUDIT):
                entries.append(_audit_entry(record))
            else:
                # Before pseudonyms were spooled, records were facts with the ids of the shop.
                hashed = record.startswith(_HASHED)
                fact = unpack(record[len(_HASHED) : -1] if hashed else record)
                rows += store.facts.rows_of((fact,), trusted=hashed)
                sent.append(record)
        except FactRejected:
            spool.set_aside(record, "unreadable")
    for rejection in store.facts.append_rows(rows).rejected if rows else ():
        spool.set_aside(sent[rejection.index], rejection.code)
    if entries:
        store.audit.add_late(entries)


def pack_hashed(row: FactRow) -> bytes:
    """Return a fact, its ids of people under pseudonyms, as a record of the spool."""
    return _HASHED + row.body.encode() + b"}"


def pack_audit(entry: AuditEntry) -> bytes:
    """Return an entry of the audit log as a record of the spool."""
    return _AUDIT + orjson.dumps(asdict(entry)) + b"}"


def _audit_entry(record: bytes) -> AuditEntry:
    try:
        return msgspec.convert(orjson.loads(record)["audit"], AuditEntry)
    except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
        raise FactRejected("invalid", f"no entry of the audit log: {error}") from error


def settle(spool: Spool, store: Store, seconds: float = 10.0) -> None:
    """Replay all that waits now, also what running services hold themselves, and wait for it.

    Raises
    ------
    StorageUnavailable
        Some of it was not in the database in time.
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
