"""Run what a page of the documentation shows, from top to bottom, as its reader would.

A page runs in a folder that holds what `mersalg init --sample bike-shop` and `mersalg train` write
(an empty folder where the page begins with `mersalg init --sample`). The language of a block says
what happens with it:

| block | what happens |
|---|---|
| `sh` | runs and has to end with 0; `mersalg serve` goes on until the end of the page |
| any language with `title="NAME"` | is written to the file NAME |
| `toml` | has to be part of a shop file |
| `json` | has to be in the answer of the last command or call; "..." stands for what may differ |
| `text` | its lines have to be in the output of the last command |
| `http` | is sent to the service of the page, which has to take it |
| `python` | runs in a process of its own |
| `pycon` | is run by `doctest` and has to print what it shows |
| `html`, `javascript`, `php` | run in tests of their own (`CHECKED_ELSEWHERE`) |
| `cron`, none | a line of a table of cron, a drawing |

Commands that need a network, a container engine or another machine do not run: the files, extras
and targets that they name have to exist (`NOT_RUN`).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx

from mersalg.engine.config import parse_config
from tests.support.forked_commands import ForkedProcess, fork_command
from tests.support.postgres import free_port
from tests.support.waiting import WAIT_SECONDS, eventually

ROOT = Path(__file__).parents[2]
CHECKED_ELSEWHERE = {
    "html": "tests/end_to_end/test_docs.py",
    "javascript": "tests/serving/test_checkout_token.py",
    "php": "tests/serving/test_checkout_token.py",
}
NOT_RUN = {"docker", "make", "pg_dump", "pg_restore", "pip", "rsync", "systemctl"}
_BLOCK = re.compile(
    r"^( *)```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL
)
_PORT = "8000"
_PRELUDE = 'set -e\ncurl() { command curl --fail-with-body --show-error "$@"; }\n'
_SHOP = {
    "shop": {"name": "Shop", "currency": "NOK", "timezone": "Europe/Oslo"},
    "orders": {"path": "orders.csv", "columns": {"order_id": "order_id", "item_id": "item_id"}},
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    title: str | None
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    text = page.read_text("utf-8")
    return [
        Block(found[2], found[3], dedent(found[4]), text.count("\n", 0, found.start()) + 1)
        for found in _BLOCK.finditer(text)
    ]


@dataclass
class Reader:
    """Follows a page in `folder`; `postgres` is the server that `postgresql://localhost` means."""

    folder: Path
    postgres: str = ""
    _port: str = field(default_factory=lambda: str(free_port()))
    _services: list[ForkedProcess] = field(default_factory=list)
    _printed: str = ""

    def __post_init__(self) -> None:
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        packages = f"{ROOT / 'build' / 'view'}:{ROOT / 'serving' / 'client'}"
        own = {"PATH": programs, "PYTHONPATH": packages, "HOME": str(self.folder), "COLUMNS": "120"}
        self.environment = {**os.environ, **own}

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        for service in self._services:
            service.send_signal(signal.SIGTERM)
            service.wait(WAIT_SECONDS)

    def follow(self, block: Block) -> None:
        """Do what the block shows."""
        text = block.text.replace(_PORT, self._port)
        text = text.replace("postgresql://localhost/shop", self.postgres)
        if block.title:
            (self.folder / block.title).write_text(text, "utf-8")
        elif block.language == "sh":
            self._run_commands(text)
        elif block.language == "toml":
            parse_config(_shop_file(tomllib.loads(text)))
        elif block.language == "json":
            _assert_shown(json.loads(text), json.loads(self._printed))
        elif block.language == "text":
            printed = {" ".join(line.split()) for line in self._printed.splitlines()}
            shown = {" ".join(line.split()) for line in text.splitlines()} - {"...", ""}
            assert shown <= printed, f"not printed: {shown - printed}\n{self._printed}"
        elif block.language == "http":
            self._call(text)
        elif block.language == "python":
            self._run([sys.executable, "-c", text])
        else:
            assert block.language in {"", "cron", "pycon", *CHECKED_ELSEWHERE}, block.language
            assert not re.search(r"^(mersalg|curl) ", text, re.MULTILINE), "commands are `sh`"

    def _run_commands(self, text: str) -> None:
        script: list[str] = []
        for command in _commands(text):
            words = shlex.split(command, comments=True)
            if words[:1] == ["mersalg"] and not re.search(r"[|<>$]", command):
                self._run_script(script)
                self._run_mersalg(words[1:])
            elif words and words[0] in NOT_RUN:
                _assert_exists(words)
            else:
                script.append(command)
        self._run_script(script)

    def _run_script(self, script: list[str]) -> None:
        if script:
            self._run(["sh", "-c", _PRELUDE + "\n".join(script)])
            script.clear()

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
        self._printed = done.stdout

    def _run_mersalg(self, arguments: list[str]) -> None:
        output, log = self.folder / "standard-output", self.folder / "standard-error"
        output.write_text("")
        log.write_text("")
        started = fork_command(
            arguments, folder=self.folder, environment=self.environment, output=output, log=log
        )
        if arguments[0] == "serve":
            self._services.append(started)
            eventually(lambda: started.poll() is not None or self._is_ready())
            ended_well = started.poll() is None
        else:
            ended_well = started.wait(WAIT_SECONDS) == 0
            self._printed = output.read_text()
        assert ended_well, f"mersalg {arguments}\n{output.read_text()}\n{log.read_text()}"

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def _call(self, text: str) -> None:
        for request in re.split(r"\n\n(?=[A-Z]+ /)", text.strip()):
            head, _, body = request.partition("\n")
            method, path = head.split()
            answer = httpx.request(
                method,
                self.url + path,
                content=body,
                headers={"Content-Type": "application/json"} if body else {},
                trust_env=False,
            )
            assert answer.status_code < 300, f"{head}: {answer.text}"
            self._printed = answer.text

    @property
    def url(self) -> str:
        """Address of the service of the page."""
        return f"http://127.0.0.1:{self._port}"


def _commands(text: str) -> Iterator[str]:
    """Yield the commands of a block, each with the lines that it goes on over."""
    command = ""
    for line in text.splitlines():
        command += line
        try:
            shlex.split(command, comments=True)
        except ValueError:
            is_complete = False
        else:
            is_complete = not line.endswith("\\")
        if is_complete:
            yield command
        command = "" if is_complete else command + "\n"
    assert not command, f"not complete: {command}"


def _assert_exists(words: list[str]) -> None:
    """Assert that the files, extras and targets that a command names exist."""
    for word in words[1:]:
        if word.startswith(("serving/", "docs/", "engine/", "training/", "tests/")):
            assert (ROOT / word).exists(), word
        extras = re.search(r"^(?:mersalg|\.)\[([\w,]+)\]$", word)
        if extras:
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            assert set(extras[1].split(",")) <= project["optional-dependencies"].keys()
    if words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        makefile = (ROOT / "Makefile").read_text()
        assert set(targets) <= set(re.findall(r"^(\w+)(?: \w+)*:", makefile, re.MULTILINE))


def _shop_file(part: dict[str, Any]) -> dict[str, Any]:
    """Return a whole shop file with this part of one."""
    sections = {name: {**section, **part.get(name, {})} for name, section in _SHOP.items()}
    if "url" in sections["orders"]:
        del sections["orders"]["path"]
    return {**part, **sections}


def _assert_shown(shown: Any, got: Any) -> None:
    """Assert that `got` has what is shown of it."""
    if isinstance(shown, dict):
        assert shown.keys() <= got.keys(), f"{shown.keys() - got.keys()} is not in {got}"
        for name, value in shown.items():
            _assert_shown(value, got[name])
    elif isinstance(shown, list):
        if shown[-1:] == ["..."]:
            shown = shown[:-1]
            got = got[: len(shown)]
        assert len(shown) == len(got), f"{len(got)} and not {len(shown)}: {got}"
        for one, other in zip(shown, got, strict=True):
            _assert_shown(one, other)
    elif isinstance(shown, str) and shown.endswith("..."):
        assert str(got).startswith(shown.removesuffix("..."))
    else:
        assert shown == got
