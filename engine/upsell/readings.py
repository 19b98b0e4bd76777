"""What the texts of an item say: read once, when a version is written, and kept with it.

To read a name takes some fifty times as long as to look up what it said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self, cast
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.catalogue import Catalogue
from mersalg.engine.upsell.packs import Pack, pack_of
from mersalg.engine.upsell.traits import Kind, Traits, item_traits
from mersalg.engine.vocabulary import StringTable

_BETWEEN = "\n"


class Reading(NamedTuple):
    """How much an item holds, None where that is not known, and its traits."""

    pack: Pack | None
    traits: Traits

    @classmethod
    def of(cls, catalogue: Catalogue, item: int) -> Self:
        """Read the texts of an item by dense index."""
        return cls(pack_of(catalogue, item), item_traits(catalogue, item))

    def to_text(self) -> str:
        """Return the reading as one text."""
        pack = self.pack
        amount = "" if pack is None else f"{pack.amount!r} {pack.dimension} {pack.unit}"
        *words, made_for = self.traits
        return _BETWEEN.join((amount, *words, "1" if made_for else ""))

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Return the reading that `to_text` made a text of."""
        stated, stem, sizes, seasons, tastes, kind, accessory, head, words, made_for = text.split(
            _BETWEEN
        )
        pack = None
        if stated:
            amount, dimension, unit = stated.split(" ")
            pack = Pack(dimension, float(amount), unit)
        known = cast("Kind", kind)
        return cls(
            pack,
            Traits(stem, sizes, seasons, tastes, known, accessory, head, words, bool(made_for)),
        )


@dataclass(frozen=True, slots=True)
class Readings:
    """What the texts of the items said when a version was written; n is the number of items.

    Attributes
    ----------
    sums : uint32 (n,)
        CRC-32 of the texts: where an item has other ones now, they are read again.
    texts : StringTable
        The reading of each item.
    """

    sums: NDArray[np.uint32]
    texts: StringTable

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """Read the texts of all items."""
        items = range(len(catalogue))
        return cls(
            np.array([_sum(catalogue, item) for item in items], dtype=np.uint32),
            StringTable.from_texts([Reading.of(catalogue, item).to_text() for item in items]),
        )

    def get(self, catalogue: Catalogue, item: int) -> Reading:
        """Return the reading of an item, which may be new or have other texts since then."""
        if item < len(self.sums) and self.sums.item(item) == _sum(catalogue, item):
            return Reading.of_text(self.texts[item])
        return Reading.of(catalogue, item)


def _sum(catalogue: Catalogue, item: int) -> int:
    """Return the check sum of all that a reading is made from."""
    category, sizes = catalogue.category.item(item), catalogue.attributes.get("pack_size")
    path = catalogue.category_names[category] if category >= 0 else ""
    texts = (catalogue.names[item], path, "" if sizes is None else sizes[item])
    return crc32("\0".join(texts).encode("utf-8", "surrogatepass"))
