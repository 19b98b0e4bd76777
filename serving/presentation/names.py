"""Names of items, and the keys of a report's groups by items, rules and upgrades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from mersalg.engine.tracking.query import OTHER, UNKNOWN

if TYPE_CHECKING:
    from mersalg.engine.model import Model

Key = Literal["item", "rule", "upgrade"]
KEYS: tuple[Key, ...] = ("item", "rule", "upgrade")

ARROW, JOINER, POPULAR = " -> ", " + ", "popular"
"""How a report writes rules: `a + b -> c`, and those of carts without one `popular -> c`."""


class Names:
    """Names of items: those `stated` since the training, else the model's, else the id."""

    def __init__(self, model: Model | None, stated: Mapping[str, str] | None = None) -> None:
        self._catalogue = None if model is None else model.catalogue
        self._stated = stated or {}

    def __getitem__(self, item_id: str) -> str:
        catalogue = self._catalogue
        index = None if catalogue is None else catalogue.items.index_of(item_id)
        trained = catalogue.names[index] if catalogue is not None and index is not None else ""
        return self._stated.get(item_id) or trained or item_id

    def joined(self, item_ids: Iterable[str]) -> str:
        """Return several names in one text."""
        return JOINER.join(self[item_id] for item_id in item_ids)

    def beside(self, by: str, key: str) -> str:
        """Return the key of a group, after its names where it is of items that have some."""
        if by not in KEYS or key in (OTHER, UNKNOWN):
            return key
        beside, item_id = parts_of(by, key)
        named = self[item_id]
        if by != "item":
            named = f"{self.joined(beside) or POPULAR}{ARROW}{named}"
        return key if named == key else f"{named} ({key})"


def parts_of(by: str, key: str) -> tuple[tuple[str, ...], str]:
    """Return what the cart holds and what is offered, by the key of a row."""
    if key in (OTHER, UNKNOWN):
        return (), ""
    if by == "item":
        return (), key
    beside, _, item_id = key.rpartition(ARROW)
    if by == "upgrade":
        return (beside,), item_id
    return () if beside == POPULAR else tuple(beside.split(JOINER)), item_id


def is_decided(measured: Mapping[str, Any]) -> bool:
    """Return whether an offer of a kind was shown or withheld."""
    arms = (measured["incremental"][arm]["denominator"] for arm in ("treatment", "control"))
    return bool(measured["offer"]["denominator"] or any(arms))
