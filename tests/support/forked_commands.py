"""Real `mersalg` processes without the second that an interpreter needs to start and import.

A process that has everything imported forks one for each command. What runs is the whole command,
in a process and a group of its own; only the start of the interpreter is saved.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

from tests.support.waiting import WAIT_SECONDS, eventually

PROJECT = Path(__file__).parents[2]
_IMPORTED_AHEAD = (
    "alembic.command",
    "granian.server",
    "psycopg",
    "mersalg.serving.app",
    "mersalg.serving.cli.main",
    "mersalg.serving.graceful_shutdown",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
)
_SET_CHILD_SUBREAPER = 36
_STEP_SECONDS = 0.005


class ForkedProcess:
    """A command that runs, with the part of `subprocess.Popen` that tests use.

    Parameters
    ----------
    pid : int
        Number of the process, and of its group.
    status : Path
        File that holds its exit code once it has ended.
    """

    def __init__(self, pid: int, status: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the process runs."""
        if self.returncode is None:
            with contextlib.suppress(FileNotFoundError):
                self.returncode = int(self._status.read_text())
                self._status.unlink()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit code.

        Raises
        ------
        subprocess.TimeoutExpired
            The process still runs after `timeout` seconds.
        """
        n_steps = 0
        while (code := self.poll()) is None:
            if timeout is not None and n_steps * _STEP_SECONDS > timeout:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(_STEP_SECONDS)
            n_steps += 1
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to the process if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process alone; what it started is left."""
        self.send_signal(signal.SIGKILL)

    def kill_group(self) -> None:
        """Kill the process and all that it started, and wait until they are gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait(WAIT_SECONDS)
        eventually(self._is_group_gone)

    def _is_group_gone(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False


def fork_command(
    arguments: list[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    output: Path,
    log: Path,
    shared_metrics: bool = False,
) -> ForkedProcess:
    """Start `mersalg` with these arguments.

    Parameters
    ----------
    folder : Path
        The folder it runs in.
    environment : mapping of str to str
        All of its environment. What Python itself or an import reads has been read before.
    output, log : Path
        Files that standard output and standard error are appended to.
    shared_metrics : bool
        Whether it is a service whose workers add their metrics up.
    """
    return _Forking.shared(shared_metrics).start(
        {
            "arguments": arguments,
            "folder": str(folder),
            "environment": dict(environment),
            "output": str(output),
            "log": str(log),
        }
    )


class _Forking:
    """The process that forks; one or two for each test process, ended with it."""

    def __init__(self, shared_metrics: bool) -> None:
        # Python resolves imports of the forked process as those of the tests.
        paths = [str(PROJECT), os.environ.get("PYTHONPATH")]
        self._statuses = Path(tempfile.mkdtemp(prefix="mersalg-forked-"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._statuses)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                # That it is set is read at the import of the library, the folder by each command.
                **({"PROMETHEUS_MULTIPROC_DIR": str(self._statuses)} if shared_metrics else {}),
            },
            start_new_session=True,  # it ends after the tests, also where these are interrupted
        )
        self._n_started = 0
        self._one_at_a_time = threading.Lock()
        atexit.register(self._close)

    @staticmethod
    @cache
    def shared(shared_metrics: bool) -> _Forking:
        return _Forking(shared_metrics)

    def start(self, request: dict[str, object]) -> ForkedProcess:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._one_at_a_time:
            self._n_started += 1
            status = self._statuses / str(self._n_started)
            print(json.dumps({**request, "status": str(status)}), file=self._process.stdin)
            self._process.stdin.flush()
            return ForkedProcess(int(self._process.stdout.readline()), status)

    def _close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(WAIT_SECONDS)
        self._process.stdout.close()


def _fork_on_demand(statuses: str) -> None:
    """Fork a command for each line of standard input; end those that still run at its end.

    The folder of their statuses is deleted here, for the tests may have been killed.
    """
    for name in _IMPORTED_AHEAD:
        import_module(name)
    # Collections of garbage in the commands need not look at what was imported here.
    gc.collect()
    gc.freeze()
    # Workers whose main process is gone become children of this process, which waits for them too.
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    running: dict[int, Path] = {}

    def note_ends(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                status = running.pop(ended[0], None)
                if status is not None:
                    written = status.with_suffix(".new")
                    written.write_text(str(os.waitstatus_to_exitcode(ended[1])))
                    written.rename(status)

    signal.signal(signal.SIGCHLD, note_ends)
    for line in sys.stdin:
        request = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            _become(request)
            import_module("mersalg.serving.cli.main").run()
            sys.exit()
        running[pid] = Path(request["status"])
        with contextlib.suppress(OSError):  # the child did so itself, or is gone
            os.setpgid(pid, pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        print(pid, flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    shutil.rmtree(statuses)


def _become(request: dict[str, object]) -> None:
    """Make this process what `subprocess.Popen` would have made it."""
    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "output"), (2, "log")):
        opened = os.open(str(request[name]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[arg-type]
    sys.argv = ["mersalg", *request["arguments"]]  # type: ignore[misc]
    tempfile.tempdir = None  # to be found from the environment again
    random.seed()


if __name__ == "__main__":
    _fork_on_demand(sys.argv[1])
