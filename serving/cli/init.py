"""`mersalg init`: a shop file for order and catalogue files, or a sample shop to try."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mersalg.engine.errors import ConfigError
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import target

if TYPE_CHECKING:
    from mersalg.training.init.settings import Draft, Question

_FLAGS = ("name", "currency", "timezone", "locale")
"""Settings of `[shop]` that have an option of their own."""


def command(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILES...")] = None,
    sample: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    out: Path = Path("shop.toml"),
    yes: Annotated[bool, typer.Option("--yes")] = False,
    name: str | None = None,
    currency: str | None = None,
    timezone: str | None = None,
    locale: str | None = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE")] = None,
    force: Annotated[bool, typer.Option("--force")] = False,
    as_json: console.JsonFlag = False,
) -> None:
    """Look at order and catalogue files and write a shop file, asking what they do not show.

    Questions are asked on standard error and answered on standard input. With [bold]--sample[/] a
    shop that does not exist is written instead, with orders that end yesterday.
    """
    if bool(files) == bool(sample):
        raise ConfigError("name order and catalogue files, or a sample: --sample bike-shop")
    if sample:
        from mersalg.training.simulation.sample_shop import sample_files

        contents = sample_files(sample, datetime.now(UTC))
        written = {out.with_name(file): content for file, content in contents.items()}
        written[out] = written.pop(out.with_name("shop.toml"))
        _write(written, force=force)
        if as_json:
            console.print_json({"shop_file": str(out), "files": sorted(map(str, written))})
            return
        for path in sorted(written):
            console.say(f"wrote {path}")
        carts = out.with_name("carts.jsonl")
        console.say(
            f"next: mersalg train --config {out}\n"
            f"      mersalg suggest --carts {carts} --out suggestions.jsonl --no-holdout"
        )
        return
    from mersalg.engine.config import parse_config
    from mersalg.training.init.draft import draft_shop_file

    _refuse_existing([out], force=force)
    given = _given(
        settings or (), dict(zip(_FLAGS, (name, currency, timezone, locale), strict=True))
    )
    answers = _Answers(yes)
    draft = draft_shop_file(files or (), out, given, answers.ask)
    answers.refuse_unanswered()
    text = draft.to_toml()
    parse_config(tomllib.loads(text), source=str(out))
    _write({out: text.encode()}, force=force)
    _report(draft, out, as_json=as_json)


class _Answers:
    """Answers questions: from standard input, or with `yes` by what is likeliest."""

    def __init__(self, yes: bool) -> None:
        self._yes = yes
        self._unanswered: list[str] = []

    def ask(self, question: Question) -> tuple[str, bool]:
        """Return an answer and whether it is a guess.

        Raises ConfigError: there is no likely answer, and nobody gives one.
        """
        choices = f"; one of {', '.join(question.choices)}" if question.choices else ""
        while not self._yes and not self._unanswered:
            console.err.print(
                f"{question.text} ({question.why}{choices}) [{question.likeliest or ''}]: ",
                end="",
                markup=False,
                highlight=False,
            )
            line = sys.stdin.readline()
            if not line:
                break
            answer = line.strip() or question.likeliest
            if answer and (not question.choices or answer in question.choices):
                return answer, False
        if not self._yes or question.likeliest is None:
            self._unanswered.append(
                f"{question.text} ({question.why}{choices}): --set {question.key}=..."
            )
        if question.likeliest is None:
            self.refuse_unanswered()
        return question.likeliest or "", True

    def refuse_unanswered(self) -> None:
        """Raise ConfigError where a question was not answered."""
        if self._unanswered:
            listed = "\n".join(self._unanswered)
            more = "" if self._yes else "\n--yes takes the likeliest answers"
            raise ConfigError(f"the files do not tell:\n{listed}{more}")


def _given(settings: Sequence[str], shop: Mapping[str, str | None]) -> dict[str, Any]:
    given: dict[str, Any] = {f"shop.{name}": value for name, value in shop.items() if value}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not re.fullmatch(r"\w+(\.[\w-]+)+", key, re.ASCII):
            raise ConfigError(f"--set {setting}: give SECTION.KEY=VALUE, as shop.currency=NOK")
        try:
            given[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            given[key] = value  # A text without its quotation marks.
    return given


def _report(draft: Draft, out: Path, *, as_json: bool) -> None:
    guesses = {key: each for key, each in draft.settings.items() if each.guessed}
    if as_json:
        console.print_json(
            {
                "shop_file": str(out),
                "settings": {key: each.value for key, each in draft.settings.items()},
                "guessed": {key: each.why for key, each in guesses.items()},
                "unused": draft.unused,
                "suggested": {key: each.value for key, each in draft.suggested.items()},
            }
        )
        return
    for section in draft.unused:
        setting = draft.settings[f"{section}.path"]
        console.say(f"{section}: {setting.value} ({setting.why})")
        if draft.unused[section]:
            console.say(f"  columns not used: {', '.join(draft.unused[section])}")
    for key, each in draft.suggested.items():
        console.say(f"suggested: {key} = {json.dumps(each.value, ensure_ascii=False)} ({each.why})")
    for key, each in guesses.items():
        console.out.print("[bold yellow]guessed[/] ", end="")
        console.say(f"{key} = {each.value!r}: {each.why}")
    console.say(
        f"wrote {out}\nnext: mersalg check --config {out}\n      mersalg train --config {out}"
    )


def _write(files: Mapping[Path, bytes], *, force: bool) -> None:
    """Write all files, or none where one of them would be replaced unasked."""
    _refuse_existing([*files], force=force)
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with target(path) as file:
            file.write(content)


def _refuse_existing(paths: Sequence[Path], *, force: bool) -> None:
    there = [str(path) for path in paths if path.exists()]
    if there and not force:
        raise ConfigError(f"there already: {', '.join(there)}; --force replaces what is there")
