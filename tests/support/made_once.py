"""What takes long to make and is only read: made once, and shared by all test processes.

The folder is a cache below `.pytest_cache`, so that a second run of the tests on the same code and
inputs finds it as well. Its keys name everything that the content depends on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.commands import run

_PROJECT = Path(__file__).parents[2]
_CACHE = _PROJECT / ".pytest_cache" / "made-once"
_KEPT_SECONDS = 24 * 3600


def made_once(key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of `key`, which the first process that asks for it lets `make` fill.

    The other processes wait for it. The folder is shared: its readers do not write into it.
    """
    _CACHE.mkdir(parents=True, exist_ok=True)
    folder = _CACHE / key
    with (_CACHE / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _remove_unused()
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
        folder.touch()
    return folder


def train_once(shop_file: Path, models: Path, inputs: Iterable[Path]) -> dict[str, Any]:
    """Fill `models` as `mersalg train --json` does and return its summary.

    The same shop file, `inputs` (files, or folders of files) and code are trained once.
    """

    def train(folder: Path) -> None:
        summary = run("train", "--config", shop_file, "--models", folder / "models", "--json")
        (folder / "summary.json").write_text(summary)

    key = hashlib.sha256(f"{_code_digest()} {_digest([shop_file, *inputs])}".encode()).hexdigest()
    trained = made_once(f"trained-{key[:20]}", train)
    shutil.copytree(trained / "models", models)
    return json.loads((trained / "summary.json").read_text())


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(file.name.encode() + b"\0")
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


@cache
def _code_digest() -> str:
    """Digest of the code that trains, and of the versions of the libraries."""
    code = [
        *sorted((_PROJECT / "engine").rglob("*.[pc]*")),
        *sorted((_PROJECT / "training").rglob("*.py")),
    ]
    sources = [path for path in code if path.suffix in {".py", ".c"}]
    return _digest([*sources, _PROJECT / "constraints.txt"])


def _remove_unused() -> None:
    for folder in _CACHE.iterdir():
        if folder.is_dir() and folder.stat().st_mtime < time.time() - _KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
