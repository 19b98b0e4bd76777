"""Pages and reports from templates: HTML that escapes every text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from mersalg.serving.presentation import charts

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


_environment.filters["code_spans"] = _code_spans
_environment.globals["charts"] = charts


def rendered(template: str, **values: object) -> str:
    """Return the text of a template of the dashboard or of a report."""
    return _environment.get_template(template).render(**values)
