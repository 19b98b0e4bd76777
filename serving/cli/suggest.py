"""`mersalg suggest`: the checkout answer for many carts, without a server."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import source, target

if TYPE_CHECKING:
    from mersalg.engine.model import Model
    from mersalg.serving.errors import ApiError

_STANDARD = "-"


def command(
    models: console.ModelsOption = Path("models"),
    carts: str = _STANDARD,
    out: str = _STANDARD,
    no_holdout: Annotated[bool, typer.Option("--no-holdout")] = False,
    as_json: console.JsonFlag = False,
) -> None:
    """Suggest cross-sell and upsell for many carts, as the service would; nothing is recorded.

    A malformed line is answered by an error in its place, and the exit code is 2.
    """
    from mersalg.engine.registry import Registry

    model = Registry(models).load()
    tally = {"carts": 0, "answered": 0, "malformed": 0, "cross_sell": 0, "upsell": 0, "control": 0}
    with (
        source(carts) as lines,
        target(None if out == _STANDARD else Path(out)) as answers,
        console.progress_bars(quiet=as_json or out == _STANDARD) as progress,
        progress.task("Suggesting", total=_count_lines(carts)) as bar,
    ):
        for answer in _answers(model, lines, tally, holdout=not no_holdout):
            answers.write(answer + b"\n")
            bar.advance()
    # Random where the shop file sets none, and in the service's database.
    own_arms = not no_holdout and model.settings.experiment.salt_of(None) is None
    _summarise(tally, model.version, out, own_arms=own_arms, as_json=as_json)
    if tally["malformed"]:
        raise typer.Exit(console.BAD_INPUT)


def _answers(
    model: Model, source: Iterable[bytes], tally: dict[str, int], *, holdout: bool
) -> Iterator[bytes]:
    """Yield an answer for each line; blank lines are malformed, except at the end."""
    blanks = 0
    for line in source:
        if not line.strip():
            blanks += 1
            continue
        for text in (*[b""] * blanks, line):
            yield _answer(model, text, tally, holdout=holdout)
        blanks = 0


def _answer(model: Model, line: bytes, tally: dict[str, int], *, holdout: bool) -> bytes:
    from mersalg.serving.answers import answer_json, display_of, unknown_item_ids
    from mersalg.serving.checkout import decide
    from mersalg.serving.errors import ApiError
    from mersalg.serving.request_body import decode, ignored
    from mersalg.serving.schemas import SuggestionRequest

    tally["carts"] += 1
    try:
        unknown: list[str] = []
        request = decode(line.removeprefix(b"\xef\xbb\xbf"), SuggestionRequest, unknown)
    except ApiError as error:
        tally["malformed"] += 1
        return _refusal(error)
    warnings = ignored(unknown) + request.leave_out_nobody()
    decision = decide(model, request, holdout=holdout)
    tally["answered"] += 1
    if decision.arm == "control":
        tally["control"] += 1
    else:
        for offer in decision.offers:
            tally[offer.kind] += 1
    display = display_of(model, request, decision)
    return answer_json(decision, "off", display, warnings, unknown_item_ids(model, request))


def _refusal(error: ApiError) -> bytes:

    problem = {"code": error.code, "message": error.message, "details": error.details}
    return orjson.dumps({"error": problem})


def _summarise(
    tally: dict[str, int], version: str, out: str, *, own_arms: bool, as_json: bool
) -> None:
    stream = console.err if out == _STANDARD else console.out
    if as_json:
        said = {"model_version": version, "arms_of_service": not own_arms, **tally}
        text = orjson.dumps(said).decode()
        # Answers have the standard output to themselves.
        (sys.stderr if out == _STANDARD else sys.stdout).write(text + "\n")
        return
    stream.print(
        f"{tally['answered']:,} of {counted(tally['carts'], 'cart')} answered by model {version}:"
        f" {counted(tally['cross_sell'], 'cross-sell offer')} and"
        f" {counted(tally['upsell'], 'upsell offer')}"
        + (f", {counted(tally['control'], 'cart')} held out" if tally["control"] else ""),
        highlight=False,
        markup=False,
    )
    if own_arms:
        console.note(
            "arms differ from the service's, whose salt is in its database; [experiment] salt of"
            " the shop file makes them the same"
        )
    if tally["malformed"]:
        console.err.print(
            f"[bold red]error[/] {counted(tally['malformed'], 'malformed line')} answered by errors"
        )


def _count_lines(carts: str) -> int | None:
    if carts == _STANDARD:
        return None
    with source(carts) as file:
        return sum(1 for line in file if line.strip())
