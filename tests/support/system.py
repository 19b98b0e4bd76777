"""Programs of the operating system that some tests need."""

from __future__ import annotations

import os
from pathlib import Path
from shutil import which
from typing import NoReturn

import pytest

_POSTGRES_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def missing(what: str) -> NoReturn:
    """Skip with the reason; in continuous integration a missing program is a failure instead."""
    reason = f"{what} is not installed on this machine"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true forbids skipping for that", pytrace=False)
    pytest.skip(reason)


def postgres_program(name: str) -> str:
    """Path of a PostgreSQL server program (`initdb`, `pg_ctl`), or skip."""
    for folder in _POSTGRES_FOLDERS:
        if (folder / name).exists():
            return str(folder / name)
    return which(name) or missing(f"PostgreSQL ({name})")


def program(name: str) -> str:
    """Path of a program that is a package of its own, or skip."""
    return which(name) or which(name, path="/usr/sbin") or missing(name)


def chromium() -> str:
    """Path of the system's Chromium, or skip."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = which(name)
        if found:
            return found
    missing("Chromium")


CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""Without a screen, and without asking anything of the network."""
