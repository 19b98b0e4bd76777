"""What OpenAPI says about bodies that are read by hand, so that they can be bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import FastAPI

from serving import openapi_words
from serving.schemas import SuggestionRequest

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

MODEL_EXAMPLE: Schema = {"version": "20260302T091500Z-3f9a1c2b"}

_TEXT: Schema = {"type": "string", "maxLength": 200}
_AMOUNT: Schema = {
    "anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?$"}, {"type": "number", "minimum": 0}],
    "description": "Decimal amount in `currency`",
}
_QUANTITY: Schema = {"type": "number", "exclusiveMinimum": 0, "default": 1}

_PURCHASE_ITEM: Schema = {
    "type": "object",
    "required": ["item_id"],
    "properties": {
        "item_id": _TEXT,
        "quantity": _QUANTITY,
        "price": _AMOUNT | {"description": "Of one unit, ex tax and shipping"},
        "discount": _AMOUNT | {"description": "On the whole line"},
        "offer_id": _TEXT | {"description": "The offer that led here, where the shop knows it"},
    },
}

_EVENT: Schema = {
    "type": "object",
    "required": ["type", "event_id", "occurred_at"],
    "properties": {
        "type": {
            "type": "string",
            "enum": [
                "view_promotion",
                "select_promotion",
                "add_to_cart",
                "dismiss_promotion",
                "purchase",
                "refund",
                "cancel",
            ],
        },
        "event_id": _TEXT | {"description": "Idempotency key: sent twice, counted once"},
        "occurred_at": {"type": "string", "format": "date-time", "description": "With offset"},
        "offer_id": _TEXT | {"description": "Needed by promotion events"},
        "promotion_id": _TEXT | {"description": "Alias of `offer_id`"},
        "checkout_id": _TEXT,
        "session_id": _TEXT,
        "customer_id": _TEXT,
        "transaction_id": _TEXT | {"description": "Needed by purchase, refund and cancel"},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "items": {
            "type": "array",
            "maxItems": 10_000,
            "items": _PURCHASE_ITEM,
            "description": "Needed by purchase; a refund without items is a full refund",
        },
        "is_bot": {"type": "boolean", "default": False},
        "consent": {
            "type": "boolean",
            "description": "false: customer and session are not kept; as the shop says if missing",
        },
    },
}

_COMPONENTS: Mapping[str, Schema] = {
    "Events": {
        "type": "object",
        "required": ["events"],
        "properties": {
            "events": {
                "type": "array",
                "maxItems": 1000,
                "items": {"$ref": "#/components/schemas/Event"},
            }
        },
    },
    "Event": _EVENT,
    "ModelReference": {
        "type": "object",
        "required": ["version"],
        "properties": {"version": {"type": "string", "maxLength": 200}},
    },
}


def json_body(component: str, example: Schema, *, admits: bool = False) -> Schema:
    """`openapi_extra` of an endpoint that reads its own body, and `admits` its callers itself."""
    schema = {"$ref": f"#/components/schemas/{component}"}
    content = {"application/json": {"schema": schema, "example": example}}
    body: Schema = {"requestBody": {"required": True, "content": content}}
    return body | ({"security": [{"key": []}]} if admits else {})


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
    """`openapi_extra` of an endpoint that takes what another system defines."""
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    body: Schema = {"requestBody": {"required": True, "content": content}}
    return body | ({} if signed else {"security": [{"key": []}]})


def describe(app: FastAPI) -> Callable[[], Schema]:
    """The application's `openapi` method, with the bodies' schemas among its components."""
    generated = app.openapi

    def openapi() -> Schema:
        if app.openapi_schema is None:
            document = generated()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            request = SuggestionRequest.model_json_schema(
                ref_template="#/components/schemas/{model}"
            )
            schemas.update(request.pop("$defs", {}))
            schemas["SuggestionRequest"] = request
            schemas.update(_COMPONENTS)
            _forget_validation_errors(document["paths"], schemas)
            openapi_words.described(document)
            app.openapi_schema = document
        return app.openapi_schema

    return openapi


def _forget_validation_errors(
    paths: Mapping[str, Mapping[str, dict[str, dict[str, object]]]], schemas: Schema
) -> None:
    """FastAPI's own 422 never leaves this service: there is one error shape."""
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operations in paths.values():
        for operation in operations.values():
            answers = operation["responses"]
            if "HTTPValidationError" in str(answers.get("422")):
                del answers["422"]
