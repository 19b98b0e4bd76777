"""Reports are computed by a process of their own, which ends with the service."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from engine.errors import ConfigError, StorageUnavailable
from engine.storage.sql import open_store
from engine.tracking.report import ReportQuery, build_report
from serving.reporting import Reporter, ReportingFailed
from serving.reports import Reports
from tests.support.processes import children_of
from tests.support.servers import publish_model, running_server
from tests.support.waiting import eventually


def _reporters(pid: int) -> list[int]:
    every = [pid, *children_of(pid)]
    found: list[int] = []
    for child in (child for parent in every for child in children_of(parent)):
        with suppress(OSError):  # it ended meanwhile
            if b"serving.reporting" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists()


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    store = open_store(url)
    store.migrate()
    store.save_settings({"currency": "EUR", "timezone": "UTC"})
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
        with pytest.raises(ReportingFailed, match="AttributeError"):
            reporter.report("no query")  # type: ignore[arg-type]
        assert not reporter.is_dead
        store.close()
    finally:
        reporter.close()


def test_a_process_that_died_is_told_and_replaced(url: str) -> None:
    store = open_store(url)
    reports = Reports(store, 0, url)

    async def run() -> None:
        first = await reports.rates(ReportQuery())
        reports._idle[0][1].stop()
        with pytest.raises(StorageUnavailable, match="died"):
            await reports.rates(ReportQuery())
        assert (await reports.rates(ReportQuery())).keys() == first.keys()

    asyncio.run(run())
    reports.close()
    store.close()


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
