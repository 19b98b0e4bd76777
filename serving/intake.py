"""The intake of facts: one fsync for many calls, a deadline, and the spool for outages.

A decision is `recorded` only once its fact is in the database. Where the database fails or is
slower than the deadline, the fact goes to the spool (`deferred`) and is replayed when the database
is back; facts are idempotent by `event_id`, so one that reached both counts once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mersalg.engine.errors import StorageError, StorageExchanged, StorageUnavailable
from mersalg.engine.facts import Decision, Fact, Tracking
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.storage.fact_rows import AppendResult, FactRow
from mersalg.engine.storage.store import Store
from mersalg.serving.group_commit import GroupCommit, QueueFull, TimeBudget, wait_within
from mersalg.serving.metrics import Metrics
from mersalg.serving.spool import WAITING, Spool, SpoolFull, deliver, pack_audit, pack_hashed

_log = logging.getLogger("mersalg.intake")

Job = Sequence[FactRow]
"""The facts of one call."""

_PROBE_SECONDS = 0.5
_HANGING_SECONDS = 10.0
"""What the database has not answered for so long is given up, over a new connection."""
_UNHEALTHY_SECONDS = 60.0
_CLOSE_SECONDS = 12.0
_SHOWN_SECONDS = 10.0
"""How long it is still said that files were exchanged once the new ones are in use."""
_SETTLING_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds a caller waits: a decision for the database, then the spool; events for both."""

    database: float
    spool: float
    events: float


class Intake:
    """Take the facts of one process; `start` and `close` belong to its lifespan."""

    def __init__(
        self,
        store: Store,
        spool: Spool,
        metrics: Metrics,
        *,
        deadlines: Deadlines,
        batch_facts: int = 512,
        mended: Callable[[], object] = lambda: None,
    ) -> None:
        self._store, self._spool, self._metrics = store, spool, metrics
        self._deadlines, self._when_mended = deadlines, mended
        self._to_database: GroupCommit[Job, AppendResult] = GroupCommit(
            "mersalg-database",
            self._append,
            weight=len,
            maximum=batch_facts,
            threads=store.facts.n_writers,
        )
        self._to_spool: GroupCommit[bytes, bool] = GroupCommit("mersalg-spool", self._keep)
        self._mending = threading.Thread(target=self._mend, name="mersalg-mending", daemon=True)
        self._stopping = threading.Event()
        self._look_now = threading.Event()
        self._problem: str | None = None
        self._exchange: str | None = None
        self._exchanged_until = 0.0
        self._spool_takes = True
        self._late = False
        self._lost_since: float | None = None
        self.available = True
        """False from a failed write until the database answers again."""

    def start(self, *, available: bool = True) -> None:
        """Start the threads, and replay at once what a former process left in the spool.

        A database that is not `available` is asked until it answers.
        """
        self._set_available(available)
        self._to_database.start()
        self._to_spool.start()
        self._look_now.set()
        self._mending.start()

    def close(self) -> None:
        """Write all facts that wait, spool those that cannot be written, and end the threads."""
        self._stopping.set()
        self._look_now.set()
        # What the database does not take in time was deferred by the calls that wait for it.
        self._to_database.close(timeout=_CLOSE_SECONDS)
        self._store.end_hanging(0)
        self._to_spool.close(timeout=_CLOSE_SECONDS / 2)
        if self._mending.ident is not None:
            self._mending.join(timeout=_CLOSE_SECONDS / 4)
        self._spool.close()

    def budget(self) -> TimeBudget:
        """Return how long a call that comes now may wait for the database in total."""
        return TimeBudget(self._deadlines.database if self.available else 0.0)

    def outlook(self, *, database_there: bool) -> Tracking:
        """Return where the fact of the next decision is likely to be."""
        if database_there and self.available and not self._late:
            return "recorded"
        return "deferred" if self._spool_takes and self._spool.has_room else "off"

    async def record(self, decision: Decision, budget: TimeBudget | None = None) -> Tracking:
        """Take one decision and return where its fact is; a lost database raises nothing.

        `budget` is what the call's question left of its time.
        """
        tracking = await self._record(decision, budget or self.budget())
        self._metrics.decisions[tracking].inc()
        return tracking

    @property
    def exchange(self) -> str | None:
        """What happened to the files of the database, until some seconds after it was mended."""
        return self._exchange if time.monotonic() < self._exchanged_until else None

    def look(self) -> None:
        """Notice, also where no facts come, what is wrong; give up what hangs."""
        self._store.end_hanging(_HANGING_SECONDS)
        if self.available:
            try:
                self._store.check_files()
            except StorageError as error:
                self._lose(error)
        is_lost = not self.available and not (self._spool_takes and self._spool.has_room)
        if not is_lost:
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = time.monotonic()

    @property
    def is_lost(self) -> bool:
        """Whether neither database nor spool could be written for a minute."""
        since = self._lost_since
        return since is not None and time.monotonic() - since >= _UNHEALTHY_SECONDS

    @property
    def waiting(self) -> dict[str, int]:
        """Number of jobs in the queues, by where they go."""
        return {"database": self._to_database.waiting, "spool": self._to_spool.waiting}

    @property
    def is_alive(self) -> bool:
        """Whether the threads that write run; without them facts would wait for ever."""
        return self._to_database.is_alive and self._to_spool.is_alive and self._mending.is_alive()

    async def _record(self, decision: Decision, budget: TimeBudget) -> Tracking:
        rows = self._store.facts.rows_of((decision,))
        if self.available:
            try:
                future = self._to_database.submit(rows)
            except QueueFull:
                return await self._defer(rows[0])
            in_time = await budget.wait_for(future)
            self._late = not in_time
            if in_time and future.exception() is None:
                return "off" if future.result().rejected else "recorded"
        return await self._defer(rows[0])

    async def _defer(self, row: FactRow) -> Tracking:
        # Even the spool has a deadline: a checkout must not wait for a dying disk.
        is_spooled = not row.problem and await self._spooled(
            pack_hashed(row), self._deadlines.spool
        )
        return "deferred" if is_spooled else "off"

    async def _spooled(self, record: bytes, seconds: float) -> bool:
        """Return whether the record was on disk, in the spool, in time."""
        try:
            future = self._to_spool.submit(record)
        except QueueFull:
            return False
        done, _ = await wait_within(future, seconds)
        return done and future.exception() is None and future.result()

    async def keep_audit(self, entry: AuditEntry) -> bool:
        """Spool an entry of the audit log that the database did not take; return whether it is."""
        return await self._spooled(pack_audit(entry), self._deadlines.events)

    async def record_events(self, facts: Sequence[Fact]) -> AppendResult:
        """Record sent events; they are on disk when this returns.

        Raise StorageUnavailable where the database did not take them in time. They may be sent
        again: nothing is counted twice.
        """
        if not facts:
            return AppendResult(0, 0)
        try:
            future = self._to_database.submit(self._store.facts.rows_of(facts))
        except QueueFull as error:
            raise StorageUnavailable("too many facts wait for the database") from error
        done, _ = await wait_within(future, self._deadlines.events)
        if not done:
            raise StorageUnavailable("the database does not answer in time")
        result = future.result()
        self._metrics.events.labels("recorded").inc(result.recorded)
        self._metrics.events.labels("duplicate").inc(result.duplicates)
        self._metrics.events.labels("rejected").inc(len(result.rejected))
        return result

    def _append(self, jobs: Sequence[Job]) -> Sequence[AppendResult | Exception]:
        """Write the facts of several calls as one batch, in a thread of the queue."""
        rows = [row for job in jobs for row in job]
        if not rows:
            return [AppendResult(0, 0)] * len(jobs)
        began = time.perf_counter()
        try:
            result = self._store.facts.append_rows(rows)
        except StorageError as error:
            self._lose(error)
            return [error] * len(jobs)
        self._metrics.commit_seconds.observe(time.perf_counter() - began)
        self._metrics.batch_facts.observe(len(rows))
        self._set_available(True)
        return [*result.split([len(job) for job in jobs])]

    def _keep(self, records: Sequence[bytes]) -> Sequence[bool]:
        records_left = [record for record in records if record]
        if not records_left:
            return [True] * len(records)
        try:
            self._spool.append(records_left)
        except SpoolFull as error:
            if self._spool_takes:  # Once an outage, not once a call.
                _log.error("decisions are not tracked: %s", error)
            self._spool_takes = False
            return [False] * len(records)
        finally:
            self._metrics.spool_bytes.set(self._spool.size())
        self._spool_takes = True
        self._metrics.spooled.inc(len(records_left))
        self._look_now.set()
        return [True] * len(records)

    async def settle(self) -> None:
        """Wait until all facts taken so far are in the database, those in a shared spool included.

        Raise StorageUnavailable where they are not there in time.
        """
        until = time.monotonic() + self._deadlines.events
        try:
            # Results of both queues come in order: after these marks all earlier jobs are done.
            marks = (self._to_database.submit(()), self._to_spool.submit(b""))
        except QueueFull as error:
            raise StorageUnavailable("too many facts wait for the database") from error
        _, waiting = await asyncio.wait(marks, timeout=self._deadlines.events)
        left = set(self._spool.segments())
        while waiting or left:
            if time.monotonic() >= until:
                raise StorageUnavailable(WAITING)
            self._look_now.set()
            await asyncio.sleep(_SETTLING_SECONDS)
            left &= set(self._spool.segments())

    def replay_soon(self) -> None:
        """Replay the spool and call `mended` soon."""
        self._look_now.set()

    def forget(self, customer_id: str) -> None:
        """Delete the records that were set aside and name the customer."""
        self._spool.forget((customer_id, self._store.people.pseudonym_of(customer_id)))

    def set_aside(self, customer_id: str) -> list[str]:
        """Return the records that were set aside and name the customer."""
        names = (customer_id, self._store.people.pseudonym_of(customer_id))
        return [path.read_text("utf-8", "replace") for path in self._spool.naming(names)]

    def _set_available(self, available: bool) -> None:
        if available and not self.available:
            _log.info("the database takes facts again")
        self.available = available
        self._metrics.database_up.set(available)
        if not available:
            self._look_now.set()

    def _mend(self) -> None:
        """Probe a lost database, and replay the spool whenever it may hold a record.

        This runs in a thread of its own.
        """
        while not self._stopping.is_set():
            self._look_now.wait()
            self._look_now.clear()
            while not self._stopping.is_set() and not self._mended():
                self._stopping.wait(_PROBE_SECONDS)
            # Replays of a fact or two must not keep a database busy that is merely slow.
            self._stopping.wait(_PROBE_SECONDS)

    def _mended(self) -> bool:
        was_away = not self.available
        try:
            if was_away:
                # It may have been away since the service started, and its schema may be an old one.
                self._store.migrate(serving=True)
            replayed = self._spool.replay(
                lambda records: deliver(records, self._spool, self._store)
            )
            if was_away and not replayed:
                # A database that answers may still take no fact: its disk is full, say.
                self._store.try_writing()
            self._when_mended()
        except StorageError as error:
            self._lose(error)
            return False
        except OSError as error:
            self._note(f"the spool cannot be read: {error}")
            return False
        except Exception as error:
            # Whatever the fault is, the records must not wait for a restart.
            if self._problem != repr(error):
                _log.exception("the spool could not be replayed")
            self._problem = repr(error)
            return False
        self._problem, self._late, self._spool_takes = None, False, True
        if self._exchanged_until == math.inf:
            self._exchanged_until = time.monotonic() + _SHOWN_SECONDS
        if was_away:  # Otherwise it may have been lost meanwhile, which the next write finds.
            self._set_available(True)
        if replayed:
            self._metrics.replayed.inc(replayed)
            _log.info("%d facts of the spool were replayed", replayed)
        self._metrics.spool_bytes.set(self._spool.size())
        return True

    def _lose(self, error: StorageError) -> None:
        if isinstance(error, StorageExchanged):
            self._exchange, self._exchanged_until = error.outward, math.inf
        self._note(error.message)
        self._set_available(False)

    def _note(self, problem: str) -> None:
        """Log a problem once, however often it is found again."""
        if problem != self._problem:
            _log.warning("the database does not take facts: %s", problem)
        self._problem = problem
