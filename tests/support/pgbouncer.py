"""A real pgbouncer in transaction mode before the PostgreSQL of tests, on an own free port."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support.postgres import PostgresServer, free_port
from tests.support.system import program
from tests.support.waiting import WAIT_SECONDS, eventually


@contextmanager
def pgbouncer(server: PostgresServer, url: str, *, n_servers: int = 4) -> Iterator[str]:
    """Yield the URL of a database behind a pgbouncer, which is ended by its own id."""
    command = program("pgbouncer")
    folder, port = Path(tempfile.mkdtemp(prefix="mersalg-pgbouncer-")), free_port()
    (folder / "users").write_text('"mersalg" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"""
[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder / "users"}
pool_mode = transaction
default_pool_size = {n_servers}
"""
    )
    # It refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    behind = url.replace(f":{server.port}/", f":{port}/")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [command, str(folder / "pgbouncer.ini")],
            user=user,
            cwd=folder,
            stdout=log,
            stderr=log,
        )

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError((folder / "log").read_text())
        with psycopg.connect(behind) as connection:
            connection.execute("select 1")
        return True

    try:
        eventually(answers, ignoring=(psycopg.OperationalError,))
        yield behind
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
