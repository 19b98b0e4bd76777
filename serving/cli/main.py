"""The `mersalg` command and its table of sub-commands."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from engine.errors import DataError, GateRefused, MersalgError
from serving.cli import console

app = typer.Typer(
    name="mersalg",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Cross-sell and upsell at checkout, and the two rates that tell what they earn.",
    epilog="Exit codes: 0 ok, 1 a gate said no, 2 bad input.",
)

_VARIABLE = "MERSALG_DATABASE"

_TRY, _TRAIN, _SELL, _MEASURE = "Try it", "Train", "Suggest", "Measure"

# Module of serving.cli that holds the command, and the panel of --help it is listed in.
_COMMANDS = (
    ("demo", _TRY),
    ("init", _TRY),
    ("train", _TRAIN),
    ("mine", _TRAIN),
    ("evaluate", _TRAIN),
    ("models", _TRAIN),
    ("suggest", _SELL),
    ("serve", _SELL),
    ("keys", _SELL),
    ("events", _MEASURE),
    ("report", _MEASURE),
    ("simulate", _MEASURE),
    ("power", _MEASURE),
    ("customers", _MEASURE),
    ("retention", _MEASURE),
    ("guardrail", _MEASURE),
    ("audit", _MEASURE),
    ("backup", _MEASURE),
    ("restore", _MEASURE),
    ("migrate", _MEASURE),
    ("check", _TRY),
)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import PackageNotFoundError, version

        try:
            text = version("mersalg")
        except PackageNotFoundError:
            text = "unknown (not installed)"
        typer.echo(f"mersalg {text}")
        raise typer.Exit


@app.callback()
def main(  # noqa: D103 - it would be the help of the whole program
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    del show_version


def _register() -> None:
    for name, panel in _COMMANDS:
        # Commands import what they need inside themselves, so this table stays cheap to load.
        module = importlib.import_module(f"serving.cli.{name}")
        group = getattr(module, "group", None)
        if group is not None:
            app.add_typer(group, name=name, rich_help_panel=panel)
        else:
            app.command(name=name, rich_help_panel=panel)(module.command)


_register()


def run() -> None:
    """Entry point of the script: every deliberate error becomes one line and an exit code."""
    # Processes that a command starts import nothing from the folder that the user is in.
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        command = typer.main.get_command(app)
        command(default_map=_defaults(command, _database_from_file()))
    except GateRefused as error:
        _end(error, console.GATE_SAID_NO)
    except MersalgError as error:
        _end(error, console.BAD_INPUT)
    except OSError as error:
        # A full disk, a folder nobody may write to: 1 would say that a gate refused.
        named = None if error.filename is None else str(error.filename)
        _end(DataError(error.strerror or str(error), file=named), console.BAD_INPUT)
    except MemoryError:
        _end(DataError("there is not memory enough for that"), console.BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(130)


def _database_from_file() -> str | None:
    """Read only where a file is named: most commands need no settings."""
    if f"{_VARIABLE}_FILE" not in os.environ:
        return None
    from serving.settings import database_from_file

    return database_from_file(os.environ)


def _defaults(command: object, database: str | None) -> dict[str, object]:
    """Return `database` for every option that the variable would fill.

    In the variable itself a password would be in the environment of every process that a command
    starts.
    """
    if database is None:
        return {}
    if isinstance(command, TyperGroup):
        return {name: _defaults(each, database) for name, each in command.commands.items()}
    params = command.params if isinstance(command, TyperCommand) else ()
    return {each.name: database for each in params if each.name and each.envvar == _VARIABLE}


def _end(error: MersalgError, code: int) -> None:
    try:
        console.fail(error, code=code)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)


if __name__ == "__main__":
    run()
