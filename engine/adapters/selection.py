"""Choose the adapter that reads a body or a file."""

from __future__ import annotations

from collections.abc import Callable

from mersalg.engine.adapters import ga4, segment, shopify
from mersalg.engine.adapters.loose_json import Record
from mersalg.engine.errors import ConfigError

Adapter = Callable[[object, int], list[Record]]
"""From a payload and the microseconds it came at to events in our schema."""


ADAPTERS: dict[str, Adapter] = {
    "ga4": ga4.translate,
    "segment": segment.translate,
    "shopify": shopify.translate,
}


def adapter_named(name: str) -> Adapter:
    """Raise ConfigError for one that does not exist."""
    if name not in ADAPTERS:
        raise ConfigError(f"from: {name!r} does not exist; there are {', '.join(ADAPTERS)}")
    return ADAPTERS[name]
