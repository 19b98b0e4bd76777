"""The `mersalg` command and its table of sub-commands."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from mersalg import __version__
from mersalg.engine.errors import ConfigError, DataError, GateRefused, MersalgError
from mersalg.engine.words import read_toml
from mersalg.serving.cli import console

_VARIABLE = "MERSALG_DATABASE"

# Panels of --help and their commands. A command is the function of this name in the module that
# keeps databases, or `command` or `group` of the module of its name.
_PANELS = {
    "Try it": "demo init check",
    "Train": "train mine evaluate models",
    "Suggest": "suggest serve keys items",
    "Measure": "events report simulate power customers retention guardrail audit backup restore"
    " migrate",
}
_PANEL_OF = {name: panel for panel, names in _PANELS.items() for name in names.split()}
_UPKEEP = frozenset({"audit", "backup", "restore", "migrate", "retention"})
_OF_TRAINING = frozenset(
    {"joblib", "mlxtend", "narwhals", "pandas", "scipy", "sklearn", "threadpoolctl"}
)
"""What `mersalg[train]` brings, by the names of the imports."""


def _with_quiet(
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            callback=console.set_quiet,
            expose_value=False,
            help="Print no progress; results, warnings and errors stay.",
        ),
    ] = False,
) -> None:
    """Declare the option that every command has."""


@cache
def _quiet() -> list[Any]:
    source = typer.Typer(add_completion=False)
    source.command()(_with_quiet)
    return typer.main.get_command(source).params


def _flowing(text: str) -> str:
    """Join the lines of each paragraph: breaks of docstrings are ragged at another width."""
    return "\n\n".join(part.replace("\n", " ") for part in inspect.cleandoc(text).split("\n\n"))


def _process(param: Any, convert: Any, ctx: Any, value: Any) -> Any:
    """Return the value of an option, converted only where it is not of its type yet.

    To convert one Typer loads pydantic, which takes as long as all the rest.
    """
    single = param.nargs == 1 and not param.multiple
    is_default = value is param.default and not param.required
    is_text = type(value) is str and param.type_descriptor.annotation is str
    if single and (is_default or is_text):
        return param.callback(ctx, param, value) if param.callback else value
    return convert(ctx, value)


def _params(get_params: Any, ctx: Any) -> list[Any]:
    """Return a command's options, `--help` included, which convert no more than they must."""
    params = get_params(ctx)
    for param in params:
        if not isinstance(param.process_value, partial):
            param.process_value = partial(_process, param, param.process_value)
    return params


def _complete(command: Any, texts: Mapping[str, Any]) -> None:
    """Give a command, or each command of a group, what all have and the texts of its options."""
    command.get_params = partial(_params, command.get_params)
    if command.help:
        command.help = _flowing(command.help)
        # Typer would cut what lists show of it in the middle of a sentence.
        command.short_help = command.help.partition("\n\n")[0]
    if isinstance(command, TyperGroup):
        for name, each in command.commands.items():
            _complete(each, texts.get(name, {}))
        return
    for param in command.params:
        param.help = param.help or texts.get(param.name)
    command.params += _quiet()


def _source(name: str) -> Any:
    """Return the function of a command, or the `Typer` of a group."""
    if name in _UPKEEP:
        return getattr(importlib.import_module("mersalg.serving.cli.upkeep"), name)
    module = importlib.import_module(f"mersalg.serving.cli.{name}")
    return getattr(module, "group", None) or module.command


def _summary(name: str) -> TyperCommand:
    """Return the command as `--help` lists it: its options would take as long as all the rest."""
    source = _source(name)
    text = (source.info.help if isinstance(source, typer.Typer) else source.__doc__) or ""
    return TyperCommand(
        name, help=_flowing(text), rich_markup_mode="rich", rich_help_panel=_PANEL_OF[name]
    )


class _Commands(Mapping[str, Any]):
    """The commands by name, each imported and described when it is asked for."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            panel, alone = _PANEL_OF[name], typer.Typer(rich_markup_mode="rich")
            source = _source(name)
            if isinstance(source, typer.Typer):
                alone.add_typer(source, name=name, rich_help_panel=panel)
            else:
                alone.command(name=name, rich_help_panel=panel)(source)
            command = typer.main.get_group(alone).commands[name]
            _complete(command, read_toml("mersalg.serving.cli", "options.toml").get(name, {}))
            self._built[name] = command
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_PANEL_OF)

    def __len__(self) -> int:
        return len(_PANEL_OF)


class _Mersalg(TyperGroup):
    """The program: its commands are imported one by one."""

    def __init__(self, **settings: Any) -> None:
        settings["commands"] = _Commands()
        super().__init__(**settings)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, for which the commands need no options."""
        self.commands = {name: _summary(name) for name in _PANEL_OF}
        super().format_help(ctx, formatter)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the program's own options."""
        return _params(super().get_params, ctx)


app = typer.Typer(
    cls=_Mersalg,
    name="mersalg",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Cross-sell and upsell at checkout, and the two rates that say what they earn.",
    epilog="Exit codes: 0 ok, 1 a gate said no, 2 bad input.",
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"mersalg {__version__}")
        raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take the options of the command itself."""
    del show_version


def run() -> None:
    """Run the program: every deliberate error becomes one line and an exit code."""
    # Processes that a command starts import nothing from the folder that the user is in.
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        command = typer.main.get_command(app)
        command(default_map=_defaults(command, _database_from_file()))
    except GateRefused as error:
        fail(error, console.GATE_SAID_NO)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_TRAINING:
            raise
        extra = "demo" if sys.argv[1:2] in (["demo"], ["simulate"]) else "train"
        message = f"this command needs {error.name}: pip install 'mersalg[{extra}]'"
        fail(ConfigError(message), console.BAD_INPUT)
    except MersalgError as error:
        fail(error, console.BAD_INPUT)
    except OSError as error:
        # A full disk, a folder nobody may write to: 1 would say that a gate refused.
        named = None if error.filename is None else str(error.filename)
        fail(DataError(error.strerror or str(error), file=named), console.BAD_INPUT)
    except MemoryError:
        fail(DataError("there is not memory enough for that"), console.BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(130)


def _database_from_file() -> str | None:
    """Read only where a file is named: most commands need no settings."""
    if f"{_VARIABLE}_FILE" not in os.environ:
        return None
    from mersalg.serving.settings import database_from_file

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
    return {param.name: database for param in params if param.name and param.envvar == _VARIABLE}


def fail(error: MersalgError, code: int) -> NoReturn:
    """Say what is wrong in one line on standard error, and end."""
    console.err.print(f"[bold red]error[/] [dim]({error.code})[/] ", end="")
    console.note(error.message)
    sys.exit(code)


if __name__ == "__main__":
    run()
