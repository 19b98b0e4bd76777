"""The files of a SQLite database are exchanged under a service that takes facts.

What is answered `recorded` from then on is in the database at the path in the end, and what comes
meanwhile waits in the spool. What only the files held that were taken away is gone with them.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.support.kept_facts import is_empty, kept_facts
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import eventually

SECRET = "0123456789abcdef0123456789abcdef"
LINES = [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}]


class Load:
    """Threads that call a service.

    `recorded` holds when each fact that was recorded was sent, by a clock that counts.
    """

    def __init__(self, server: Server, n_threads: int = 3) -> None:
        self.recorded: dict[str, int] = {}
        self._ticks = count()
        self._server, self._stopped = server, threading.Event()
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def now(self) -> int:
        return next(self._ticks)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Call nobody in the block, and let the last checkpoint end before it."""
        self._goes_on.clear()
        time.sleep(2)
        yield
        self._goes_on.set()

    def goes_on(self, n_facts: int) -> None:
        """Wait until so many more facts were recorded."""
        wanted = len(self.recorded) + n_facts
        eventually(lambda: len(self.recorded) >= wanted)

    def _run(self, thread: int) -> None:
        number = 0
        with self._server.client() as client:
            while not self._stopped.is_set():
                self._goes_on.wait()
                number += 1
                sent = self.now()
                cart = {"checkout_id": f"ch-{thread}-{number}", "lines": LINES}
                answer = client.post("/v1/suggestions", json=cart).raise_for_status().json()
                if answer["tracking"] == "recorded":
                    self.recorded[answer["decision_id"]] = sent
                event_id, sent = f"e-{thread}-{number}", self.now()
                purchase = {
                    "type": "purchase",
                    "event_id": event_id,
                    "occurred_at": datetime.now(UTC).isoformat(),
                    "transaction_id": event_id,
                    "currency": "NOK",
                    "checkout_id": cart["checkout_id"],
                    "items": [{"item_id": "case-1", "quantity": 1, "price": "199.00"}],
                }
                taken = client.post("/v1/events", json={"events": [purchase]})
                if taken.is_success:
                    assert taken.json()["recorded"] == 1
                    self.recorded[event_id] = sent
                else:
                    assert taken.status_code == 503


@contextmanager
def loaded(folder: Path, *, workers: int = 1) -> Iterator[tuple[Server, Load, Path]]:
    """A service under load, and the path of its database in a folder of its own."""
    publish_model(folder / "models")
    (folder / "shop").mkdir()
    database = folder / "shop" / "facts.db"
    with running_server(
        folder,
        database=f"sqlite:///{database}",
        workers=workers,
        environment={"MERSALG_SECRET": SECRET},
    ) as server:
        load = Load(server)
        try:
            load.goes_on(50)
            yield server, load, database
        finally:
            load.stop()


def beside(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)


def backup(database: Path) -> Path:
    """A copy of the database as it is now, made by SQLite."""
    path = database.with_name("backup")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
    return path


def delete(database: Path, older: Path) -> None:
    del older
    database.unlink()


def replace_by_an_empty_one(database: Path, older: Path) -> None:
    del older
    empty = database.with_name("empty")
    empty.touch()
    empty.rename(database)


def move_over(database: Path, older: Path) -> None:
    older.rename(database)


def copy_over(database: Path, older: Path) -> None:
    inode = database.stat().st_ino
    shutil.copyfile(older, database)
    assert database.stat().st_ino == inode


def move_folder(database: Path, older: Path) -> None:
    del older
    database.parent.rename(database.parent.with_name("moved"))
    database.parent.mkdir()


EXCHANGES = {
    delete: "deleted or moved away",
    replace_by_an_empty_one: "replaced",
    move_over: "replaced",
    copy_over: "overwritten",
    move_folder: "deleted or moved away",
}


@pytest.mark.parametrize(
    ("exchange", "workers"),
    [*((exchange, 1) for exchange in EXCHANGES), (move_over, 2), (copy_over, 2)],
)
def test_nothing_is_recorded_in_files_that_were_taken_away(
    tmp_path: Path, exchange: Callable[[Path, Path], None], workers: int
) -> None:
    with loaded(tmp_path, workers=workers) as (server, load, database):
        older = backup(database)
        in_backup = kept_facts(f"sqlite:///{older}", SECRET.encode())
        load.goes_on(100)
        # A copy within a checkpoint damages the file, which SQLite finds out later.
        with load.paused() if exchange is copy_over else nullcontext():
            exchange(database, older)
        exchanged = load.now()
        with server.client() as client:
            # Of several workers one makes a new file of one that was overwritten.
            eventually(lambda: problem_of(client) and EXCHANGES[exchange] in server.said)
            assert client.get("/readyz").json()["status"] == "degraded"
            # Without a restart: the new files are in use, and the spool is replayed into them.
            eventually(lambda: "takes facts again" in server.said)
            load.goes_on(100)
            load.stop()
            eventually(lambda: is_empty(tmp_path / "spool"))
            if exchange is move_over:
                eventually(lambda: client.get("/readyz").json()["status"] == "ready")
    assert "Traceback" not in server.said
    kept = kept_facts(f"sqlite:///{database}", SECRET.encode())
    later = [each for each, sent in load.recorded.items() if sent > exchanged]
    assert len(later) >= 100
    assert [each for each in later if kept[each] != 1] == []
    if exchange in (move_over, copy_over):
        assert set(in_backup) <= set(kept)
    with closing(sqlite3.connect(database)) as looked_at:
        assert looked_at.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("suffixes", [("-wal",), ("-shm",), ("-wal", "-shm")])
def test_a_log_that_is_deleted_loses_nothing(tmp_path: Path, suffixes: tuple[str, ...]) -> None:
    """Its pages are still open, and moved into the database."""
    with loaded(tmp_path) as (server, load, database):
        for suffix in suffixes:
            beside(database, suffix).unlink()
        with server.client() as client:
            eventually(lambda: "log" in problem_of(client))
            load.goes_on(100)
            load.stop()
            eventually(lambda: is_empty(tmp_path / "spool"))
    kept = kept_facts(f"sqlite:///{database}", SECRET.encode())
    assert [each for each in load.recorded if kept[each] != 1] == []
    with closing(sqlite3.connect(database)) as looked_at:
        assert looked_at.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def problem_of(client: httpx.Client) -> str:
    return client.get("/readyz").json()["database_problem"] or ""
