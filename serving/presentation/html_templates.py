"""Pages and reports from templates: HTML that escapes every text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from mersalg.serving.presentation import charts
from mersalg.serving.presentation.glossary import glossary_of
from mersalg.serving.presentation.overview import Overview
from mersalg.serving.presentation.report import ReportText
from mersalg.serving.presentation.weekly import Weekly

DASHBOARD = Path(__file__).parents[1] / "dashboard"
_SPAN = re.compile(r"`([^`]*)`")

_environment: Any = Environment(
    loader=FileSystemLoader([DASHBOARD / "templates", Path(__file__).parent / "templates"]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _code_spans(text: str) -> Markup:
    """`name` between back-ticks, as descriptions write it, in the typeface of code."""
    return Markup(_SPAN.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _as_field(item_ids: Iterable[str]) -> str:
    return urlencode([("id", each) for each in item_ids])


_environment.filters |= {"code_spans": _code_spans, "as_field": _as_field}
_environment.globals["charts"] = charts


def report_page(view: Overview, text: ReportText | None = None) -> str:
    """Return one HTML file that needs no other: the first page of the dashboard and all numbers.

    `text` is of the report with other groups, whose table is shown instead.
    """
    style = Markup((DASHBOARD / "static" / "dashboard.css").read_text())  # noqa: S704
    return rendered(
        "report.html",
        view=view,
        report=text or view.report,
        words=view.phrase,
        language=view.language,
        steps=(),
        style=style,
    )


def weekly_page(weekly: Weekly) -> str:
    """Return the summary of a week as HTML for an e-mail."""
    return rendered("weekly.html", weekly=weekly, words=glossary_of(weekly.language).phrase)


def rendered(template: str, **values: object) -> str:
    """Return the text of a template of the dashboard or of a report."""
    return _environment.get_template(template).render(**values)
