"""Parts that all commands share: exit codes, error lines, `--json`, progress."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Container, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from mersalg.engine.progress import SilentProgress, Task

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_LONG_SECONDS = 5.0
"""Steps that take longer also say how far they are and when they are done, where no bar does."""

GATE_SAID_NO, BAD_INPUT = 1, 2

# All controls but the line break, and marks that turn the direction of what follows.
_UNPRINTED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


class _Stripped:
    """Something printed, without control characters: names could carry those of a terminal."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            text, style, control = segment
            yield segment if control else Segment(_UNPRINTED.sub("", text), style)


class Strip(RenderHook):
    """Strips all that a console prints."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return what rich prints instead."""
        return [_Stripped(renderable) for renderable in renderables]


out = Console(soft_wrap=True)
"""Results, on standard output."""
err = Console(stderr=True, soft_wrap=True)
"""Progress, notes and errors, on standard error, so that results can be piped."""
for _console in (out, err):
    _console.push_render_hook(Strip())

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object, for machines.")]
ModelsOption = Annotated[
    Path, typer.Option("--models", envvar="MERSALG_MODELS", help="Folder of trained versions.")
]


_quiet = False


def set_quiet(quiet: bool) -> bool:
    """Say whether progress is printed from now on."""
    global _quiet
    _quiet = quiet
    return quiet


def say(text: str, *, style: str | None = None) -> None:
    """Print a text as it is on standard output."""
    out.print(text, style=style, markup=False, highlight=False)


def note(text: str, *, style: str | None = None) -> None:
    """Print a text as it is on standard error."""
    err.print(text, style=style, markup=False, highlight=False)


def answer(as_json: bool, data: object, text: str) -> None:
    """Print `data` for machines where they ask for JSON, or a text for people."""
    if as_json:
        print_json(data)
    else:
        say(text)


def json_text(data: object) -> str:
    """Return one JSON document with a line end, numpy numbers included."""
    text = orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
    return text.decode() + "\n"


def print_json(data: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json_text(data))
    sys.stdout.flush()


class _BarTask:
    def __init__(self, progress: RichProgress, task_id: int) -> None:
        self._progress, self._id = progress, task_id

    def advance(self, steps: int = 1) -> None:
        self._progress.advance(self._id, steps)  # type: ignore[arg-type]


class _Bars:
    def __init__(self, progress: RichProgress) -> None:
        self._progress = progress

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Generator[Task, None, None]:
        task_id = self._progress.add_task(description, total=total)
        yield _BarTask(self._progress, task_id)
        # A stage of unknown length is full once it is over.
        self._progress.update(task_id, total=total or 1, completed=total or 1)


class _LineTask:
    def __init__(self, description: str, total: int | None) -> None:
        self._description, self._total = description, total
        self._n_done, self._n_quarters = 0, 0
        self._begun = self._last_line = time.monotonic()

    def advance(self, steps: int = 1) -> None:
        self._n_done += steps
        if not self._total:
            return
        n_quarters = 4 * self._n_done // self._total
        if self._n_quarters < n_quarters < 4:
            self._n_quarters = n_quarters
            if time.monotonic() - self._last_line >= _LONG_SECONDS:
                self._print(f"{25 * n_quarters}%")

    def finish(self) -> None:
        if time.monotonic() - self._begun >= _LONG_SECONDS:
            self._print("done")

    def _print(self, state: str) -> None:
        self._last_line = time.monotonic()
        line = f"{self._description}: {state} after {self._last_line - self._begun:.0f} s"
        err.print(line, markup=False, highlight=False)


class _Lines:
    """Progress for files and pipes: a line as each step begins, more for long ones."""

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Generator[Task, None, None]:
        err.print(f"{description} ...", markup=False, highlight=False)
        task = _LineTask(description, total)
        yield task
        task.finish()


def print_table(
    columns: Iterable[str],
    rows: Iterable[Sequence[str]],
    title: str | None = None,
    *,
    bold: Container[int] = (),
) -> None:
    """Print a table; a column that begins with `>` is of numbers, one with `|` is never broken.

    `bold` are the rows that stand out.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title)
    for name in columns:
        numbers = name.startswith(">")
        table.add_column(
            Text(name.lstrip(">|")),
            justify="right" if numbers else "left",
            no_wrap=numbers or name.startswith("|"),
        )
    for index, row in enumerate(rows):
        table.add_row(*map(Text, row), style="bold" if index in bold else None)
    out.print(table)


def print_rules(
    rules: Iterable[Mapping[str, Any]], measures: Mapping[str, tuple[str, str]]
) -> None:
    """Print rules, with the measures that are named: their key and their format, by the heading."""
    rows = [
        (
            ", ".join(rule["antecedent"]),
            rule["consequent"],
            f"{rule['n_joint']:,}",
            *(format(rule[key], form) for key, form in measures.values()),
        )
        for rule in rules
    ]
    columns = ("antecedent", "consequent", ">orders", *(f">{name}" for name in measures))
    print_table(columns, rows, "Strongest rules, by the lower bound of lift")


@contextmanager
def progress_bars(*, quiet: bool = False) -> Generator[_Bars | _Lines | SilentProgress, None, None]:
    """Show progress on standard error: bars in a terminal, else lines; none where `quiet`."""
    if quiet or _quiet:
        yield SilentProgress()
        return
    if not err.file.isatty():
        yield _Lines()
        return
    # Only here: the bars are a third of what rich takes to import.
    from rich import progress as rich

    columns = (
        rich.SpinnerColumn(finished_text="[green]✓[/]"),
        rich.TextColumn("{task.description}"),
        rich.BarColumn(bar_width=28),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
    )
    with rich.Progress(*columns, console=err) as progress:
        yield _Bars(progress)
