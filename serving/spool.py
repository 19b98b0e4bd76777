"""The spool: append-only files of checked records, for facts that the database did not take.

Each process appends to a segment of its own and holds a lock on it. A segment without a lock was
left by a process that ended; the process that first finds it replays it, and its records become
facts, or entries of the audit log. A record is `MSG1 | length | crc32 | payload`. A torn or damaged
one is set aside, and reading goes on at the next whole record.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec
import orjson

from mersalg.engine.durable import sync_folder
from mersalg.engine.errors import FactRejected, StorageUnavailable
from mersalg.engine.fact_json import unpack
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.storage.fact_rows import FactRow
from mersalg.engine.storage.store import Store

_log = logging.getLogger("mersalg.spool")

_MAGIC = b"MSG1"
_HEADER = struct.Struct("<4sII")
_LARGEST_RECORD = 64 * 1024 * 1024
_SEGMENT_BYTES = 16 * 1024 * 1024  # A replay holds one segment in memory.
_ABANDONED_SECONDS = 60.0
_ASIDE = re.compile(r"[0-9a-f]{32}\.(?!spool$|new$)[a-z]+")


class SpoolFull(Exception):
    """The spool may not or cannot grow."""


def encode_record(payload: bytes) -> bytes:
    """Return a record with its header."""
    return _HEADER.pack(_MAGIC, len(payload), zlib.crc32(payload)) + payload


def read_records(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield (payload, True) for each whole record, (bytes, False) for each stretch without one."""
    position = 0
    while position < len(data):
        payload = _record_at(data, position)
        if payload is not None:
            yield payload, True
            position += _HEADER.size + len(payload)
            continue
        following = data.find(_MAGIC, position + 1)
        while following != -1 and _record_at(data, following) is None:
            following = data.find(_MAGIC, following + 1)
        stop = len(data) if following == -1 else following
        yield data[position:stop], False
        position = stop


def _record_at(data: bytes, position: int) -> bytes | None:
    start = position + _HEADER.size
    if start > len(data):
        return None
    magic, length, checksum = _HEADER.unpack_from(data, position)
    if magic != _MAGIC or length > _LARGEST_RECORD or start + length > len(data):
        return None
    payload = data[start : start + length]
    return payload if zlib.crc32(payload) == checksum else None


class Spool:
    """Append and replay records of a folder, up to a limit; safe from several threads."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self._limit = folder, limit_bytes
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._descriptor = -1

    def append(self, payloads: Sequence[bytes]) -> None:
        """Append records; they are on disk when this returns.

        Raises SpoolFull: the records do not fit, or the disk refuses them.
        """
        records = b"".join(encode_record(payload) for payload in payloads)
        with self._lock:
            if self.size() + len(records) > self._limit:
                raise SpoolFull(f"the spool in {self._folder} has reached {self._limit} bytes")
            try:
                self._write(records)
            except OSError as error:
                raise SpoolFull(f"cannot write to {self._folder}: {error.strerror}") from error

    def _write(self, records: bytes) -> None:
        if self._descriptor >= 0 and not self._can_go_on():
            self._end_segment()
        if self._descriptor < 0:
            self._begin_segment()
        before = os.fstat(self._descriptor).st_size
        try:
            view = memoryview(records)
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fsync(self._descriptor)
        except OSError:
            # No caller was answered that these are kept. A torn rest is set aside at replay.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, before)
            self._end_segment()
            raise

    def _can_go_on(self) -> bool:
        """Return whether the own segment is not full, and where it was made: not moved away."""
        written = os.fstat(self._descriptor)
        try:
            status = self._path.stat() if self._path is not None else None
        except (FileNotFoundError, NotADirectoryError):
            return False
        is_there = status is not None and os.path.samestat(status, written)
        return is_there and written.st_size < _SEGMENT_BYTES

    def _begin_segment(self) -> None:
        # Facts say what people do, though under pseudonyms: only this user may read them.
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(self._folder.parent)
        # The segment takes its name only under its lock, so that no process replays it too early.
        path = self._folder / f"{uuid.uuid4().hex}.spool"
        hidden = path.with_suffix(".new")
        descriptor = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            hidden.rename(path)
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            raise
        self._path, self._descriptor = path, descriptor

    def _end_segment(self) -> None:
        """Close the own segment, and delete it if it is empty."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                if not os.fstat(self._descriptor).st_size:
                    self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
        self._path, self._descriptor = None, -1

    def segments(self) -> list[Path]:
        """Return the segments of all processes that share the folder."""
        return sorted(self._folder.glob("*.spool"))

    @property
    def has_room(self) -> bool:
        """Whether the limit allows another fact; whether the disk does, the next append shows."""
        return self.size() < self._limit

    def size(self) -> int:
        """Return the number of bytes that wait, of all processes that share the folder."""
        total = 0
        for path in self.segments():
            try:
                total += path.stat().st_size
            except FileNotFoundError:  # Another process replayed it just now.
                continue
        return total

    def replay(self, deliver: Callable[[Sequence[bytes]], None], batch: int = 256) -> int:
        """Deliver all records that no other process holds, and return their number.

        A segment is deleted once all of it was delivered. If `deliver` raises, the segment stays
        and the error is raised; delivering a record twice must be harmless.
        """
        self._remove_abandoned()
        # The own segment comes last: during an outage it is not cut into many.
        own = self._path
        replayed = sum(
            self._replay_segment(path, deliver, batch) for path in self.segments() if path != own
        )
        if own is None:
            return replayed
        with self._lock:
            if self._path == own:
                self._end_segment()
        return replayed + self._replay_segment(own, deliver, batch)

    def _replay_segment(
        self, path: Path, deliver: Callable[[Sequence[bytes]], None], batch: int
    ) -> int:
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return 0
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return 0
        with os.fdopen(descriptor, "rb") as file:
            if not os.fstat(descriptor).st_nlink:  # Another process replayed it just now.
                return 0
            whole: list[bytes] = []
            damaged: list[bytes] = []
            for part, is_record in read_records(file.read()):
                (whole if is_record else damaged).append(part)
            for start in range(0, len(whole), batch):
                deliver(whole[start : start + batch])
            for part in damaged:
                self.set_aside(part, "damaged")
            path.unlink(missing_ok=True)
            sync_folder(self._folder)
        return len(whole)

    def set_aside(self, data: bytes, why: str) -> Path:
        """Keep a record that cannot be delivered for people to look at, and return its file."""
        # Named by its content: a replay that is interrupted and run again leaves one file of it.
        path = self._folder / f"{hashlib.sha256(data).hexdigest()[:32]}.{why}"
        descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        _log.warning("%d bytes of the spool were set aside (%s) as %s", len(data), why, path)
        return path

    def naming(self, customer_ids: Sequence[str]) -> list[Path]:
        """Return the files set aside of facts of a customer, by one of the customer's ids.

        Only as the value of its field: the same text may be an item, a store or a part of both. In
        a text the quotes of JSON have backslashes before them, so that no text looks like a field.
        """
        fields = [b'"customer_id":' + orjson.dumps(each) for each in customer_ids]
        return [
            path
            for path in sorted(self._folder.glob("*.*"))
            if _ASIDE.fullmatch(path.name) and any(field in path.read_bytes() for field in fields)
        ]

    def forget(self, customer_ids: Sequence[str]) -> int:
        """Delete the files that `naming` finds, and return their number."""
        records = self.naming(customer_ids)
        for path in records:
            path.unlink(missing_ok=True)
        if records:
            sync_folder(self._folder)
        return len(records)

    def _remove_abandoned(self) -> None:
        """Delete segments of processes that ended before they named them: these are empty."""
        for path in self._folder.glob("*.new"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()

    def close(self) -> None:
        """Close the own segment; its records wait for the next replay."""
        with self._lock:
            self._end_segment()


_LOOK_SECONDS = 0.1
_AUDIT = b'{"audit":'
_HASHED = b'{"hashed":'


def deliver(records: Sequence[bytes], spool: Spool, store: Store) -> None:
    """Record spooled facts and entries; set aside those that can never be recorded.

    Raises StorageUnavailable: nothing was recorded.
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

    Raises StorageUnavailable: some of it was not in the database in time.
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
