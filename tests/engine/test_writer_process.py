"""The process that writes and asks for a service: what it records, and how it ends."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar, cast

import pytest

from engine.fact_json import parse_fact
from engine.facts import Fact
from engine.storage import transactions
from engine.storage.asking import Begun
from engine.storage.sql import SqlStore, open_store
from engine.storage.store import FactScope

Answer = TypeVar("Answer")

SECRET = b"a secret of the tests, long enough"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'facts.db'}"
    return cast("str", request.getfixturevalue("fresh_postgres_url"))


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    opened = open_store(url, secret=SECRET, apart=True)
    opened.migrate()
    yield opened
    opened.close()


def view(number: int, offer: str = "o") -> dict[str, object]:
    return {
        "type": "view_promotion",
        "event_id": f"e{number}",
        "occurred_at": "2026-01-02T10:00:00+00:00",
        "offer_id": f"{offer}{number}",
    }


def writers_of(pid: int) -> list[int]:
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == pid and transactions.__name__.encode() in command:
            found.append(int(folder.name))
    return found


def recorded(store: SqlStore) -> list[str]:
    return [fact.event_id for fact in store.facts(FactScope())]


def test_batches_are_written_by_a_process_that_knows_no_password(store: SqlStore, url: str) -> None:
    assert store.append([parse_fact(view(1)), parse_fact(view(2))]).recorded == 2
    (writer,) = writers_of(os.getpid())
    told = (
        Path(f"/proc/{writer}/cmdline").read_bytes() + Path(f"/proc/{writer}/environ").read_bytes()
    )
    assert (store.url.password or store.url.database or url).encode() not in told
    pages = int(Path(f"/proc/{writer}/statm").read_text().split()[1])
    limit = 20 if store.url.get_backend_name() == "sqlite" else 45
    assert pages * os.sysconf("SC_PAGE_SIZE") < limit * 2**20
    assert recorded(store) == ["e1", "e2"]
    store.close()
    assert writers_of(os.getpid()) == []


def test_a_writer_that_is_killed_costs_no_fact(store: SqlStore) -> None:
    for number in range(6):
        if number % 2:
            (writer,) = writers_of(os.getpid())
            os.kill(writer, signal.SIGKILL)
        result = store.append([parse_fact(view(number))])
        assert (result.recorded, result.rejected) == (1, ())
    assert recorded(store) == [f"e{number}" for number in range(6)]


def test_what_the_writer_finds_known_is_told_apart(store: SqlStore) -> None:
    store.append([parse_fact(view(1))])
    result = store.append([parse_fact(view(1)), parse_fact(view(2)), parse_fact(view(1, "p"))])
    assert (result.recorded, result.duplicates) == (1, 1)
    assert [each.code for each in result.rejected] == ["conflict"]
    (writer,) = writers_of(os.getpid())
    assert store.append([parse_fact(view(3))]).recorded == 1
    assert writers_of(os.getpid()) == [writer]
    assert recorded(store) == ["e1", "e2", "e3"]


def test_an_event_loop_begins_a_batch_and_hears_when_it_is_on_disk(store: SqlStore) -> None:
    assert store.begin([parse_fact(view(0))]) is None  # nobody said that facts come one by one
    store.migrate(serving=True)
    store.append([parse_fact(view(0))])  # of PostgreSQL the month is made
    started = store.begin([parse_fact(view(1)), parse_fact(view(2))])
    assert started is not None
    # One at a time, and only what seems to be new.
    assert store.begin([parse_fact(view(3))]) is None
    assert select.select([started], [], [], 20)[0]
    assert started.finish()
    assert store.begin([parse_fact(view(4)), parse_fact(view(4, "p"))]) is None
    assert recorded(store) == ["e0", "e1", "e2"]


def test_what_was_begun_and_is_known_is_left_to_the_long_way(store: SqlStore) -> None:
    store.migrate(serving=True)
    store.append([parse_fact(view(1))])
    started = store.begin([parse_fact(view(1)), parse_fact(view(2))])
    assert started is not None
    assert not started.finish()
    assert recorded(store) == ["e1"]
    result = store.append([parse_fact(view(1)), parse_fact(view(2))])
    assert (result.recorded, result.duplicates) == (1, 1)


def test_a_writer_killed_under_way_costs_no_fact_and_is_made_anew(store: SqlStore) -> None:
    store.migrate(serving=True)
    store.append([parse_fact(view(0))])
    for number in range(1, 6):
        (writer,) = writers_of(os.getpid())
        if number % 2:
            os.kill(writer, signal.SIGKILL)
        started = store.begin([parse_fact(view(number))])
        if started is None or not started.finish():
            assert store.append([parse_fact(view(number))]).rejected == ()
    assert recorded(store) == [f"e{number}" for number in range(6)]


def test_a_batch_too_large_for_the_pipe_is_left_to_the_long_way(store: SqlStore) -> None:
    store.migrate(serving=True)
    store.append([parse_fact(view(1))])
    items = [f"item {number} {'x' * 100}" for number in range(100)]
    facts = [bought("Kari", f"{n // 60:02}:{n % 60:02}", *items) for n in range(100)]
    assert store.begin(facts) is None
    assert store.append(facts).recorded == len(facts)
    started = store.begin([parse_fact(view(2))])
    assert started is not None
    assert started.finish()


def answers(begun: Begun[Answer] | None) -> list[Answer] | None:
    """None where the question could not be asked, or was not answered."""
    if begun is None:
        return None
    assert select.select([begun], [], [], 20)[0]
    found = begun.finish()
    return None if found is None else list(found)


def decided(session: str, arm: str, at: str) -> Fact:
    return parse_fact(
        {
            "type": "decision",
            "event_id": f"d-{at}",
            "decision_id": f"d-{at}",
            "occurred_at": f"2026-01-02T{at}:00+00:00",
            "checkout_id": "c",
            "session_id": session,
            "arm": arm,
            "offers": [],
        }
    )


def bought(customer: str, at: str, *items: str) -> Fact:
    return parse_fact(
        {
            "type": "purchase",
            "event_id": f"p-{at}",
            "transaction_id": f"t-{at}",
            "occurred_at": f"2026-01-02T{at}:00+00:00",
            "checkout_id": "c",
            "customer_id": customer,
            "currency": "NOK",
            "items": [{"item_id": each, "quantity": 1, "price": "9.00"} for each in items],
        }
    )


def test_an_event_loop_asks_what_others_wait_for(store: SqlStore) -> None:
    store.migrate(serving=True)
    sessions, customers = ["s1", "nobody", "s2"], [("Kari", 0), ("Ola", 0), ("Kari", 2**60)]
    assert answers(store.begin_session_arms(sessions)) == [None] * 3
    facts = [
        decided("s1", "treatment", "11:00"),
        decided("s1", "control", "10:00"),
        decided("s2", "treatment", "12:00"),
        bought("Kari", "12:30", "tea", "mug", "tea"),
        bought("Kari", "12:10", "mug"),
    ]
    assert store.append(facts).recorded == len(facts)
    assert answers(store.begin_session_arms(sessions)) == ["control", None, "treatment"]
    found = answers(store.begin_purchases(customers))
    assert found == [store.purchases(*each) for each in customers]
    assert [items for _, items in found[0]] == [("mug",), ("tea", "mug")]
    assert found[1:] == [[], []]


def test_questions_of_one_kind_take_turns_and_outlive_their_process(store: SqlStore) -> None:
    store.migrate(serving=True)
    store.append([decided("s1", "control", "10:00")])
    begun = store.begin_session_arms(["s1"])
    assert begun is not None
    assert store.begin_session_arms(["s1"]) is None
    assert answers(store.begin_purchases([("Kari", 0)])) == [[]]
    assert answers(begun) == ["control"]
    (writer,) = writers_of(os.getpid())
    os.kill(writer, signal.SIGKILL)
    until = time.monotonic() + 10
    while answers(store.begin_session_arms(["s1"])) is not None:
        assert time.monotonic() < until
    assert answers(store.begin_session_arms(["s1"])) is None
    for number in range(2):  # the first finds it gone
        store.append([parse_fact(view(number))])
    assert answers(store.begin_session_arms(["s1"])) == ["control"]
    store.close()
    assert answers(store.begin_session_arms(["s1"])) is None


def test_a_database_that_is_gone_answers_no_question(tmp_path: Path) -> None:
    database = tmp_path / "facts.db"
    store = open_store(f"sqlite:///{database}", secret=SECRET, apart=True)
    store.migrate(serving=True)
    assert answers(store.begin_session_arms(["s1"])) == [None]
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE facts RENAME TO gone")
        assert answers(store.begin_session_arms(["s1"])) is None
        connection.execute("ALTER TABLE gone RENAME TO facts")
    assert answers(store.begin_session_arms(["s1"])) == [None]
    store.close()


_SERVICE = """
import sys
from engine.storage.asking import Begun
from engine.storage.sql import open_store
store = open_store(sys.argv[1], secret=b"a secret of the tests, long enough", apart=True)
store.migrate(serving=True)  # which waits for the first answer of its writer
print("ready", flush=True)
sys.stdin.read()
"""


def test_the_writer_ends_with_a_service_that_is_killed(url: str) -> None:
    service = subprocess.Popen(
        [sys.executable, "-c", _SERVICE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with service:
        assert service.stdout is not None
        assert service.stdout.readline() == b"ready\n"
        (writer,) = writers_of(service.pid)
        # A signal to the group, as from a terminal, is the service's to take.
        os.kill(writer, signal.SIGINT)
        os.kill(writer, signal.SIGTERM)
        time.sleep(0.1)
        assert writers_of(service.pid) == [writer]
        service.kill()
    until = time.monotonic() + 10
    while Path(f"/proc/{writer}").exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_log_is_moved_into_the_database_beside_the_commits(tmp_path: Path) -> None:
    database, alone = tmp_path / "facts.db", tmp_path / "alone.db"
    store = open_store(f"sqlite:///{database}", secret=SECRET, apart=True)
    store.migrate()
    for number in range(5):
        assert store.append([parse_fact(view(number))]).recorded == 1

    def moved() -> int:
        # The file without its log, as it is on disk: perhaps while it is being written to.
        shutil.copy(database, alone)
        with (
            closing(sqlite3.connect(f"file:{alone}?immutable=1", uri=True)) as connection,
            suppress(sqlite3.DatabaseError),
        ):
            return connection.execute("SELECT count(*) FROM facts").fetchone()[0]
        return 0

    try:
        deadline = time.monotonic() + 20
        while moved() < 5:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        store.close()
