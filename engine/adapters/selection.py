"""Choose the adapter of a body or a file, and find items that its events know by name alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import cast

from mersalg.engine.adapters import ga4, segment, shopify
from mersalg.engine.adapters.loose_json import Record
from mersalg.engine.catalogue import Catalogue
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


class ItemNames:
    """The ids of the items of a catalogue, by those names that one item alone has."""

    def __init__(self, catalogue: Catalogue) -> None:
        n_named = Counter(catalogue.names)
        named = zip(catalogue.names, catalogue.items.ids, strict=True)
        self._items = catalogue.items
        self._ids = {name: item_id for name, item_id in named if n_named[name] == 1}

    def put_ids(self, events: Iterable[Record]) -> int:
        """Put ids in the place of names in lines of events.

        The number of lines whose item is known neither by an id nor by a name is returned.
        """
        n_unknown = 0
        for event in events:
            for line in cast("list[Record]", event.get("items") or []):
                name = line.get("item_id")
                if name is not None and name not in self._items:
                    n_unknown += str(name) not in self._ids
                    line["item_id"] = self._ids.get(str(name), name)
        return n_unknown
