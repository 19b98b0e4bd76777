"""What all adapters do: reading loose JSON, and ids for events that bring none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import cast

from engine.errors import FactRejected

Record = dict[str, object]


def record_of(data: object, where: str) -> Mapping[str, object]:
    """A JSON object.

    Raises:
        FactRejected: it is something else.
    """
    if not isinstance(data, dict):
        raise FactRejected("invalid", f"{where} must be an object")
    return cast("Mapping[str, object]", data)


def list_of(record: Mapping[str, object], field: str) -> Sequence[object]:
    """A list that may be missing."""
    value = record.get(field)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise FactRejected("invalid", f"{field} must be a list")
    return cast("Sequence[object]", value)


def text_of(record: Mapping[str, object], *fields: str) -> str | None:
    """The first of `fields` that says something; numbers are ids too."""
    for field in fields:
        value = record.get(field)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value:
            return value
    return None


def amount_of(record: Mapping[str, object], field: str) -> Decimal | None:
    """Money or a quantity as exact as it was written; None where there is none."""
    value = record.get(field)
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise FactRejected("invalid", f"{field}: {value!r} is no number") from error
    if not amount.is_finite():
        raise FactRejected("invalid", f"{field}: {value!r} is no number")
    return amount


def without_none(record: Mapping[str, object]) -> Record:
    return {name: value for name, value in record.items() if value is not None}


def derived_id(prefix: str, content: object) -> str:
    """An id that the same content always has: a repeated delivery is known again."""
    text = json.dumps(content, sort_keys=True, default=str, ensure_ascii=False)
    return f"{prefix}/{hashlib.sha256(text.encode()).hexdigest()[:32]}"
