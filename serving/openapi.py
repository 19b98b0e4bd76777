"""The OpenAPI document: FastAPI's, with bodies that are read without it, and texts.

Bodies are bounded before they are parsed, so FastAPI does not read them. What the document says of
operations and fields is in `openapi.toml`, also which bodies and errors an operation has; numbers
of reports are described by the glossary of reports.
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

_REFERENCE = "#/components/schemas/{name}"
_ANYTHING: Schema = {"type": "object"}
"""A body that another system defines."""
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
    components["Event"] = _union("type", mapping)
    offers = {"cross_sell": "CrossSellOffer", "upsell": "UpsellOffer"}
    of_kind = {kind: _REFERENCE.format(name=name) for kind, name in offers.items()}
    components["SuggestionResponse"]["properties"]["offers"]["items"] = _union("kind", of_kind)
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
        components[name.capitalize()] = {
            "type": "object",
            "required": [name],
            "properties": {name: {"type": "array", "maxItems": 1000, "items": _reference(entry)}},
        }
    return components


def _union(field: str, mapping: Mapping[str, str]) -> Schema:
    """Return the schema of structs that a field tells apart, by its values."""
    structs = [{"$ref": reference} for reference in dict.fromkeys(mapping.values())]
    return {"anyOf": structs, "discriminator": {"propertyName": field, "mapping": mapping}}


def _reference(name: str) -> Schema:
    return {"$ref": _REFERENCE.format(name=name)}


def _require(component: dict[str, Any], names: Sequence[str]) -> None:
    """Say of some fields that they are always there, which the engine checks itself."""
    component["required"] = [*names]
    for name in names:
        field = component["properties"][name]
        field.pop("default", None)
        choices = [choice for choice in field.pop("anyOf", ()) if choice != {"type": "null"}]
        field.update({"anyOf": choices} if len(choices) > 1 else dict(*choices))


def describe(app: FastAPI) -> Callable[[], Schema]:
    """Return the application's `openapi` method, with the bodies' schemas among its components."""
    generated = app.openapi

    def openapi() -> Schema:
        if app.openapi_schema is None:
            document = generated()
            components = document.setdefault("components", {}).setdefault("schemas", {})
            components.update(_components())
            _add_texts(document)
            app.openapi_schema = document
        return app.openapi_schema

    return openapi


def _add_texts(document: dict[str, Any]) -> None:
    """Put in what `openapi.toml` says of fields and operations."""
    texts = read_toml("mersalg.serving", "openapi.toml")
    for component, schema in document["components"]["schemas"].items():
        for name, field in schema.get("properties", {}).items():
            text = texts["fields"].get(f"{component}.{name}") or texts["fields"].get(name)
            if text and not field.get("description"):
                field["description"] = text
    for operations in document["paths"].values():
        for operation in operations.values():
            _describe(operation, texts)


def _describe(operation: dict[str, Any], texts: Mapping[str, Any]) -> None:
    of_operation = texts["operations"][operation["operationId"]]
    operation["summary"] = of_operation["summary"]
    if scopes := of_operation.get("scopes"):
        operation["security"] = [{"key": [scope]} for scope in scopes]
    for parameter in operation.get("parameters", ()):
        parameter.setdefault("description", texts["parameters"].get(parameter["name"], ""))
    if "body" in of_operation:
        schema = _reference(of_operation["request"]) if "request" in of_operation else _ANYTHING
        example = msgspec.json.decode(of_operation["body"])
        content = {"application/json": {"schema": schema, "example": example}}
        operation["requestBody"] = {"required": True, "content": content}
    answer: dict[str, Any] = operation["responses"]["200"]
    answer["description"] = of_operation["answer"]
    if "response" in of_operation:
        answer["content"]["application/json"]["schema"] = _reference(of_operation["response"])
    if operation["operationId"] == "report_rates":
        answer["content"]["application/json"]["schema"]["properties"] = _report_fields()
    if "example" in of_operation:
        answer["content"]["application/json"]["example"] = msgspec.json.decode(
            of_operation["example"]
        )
    error = {"application/json": {"schema": _reference("ErrorAnswer")}}
    operation["responses"] = {"200": answer} | {
        str(status): {"description": texts["errors"][str(status)], "content": error}
        for status in of_operation["errors"]
    }


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
