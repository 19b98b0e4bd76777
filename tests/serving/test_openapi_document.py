"""The OpenAPI document leaves nothing unsaid, and its examples are what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from mersalg.serving.app import create_app
from mersalg.serving.settings import ServeSettings

DOCUMENT: dict[str, Any] = create_app(ServeSettings()).openapi()
OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
}
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]


def is_valid(schema: dict[str, Any], example: object) -> bool:
    whole = {**schema, "components": {"schemas": SCHEMAS}}
    return jsonschema_rs.Draft202012Validator(whole).is_valid(example)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_does_and_answers(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    assert all(parameter["description"] for parameter in operation.get("parameters", ()))
    responses = operation["responses"]
    assert responses["200"]["description"] != "Successful Response"
    for status, response in responses.items():
        assert response["description"]
        if status != "200":
            schema = response["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}
    if operation.get("security"):
        assert {"401", "403", "429"} <= set(responses)
    if "requestBody" in operation:
        assert {"413", "422"} <= set(responses)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "metrics"])
def test_examples_of_answers_fit_their_schemas(name: str) -> None:
    content = OPERATIONS[name]["responses"]["200"]["content"]["application/json"]
    assert is_valid(content["schema"], content["example"])
    if "$ref" in content["schema"]:
        assert not is_valid(content["schema"], {"another": "thing"})


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "requestBody" in OPERATIONS[name]])
def test_examples_of_bodies_fit_their_schemas(name: str) -> None:
    content = OPERATIONS[name]["requestBody"]["content"]["application/json"]
    assert is_valid(content["schema"], content["example"])


def _fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for schema, body in SCHEMAS.items():
        for name, field in body.get("properties", {}).items():
            yield schema, name, field


def test_every_field_says_what_it_means() -> None:
    unsaid = [
        f"{schema}.{name}"
        for schema, name, field in _fields()
        if not field.get("description") and "$ref" not in str(field)
    ]
    assert unsaid == []


def test_what_callers_send_is_bounded() -> None:
    """Every text and list of a request has a largest length, but a language nobody speaks."""
    unbounded: list[str] = []

    def look(where: str, field: dict[str, Any]) -> None:
        if "$ref" in field:
            look(where, SCHEMAS[field["$ref"].rpartition("/")[2]])
        for place, choice in enumerate(field.get("anyOf", ())):
            look(f"{where}|{place}", choice)
        if field.get("type") == "array":
            if "maxItems" not in field:
                unbounded.append(where)
            look(f"{where}[]", field["items"])
        if field.get("type") == "string" and not {"maxLength", "enum", "pattern", "format"} & {
            *field
        }:
            unbounded.append(where)
        for name, inner in field.get("properties", {}).items():
            look(f"{where}.{name}", inner)

    for name in ("SuggestionRequest", "Events", "ModelReference"):
        look(name, SCHEMAS[name])
    assert unbounded == ["SuggestionRequest.locale|0"]


def test_every_code_that_is_answered_is_listed() -> None:
    import re
    from pathlib import Path

    said = SCHEMAS["ErrorBody"]["properties"]["code"]["description"]
    root = Path(__file__).parents[2]
    used: set[str] = set()
    for path in (root / "serving").rglob("*.py"):
        used |= set(re.findall(r"ApiError\(\s*\d+,\s*\"([a-z_]+)\"", path.read_text()))
    assert used
    assert {code for code in used if f"`{code}`" not in said} == set()
