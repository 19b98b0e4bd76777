"""A `mersalg serve` that is killed and started again many times a minute.

A process that has everything imported forks the command each time: only the start of an interpreter
is saved. What runs, and what is killed, is the whole service: main process, worker, threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.postgres import free_port
from tests.support.waiting import WAIT_SECONDS

SECRET = "0123456789abcdef0123456789abcdef"
_SET_CHILD_SUBREAPER = 36


class MortalServer:
    """`start` and `kill` in turns; `close` ends the process that forks."""

    def __init__(self, folder: Path, database: str, *flags: str) -> None:
        self.port = free_port()
        self.log = folder / "serve.log"
        command = [sys.executable, "-m", __name__, str(self.log), "serve", "--json"]
        command += ["--models", str(folder / "models"), "--database", database]
        command += ["--spool", str(folder / "spool"), "--port", str(self.port), *flags]
        own = {name: value for name, value in os.environ.items() if not name.startswith("MERSALG_")}
        root = str(Path(__file__).parents[2])
        own["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        own["MERSALG_SECRET"] = SECRET
        self._forking = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env=own
        )
        self._pid: int | None = None

    def start(self) -> None:
        assert self._forking.stdin is not None
        assert self._forking.stdout is not None
        self._forking.stdin.write("start\n")
        self._forking.stdin.flush()
        self._pid = int(self._forking.stdout.readline())

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """End main process and workers, and wait until they are gone."""
        if self._pid is None:
            return
        assert self._forking.stdout is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, sign)
        assert self._forking.stdout.readline() == "ended\n"
        self._pid = None

    def close(self) -> None:
        self.kill()
        assert self._forking.stdin is not None
        assert self._forking.stdout is not None
        self._forking.stdin.close()
        self._forking.wait(WAIT_SECONDS)
        self._forking.stdout.close()


def _fork_on_demand(log: str, arguments: list[str]) -> None:

    import serving.app  # noqa: F401
    from serving.cli.main import run

    # Workers whose main process is gone become children of this process, which waits for them too.
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(said, 1)
            os.dup2(said, 2)
            sys.argv = ["mersalg", *arguments]
            run()
            os._exit(0)
        with contextlib.suppress(OSError):  # the child did so itself, or is gone
            os.setpgid(pid, pid)
        print(pid, flush=True)
        try:
            while True:
                os.waitpid(-1, 0)
        except ChildProcessError:
            print("ended", flush=True)


if __name__ == "__main__":
    _fork_on_demand(sys.argv[1], sys.argv[2:])
