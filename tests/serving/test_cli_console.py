"""Progress: bars in a terminal, lines in files and pipes, nothing where it is not wanted."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from unicodedata import category

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mersalg.engine.errors import DataError
from mersalg.serving.cli import console, main
from tests.support.commands import attempt, run


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


HOSTILE = "Ca\x1b]0;title\x07se\x1b]52;c;cm0=\x1b\\ \x9b2J\u202e\x08\x00\x7f\u2028one"


def test_nothing_printed_reaches_the_terminal_as_a_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table("name", title=HOSTILE, caption=HOSTILE)
    table.add_row(escape(HOSTILE))
    for stream in (console.out, console.err):
        stream.print(table)
        stream.print(HOSTILE, markup=False, highlight=False)
        stream.print(f"[bold]{escape(HOSTILE)}[/]", end="")
    with pytest.raises(SystemExit):
        main.fail(DataError(HOSTILE), console.BAD_INPUT)
    for printed in capsys.readouterr():
        assert not [each for each in printed if each != "\n" and category(each)[0] == "C"]
        assert "\u2028" not in printed
        assert "one" in printed


def test_styles_are_still_printed() -> None:
    written = StringIO()
    terminal = Console(file=written, force_terminal=True, color_system="standard", width=80)
    terminal.push_render_hook(console.Strip())
    terminal.print(f"[bold red]{escape(HOSTILE)}[/]", highlight=False)
    text = written.getvalue()
    assert text.startswith("\x1b[1;31mCa]0;titlese")
    assert text.count("\x1b") == 2, "those of the style alone"


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress_bars(quiet=True) as progress, progress.task("Mining", total=1) as task:
        task.advance()
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_bars() -> None:
    program = (
        "from mersalg.serving.cli import console\n"
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


def test_every_command_can_be_quiet_and_explains_itself() -> None:
    loud = attempt("simulate", "--checkouts", 20)
    assert "Simulating checkouts ..." in loud.stderr
    quiet = attempt("simulate", "--checkouts", 20, "--quiet")
    assert (quiet.stderr, quiet.stdout) == ("", loud.stdout)
    assert "Simulating checkouts ..." in attempt("simulate", "--checkouts", 20).stderr
    for command in (("train",), ("events", "import"), ("models", "list"), ("serve",)):
        assert "--quiet" in run(*command, "-h")
