"""`mersalg serve` as a process: when it refuses to start, and how its workers live and die."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.forked_commands import PROJECT, fork_command
from tests.support.postgres import free_port
from tests.support.processes import children_of
from tests.support.servers import Server, running_server
from tests.support.waiting import WAIT_SECONDS, eventually


def refused(folder: Path, *arguments: str, **environment: str) -> str:
    """What the command says when it ends with exit code 2, in one line."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MERSALG_")}
    output, log = folder / "refused.out", folder / "refused.log"
    done = fork_command(
        ["serve", "--port", "0", *arguments],
        folder=folder,
        environment=own | environment,
        output=output,
        log=log,
    )
    code, said = done.wait(WAIT_SECONDS), log.read_text()
    assert code == 2, said
    assert "Traceback" not in said
    assert output.read_text() == ""
    return said


def test_strangers_are_not_served_without_keys(tmp_path: Path) -> None:
    assert "MERSALG_KEYS" in refused(tmp_path, "--host", "0.0.0.0")


def test_a_taken_port_is_reported(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port}" in refused(tmp_path, "--port", str(port))


def test_of_two_services_that_start_at_once_on_one_port_one_is_refused(tmp_path: Path) -> None:
    """Neither listens yet when the other looks whether somebody does."""
    port, own = free_port(), {"PATH": os.environ["PATH"]}
    processes = [
        fork_command(
            ["serve", "--port", str(port), "--database", f"sqlite:///{tmp_path / name}"],
            folder=tmp_path,
            environment=own,
            output=tmp_path / f"{name}.out",
            log=tmp_path / f"{name}.log",
        )
        for name in ("first", "second")
    ]
    try:
        eventually(lambda: any(each.poll() is not None for each in processes))
        (refused,) = [place for place, each in enumerate(processes) if each.poll() is not None]
        assert processes[refused].wait(WAIT_SECONDS) == 2
        assert f"port {port}" in (tmp_path / ("first.log", "second.log")[refused]).read_text()
        other = processes[1 - refused]
        eventually(
            lambda: httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).is_success,
            ignoring=(httpx.TransportError,),
        )
        other.send_signal(signal.SIGTERM)
        assert other.wait(WAIT_SECONDS) == 0
    finally:
        for each in processes:
            each.kill_group()


def test_helper_processes_import_nothing_from_the_current_folder(tmp_path: Path) -> None:
    """The service is started by a script, as pip installs it; its reports have own processes."""
    here, script = tmp_path / "here", tmp_path / "bin" / "mersalg"
    trap = f"open({str(tmp_path / 'imported')!r}, 'a').write(__name__ + chr(10))\n"
    for name in ("engine", "serving"):
        (here / name).mkdir(parents=True)
        (here / name / "__init__.py").write_text(trap)
    for name in ("sqlite3", "pickle", "socket", "multiprocessing"):
        (here / f"{name}.py").write_text(trap)
    script.parent.mkdir()
    script.write_text(
        "from mersalg.serving.cli.main import run\nif __name__ == '__main__':\n    run()\n"
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith("MERSALG_")}
    own["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT), own.get("PYTHONPATH")]))
    with (tmp_path / "out").open("wb") as out, (tmp_path / "log").open("wb") as log:
        service = subprocess.Popen(
            [sys.executable, str(script), "serve", "--port", "0", "--json"],
            cwd=here,
            env=own,
            stdout=out,
            stderr=log,
            start_new_session=True,
        )
    try:
        url = json.loads(eventually((tmp_path / "out").read_bytes))["url"]
        period = {"from": "2026-01-01", "to": "2026-01-02"}
        eventually(
            lambda: (
                httpx.get(
                    f"{url}/v1/reports/rates", params=period, trust_env=False, timeout=WAIT_SECONDS
                ).is_success
            ),
            ignoring=(httpx.TransportError,),
        )
        service.send_signal(signal.SIGTERM)
        assert service.wait(WAIT_SECONDS) == 0, (tmp_path / "log").read_text()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(service.pid, signal.SIGKILL)
        service.wait(WAIT_SECONDS)
    assert not (tmp_path / "imported").exists(), (tmp_path / "imported").read_text()


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (("--database", "mysql://db/shop"), {}, "mysql"),
        ((), {"MERSALG_KEYS": "root:key"}, "scope"),
        ((), {"MERSALG_BODY_LIMIT_BYTES": "huge"}, "MERSALG_BODY_LIMIT_BYTES"),
        ((), {"MERSALG_SECRET": "short"}, "MERSALG_SECRET"),
        (("--host", "no.such.host.invalid"), {"MERSALG_KEYS": "admin:key"}, "no.such.host"),
    ],
)
def test_wrong_settings_are_reported(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    assert said in refused(tmp_path, *arguments, **environment)


def test_a_database_of_another_secret_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    with running_server(tmp_path, environment={"MERSALG_SECRET": "0123456789abcdef"}):
        pass
    said = refused(tmp_path, "--database", url, MERSALG_SECRET="fedcba9876543210")
    assert "secret" in said


def answers(server: Server) -> bool:
    try:
        with server.client() as client:
            return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_workers_run_the_event_loop_they_are_tested_with(tmp_path: Path) -> None:
    """Granian itself would take another one where it is installed."""
    other = tmp_path / "other" / "rloop.py"
    other.parent.mkdir()
    other.write_text("def new_event_loop():\n    raise RuntimeError('another event loop')\n")
    paths = os.pathsep.join((str(PROJECT / "build" / "view"), str(other.parent)))
    with running_server(tmp_path, environment={"PYTHONPATH": paths}, tree=PROJECT) as server:
        (worker,) = children_of(server.process.pid)
        assert "/uvloop/" in Path(f"/proc/{worker}/maps").read_text()


def test_a_worker_that_dies_is_replaced_and_none_outlives_the_service(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        (worker,) = children_of(server.process.pid)
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: worker not in children_of(server.process.pid) and answers(server))
        # Another death soon after is no reason to end them all.
        (soon,) = children_of(server.process.pid)
        os.kill(soon, signal.SIGKILL)
        eventually(lambda: soon not in children_of(server.process.pid) and answers(server))
        (successor,) = children_of(server.process.pid)
        server.process.kill()  # the main process alone: its worker must free the port
        server.process.wait()
        eventually(lambda: not answers(server))
        eventually(lambda: not Path(f"/proc/{successor}/cmdline").exists() or is_zombie(successor))


def is_zombie(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
