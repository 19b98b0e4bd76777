"""Reports are computed by a process of their own, which ends with the service."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from mersalg.engine import clock
from mersalg.engine.errors import ConfigError, StorageUnavailable
from mersalg.engine.facts import CartLine, Decision, Event, Fact, Offer
from mersalg.engine.storage.store import open_store
from mersalg.engine.tracking.report import ReportQuery, build_report
from mersalg.serving import reports
from mersalg.serving.reports import Reporter, Reports
from tests.support.processes import children_of
from tests.support.servers import publish_model, running_server
from tests.support.waiting import eventually


def _reporters_of(pid: int) -> list[int]:
    """Processes that `pid` spawned."""
    found: list[int] = []
    for child in children_of(pid):
        with suppress(OSError):  # it ended meanwhile
            if b"multiprocessing.spawn" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def _reporters(pid: int) -> list[int]:
    """Processes of the workers of a service; workers are themselves spawned."""
    return [child for worker in children_of(pid) for child in _reporters_of(worker)]


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists()


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    store = open_store(url)
    store.migrate()
    store.reports.save_settings({"currency": "EUR", "timezone": "UTC"})
    store.close()
    return url


def test_a_report_is_that_of_this_process(url: str) -> None:
    reporter = Reporter(url)
    try:
        store = open_store(url)
        expected = build_report(store, ReportQuery())
        found = reporter.report(ReportQuery())
        for changing in ("generated_at",):
            expected.pop(changing, None)
            found.pop(changing, None)
        assert found == expected
        with pytest.raises(ConfigError, match="nonsense"):
            reporter.report(ReportQuery(by=("nonsense",)))
        with pytest.raises(AttributeError, match="filled"):
            reporter.report("no query")  # type: ignore[arg-type]
        assert not reporter.is_spent
        store.close()
    finally:
        reporter.close()


def test_the_address_of_the_database_is_no_argument_of_a_process(url: str) -> None:
    reporter = Reporter(url)
    reporter.report(ReportQuery())
    (process,) = _reporters_of(os.getpid())
    seen = [Path(f"/proc/{process}/{name}").read_bytes() for name in ("cmdline", "environ")]
    reporter.close()
    assert not [text for text in seen if url.encode() in text]


def test_several_threads_may_close_at_once(url: str) -> None:
    for _ in range(5):
        reporter = Reporter(url)
        reporter.report(ReportQuery())
        with ThreadPoolExecutor(4) as threads:
            for closing in [threads.submit(reporter.close) for _ in range(4)]:
                closing.result()
        assert not _reporters_of(os.getpid())


@pytest.mark.parametrize(("may_grow", "is_kept"), [(2**40, True), (-(2**40), False)])
def test_a_process_that_has_grown_is_replaced(
    url: str, monkeypatch: pytest.MonkeyPatch, may_grow: int, is_kept: bool
) -> None:
    monkeypatch.setattr(reports, "Reporter", partial(Reporter, may_grow=may_grow))
    store = open_store(url)
    computed = Reports(store, 0, url)
    kept: list[list[int]] = []

    async def run() -> None:
        for _ in range(2):
            assert (await computed.rates(ReportQuery()))["groups"] == []
            kept.append(_reporters_of(os.getpid()))
        computed.close()

    asyncio.run(run())
    store.close()
    assert (kept[0] == kept[1] != []) is is_kept
    assert set(kept[0]).isdisjoint(kept[1]) is not is_kept


def test_memory_of_a_process_is_flat_over_many_reports(url: str) -> None:
    store = open_store(url)
    reporter, held = Reporter(url, may_grow=2**40), list[int]()
    try:
        for number in range(32):
            view = Event(f"v{number}", "view_promotion", clock.now(), "o1", checkout_id="k1")
            store.facts.append([*_checkouts(1_000 if number == 0 else 1, number), view])
            assert reporter.report(ReportQuery())["total"]
            (process,) = _reporters_of(os.getpid())
            held.append(
                int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
            )
    finally:
        reporter.close()
        store.close()
    # By then the caches of the database are full: what grows on is left by reports.
    assert held[-1] - held[21] < 4 * 2**20


def test_a_report_loads_no_pandas(url: str) -> None:
    """It takes more memory than all that a report needs."""
    with closing(open_store(url)) as store:
        store.facts.append(_checkouts(1, 0))
    program = (
        "import sys; from mersalg.engine.storage.store import open_store;"
        " from mersalg.engine.tracking.report import ReportQuery, build_report;"
        f" build_report(open_store({url!r}), ReportQuery());"
        " print('pandas' in sys.modules, 'pyarrow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["False", "True"], done.stderr


def _checkouts(n: int, number: int) -> list[Fact]:
    at = clock.now()
    return [
        Decision(
            *(f"d{number}-{place}", f"d{number}-{place}", at, f"k{number}-{place}", None, None),
            *("treatment", "m", "checkout", "EUR", (CartLine("pot", 1),)),
            (Offer(f"o{number}-{place}", "cross_sell", "cup", 1, 100),),
        )
        for place in range(n)
    ]


def test_closing_does_not_wait_for_a_report(url: str) -> None:
    reporter = Reporter(url)
    reporter.report(ReportQuery())
    (process,) = _reporters_of(os.getpid())
    os.kill(process, signal.SIGSTOP)
    asking = threading.Thread(target=_fails_to_report, args=(reporter,))
    asking.start()
    closing = threading.Thread(target=reporter.close)
    closing.start()
    os.kill(process, signal.SIGCONT)
    for thread in (closing, asking):
        thread.join(30)
        assert not thread.is_alive()
    assert not _is_running(process)


def _fails_to_report(reporter: Reporter) -> None:
    with suppress(StorageUnavailable):  # or it was answered just before
        reporter.report(ReportQuery())


def test_a_process_that_died_is_reported_and_replaced(url: str) -> None:
    store = open_store(url)
    reports = Reports(store, 0, url)

    async def run() -> None:
        first = await reports.rates(ReportQuery())
        (process,) = _reporters_of(os.getpid())
        # Stopped, it dies with the next report in its hands.
        os.kill(process, signal.SIGSTOP)
        failing = asyncio.create_task(reports.rates(ReportQuery()))
        while not reports._busy:
            await asyncio.sleep(0.01)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(StorageUnavailable, match="died"):
            await failing
        assert (await reports.rates(ReportQuery())).keys() == first.keys()

    asyncio.run(run())
    reports.close()
    store.close()


def test_a_process_that_cannot_be_started_is_reported(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no more processes")

    reporter = Reporter(url)
    monkeypatch.setattr("multiprocessing.util.spawnv_passfds", refuse)
    with pytest.raises(StorageUnavailable, match="no more processes"):
        reporter.report(ReportQuery())
    assert reporter.is_spent
    reporter.close()


def test_no_process_outlives_its_service(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    for kill in (False, True):
        with running_server(tmp_path) as server, server.client() as client:
            assert client.get("/v1/reports/rates").status_code == 200
            # One for the report; the guardrail may be judged by another just now.
            reporters = _reporters(server.process.pid)
            assert reporters
            if kill:  # the worker alone: it can tell nobody any more
                os.kill(_parent_of(reporters[0]), signal.SIGKILL)
            else:
                server.stop()
            eventually(lambda reporters=reporters: not any(map(_is_there, reporters)))
