"""Writes the client's types anew from the OpenAPI document: `make client`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mersalg.serving.app import create_app
from mersalg.serving.settings import ServeSettings

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "serving" / "client"
MODELS = CLIENT / "mersalg_client" / "models.py"
_DOCSTRING = '"""Types of the HTTP API, written by `make client` from its OpenAPI document."""\n'
_CLOSED = "additionalProperties"
_OPTIONS = (
    *("--input-file-type", "openapi", "--output-model-type", "typing.TypedDict"),
    *("--target-python-version", "3.11", "--use-union-operator", "--use-standard-collections"),
    *("--disable-timestamp", "--use-schema-description", "--use-single-line-docstring"),
    *("--formatters", "builtin"),
)


def client_models() -> str:
    """The module as it should be."""
    document = create_app(ServeSettings()).openapi()
    binaries = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as name:
        source, made = Path(name) / "openapi.json", Path(name) / "models.py"
        source.write_text(json.dumps(json.loads(json.dumps(document), object_hook=_opened)))
        command = [str(binaries / "datamodel-codegen"), "--input", str(source)]
        subprocess.run([*command, "--output", str(made), *_OPTIONS], check=True)
        body = made.read_text().split("\n\n", 1)[1]
        made.write_text(_DOCSTRING + "\n" + body)
        ruff = [str(binaries / "ruff"), "--config", str(ROOT / "pyproject.toml")]
        for order in (
            ["check", "--fix", "--select", "I,UP,D212", "--quiet"],
            ["format", "--quiet"],
        ):
            program, *config = ruff
            subprocess.run([program, order[0], *config, *order[1:], str(made)], check=True)
        return made.read_text()


def _opened(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that may have other fields.

    A closed type needs `typing_extensions`, which httpx does not bring everywhere.
    """
    return {name: part for name, part in schema.items() if (name, part) != (_CLOSED, False)}


if __name__ == "__main__":
    MODELS.write_text(client_models())
