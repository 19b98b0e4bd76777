"""Readings of the texts of items: made once, when a version is written, and stored with it.

To read a name takes some fifty times as long as to look up what it said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from mersalg.engine.catalogue import Catalogue
from mersalg.engine.upsell.packs import Pack, pack_of
from mersalg.engine.upsell.traits import Traits, item_traits
from mersalg.engine.vocabulary import StringTable

_FORMAT = "json 2"
"""Part of the check sums: what an older version stored otherwise is read again."""


class Reading(NamedTuple):
    """Content of an item, None where that is not known, and its traits."""

    pack: Pack | None
    traits: Traits

    @classmethod
    def of(cls, catalogue: Catalogue, item: int) -> Self:
        """Read the texts of an item by dense index."""
        return cls(pack_of(catalogue, item), item_traits(catalogue, item))


encode = msgspec.json.Encoder(order="deterministic").encode
"""Write a reading as JSON; sets are sorted, so that the same texts are the same bytes."""
_reading = msgspec.json.Decoder(Reading)


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of all items from when a version was written; n is the number of items."""

    sums: NDArray[np.uint32]
    """uint32 (n,): CRC-32 of the texts: where an item has other ones now, they are read again."""
    texts: StringTable
    """The reading of each item, as JSON."""

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """Read the texts of all items."""
        items = range(len(catalogue))
        return cls(
            np.array([_sum(catalogue, item) for item in items], dtype=np.uint32),
            StringTable.from_texts(
                [encode(Reading.of(catalogue, item)).decode() for item in items]
            ),
        )

    def get(self, catalogue: Catalogue, item: int) -> Reading:
        """Return the reading of an item, which may be new or have other texts since then."""
        if item < len(self.sums) and self.sums.item(item) == _sum(catalogue, item):
            return _reading.decode(self.texts[item])
        return Reading.of(catalogue, item)


def _sum(catalogue: Catalogue, item: int) -> int:
    """Return the check sum of all that a reading is made from."""
    sizes, path = catalogue.attributes.get("pack_size"), catalogue.category_of(item)
    texts = (_FORMAT, catalogue.names[item], path, "" if sizes is None else sizes[item])
    return crc32("\0".join(texts).encode("utf-8", "surrogatepass"))
