"""`mersalg train`: from order files to a published version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mersalg.engine.errors import AlertNotSent, ConfigError
from mersalg.engine.mining_engines import EngineName
from mersalg.engine.words import counted
from mersalg.serving.cli import console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mersalg.engine.config import ShopConfig
    from mersalg.engine.live_items import LiveItem
    from mersalg.training.pipeline import TrainingResult


def command(
    config: Path = Path("shop.toml"),
    models: console.ModelsOption = Path("models"),
    engine: EngineName | None = None,
    publish: Annotated[bool, typer.Option("--publish/--no-publish")] = True,
    force: Annotated[bool, typer.Option("--force")] = False,
    if_changed: Annotated[bool, typer.Option("--if-changed")] = False,
    since_last: Annotated[bool, typer.Option("--since-last", hidden=True)] = False,
    database: Annotated[str | None, typer.Option(envvar="MERSALG_DATABASE")] = None,
    outcomes: str | None = None,
    as_json: console.JsonFlag = False,
) -> None:
    """Read, check, mine, fit and back-test; write a version, and publish it if it passes the gate.

    A refused version is written too: [bold]mersalg models show[/] shows it, and
    [bold]mersalg models publish[/] publishes it. The exit code is then 1.
    """
    from mersalg.engine.config import load_config
    from mersalg.training.pipeline import train

    if since_last:
        console.err.print("warning: --since-last is now --if-changed", style="yellow")
    shop = load_config(config)
    with console.progress_bars(quiet=as_json) as progress:
        result = train(
            shop,
            config.parent,
            models,
            engine=engine,
            publish=publish,
            force=force,
            if_changed=if_changed or since_last,
            items=_live_items(database),
            outcomes=outcomes,
            progress=progress,
        )
    if as_json:
        console.print_json(result.to_json())
    else:
        _print_people(result, shop.shop.currency)
    if result.refused:
        refusals = [verdict for verdict in result.verdicts if not verdict.passed]
        for verdict in refusals:
            console.err.print("[bold red]refused[/] ", end="")
            console.note(f"{verdict.check}: {verdict.reason}")
        _alert("; ".join(verdict.reason for verdict in refusals), shop)
        raise typer.Exit(console.GATE_SAID_NO)


def _alert(why: str, shop: ShopConfig) -> None:
    """Send the refusal to the shop's webhook, if it has one."""
    from mersalg.serving.alerts import Alert, send

    try:
        send(Alert("refused", why), shop.shop, shop.alerts)
    except (ConfigError, AlertNotSent) as error:
        console.err.print(f"warning: {error.message}", style="yellow", highlight=False)


def _live_items(database: str | None) -> Mapping[str, LiveItem]:
    """Return what a database says of items; nothing where there is no database yet."""
    from mersalg.serving.cli.resources import existing_store

    if database is None:
        return {}
    try:
        with existing_store(database) as store:
            return store.live.since(-1).items
    except ConfigError as error:
        console.err.print(f"warning: {error.message}", style="yellow", highlight=False)
        return {}


def _print_people(result: TrainingResult, currency: str) -> None:
    from mersalg.serving.cli.evaluate import print_back_test

    counts, out = result.counts, console.out
    if result.unchanged:
        fate = "published" if result.published else "written, not published"
        out.print(f"inputs unchanged since version [bold]{result.version}[/] ({fate})")
        _print_warnings(result.warnings)
        return
    span = result.data_range
    dates = f", {span['first'][:10]} to {span['last'][:10]}" if span["first"] else ""
    out.print(
        f"[bold]{counted(counts['orders'], 'order')}[/]{dates};"
        f" {counts['items_sold']:,} of {counted(counts['items'], 'item')} sold"
    )
    _print_quality(result.quality)
    out.print(
        f"[bold]{counted(counts['rules'], 'rule')}[/] of {counts['rules_mined']:,} mined"
        f" (in at least {counted(counts['min_count'], 'order')});"
        f" {counted(counts['repelled_pairs'], 'pair')} never offered together"
    )
    if counts.get("rules_contradicted"):
        out.print(
            f"left out {counted(counts['rules_contradicted'], 'rule')} that the stores contradict"
        )
    out.print(
        f"[bold]{counted(counts['tiers_ladders'], 'ladder')}[/] of"
        f" {counted(counts['tiers_items'], 'item')},"
        f" {counts['tiers_ladders_with_steps']:,} with more than one tier"
        + _left_off(counts["tiers_contradicted"], counts["tiers_far_off"])
    )
    _print_prices(result.quality.get("prices") or {}, counts, currency)
    if result.metrics:
        print_back_test(result.metrics)
    else:
        out.print("no back-test: too few orders to hold some out")
    _print_warnings(result.warnings)
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in result.seconds.items())
    out.print(f"[dim]{stages}[/]")
    fate = "[bold green]published[/]" if result.published else "[bold]written, not published[/]"
    out.print(f"version [bold]{result.version}[/] {fate}")


def _print_warnings(warnings: list[str]) -> None:
    for warning in warnings:
        console.out.print("[bold yellow]warning[/] ", end="")
        console.say(warning)


def _print_quality(quality: dict[str, Any]) -> None:
    """Print the rows kept and left out of each file, by reason, and what was returned."""
    from mersalg.training.reading.validation import NOTES, REASONS, Example

    for source in ("orders", "catalogue"):
        counts = quality[source]
        if counts is None:
            continue
        console.out.print(
            f"{source}: {counts['rows_kept']:,} of {counted(counts['rows_read'], 'row')} kept"
        )
        for columns, words in (
            (counts["columns_used_by_name"], "used by their own names"),
            (counts["columns_unused"], "not used"),
        ):
            if columns:
                console.say(f"  columns {words}: {', '.join(columns)}")
        for fate, words in (("left_out", REASONS), ("notes", NOTES)):
            for reason, entry in counts[fate].items():
                verb = "left out" if fate == "left_out" else "kept"
                text = f"  {entry['rows']:,} {verb}: {words.get(reason, reason)}"
                if entry["examples"]:
                    text += f" ({Example(**entry['examples'][0]).words})"
                console.say(text)
    returns = quality["returns"]
    if returns["lines"]:
        console.out.print(
            f"  {counted(returns['lines'], 'return line')}:"
            f" {counted(returns['matched_units'], 'unit')} taken off earlier purchases,"
            f" {returns['unmatched_units']:,g} without one;"
            f" {counted(returns['orders_removed'], 'order')} returned whole"
        )


def _print_prices(
    examples: dict[str, list[dict[str, Any]]], counts: dict[str, Any], currency: str
) -> None:
    """Print the prices that exclude items from ladders, each with the price it contradicts."""
    from mersalg.engine.money import to_text

    for reason, other, words in (
        ("contradicted", "orders_paid_minor", "orders paid"),
        ("far_off", "median_of_its_family_minor", "its family's median is"),
    ):
        shown = examples.get(reason, ())
        for each in shown:
            price, beside = (to_text(each[name], currency) for name in ("price_minor", other))
            console.say(
                f"  item {each['item_id']!r} is priced {price} {currency}, {words} {beside}"
            )
        if shown and (more := counts[f"tiers_{reason}"] - len(shown)) > 0:
            console.out.print(f"  and {more:,} more")


def _left_off(contradicted: int, far_off: int) -> str:
    against = {"priced against their own orders": contradicted}
    against["far off their family's prices"] = far_off
    parts = [f"{count:,} {words}" for words, count in against.items() if count]
    return f"; left off: {', '.join(parts)}" if parts else ""
