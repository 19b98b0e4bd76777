"""A `mersalg serve` that is killed and started again many times a minute."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.forked_commands import ForkedProcess, fork_command
from tests.support.postgres import free_port

SECRET = "0123456789abcdef0123456789abcdef"


class MortalServer:
    """`start` and `kill` in turns; all of them on one port, with one log."""

    def __init__(self, folder: Path, database: str, *flags: str) -> None:
        self.port = free_port()
        self.log = folder / "serve.log"
        self._folder = folder
        self._arguments = ["serve", "--json", "--port", str(self.port), *flags]
        self._arguments += ["--models", str(folder / "models"), "--database", database]
        self._arguments += ["--spool", str(folder / "spool")]
        own = {name: value for name, value in os.environ.items() if not name.startswith("MERSALG_")}
        self._environment = own | {"MERSALG_SECRET": SECRET}
        self._process: ForkedProcess | None = None

    def start(self) -> None:
        self._process = fork_command(
            self._arguments,
            folder=self._folder,
            environment=self._environment,
            output=self.log,
            log=self.log,
        )

    def kill(self) -> None:
        """End main process and workers, and wait until they are gone."""
        if self._process is not None:
            self._process.kill_group()
            self._process = None
