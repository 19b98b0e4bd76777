"""`mersalg demo`: the whole loop on a year of grocery baskets, with simulated buyers."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mersalg.engine.errors import ConfigError
from mersalg.engine.facts import KINDS
from mersalg.engine.words import counted
from mersalg.serving.cli import console

if TYPE_CHECKING:
    from mersalg.training.simulation.demo import DemoResult

_PORT = 8765


def command(
    full: Annotated[bool, typer.Option("--full")] = False,
    households: Annotated[int | None, typer.Option(min=20)] = None,
    once: Annotated[bool, typer.Option("--once")] = False,
    folder: Path = Path(".demo"),
    port: Annotated[int | None, typer.Option(min=0)] = None,
    shoppers: Annotated[int | None, typer.Option(min=1)] = None,
    seed: int = 1,
    as_json: console.JsonFlag = False,
) -> None:
    """Train on a year of grocery baskets, serve, let simulated shoppers buy, show both rates.

    The baskets are those of a sample of households, always the same one; [bold]--full[/] takes all.
    The shoppers have baskets of the same households, from the weeks after those trained on.
    """
    from mersalg.training.simulation.complete_journey import N_HOUSEHOLDS
    from mersalg.training.simulation.demo import SAMPLE_HOUSEHOLDS, running_demo

    if full and households is not None:
        raise ConfigError("--full takes all households: leave out --households, or --full")
    if households is not None and households > N_HOUSEHOLDS:
        raise ConfigError(f"--households {households}: there are {N_HOUSEHOLDS}")
    # The service is a process of its own, which must not outlive this one.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda sent, _frame: sys.exit(128 + sent))
    chosen = port if port is not None else (0 if once or _taken(_PORT) else _PORT)
    with ExitStack() as open_ended:
        with console.progress_bars(quiet=as_json) as progress:
            demo = running_demo(
                folder,
                n_households=N_HOUSEHOLDS if full else households or SAMPLE_HOUSEHOLDS,
                n_shoppers=shoppers,
                port=chosen,
                seed=seed,
                progress=progress,
                announce=(lambda _: None) if as_json else partial(console.note, style="bold"),
            )
            result, service = open_ended.enter_context(demo)
        if as_json:
            console.print_json(result.to_json())
        else:
            _print(result)
        if once:
            return
        console.err.print(f"\n[bold]The dashboard is up:[/] {result.url}/dashboard")
        console.err.print("[dim]Ctrl-C ends it.[/]")
        # An interrupt is how this ends; it is no error.
        with suppress(KeyboardInterrupt):
            service.wait()


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _print(result: DemoResult) -> None:
    from mersalg.serving.cli.report_forms import terminal_lines
    from mersalg.serving.presentation.report import ReportText

    out = console.out
    out.print("\n[bold]What it was trained on[/]")
    out.print(f"Complete Journey: {result.shop.sentence()}", highlight=False)
    if result.shop.is_sample:
        out.print("All of it: mersalg demo --full, or make demo FULL=1", highlight=False)
    out.print("\n[bold]What the service suggested[/] [dim](real answers, the clearest of them)[/]")
    for sample in result.samples:
        _print_sample(sample)
    out.print("\n[bold]What became of it[/]")
    out.print(
        "[yellow]The shoppers are simulated.[/] Their baskets are real ones of the same"
        " households, later than those trained on;"
        f" {counted(result.truth.n_visits, 'checkout')} over HTTP in {result.replay_seconds:.0f} s:"
    )
    for sentence in result.behaviour.sentences():
        out.print(f"  · {sentence}", highlight=False)
    out.print()
    for line in terminal_lines(ReportText(result.report, "Complete Journey", "en"), out.width):
        out.print(line)
    out.print("\n[bold]Against what the simulation knows[/]")
    for kind in KINDS:
        measured = result.report["total"][kind]["incremental"]
        _print_truth(kind.replace("_", "-"), measured, result.truth.kinds[kind].incremental)


def _print_sample(sample: Mapping[str, Any]) -> None:
    console.say("\n  cart: " + "; ".join(sample["cart"]))
    for offer in sample["offers"]:
        price = f"{offer['unit_price']} {offer['currency']}" if offer["unit_price"] else "no price"
        if offer["kind"] == "upsell":
            console.say(f"    ↑ {offer['name']}, {price}, instead of {offer['replaces_name']}")
        else:
            console.say(f"    + {offer['name']}, {price}")
            evidence = offer["evidence"]
            if evidence["antecedent_item_ids"]:
                console.say(
                    f"      {evidence['n_joint']:,} of"
                    f" {counted(evidence['n_antecedent'], 'order')} with"
                    f" {' and '.join(offer['antecedent_names'])};"
                    f" lift {evidence['lift']:.1f}, at least {evidence['lift_lower']:.1f}",
                    style="dim",
                )
        console.say(f"      “{offer['text']}”", style="dim")


def _print_truth(label: str, measured: Mapping[str, Any], true: float | None) -> None:
    if true is None:
        text = f"  {label}: no checkout had such an offer"
    elif measured["value"] is None:
        text = f"  {label}: true effect {true:+.2%}; not measured ({measured['status']})"
    else:
        inside = measured["lower"] <= true <= measured["upper"]
        text = (
            f"  {label}: the offers truly changed the share of checkouts that convert by"
            f" {true * 100:+.2f} pp; the report, which sees only the facts, says"
            f" {measured['value'] * 100:+.2f} pp"
            f" [{measured['lower'] * 100:+.2f}, {measured['upper'] * 100:+.2f}]"
            f" ({'inside' if inside else 'outside'} its interval)"
        )
    console.say(text)
