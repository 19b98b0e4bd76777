"""Meanings of fields and answers, for the OpenAPI document: each in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mersalg.engine.facts import KINDS
from mersalg.serving.openapi_answers import ANSWERS
from mersalg.serving.presentation.glossary import QUALITY, RATES, glossary_of

FIELDS: Mapping[str, str] = {
    "active": "Whether the shop sells it at all",
    "action": "What was done: `publish`, `roll back`, `export customer`, `erase customer`, ...",
    "amount": "Of a `refund`: money returned, in `currency`. Without `items` no unit is returned;"
    " with neither, all of the order is",
    "antecedent_item_ids": "Items of the cart that the rule starts from; none of a popular item",
    "arm": "`treatment` sees offers, `control` does not and is compared with; fixed for a unit",
    "attributes": "By name; what is compared in upsell, as the shop file says",
    "attribute": "A column of the catalogue",
    "brand": "Compared in upsell, as the attribute `brand`",
    "category": "Its path, the widest first",
    "checkout_id": "One attempt to buy a cart; the same in every call and event of it",
    "checkout_token": "Made by the shop's server: it vouches for a checkout whose page calls the"
    " service with a storefront key",
    "code": "Stable and fit for machines: `invalid`, `conflict`, `forbidden`, `out_of_bounds`,"
    " `unauthorized`, `not_found`, `too_many_requests`,"
    " `body_too_large`, `body_too_slow`, `too_many_events`,"
    " `too_many_items`, `of_shop_file`, `encoding_unknown`,"
    " `method_not_allowed`, `bad_request`, `config_invalid`, `gate_refused`, `no_model`,"
    " `model_not_found`, `model_corrupt`, `model_incompatible`, `storage_unavailable`,"
    " `storage_mismatch`, `storage_error`, `stopping`, `writer_dead`, `nothing_kept`,"
    " `internal`; of the dashboard: `old_form`, `link_ended`, `not_offered`",
    "confidence": "`n_joint` / `n_antecedent`",
    "consent": "`false`: customer and session are not stored; as the shop says where it is missing",
    "control_share": "The share of units that was held out when the unit was drawn",
    "cost": "What one unit costs the shop, for margins",
    "cross_sell": "Maximum number of offers that complement the cart",
    "currency": "ISO 4217",
    "customer_id": "The shop's id of the customer; stored as a keyed hash",
    "decision_id": "Names this answer; its offers are counted from its time on",
    "declined_item_ids": "Items the buyer had dismissed, at most 100",
    "details": "What the message speaks of, for machines; shape by code",
    "discount": "On the whole line",
    "display": "The offer as buyers read it, in `language`",
    "duplicates": "Events that were recorded before, with the same content; items of which nothing"
    " was newer",
    "entries": "Each with `occurred_at`, `who`, `action`, `target` and `outcome`",
    "event_id": "Idempotency key: sent twice, counted once",
    "exclude_item_ids": "Items not to be offered now",
    "excluded_item_ids": "Items the call excluded that would have been in the running",
    "facts": "Facts of the customer",
    "family": "Items that substitute for each other",
    "from": "Text of the item in the cart",
    "image_url": "Address of a picture, answered with offers; null where there is none",
    "in_model": "Whether the model was trained with it",
    "in_stock": "Whether it can be had now",
    "index": "Place of the event or item in what was sent, from 0",
    "is_bot": "Counted separately, and in no rate",
    "item_id": "The shop's id of the item",
    "kind": "`cross_sell` completes the purchase, `upsell` replaces a part of it",
    "lift": "How much more often than by chance the items are bought together",
    "lift_lower": "Lower end of the 95% interval of `lift`",
    "manifest": "Files with their sha256, data range, metrics and configuration",
    "message": "For people; may change",
    "mode": "`discovery` leaves out what the customer bought before, `complete` does not",
    "lines_omitted": "Lines of a long cart that were looked at and not recorded",
    "model_customer": "Where the model remembers the customer; says nothing without that model",
    "model_version": "The version of the model that was asked",
    "n_antecedent": "Orders with the antecedent",
    "n_joint": "Orders with the antecedent and the item",
    "name": "As the catalogue says",
    "occurred_at": "ISO 8601 with offset",
    "offer_id": "Names the offer; required of promotion events",
    "placement": "Where the offers stood",
    "position": "From 1, within its kind",
    "price": "Of one unit before its line's discount, without shipping, in `currency`;"
    " `prices_include_tax` says whether tax is in it",
    "prices_include_tax": "Of a `purchase`: whether `price` and `discount` of its `items` include"
    " tax; where it is missing, as `prices_include_tax` of the shop says",
    "price_difference": "For one unit, in `currency`",
    "problem": "Why what is published is not what is served; null where it is",
    "promotion_id": "Alias of `offer_id`",
    "published": "The version that `models/current.json` names",
    "quantity": "Units; a decimal string for goods sold by weight",
    "reasons": "Codes: `out_of_stock`, `not_active`, `below_margin`, ... as of rejected candidates;"
    " `no_rule`, `no_price`, `not_in_model` (nor its family), `no_cheaper_version`, `no_known_gain`"
    " (of a new item), `no_model`, `paused`",
    "recorded": "Events or items that were new and are on disk now",
    "revision": "Of a `purchase`: which state of its `transaction_id` it is, 0 where it is missing;"
    " the highest counts, at the `occurred_at` of the lowest",
    "refund_id": "Of a `refund`: it counts once in its transaction, whatever system sends it",
    "rule_id": "The shop's id of the rule; `shop_file/...` of those of the shop file",
    "rules": "Each with `rule_id`, `action`, its fields, `source` (`api` or `shop_file`) and"
    " `updated_at`",
    "scope": "Who sent it: `server` key, or `storefront` key with (`token`) or without a valid"
    " checkout token; the service sets it, and only imports may state it",
    "score": "How likely the offer is taken, from 0 to 1",
    "serving": "The version that answers",
    "session_id": "The shop's id of the session; stored as a keyed hash",
    "stated_at": "What a page stated as `occurred_at`, where that is now its time of arrival; the"
    " service sets it, and only imports may state it",
    "step": "`size`: a bigger pack at a lower unit price; `tier`: any other dearer version",
    "store_id": "The shop's id of the store",
    "segment": "The shop's word for who was asked",
    "tax": "Of the whole line after its discount, in `currency`; credit is without it",
    "text": "One plain sentence for the buyer, to be escaped like any text",
    "to": "Text of the better item",
    "total_difference": "What the whole swap adds to the bill",
    "orders": "When the customer ordered and the items of each order, oldest first",
    "set_aside": "Records that could not be stored, as they were received",
    "units": "Names under which roll-ups count the customer",
    "transaction_id": "The shop's id of the order; required of `purchase`, `refund` and `cancel`",
    "type": "What kind of fact it is",
    "updated_at": "The newest instant as of which something is known",
    "unit_price": "Decimal, of one unit, before the discount of its line, as buyers are shown it",
    "upsell": "Maximum number of offers that replace something in the cart",
    "ignored": "The topic of a webhook that is no sale or return, or of a test order; the field is"
    " missing elsewhere",
    "warnings": "What was left out of account, for people; the field is missing where nothing was",
    "unknown_item_ids": "Items of the cart that the model does not know; the field is missing where"
    " it knows all",
    "version": "Name of a folder in the models folder",
    "versions": "Manifests of what is on disk, oldest first",
}

PARAMETERS: Mapping[str, str] = {
    "customer_id": "The shop's id of the customer",
    "decision_id": "As a suggestion call answered it",
    "item_id": "The shop's id of the item",
    "rule_id": "The shop's id of the rule",
    "rejected": "Maximum number of rejected candidates in the answer",
    "version": "Name of a folder in the models folder",
}

_FRONT, _READ, _RULE = ("storefront", "server"), ("report", "admin"), ("admin",)

SCOPES: Mapping[str, tuple[str, ...]] = {
    "suggest": _FRONT,
    "record_events": _FRONT,
    "from_ga4": _FRONT,
    "from_segment": _FRONT,
    "report_rates": _READ,
    "explain_decision": _READ,
    "metrics": _READ,
    "list_models": _RULE,
    "verify_model": _RULE,
    "publish_model": _RULE,
    "roll_back": _RULE,
    "export_customer": _RULE,
    "erase_customer": _RULE,
    "list_actions": _RULE,
    "list_rules": _RULE,
    "set_rule": _RULE,
    "end_rule": _RULE,
    "change_item": ("server",),
    "change_items": ("server",),
    "forget_item": ("server",),
    "look_at_item": _READ,
}
"""By operation: a key of any of these scopes is let in."""


def described(document: Mapping[str, Any]) -> None:
    """Put these words where the generated document says nothing, or nothing of use."""
    for schema in document["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            if not field.get("description") and name in FIELDS:
                field["description"] = FIELDS[name]
    for operations in document["paths"].values():
        for operation in operations.values():
            name = operation["operationId"]
            if "security" in operation:
                operation["security"] = [{"key": [scope]} for scope in SCOPES[name]]
            for parameter in operation.get("parameters", ()):
                parameter.setdefault("description", PARAMETERS.get(parameter["name"], ""))
            description, example = ANSWERS[name]
            answer = operation["responses"]["200"]
            answer["description"] = description
            if name == "report_rates":
                schema = answer["content"]["application/json"]["schema"]
                schema["properties"] = _report_fields()
            if example is not None:
                answer["content"]["application/json"]["example"] = example


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
