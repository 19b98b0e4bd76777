"""A real `mersalg serve` in a process of its own, on a free loopback port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from mersalg.engine.model import Model
from mersalg.engine.registry import Registry
from tests.support.forked_commands import PROJECT, ForkedProcess, fork_command
from tests.support.models import tiny_model
from tests.support.waiting import WAIT_SECONDS, eventually

DEADLINE_MS = int(500 * WAIT_SECONDS)
"""How long the service of a test waits for its database and its spool unless the test says
otherwise: a slow machine alone must not bring about the answers `deferred` and `off`. Half of what
clients wait, so that they hear of a deadline that passed."""


def publish_model(models: Path, model: Model | None = None) -> str:
    """Writes and publishes a model (the phone shop unless told otherwise); its version."""
    registry = Registry(models)
    version = registry.write(model or tiny_model(), {})
    registry.publish(version)
    return version


@dataclass
class Server:
    """A running service; its log lies in `log`."""

    process: subprocess.Popen[bytes] | ForkedProcess
    url: str
    log: Path
    key: str | None = None

    def client(self, *, key: str | None = None, timeout: float = WAIT_SECONDS) -> httpx.Client:
        """A client that sends `key`, or the key the server was started with."""
        sent = key or self.key
        headers = {"Authorization": f"Bearer {sent}"} if sent else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False)

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """Asks the service to end, as `kill` does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_SECONDS)

    def kill(self) -> None:
        """Ends main process and workers at once, as a power cut would."""
        if isinstance(self.process, ForkedProcess):
            self.process.kill_group()
            return
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(WAIT_SECONDS)


def start_server(
    folder: Path,
    *,
    models: Path | None = None,
    database: str | None = None,
    port: int = 0,
    workers: int = 1,
    keys: str = "",
    key: str | None = None,
    host: str = "127.0.0.1",
    deadline_ms: int = DEADLINE_MS,
    environment: Mapping[str, str] | None = None,
    tree: Path | None = None,
) -> Server:
    """Starts `mersalg serve` and waits until it answers.

    Args:
        folder: where the database and the log lie unless told otherwise.
        keys: content of MERSALG_KEYS; `key` is the one that `Server.client` sends.
        deadline_ms: how long a suggestion waits for the database.
        tree: the source tree whose code serves, in an interpreter of its own; this one where
            None.
    """
    arguments = ["serve", "--json", "--models", str(models or folder / "models")]
    arguments += ["--database", database or f"sqlite:///{folder / 'facts.db'}"]
    arguments += ["--host", host, "--port", str(port), "--workers", str(workers)]
    arguments += ["--spool", str(folder / "spool"), "--database-deadline-ms", str(deadline_ms)]
    own = {name: value for name, value in os.environ.items() if not name.startswith("MERSALG_")}
    paths = [str((tree or PROJECT) / "build" / "view"), os.environ.get("PYTHONPATH")]
    own |= {"MERSALG_KEYS": keys, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    own |= {
        "MERSALG_SPOOL_DEADLINE_MS": str(DEADLINE_MS),
        "MERSALG_EVENTS_DEADLINE_MS": str(DEADLINE_MS),
    }
    own |= environment or {}
    output, log = folder / "serve.out", folder / "serve.log"
    output.write_bytes(b"")
    process: subprocess.Popen[bytes] | ForkedProcess
    if tree is None:
        process = fork_command(
            arguments,
            folder=folder,
            environment=own,
            output=output,
            log=log,
            shared_metrics=workers > 1,
        )
    else:
        with output.open("ab") as out, log.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "mersalg.serving.cli.main", *arguments],
                stdout=out,
                stderr=errors,
                cwd=folder,
                env=own,
                start_new_session=True,  # its workers form one group, which `kill` ends together
            )

    def address() -> str:
        said = output.read_text()
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.wait()}: {log.read_text()}")
        return str(json.loads(said)["url"]) if said.rstrip().endswith("}") else ""

    server = Server(process, eventually(address), log, key)
    _wait_until_it_answers(server)
    return server


def _wait_until_it_answers(server: Server) -> None:
    def answers() -> bool:
        if server.process.poll() is not None:
            raise RuntimeError(f"the service has ended: {server.said}")
        with server.client() as client:
            return client.get("/healthz").raise_for_status().is_success

    try:
        eventually(answers, ignoring=(httpx.TransportError,))
    except BaseException:
        server.kill()
        raise


@contextmanager
def running_server(folder: Path, **options: object) -> Iterator[Server]:
    """`start_server` for a block; the server is ended by its own id afterwards."""
    server = start_server(folder, **options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        try:
            server.stop()
        except subprocess.TimeoutExpired:
            server.kill()
