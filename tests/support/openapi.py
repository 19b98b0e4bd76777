"""The OpenAPI document as an oracle of what the service answers."""

from __future__ import annotations

from functools import cache

import jsonschema_rs

from mersalg.serving.app import create_app
from mersalg.serving.settings import ServeSettings


def fits(component: str, value: object) -> bool:
    """Return whether a value is what the document says of one of its components."""
    return _validator(component).is_valid(value)


@cache
def _validator(component: str) -> jsonschema_rs.Draft202012Validator:
    components = create_app(ServeSettings()).openapi()["components"]
    reference = f"#/components/schemas/{component}"
    return jsonschema_rs.Draft202012Validator({"$ref": reference, "components": components})
