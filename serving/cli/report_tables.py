"""The texts of a report on a terminal, and as one HTML file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mersalg.serving.presentation.texts import ReportText

_KEY_WIDTH = 24
_FILE_WIDTH = 100


def terminal_parts(view: ReportText) -> Sequence[RenderableType]:
    """Return what Rich prints, from top to bottom; ids are never read as markup."""
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [
        Text.assemble((view.shop, "bold"), "  ", view.period),
        Text(" · ".join(view.settings), "dim"),
        Text.assemble((view.verdict.say, "bold"), "\n", view.verdict.why),
    ]
    rates = Table(show_lines=True)
    rates.add_column("")
    for kind in view.kinds:
        title = Text.assemble((kind.term.name, "bold"), "\n", (kind.translation, "dim"))
        rates.add_column(title)
    for at, (label, lines) in enumerate(view.rows):
        cells = [Text("\n").join(Text(text) for text in cell) for cell in lines]
        if at == 0:
            for cell, kind in zip(cells, view.kinds, strict=True):
                cell.stylize("bold green", 0, len(kind.rates[0].value))
        rates.add_row(Text(label), *cells)
    parts.append(rates)
    if view.groups:
        groups = Table()
        n_keys = len(view.group_headers) - 3 * len(view.kinds)
        for place, header in enumerate(view.group_headers):
            widest = max(len(row[place]) for row in view.groups)
            # Ids and days distinguish rows: never cut, seldom broken.
            least = min(widest, _KEY_WIDTH) if place < n_keys else None
            groups.add_column(Text(header), overflow="fold", min_width=least)
        for row in view.groups:
            groups.add_row(*(Text(cell) for cell in row))
        parts.append(groups)
    parts.append(Text(f"{view.glossary.phrase('data_quality')}: {'; '.join(view.notes)}", "dim"))
    return parts


def plain_text(view: ReportText) -> str:
    """Return what a terminal shows as text without colours, for a file."""
    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, width=_FILE_WIDTH, color_system=None)
    for part in terminal_parts(view):
        console.print(part)
    return text.getvalue()


def page_of(view: ReportText) -> str:
    """Return one HTML page that needs no other file; every text is escaped."""
    from pathlib import Path

    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(view=view)
