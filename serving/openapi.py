"""Describe to OpenAPI the bodies that are read without FastAPI, so that they can be bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc
from typing import Any

import msgspec
from fastapi import FastAPI

from mersalg.engine.fact_schema import EventBody, OrderBody
from mersalg.engine.facts import ORDER_TYPES, PROMOTION_TYPES
from mersalg.engine.live_items import BatchItem, ItemUpdate
from mersalg.engine.merchandising.sections import PinSection
from mersalg.serving import answers, openapi_words, schemas

Schema = dict[str, object]

SUGGESTION_EXAMPLE: Schema = {
    "checkout_id": "ch_81",
    "session_id": "s_3",
    "customer_id": "c_9",
    "placement": "checkout",
    "locale": "nb",
    "lines": [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}],
    "limits": {"cross_sell": 3, "upsell": 1},
}

EVENTS_EXAMPLE: Schema = {
    "events": [
        {
            "type": "view_promotion",
            "event_id": "e_1",
            "occurred_at": "2026-03-02T10:00:05+01:00",
            "offer_id": "of_1",
        },
        {
            "type": "purchase",
            "event_id": "e_2",
            "occurred_at": "2026-03-02T10:01:00+01:00",
            "checkout_id": "ch_81",
            "session_id": "s_3",
            "customer_id": "c_9",
            "transaction_id": "t_1",
            "currency": "NOK",
            "items": [
                {"item_id": "phone-64", "quantity": 1, "price": "5990.00"},
                {"item_id": "case-1", "quantity": 1, "price": "199.00", "offer_id": "of_1"},
            ],
        },
    ]
}

RULE_EXAMPLE: Schema = {
    "action": "pin",
    "item": "case-1",
    "when_cart_has": ["phone-64"],
    "until": "2026-04-01",
}

ITEM_EXAMPLE: Schema = {"price": "199.00", "in_stock": False}

ITEMS_EXAMPLE: Schema = {"items": [{"item_id": "case-1", **ITEM_EXAMPLE}]}

MODEL_EXAMPLE: Schema = {"version": "20260302T091500Z-3f9a1c2b"}

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


def json_body(component: str, example: Schema, *, admits: bool = False) -> Schema:
    """Return the `openapi_extra` of an endpoint that reads its own body.

    `admits` says that the endpoint admits its callers itself.
    """
    schema = {"$ref": _REFERENCE.format(name=component)}
    content = {"application/json": {"schema": schema, "example": example}}
    body: Schema = {"requestBody": {"required": True, "content": content}}
    return body | _ADMITTED if admits else body


GA4_EXAMPLE: Schema = {
    "client_id": "GA1.1.1",
    "timestamp_micros": "1772442005000000",
    "events": [{"name": "view_promotion", "params": {"promotion_id": "off_..."}}],
}
SEGMENT_EXAMPLE: Schema = {
    "type": "track",
    "event": "Promotion Viewed",
    "messageId": "m-1",
    "anonymousId": "a-1",
    "timestamp": "2026-03-02T10:00:05Z",
    "properties": {"promotion_id": "off_..."},
}
SHOPIFY_EXAMPLE: Schema = {
    "id": 820982911946154508,
    "created_at": "2026-03-02T10:01:00+01:00",
    "currency": "NOK",
    "line_items": [{"sku": "latte-small", "quantity": 1, "price": "49.00"}],
}


def foreign_body(example: Schema, *, signed: bool = False) -> Schema:
    """Return the `openapi_extra` of an endpoint that takes what another system defines."""
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    body: Schema = {"requestBody": {"required": True, "content": content}}
    return body if signed else body | _ADMITTED


def describe(app: FastAPI) -> Callable[[], Schema]:
    """Return the application's `openapi` method, with the bodies' schemas among its components."""
    generated = app.openapi

    def openapi() -> Schema:
        if app.openapi_schema is None:
            document = generated()
            components = document.setdefault("components", {}).setdefault("schemas", {})
            components.update(_components())
            _forget_validation_errors(document["paths"], components)
            openapi_words.described(document)
            app.openapi_schema = document
        return app.openapi_schema

    return openapi


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
