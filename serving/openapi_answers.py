"""Meanings of the answers of operations, with an example of each, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping

_NONE: list[object] = []
_EMPTY: dict[str, object] = {}
_EVENTS = {"recorded": 2, "duplicates": 0, "rejected": _NONE}
_PUBLISHED = {"published": "20260302T091500Z-3f9a1c2b", "serving": "20260302T091500Z-3f9a1c2b"}
_RULE = {"rule_id": "autumn", "updated_at": "2026-03-02T09:15:00+00:00"}
_ITEM = {"item_id": "case-1", "updated_at": "2026-03-02T09:15:00+00:00"}
_EVIDENCE = {
    "antecedent_item_ids": ["phone-64"],
    "n_joint": 412,
    "n_antecedent": 1310,
    "confidence": 0.314504,
    "lift": 6.2,
    "lift_lower": 5.6,
}
_CASE = {
    "offer_id": "off_q3Vb0n0aQeS1kqk8Zr4m2A",
    "kind": "cross_sell",
    "item_id": "case-1",
    "position": 1,
    "unit_price": "199.00",
    "score": 0.31,
    "evidence": _EVIDENCE,
    "text": "Bought together with Phone 64 GB in 3 of 10 orders",
}
_LABELS = {
    "title": "You may also like",
    "add": "Add",
    "replace": "Choose instead",
    "added": "Added",
    "undo": "Undo",
    "dismiss": "No, thanks",
}
_DECISION = {
    "decision_id": "dec_0b7yJm3kQv2p1o9n8m7l6w",
    "arm": "treatment",
    "model_version": "20260302T091500Z-3f9a1c2b",
}
_RATE = {
    "value": 0.18,
    "lower": 0.157,
    "upper": 0.206,
    "numerator": 180,
    "denominator": 1000,
    "method": "wilson_clustered",
    "status": "ok",
    "unclustered": {"lower": 0.157, "upper": 0.206, "method": "wilson"},
}

ANSWERS: Mapping[str, tuple[str, object]] = {
    "suggest": (
        "The decision; in the control arm, and where nothing fits, without offers",
        {
            **_DECISION,
            "tracking": "recorded",
            "offers": [
                {
                    **_CASE,
                    "name": "Case",
                    "currency": "NOK",
                    "image_url": "https://shop.example/pictures/case-1.jpg",
                    "display": {
                        "price": "199 NOK",
                        "difference": None,
                        "gains": _NONE,
                        "losses": _NONE,
                    },
                },
                {
                    "offer_id": "off_Jt0hWl8dQmCk1cX9uE5oBg",
                    "kind": "upsell",
                    "item_id": "phone-256",
                    "name": "Phone 256 GB",
                    "position": 1,
                    "unit_price": "6990.00",
                    "currency": "NOK",
                    "score": 0.12,
                    "replaces": {
                        "item_id": "phone-64",
                        "quantity": 1,
                        "price_difference": "1000.00",
                    },
                    "gains": [{"attribute": "storage_gb", "from": "64", "to": "256"}],
                    "losses": _NONE,
                    "text": "4x the storage for 1000 NOK more",
                    "display": {
                        "price": "6990 NOK",
                        "difference": "+1000 NOK",
                        "gains": ["4x the storage"],
                        "losses": _NONE,
                    },
                    "step": "tier",
                    "total_difference": "1000.00",
                },
            ],
            "language": "en",
            "labels": _LABELS,
        },
    ),
    "record_events": ("What became of the events; those taken are on disk", _EVENTS),
    "from_ga4": ("What became of the events in it", _EVENTS),
    "from_segment": ("What became of the events in it", _EVENTS),
    "from_shopify": ("What became of the events in it", _EVENTS),
    "report_rates": (
        "Both rates, in total and by group",
        {
            "from": "2026-03-01",
            "to": "2026-03-31",
            "timezone": "Europe/Oslo",
            "currency": "NOK",
            "attribution_window_days": 0,
            "level": 0.95,
            "total": {
                "cross_sell": {"customer": _RATE, "revenue": "35820.00"},
                "upsell": {"customer": _RATE, "revenue": "18000.00"},
            },
            "groups": _NONE,
            "quality": {
                "orders": 1_204,
                "without_decision": 0,
                "duplicates": 0,
                "late": 0,
                "unmatched": 0,
                "bots_excluded": 0,
                "srm_p_value": 0.43,
            },
        },
    ),
    "explain_decision": (
        "The decision as recorded, with evidence and what was not offered",
        {
            **_DECISION,
            "type": "decision",
            "event_id": "dec_0b7yJm3kQv2p1o9n8m7l6w",
            "occurred_at": "2026-03-02T09:15:00+00:00",
            "checkout_id": "ch_81",
            "placement": "checkout",
            "currency": "NOK",
            "lines": [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}],
            "offers": [_CASE],
            "explanation": {
                "status": "complete",
                "message": None,
                "pinned_item_ids": _NONE,
                "counts": {"lower_score": 1},
                "rejected": [
                    {
                        "kind": "cross_sell",
                        "item_id": "mount",
                        "name": "Car mount",
                        "score": 0.02,
                        "reason": "lower_score",
                    }
                ],
            },
        },
    ),
    "list_models": (
        "What is on disk and what is served",
        {
            **_PUBLISHED,
            "problem": None,
            "versions": _NONE,
        },
    ),
    "verify_model": (
        "It is whole and can answer",
        {
            "version": "20260302T091500Z-3f9a1c2b",
            "manifest": _EMPTY,
        },
    ),
    "roll_back": ("What is served now", _PUBLISHED),
    "publish_model": ("What is served now", _PUBLISHED),
    "export_customer": (
        "All that is kept",
        {
            "customer_id": "c_9",
            "facts": _NONE,
            "remembered": None,
            "units": _NONE,
            "set_aside": _NONE,
        },
    ),
    "erase_customer": ("The tie is cut", {"customer_id": "c_9", "facts": 12}),
    "list_rules": (
        "Those set here, then those of the shop file",
        {
            "rules": [
                {**_RULE, "action": "pin", "item": "case-1", "position": 2, "source": "api"},
            ]
        },
    ),
    "set_rule": ("It is in force on every worker within a second", {**_RULE, "warnings": _NONE}),
    "end_rule": ("It has ended on every worker within a second", {**_RULE, "warnings": _NONE}),
    "change_item": ("It is on disk, and on every worker within a second", _ITEM),
    "change_items": ("What became of the items; those taken are on disk", _EVENTS),
    "forget_item": ("It is as the model was trained with it", _ITEM),
    "look_at_item": (
        "The item as it is offered now",
        {
            **_ITEM,
            "name": "Case",
            "price": "199.00",
            "currency": "NOK",
            "in_stock": False,
            "active": True,
            "category": ["Accessories"],
            "family": "case",
            "brand": None,
            "cost": None,
            "image_url": None,
            "attributes": _EMPTY,
            "in_model": True,
            "offered": {"cross_sell": False, "upsell": False},
            "reasons": ["out_of_stock"],
        },
    ),
    "list_actions": (
        "The newest first",
        {
            "entries": [
                {
                    "occurred_at": "2026-03-02T09:20:00+00:00",
                    "who": "key:9f86d081884c",
                    "action": "publish",
                    "target": "20260302T091500Z-3f9a1c2b",
                    "outcome": "done",
                }
            ]
        },
    ),
    "healthz": ("It is alive", {"status": "ok"}),
    "readyz": (
        "It can suggest",
        {
            "status": "ready",
            "model_version": "20260302T091500Z-3f9a1c2b",
        },
    ),
    "metrics": ("In the text format of Prometheus", None),
}
"""By operation: what a 200 means, and an example of it."""
