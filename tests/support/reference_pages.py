"""Write the pages of the command line, the HTTP API and the signals from the code: `make pages`."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mersalg.engine.native import signals
from mersalg.serving.app import create_app
from mersalg.serving.settings import ServeSettings

_REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def command_page() -> str:
    """Return the page of the commands: what Typer writes, in plain Markdown."""
    program = [sys.executable, "-m", "typer", "mersalg.serving.cli.main", "utils", "docs"]
    options = ["--name", "mersalg", "--title", "The command line"]
    done = subprocess.run([*program, *options], capture_output=True, text=True, check=True)
    text = re.sub(r"</?span[^>]*>", "**", html.unescape(done.stdout))
    text = re.sub(r"\*\*Usage\*\*:\n\n```console\n\$ (.*?) *\n```", r"`\1`", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def http_page() -> str:
    """Return the page of the HTTP API: calls by subject, then the types."""
    document = create_app(ServeSettings()).openapi()
    calls = [
        (method.upper(), path, call)
        for path, methods in document["paths"].items()
        for method, call in methods.items()
    ]
    head = (
        "# The HTTP API\n\nA running service has the same as an OpenAPI document: `/openapi.json`, "
        "and `/docs` to try it.\n"
    )
    subjects = list(dict.fromkeys(call["tags"][0] for _, _, call in calls))
    parts = [head]
    for subject in subjects:
        parts.append(f"## Calls: {subject}\n")
        parts += [_call(*each) for each in calls if each[2]["tags"][0] == subject]
    parts.append("## Types\n")
    schemas = document["components"]["schemas"]
    parts += [_schema(name, schemas[name]) for name in sorted(schemas)]
    return "\n".join(parts)


def _call(method: str, path: str, call: Mapping[str, Any]) -> str:
    lines = [f"### `{method} {path}`\n", f"{call['summary']}. {call.get('description', '')}\n"]
    scopes = [f"`{scope}`" for key in call.get("security", ()) for scope in key["key"]]
    lines.append(f"Key: {' or '.join(scopes) if scopes else 'none'}.\n")
    if "requestBody" in call:
        lines.append(f"Body: {_content(call['requestBody'])}.\n")
    if parameters := call.get("parameters"):
        rows = [
            f"| `{each['name']}` | {each['in']} | {_kind(each['schema'])} | {_words(each)} |"
            for each in parameters
        ]
        lines.append(
            "| parameter | in | type | says |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    rows = [
        f"| {status} | {_content(answer)} | {_words(answer)} |"
        for status, answer in call["responses"].items()
    ]
    lines.append("| status | answer | says |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(lines)


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    lines = [f"### {name}\n"]
    if schema.get("description"):
        lines.append(f"{schema['description']}\n")
    if "properties" not in schema:
        lines.append(f"{_kind(schema)}\n")
        return "\n".join(lines)
    required = set(schema.get("required", ()))
    rows = [
        f"| `{field}` | {_kind(kind)} | {'yes' if field in required else ''} | {_words(kind)} |"
        for field, kind in schema["properties"].items()
    ]
    lines.append("| field | type | required | says |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(lines)


def _content(part: Mapping[str, Any]) -> str:
    kinds = [
        _kind(media["schema"]) for media in part.get("content", {}).values() if "schema" in media
    ]
    return " or ".join(dict.fromkeys(kinds))


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in a few words, with links to the types of this page."""
    return " or ".join(dict.fromkeys(_kinds(schema)))


def _kinds(schema: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        yield f"[{name}](#{name.lower()})"
    elif inner := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        for each in inner:
            yield from _kinds(each)
    elif "enum" in schema:
        yield ", ".join(f"`{value}`" for value in schema["enum"])
    elif "const" in schema:
        yield f"`{schema['const']}`"
    elif schema.get("type") == "array":
        yield f"list of {_kind(schema.get('items', {}))}"
    else:
        kind = schema.get("type", "any")
        yield " or ".join(kind) if isinstance(kind, list) else str(kind)


def _words(part: Mapping[str, Any]) -> str:
    return _cell(str(part.get("description", "")))


def signals_page() -> str:
    """Return the page of the signals: a table for each network."""
    parts = [
        "# The signals\n\nWhat the fitted networks weigh:"
        " [complements](../concepts/ranking.md) by the first table,"
        " [upgrades](../concepts/upgrades.md) by the others."
        " A row that says *its* or *the same* continues the row above.\n"
    ]
    for name, table in signals.TABLES.items():
        parts.append(f"## {name.title()}\n\n{signals.SUBJECTS[name]}\n")
        rows = [f"| `{each}` | {_cell(text)} |" for each, text in table.items()]
        parts.append("| signal | says |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES: Mapping[Path, Callable[[], str]] = {
    _REFERENCE / "command-line.md": command_page,
    _REFERENCE / "http.md": http_page,
    _REFERENCE / "signals.md": signals_page,
}


if __name__ == "__main__":
    for page, written in PAGES.items():
        page.write_text(written(), "utf-8")
