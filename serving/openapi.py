"""The OpenAPI document: FastAPI's, with bodies that are read without it, and texts.

Bodies are bounded before they are parsed, so FastAPI does not read them. Descriptions and examples
are in `openapi.toml`; numbers of reports are described by the glossary of reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc
from typing import Any

import msgspec
from fastapi import FastAPI

from mersalg.engine.fact_schema import EventBody, OrderBody
from mersalg.engine.facts import KINDS, ORDER_TYPES, PROMOTION_TYPES
from mersalg.engine.live_items import BatchItem, ItemUpdate
from mersalg.engine.merchandising.sections import PinSection
from mersalg.engine.words import read_toml
from mersalg.serving import answers, schemas
from mersalg.serving.presentation.glossary import QUALITY, RATES, glossary_of

Schema = dict[str, object]

_ADMITTED: Schema = {"security": [{"key": list[str]()}]}
_REFERENCE = "#/components/schemas/{name}"
_STRUCTS = (
    EventBody,
    OrderBody,
    schemas.SuggestionRequest,
    answers.SuggestionResponse,
    answers.CrossSellOffer,
    answers.UpsellOffer,
    schemas.ExplainedDecision,
    schemas.ModelReference,
    BatchItem,
    ItemUpdate,
)
_REQUIRED_OF_EVENTS = ("type", "event_id", "occurred_at")
"""Without one of them a call is answered, and the event is rejected."""
_KNOWN_OF_DECISIONS = (
    *_REQUIRED_OF_EVENTS,
    *("decision_id", "checkout_id", "arm", "placement", "lines", "offers", "explanation"),
)


def _components() -> dict[str, Any]:
    """Return the schemas of the bodies that are read and written without FastAPI."""
    _, components = msgspec.json.schema_components(_STRUCTS, ref_template=_REFERENCE)
    for component in components.values():
        # What follows a summary says how the engine uses the struct.
        component["description"] = cleandoc(component["description"]).partition("\n\n")[0]
    mapping: dict[str, str] = {}
    for body, types in ((EventBody, PROMOTION_TYPES), (OrderBody, ORDER_TYPES)):
        name = body.__name__
        components[name]["properties"]["type"] = {"enum": sorted(types)}
        _require(components[name], _REQUIRED_OF_EVENTS)
        mapping |= dict.fromkeys(sorted(types), _REFERENCE.format(name=name))
    _require(components["ExplainedDecision"], _KNOWN_OF_DECISIONS)
    components["Event"] = {
        "anyOf": [{"$ref": reference} for reference in dict.fromkeys(mapping.values())],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }
    components["Rule"] = {
        "description": "A pin or a block, with the fields of the shop file's.",
        **PinSection.model_json_schema(),
    }
    rule: dict[str, Any] = components["Rule"]
    category = rule["properties"]["category"]
    category["anyOf"] = [{"type": "string"}, *category["anyOf"]]
    rule["properties"] |= {"action": {"enum": ["pin", "block"]}}
    rule["required"] = ["action"]
    for name, entry in (("events", "Event"), ("items", "BatchItem")):
        of_entry = {"$ref": _REFERENCE.format(name=entry)}
        components[name.capitalize()] = {
            "type": "object",
            "required": [name],
            "properties": {name: {"type": "array", "maxItems": 1000, "items": of_entry}},
        }
    return components


def _require(component: dict[str, Any], names: Sequence[str]) -> None:
    """Say of some fields that they are always there, which the engine checks itself."""
    component["required"] = [*names]
    for name in names:
        field = component["properties"][name]
        field.pop("default", None)
        choices = [choice for choice in field.pop("anyOf", ()) if choice != {"type": "null"}]
        field.update({"anyOf": choices} if len(choices) > 1 else dict(*choices))


def answered(component: str) -> dict[int | str, dict[str, object]]:
    """Return the `responses` of an endpoint that writes its own answer."""
    schema = {"$ref": _REFERENCE.format(name=component)}
    return {200: {"content": {"application/json": {"schema": schema}}}}


def json_body(component: str | None = None, *, admits: bool = False) -> Schema:
    """Return the `openapi_extra` of an endpoint that reads its own body.

    `component` is None where another system defines the body; `admits` says that the endpoint
    admits its callers itself.
    """
    schema = {"$ref": _REFERENCE.format(name=component)} if component else {"type": "object"}
    content = {"application/json": {"schema": schema}}
    body: Schema = {"requestBody": {"required": True, "content": content}}
    return body | _ADMITTED if admits else body


def describe(app: FastAPI) -> Callable[[], Schema]:
    """Return the application's `openapi` method, with the bodies' schemas among its components."""
    generated = app.openapi

    def openapi() -> Schema:
        if app.openapi_schema is None:
            document = generated()
            components = document.setdefault("components", {}).setdefault("schemas", {})
            components.update(_components())
            _forget_validation_errors(document["paths"], components)
            _add_texts(document)
            app.openapi_schema = document
        return app.openapi_schema

    return openapi


def _add_texts(document: Mapping[str, Any]) -> None:
    """Add descriptions where the generated document has none, scopes and examples."""
    texts = read_toml("mersalg.serving", "openapi.toml")
    for schema in document["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            if not field.get("description") and name in texts["fields"]:
                field["description"] = texts["fields"][name]
    for operations in document["paths"].values():
        for operation in operations.values():
            name = operation["operationId"]
            of_operation = texts["operations"][name]
            if "security" in operation:
                operation["security"] = [{"key": [scope]} for scope in of_operation["scopes"]]
            for parameter in operation.get("parameters", ()):
                text = texts["parameters"].get(parameter["name"], "")
                parameter.setdefault("description", text)
            answer = operation["responses"]["200"]
            answer["description"] = of_operation["answer"]
            if name == "report_rates":
                schema = answer["content"]["application/json"]["schema"]
                schema["properties"] = _report_fields()
            for key, part in (("body", operation.get("requestBody")), ("example", answer)):
                if key in of_operation:
                    example = msgspec.json.decode(of_operation[key])
                    part["content"]["application/json"]["example"] = example


def _forget_validation_errors(
    paths: Mapping[str, Mapping[str, dict[str, dict[str, object]]]], schemas: Schema
) -> None:
    """Delete FastAPI's own 422, which never leaves this service: there is one error shape."""
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operations in paths.values():
        for operation in operations.values():
            answers = operation["responses"]
            if "HTTPValidationError" in str(answers.get("422")):
                del answers["422"]


_BOUND = {"type": ["number", "null"]}
_INTERVAL = {
    "lower": _BOUND,
    "upper": _BOUND,
    "method": {"type": "string"},
    "unclustered": {
        "type": "object",
        "description": "The textbook interval, as if each offer, checkout and order were that of"
        " another customer; too narrow where they are not",
    },
}
"""`lower` and `upper` hold where customers return."""


def _report_fields() -> dict[str, object]:
    """Return the schema of the numbers in a report, described by the glossary of reports."""
    terms = glossary_of("en").terms

    def described(names: Sequence[str], **schema: object) -> dict[str, object]:
        return {
            name: {**schema, "description": f"{terms[name].definition} {terms[name].formula}"}
            for name in names
        }

    amount = {"type": ["string", "null"]}
    ends = dict.fromkeys(("value", "lower", "upper"), amount)
    extra_sales = described(("extra_sales",), type="object", properties=ends)
    rates = {
        **described(("revenue",), **amount),
        **described(("conversions",), type="object"),
        **described((*RATES, "incremental"), type="object", properties=_INTERVAL),
        "net_revenue": {**amount, "description": terms["net"].definition},
        **{
            f"net_{rate}": {
                "type": "object",
                "description": terms["net"].definition,
                "properties": _INTERVAL,
            }
            for rate in RATES
            if rate != "click_through"
        },
        "net_incremental": {"type": "object", "description": terms["net"].definition},
        **extra_sales,
    }
    quality = {
        **described(QUALITY, type="integer"),
        **described(("srm_p_value",), type=["number", "null"]),
    }
    return {
        "total": {
            "type": "object",
            "properties": described(KINDS, type="object", properties=rates),
        },
        "groups": {
            "type": "array",
            "items": {"type": "object", "properties": described(("immature",), type="integer")},
        },
        "quality": {"type": "object", "properties": quality},
        **extra_sales,
    }
