"""Progress: bars in a terminal, lines in files and pipes, nothing where it is not wanted."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.cli import console


def test_a_step_is_printed_as_it_begins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_LONG_SECONDS", math.inf)
    with console.progress_bars() as progress, progress.task("Reading orders [csv]"):
        assert capsys.readouterr().err == "Reading orders [csv] ...\n"
        with progress.task("Checking", total=4) as task:
            task.advance(2)
            assert capsys.readouterr().err == "Checking ...\n"
    done = capsys.readouterr()
    assert (done.out, done.err) == ("", "")


def test_a_long_step_says_how_far_it_is_and_when_it_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_LONG_SECONDS", 0)
    with console.progress_bars() as progress, progress.task("Mining", total=10) as task:
        for _ in range(10):
            task.advance()
    lines = [line.split(" after ")[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["Mining ...", "Mining: 25%", "Mining: 50%", "Mining: 75%", "Mining: done"]


def test_steps_of_no_known_length_and_failed_ones(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_LONG_SECONDS", 0)
    with console.progress_bars() as progress:
        with progress.task("Counting") as task:
            task.advance(7)
        with pytest.raises(ValueError, match="broken"), progress.task("Writing", total=1):
            raise ValueError("broken")
    lines = [line.split(" after ")[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["Counting ...", "Counting: done", "Writing ..."]


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress_bars(quiet=True) as progress, progress.task("Mining", total=1) as task:
        task.advance()
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_bars() -> None:
    program = (
        "from serving.cli import console\n"
        "with console.progress_bars() as progress, progress.task('Mining', total=2) as task:\n"
        "    task.advance(2)\n"
    )
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
            stderr=theirs,
            check=True,
        )
        os.close(theirs)
        shown = screen.read(65_536).decode()
    assert "2/2" in shown
    assert "Mining ..." not in shown
    assert "\x1b[" in shown
