"""`mersalg guardrail`: what the guardrail sees, and the switch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from mersalg.engine import clock
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import Database, existing_store

if TYPE_CHECKING:
    from mersalg.engine.tracking.guardrail import State

group = typer.Typer(
    no_args_is_help=True,
    help="Show whether offers cost completed checkouts; pause and resume them.",
)


@group.command("status")
def status(database: Database, as_json: console.JsonFlag = False) -> None:
    """Show whether offers are paused, and how checkouts with and without them are completed."""
    from mersalg.engine.tracking import guardrail
    from mersalg.serving.presentation.figures import EntryWords

    with existing_store(database) as store:
        state = guardrail.state_of(store)
        kinds: dict[str, Any] = {}
        if state is not None:
            report = guardrail.measured(store, state, clock.now())
            kinds = {
                kind: counted["incremental"]["completion"]
                for kind, counted in report["total"].items()
            }
    if as_json:
        console.print_json({**_fields_of(state), "completion": kinds})
        return
    console.say(_text_of(state))
    words = EntryWords("en")
    name = words.terms["completion"].name
    for kind, entry in kinds.items():
        console.say(f"{kind.replace('_', '-')}, {name}: {words.effect(entry)}")


@group.command("pause")
def pause(
    database: Database, why: str = "paused by hand", as_json: console.JsonFlag = False
) -> None:
    """Make no offers until `resume`; checkouts are answered and counted as before."""
    from mersalg.engine.tracking import guardrail
    from mersalg.serving.audit import audited_here

    with existing_store(database) as store, audited_here(store, "pause offers", why):
        state = guardrail.pause(store, why, clock.now())
        console.answer(as_json, _fields_of(state), _text_of(state))


@group.command("resume")
def resume(database: Database, as_json: console.JsonFlag = False) -> None:
    """Make offers again; the guardrail judges by the decisions from now on."""
    from mersalg.engine.tracking import guardrail
    from mersalg.serving.audit import audited_here

    with existing_store(database) as store, audited_here(store, "resume offers"):
        state = guardrail.resume(store, clock.now())
        console.answer(as_json, _fields_of(state), _text_of(state))


def _fields_of(state: State | None) -> dict[str, object]:
    from mersalg.engine.tracking.guardrail import instant_text

    return {
        "paused": state.paused if state else None,
        "asked": state.asked if state else None,
        "paused_at": instant_text(state.paused_at) if state else None,
        "model_version": state.version if state else None,
        "since": instant_text(state.since) if state else None,
    }


def _text_of(state: State | None) -> str:
    shown = _fields_of(state)
    if shown["paused"]:
        text = f"paused since {shown['paused_at']}: {shown['paused']}"
    elif state is None:
        text = "nothing has been judged yet: the service does that while it runs"
    else:
        text = f"offers are made; decisions since {shown['since']} are judged"
    if not shown["asked"]:
        return text
    from mersalg.serving.guard import NOT_VOUCHED

    return f"{text}\nlook at them: {shown['asked']}; {NOT_VOUCHED}"
