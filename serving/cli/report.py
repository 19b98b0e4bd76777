"""`mersalg report`: the cross-sell rate and the upsell rate of a shop."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mersalg.engine.errors import ConfigError
from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import Database, existing_store, target

if TYPE_CHECKING:
    from mersalg.engine.progress import Progress
    from mersalg.engine.storage.store import Store

Format = Literal["table", "json", "csv", "html", "parquet"]
_MAIL_WIDTH = 72


def command(
    context: typer.Context,
    database: Database,
    since: Annotated[str | None, typer.Option("--from")] = None,
    until: Annotated[str | None, typer.Option("--to")] = None,
    by: str | None = None,
    kind: str | None = None,
    output: Annotated[Format, typer.Option("--format")] = "table",
    out: Path | None = None,
    timezone: str | None = None,
    currency: str | None = None,
    impressions: str | None = None,
    window: str | None = None,
    holdout: str | None = None,
    config: Path | None = None,
    models: Annotated[Path, typer.Option(envvar="MERSALG_MODELS")] = Path("models"),
    level: str | None = None,
    compare: str | None = None,
    watched: Annotated[bool, typer.Option("--watched")] = False,
    adjusted: Annotated[bool, typer.Option("--adjusted")] = False,
    weekly: Annotated[bool, typer.Option("--weekly")] = False,
    lang: str | None = None,
    rebuild: Annotated[bool, typer.Option("--rebuild")] = False,
    as_json: console.JsonFlag = False,
) -> None:
    """Report both rates with intervals, net of returns, beside what would have happened anyway."""
    from mersalg.engine.locales import language_of, spoken_in
    from mersalg.engine.tracking.report import build_report, parse_query
    from mersalg.serving.cli import report_forms
    from mersalg.serving.cli.report_forms import terminal_lines, weekly_lines
    from mersalg.serving.presentation.html_templates import weekly_page
    from mersalg.serving.presentation.names import KEYS
    from mersalg.serving.presentation.report import ReportText

    if lang is not None and spoken_in(lang) is None:
        raise ConfigError(f"lang: {lang!r} is not a language of reports; there are nb and en")
    if output == "parquet" and out is None and sys.stdout.isatty():
        raise ConfigError("format: parquet is not text for a terminal; name a file with --out FILE")
    flags = {"watched": str(watched), "adjusted": str(adjusted)}
    query = parse_query({**context.params, "from": since, "to": until, **flags})
    how = "json" if as_json else output
    if weekly and (since or until or by or compare or output != "table"):
        raise ConfigError(
            "weekly: a summary has a period and a form of its own; leave out --from, --to, --by,"
            " --compare and --format"
        )
    with existing_store(database) as store:
        settings = {**store.reports.settings(), **_settings_of(config)}
        query = query.filled(settings)
        language = language_of(lang, settings.get("locale"))
        with console.progress_bars(quiet=how != "table") as progress:
            if rebuild:
                _rebuild(store, progress)
            if weekly:
                report = report_forms.last_week(store, query, progress)
            else:
                report = build_report(store, query, progress=progress)
            if how not in ("table", "html"):
                _write(_data(report, how), out)
                return
            item_names = None
            if weekly or how == "html" or not set(KEYS).isdisjoint(query.by):
                item_names = report_forms.known_of(store, models, config, query.timezone or "UTC")
            if weekly and item_names:
                summary = report_forms.weekly_summary(
                    store, query, report, item_names, language, progress
                )
                lines = weekly_lines(summary, _MAIL_WIDTH if out else console.out.width)
                if out is not None:
                    _write(weekly_page(summary).encode(), out.with_name(f"{out.name}.html"))
                    out = out.with_name(f"{out.name}.txt")
            else:
                names, experiment = (
                    (item_names.names, item_names.experiment) if item_names else (None, None)
                )
                view = ReportText(report, query.shop, language, names, experiment)
                if how == "html" and item_names:
                    page = report_forms.html_file(store, query, report, view, item_names)
                    _write(page.encode(), out)
                    return
                lines = terminal_lines(view, console.out.width)
    if out is None:
        console.out.print(*lines, sep="\n")
    else:
        _write("".join(f"{line.plain}\n" for line in lines).encode(), out)


def _write(data: bytes, out: Path | None) -> None:
    with target(out) as file:
        file.write(data)


def _data(report: Mapping[str, Any], how: Format) -> bytes:
    if how == "json":
        return console.json_text(report).encode()
    if how == "csv":
        from mersalg.engine.tracking.report_csv import csv_text

        return csv_text(report).encode()
    from mersalg.serving.facts_api import frame_of

    frame = frame_of(report)
    return frame.to_parquet(index=False)  # pyright: ignore[reportUnknownMemberType]


def _rebuild(store: Store, progress: Progress) -> None:
    from mersalg.engine.tracking.report import ReportQuery
    from mersalg.engine.tracking.rollups.stored import rebuild

    done = rebuild(store, ReportQuery.from_store(store), progress)
    again = f"{counted(done.days, 'day')} counted again from their facts: "
    if not done.differed:
        console.err.print(f"{again}all roll-ups agreed")
    else:
        named = ", ".join(done.differed[:10]) + (" ..." if len(done.differed) > 10 else "")
        console.err.print(f"{again}the roll-ups of {len(done.differed):,} had differed: {named}")


def _settings_of(config: Path | None) -> dict[str, str]:
    if config is None:
        return {}
    from mersalg.engine.config import load_config
    from mersalg.engine.tracking.query import report_settings

    shop = load_config(config)
    return report_settings(shop.shop, shop.tracking, shop.experiment)
