"""`mersalg report`: the cross-sell rate and the upsell rate of a shop."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mersalg.serving.cli import console
from mersalg.serving.cli.existing_store import existing_store

if TYPE_CHECKING:
    from mersalg.engine.progress import Progress
    from mersalg.engine.storage.store import Store

_PERIOD = "a local day (2026-01-31, inclusive) or an instant with an offset."


class Format(StrEnum):
    """How a report is written."""

    table = "table"
    json = "json"
    csv = "csv"
    html = "html"


def command(
    database: Annotated[
        str,
        typer.Option("--database", envvar="MERSALG_DATABASE", help="URL or SQLite file of facts."),
    ],
    since: Annotated[str | None, typer.Option("--from", help=f"Begin: {_PERIOD}")] = None,
    until: Annotated[str | None, typer.Option("--to", help=f"End: {_PERIOD}")] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Split by day, week, month; item, family, rule, upgrade; placement,"
            " model_version, arm, store, segment."
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="cross_sell or upsell; both without it.")] = None,
    output: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.table,
    timezone: Annotated[
        str | None, typer.Option(help="Time zone of the days; else the shop's.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="Currency of the money; else the shop's.")
    ] = None,
    impressions: Annotated[
        str | None,
        typer.Option(help="viewed or served: when an offer counts as shown; else the shop's."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(help="Days after an offer that a purchase elsewhere is credited, 0 to 30."),
    ] = None,
    holdout: Annotated[
        str | None,
        typer.Option(help="Control share units were drawn with, where decisions do not say."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Shop file whose settings hold here, before those in the database."),
    ] = None,
    level: Annotated[str | None, typer.Option(help="Level of the intervals; 0.95.")] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="Another period beside it: FROM..TO, or previous for the days before."),
    ] = None,
    watched: Annotated[
        bool,
        typer.Option("--watched", help="Intervals of effects hold however often you look."),
    ] = False,
    adjusted: Annotated[
        bool,
        typer.Option(
            "--adjusted", help="Also the revenue effect adjusted by earlier spend (CUPED)."
        ),
    ] = False,
    lang: Annotated[
        str | None,
        typer.Option(help="Language of table and html: nb or en; else the shop's, else English."),
    ] = None,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild", help="First count every day from its facts again, and tell what differed."
        ),
    ] = False,
    as_json: console.JsonFlag = False,
) -> None:
    """Both rates with intervals, net of returns, and beside what would have happened anyway."""
    from mersalg.engine.errors import ConfigError
    from mersalg.engine.locales import is_spoken, language_of
    from mersalg.engine.tracking.report import build_report, parse_query
    from mersalg.engine.tracking.report_csv import csv_text
    from mersalg.serving.cli import report_tables
    from mersalg.serving.presentation.report import present

    if lang is not None and not is_spoken(lang):
        raise ConfigError(f"lang: {lang!r} is not a language of reports; there are nb and en")
    query = parse_query(
        {
            "from": since,
            "to": until,
            "by": by,
            "kind": kind,
            "timezone": timezone,
            "currency": currency,
            "impressions": impressions,
            "window": window,
            "holdout": holdout,
            "level": level,
            "compare": compare,
            "watched": str(watched),
            "adjusted": str(adjusted),
        }
    )
    with existing_store(database) as store:
        settings = {**store.reports.settings(), **_settings_of(config)}
        query = query.filled(settings)
        with console.progress_bars(quiet=as_json or output is not Format.table) as progress:
            if rebuild:
                _rebuild(store, progress)
            report = build_report(store, query, progress=progress)
    if as_json or output is Format.json:
        console.print_json(report)
    elif output is Format.csv:
        sys.stdout.write(csv_text(report))
    else:
        view = present(report, query.shop, language_of(lang, settings.get("locale")))
        if output is Format.html:
            sys.stdout.write(report_tables.page_of(view) + "\n")
        else:
            for part in report_tables.terminal_parts(view):
                console.out.print(part)


def _rebuild(store: Store, progress: Progress) -> None:
    from mersalg.engine.tracking.report import ReportQuery
    from mersalg.engine.tracking.rollups.stored import rebuild

    done = rebuild(store, ReportQuery.from_store(store), progress)
    counted = f"{done.days:,} days counted again from their facts: "
    if not done.differed:
        console.err.print(f"{counted}all roll-ups agreed")
    else:
        named = ", ".join(done.differed[:10]) + (" ..." if len(done.differed) > 10 else "")
        console.err.print(f"{counted}the roll-ups of {len(done.differed):,} had differed: {named}")


def _settings_of(config: Path | None) -> dict[str, str]:
    if config is None:
        return {}
    from mersalg.engine.config import load_config
    from mersalg.engine.tracking.query import report_settings

    shop = load_config(config)
    return report_settings(shop.shop, shop.tracking, shop.experiment)
