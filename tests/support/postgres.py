"""A real PostgreSQL server for tests: own folder, own free port, ended by its own id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg

from tests.support.system import postgres_program
from tests.support.waiting import WAIT_SECONDS, eventually


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """Listens on loopback only; `stop` and `start` let tests take the database away.

    `durable`: with fsync and memory as it comes; tests need neither.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = durable
        self._initdb, self._server = postgres_program("initdb"), postgres_program("postgres")
        # The server refuses to run as root, so as root it runs as the package's own user.
        self._user = "postgres" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="mersalg-postgres-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            shutil.chown(self.folder, self._user)
        options = ["-U", "mersalg", "-A", "trust", "--no-sync"]
        self._run([self._initdb, "-D", str(self.folder / "data"), *options])
        self.start()

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command, user=self._user, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr}")

    def start(self) -> None:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "max_connections": 60,
        }
        if not self._durable:
            options |= {"fsync": "off", "shared_buffers": "32MB"}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._server, "-D", str(self.folder / "data"), *flags],
                user=self._user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        process = self._process

        def answers() -> bool:
            if process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            self.execute("select 1")
            return True

        eventually(answers, ignoring=(psycopg.OperationalError,))

    def stop(self) -> None:
        """End the server at once, as a crash of its machine would."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(3)  # SIGQUIT: immediate shutdown
            self._process.wait(WAIT_SECONDS)

    def execute(self, statement: str, database: str = "postgres") -> None:
        seconds = int(WAIT_SECONDS)
        with psycopg.connect(
            self.url(database), autocommit=True, connect_timeout=seconds
        ) as connection:
            connection.execute(statement.encode())

    def url(self, database: str) -> str:
        return f"postgresql://mersalg@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """URL of a fresh, empty database."""
        name = f"t{uuid.uuid4().hex}"
        self.execute(f"create database {name}")
        return self.url(name)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
