"""Runs `mersalg` commands inside the test process, which saves a start-up for each."""

from __future__ import annotations

from click.testing import Result
from typer.testing import CliRunner

from mersalg.serving.cli.main import app


def run(*arguments: object) -> str:
    """Standard output of one `mersalg` command, which must end well."""
    result = attempt(*arguments)
    assert result.exit_code == 0, f"{arguments}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def attempt(*arguments: object) -> Result:
    """The result of one `mersalg` command; errors of the tree are raised to the caller."""
    return CliRunner().invoke(app, [str(part) for part in arguments], catch_exceptions=False)
