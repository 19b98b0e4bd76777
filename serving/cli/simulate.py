"""`mersalg simulate`: shoppers with known true effects, for checking the measurement."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import orjson
import typer

from mersalg.engine.errors import ConfigError
from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import migrated_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mersalg.engine.progress import Task
    from mersalg.engine.storage.store import Store
    from mersalg.training.simulation.invented_shop import Invented

_BATCH = 500
_SHARE = typer.Option(min=0, max=1)


def command(
    context: typer.Context,
    checkouts: Annotated[int, typer.Option(min=1, max=10000000)] = 20_000,
    seed: int = 1,
    holdout: Annotated[float, _SHARE] = 0.1,
    anyway: Annotated[float, _SHARE] = 0.11,
    persuaded: Annotated[float, _SHARE] = 0.08,
    trade_up: Annotated[float, _SHARE] = 0.05,
    upgraded: Annotated[float, _SHARE] = 0.05,
    seen: Annotated[float, _SHARE] = 0.8,
    returned: Annotated[float, _SHARE] = 0.05,
    visits: Annotated[float, typer.Option(min=1)] = 2.5,
    out: Path | None = None,
    database: str | None = None,
    as_json: console.JsonFlag = False,
) -> None:
    """Simulate buyers of known habits, and compare the report on their facts with the truth.

    Some buy the offered item anyway and some only because it is offered: the attributed rate
    counts both, and the hold-out separates them. The same seed gives the same facts.
    """
    from mersalg.engine.facts import KINDS
    from mersalg.engine.tracking.report import ReportQuery, build_report
    from mersalg.training.simulation.invented_shop import CURRENCY, Invented, Plan

    beside = {"out", "database", "as_json"}
    habits = {name: value for name, value in context.params.items() if name not in beside}
    invented = Invented(Plan(**habits))
    with (
        tempfile.TemporaryDirectory(prefix="mersalg-simulate-") as folder,
        migrated_store(database or f"sqlite:///{Path(folder) / 'facts.db'}") as store,
        console.progress_bars(quiet=as_json) as progress,
    ):
        _refuse_a_shop(store)
        with progress.task("Simulating checkouts", total=checkouts) as task:
            recorded = _play(invented, store, out, task)
        query = ReportQuery.from_store(store, currency=CURRENCY)
        with progress.task("Computing the rates"):
            report: dict[str, Any] = build_report(store, query)
    total = cast("Mapping[str, Any]", report["total"])
    checked = {kind: _check(total[kind], invented.truth.kinds[kind].incremental) for kind in KINDS}
    if as_json:
        truth = invented.truth.to_json()
        console.print_json(
            {"facts": recorded, "truth": truth, "checked": checked, "report": report}
        )
        return
    _print(checked, recorded, report)


def _refuse_a_shop(store: Store) -> None:
    """Refuse a database with facts of a shop: invented sales must never be among real ones."""
    from mersalg.engine.storage.linked_facts import FactScope

    first = next(iter(store.facts.read(FactScope())), None)
    if first is not None and not first.event_id.startswith("sim-"):
        raise ConfigError("the database holds a shop's own facts: simulate into another one")


def _play(invented: Invented, store: Store, out: Path | None, task: Task) -> dict[str, int]:
    """Record all facts in batches, and write them where asked; how many were new and known."""
    from mersalg.engine.fact_json import parse_fact
    from mersalg.engine.facts import Fact
    from mersalg.serving.cli.resources import target

    tally = {"recorded": 0, "duplicates": 0}
    waiting: list[Fact] = []

    def flush() -> None:
        result = store.facts.append(waiting)
        if result.rejected:
            raise ConfigError(
                "the database holds other facts under these ids: choose another --seed or"
                f" database ({result.rejected[0].message})"
            )
        tally["recorded"] += result.recorded
        tally["duplicates"] += result.duplicates
        waiting.clear()

    with nullcontext() if out is None else target(out) as file:
        for index, facts in enumerate(invented.facts(), start=1):
            for fact in facts:
                if file is not None:
                    file.write(orjson.dumps(fact) + b"\n")
                waiting.append(parse_fact(fact))
            if index % _BATCH == 0:
                flush()
                task.advance(_BATCH)
        flush()
    return tally


def _check(measured: dict[str, Any], planted: float | None) -> dict[str, Any]:
    """Return the planted effect beside what the report says, in shares of checkouts."""
    effect = measured["incremental"]
    is_known = planted is not None and effect["value"] is not None
    return {
        "planted": planted,
        "measured": effect["value"],
        "lower": effect["lower"],
        "upper": effect["upper"],
        "inside": effect["lower"] <= planted <= effect["upper"] if is_known else None,
        "attributed": measured["checkout"]["value"],
        "treatment": effect["treatment"]["value"],
        "control": effect["control"]["value"],
        "status": effect["status"],
    }


def _print(checked: dict[str, Any], recorded: dict[str, int], report: dict[str, Any]) -> None:
    from mersalg.serving.cli.report_forms import terminal_lines
    from mersalg.serving.presentation.figures import EntryWords
    from mersalg.serving.presentation.report import ReportText

    percent, points = EntryWords("en").percent, EntryWords("en").points
    for line in terminal_lines(ReportText(report, "Simulated shop", "en"), console.out.width):
        console.out.print(line)
    show = console.out.print
    show(
        f"\n{counted(recorded['recorded'], 'fact')} recorded,"
        f" {counted(recorded['duplicates'], 'duplicate')}"
    )
    for kind, check in checked.items():
        name = kind.replace("_", "-")
        if check["inside"] is None:
            show(f"{name}: no effect can be reported ({check['status']})")
            continue
        console.say(
            f"{name}: {percent(check['attributed'])} of the checkouts that were shown one bought"
            f" it, yet {percent(check['control'])} buy it without any offer"
        )
        console.say(
            f"  planted {points(check['planted'])} points; the report says"
            f" {points(check['measured'])} [{points(check['lower'])} to {points(check['upper'])}]:"
            f" {'inside' if check['inside'] else 'outside'} its interval"
        )
