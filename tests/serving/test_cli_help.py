"""`--help` of every command, in a terminal of 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from mersalg.engine.words import read_toml
from mersalg.serving.cli.main import app

_WIDTH = 80


def _commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    if isinstance(command, TyperGroup):
        for name, each in command.commands.items():
            yield from _commands(each, *path, name)


COMMANDS = list(_commands(typer.main.get_command(app)))
NAMES = [" ".join(("mersalg", *path)) for path, _ in COMMANDS]


def _broken_early(text: str) -> Iterator[str]:
    """Yield lines that end although the first word of the next one had room in them."""
    lines = [line.rstrip() for line in text.splitlines()]
    for line, following in pairwise(lines):
        if line and following and len(line) + 1 + len(following.split()[0]) < _WIDTH:
            yield line


def test_the_check_knows_a_ragged_paragraph() -> None:
    assert list(_broken_early(" Short\n line\n\n Another one\n")) == [" Short"]
    assert not list(_broken_early(f" {'x' * 40} {'y' * 36}\n zz\n"))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_paragraphs_flow(path: tuple[str, ...], command: Any) -> None:
    done = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": str(_WIDTH)})
    assert done.exit_code == 0
    about = done.stdout.partition("╭")[0]
    assert about.split()[:2] == ["Usage:", "mersalg"]
    assert not list(_broken_early(about))
    assert max(map(len, done.stdout.splitlines())) <= _WIDTH


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_brackets_are_not_read_as_markup(path: tuple[str, ...], command: Any) -> None:
    texts = [command.help or "", *(getattr(each, "help", None) or "" for each in command.params)]
    for text in texts:
        assert set(re.findall(r"(?<!\\)\[([^\]]*)\]", text)) <= {"bold", "/"}, text


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_a_command_says_first_what_it_does(path: tuple[str, ...], command: Any) -> None:
    first = (command.help or "").split("\n\n")[0]
    assert first.endswith(".")
    assert first[0].isupper()
    if path:
        assert command.get_short_help_str() == first  # not cut in the lists of commands
    if not isinstance(command, TyperGroup):
        verb = first.split()[0].rstrip(",")
        assert verb not in {"All", "Both", "Whether", "What", "The"}, f"not a verb: {verb}"
    for each in command.params:
        assert each.help.endswith((".", "...")), each.name


def test_texts_of_options_are_of_options_that_exist() -> None:
    of_options = {(*path, each.name) for path, command in COMMANDS for each in command.params}
    texts = read_toml("mersalg.serving.cli", "options.toml")
    assert set(_leaves(texts)) <= of_options


def _leaves(table: Any, *path: str) -> Iterator[tuple[str, ...]]:
    if not isinstance(table, dict):
        yield path
        return
    for name, each in table.items():
        yield from _leaves(each, *path, name)
