"""Actions of administrators on their way into the audit log of the database."""

from __future__ import annotations

import asyncio
import getpass
import logging
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from mersalg.engine import clock
from mersalg.engine.errors import MersalgError, StorageError
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.storage.store import Store
from mersalg.serving.intake import Intake
from mersalg.serving.recent import Recent

_log = logging.getLogger("mersalg.audit")

_NOTED_COUNTS = frozenset(10**power for power in range(1, 12))
_MAX_ADDRESSES = 10_000
_MAX_NOTES_AN_HOUR = 100


async def keep(store: Store, intake: Intake, entry: AuditEntry) -> None:
    """Add an entry to the audit log, or to the spool while the database is away."""
    problem = await asyncio.to_thread(_add, store, entry)
    if problem is not None and await intake.keep_audit(entry):
        _log.warning("%s by %s waits for the audit log: %s", entry.action, entry.who, problem)
    elif problem is not None:
        _lost(entry, problem)


class KeyGuesses:
    """Unknown keys by address: of the 10th, 100th, 1000th ... of one, `note` adds an entry."""

    def __init__(self, note: Callable[[AuditEntry], Awaitable[None]]) -> None:
        self._note = note
        self._counts: Recent[str, int] = Recent(_MAX_ADDRESSES)
        self._hour, self._noted = float("-inf"), 0
        self._notes: set[asyncio.Future[None]] = set()

    def count(self, address: str) -> None:
        """Count an unknown key, in the event loop."""
        n = self._counts[address] = self._counts.get(address, 0) + 1
        if n not in _NOTED_COUNTS:
            return
        if time.monotonic() - self._hour >= 3600:
            self._hour, self._noted = time.monotonic(), 0
        self._noted += 1
        if self._noted > _MAX_NOTES_AN_HOUR:
            return
        _log.warning("%d unknown keys came from %s", n, address)
        entry = AuditEntry(clock.now(), f"address:{address}", "guess keys", None, f"{n} unknown")
        note = asyncio.ensure_future(self._note(entry))
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)


@contextmanager
def audited_here(
    store: Store, action: str, target: str | None = None
) -> Generator[Action, None, None]:
    """Note what somebody did from the command line of this machine."""
    begun = Action(target)
    try:
        with begun:
            yield begun
    finally:
        entry = AuditEntry(clock.now(), f"user:{_user()}", action, begun.target, begun.outcome)
        problem = _add(store, entry)
        if problem is not None:
            _lost(entry, problem)


class Action:
    """Subject of an action, which it may find out itself, and how it ended."""

    def __init__(self, target: str | None) -> None:
        self.target, self.outcome = target, "failed"

    def __enter__(self) -> None:
        """Begin the action."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Note how the action ended."""
        if error is None:
            self.outcome = "done"
        elif isinstance(error, MersalgError):
            self.outcome = f"failed: {error.code}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as in containers
        return "unknown"


def _add(store: Store, entry: AuditEntry) -> str | None:
    """Add the entry; return why it is not in the database, None where it is."""
    try:
        store.audit.add(entry)
    except StorageError as error:
        return error.message
    _log.info("%s by %s: %s", entry.action, entry.who, entry.outcome)
    return None


def _lost(entry: AuditEntry, problem: str) -> None:
    # What was asked for must not fail because it cannot be noted; the service's log has it.
    _log.error(
        "%s by %s (%s) is not in the audit log: %s",
        *(entry.action, entry.who, entry.outcome, problem),
    )
