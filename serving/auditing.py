"""Actions of administrators on their way into the audit log of the database."""

from __future__ import annotations

import asyncio
import getpass
import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from engine import clock
from engine.errors import MersalgError, StorageError
from engine.storage.audit import AuditEntry
from engine.storage.store import Store
from serving.security import Caller
from serving.service import Service

_log = logging.getLogger("mersalg.audit")


@asynccontextmanager
async def audited(
    service: Service, caller: Caller, action: str, target: str | None = None
) -> AsyncGenerator[None, None]:
    """Notes who did what over HTTP, and how it ended."""
    who = caller.key_id if caller.key_id == "anyone" else f"key:{caller.key_id}"
    ended = _Ended()
    try:
        with ended:
            yield
    finally:
        await asyncio.to_thread(_add, service.store, who, action, target, ended.outcome)


@contextmanager
def audited_here(
    store: Store, action: str, target: str | None = None
) -> Generator[None, None, None]:
    """Notes what somebody did from the command line of this machine."""
    ended = _Ended()
    try:
        with ended:
            yield
    finally:
        _add(store, f"user:{_user()}", action, target, ended.outcome)


class _Ended:
    """How a block ended, as the audit log says it."""

    outcome = "failed"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.outcome = "done"
        elif isinstance(error, MersalgError):
            self.outcome = f"failed: {error.code}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as in containers
        return "unknown"


def _add(store: Store, who: str, action: str, target: str | None, outcome: str) -> None:
    entry = AuditEntry(clock.now(), who, action, target, outcome)
    try:
        store.audit.add(entry)
    except StorageError as error:
        # What was asked for must not fail because it cannot be noted; the service's log has it.
        _log.error("%s by %s (%s) is not in the audit log: %s", action, who, outcome, error.message)
    else:
        _log.info("%s by %s: %s", action, who, outcome)
