"""Items that the events of another system know by their name alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import cast

from mersalg.engine.adapters.loose_json import Record
from mersalg.engine.catalogue import Catalogue


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
