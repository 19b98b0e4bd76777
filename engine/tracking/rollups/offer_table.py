"""The offers of a period and the checkouts they were made in, counted once, in columns.

A row of offers holds what one checkout has of one kind of offers and one combination of their keys;
`offer_sums` adds rows up to those of a set of offers. A visit is a decision that begins a checkout,
or one that it is judged by, with the orders that came of it.
"""

# pyarrow has no types for a checker.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mersalg.engine.tracking.query import OFFER_KEYS
from mersalg.engine.tracking.rates import UNIT_COUNTS
from mersalg.engine.tracking.rollups.columns import Ints, read_columns, write_columns
from mersalg.engine.tracking.strata import OF_BASKET, Stratum

OF_OFFERS = (
    "converted",
    "kept",
    "offered_units",
    "kept_units",
    "offer_revenue",
    "net_offer_revenue",
)
"""Fields of a cluster that depend on which offers it is of."""

TALLIES = (
    *("shown", "bought", *UNIT_COUNTS, "offers_clicked_first", "lines_credited", "lines_unpriced"),
    *("lines_repriced", "lines_untaxed", *OF_OFFERS[:4]),
)
"""Flags of rows (`shown`, `bought`) and their counts; there are few combinations of them."""

AMOUNTS = ("revenue_minor", "net_revenue_minor", *OF_OFFERS[4:], "net_order_revenue")
"""Money of rows; the last is what a cluster has more of it than its visit, by what came back."""

OFFERS = ("visit", "judged", "kind", "key", "tally", *AMOUNTS)
VISIT = ("unit", "day", "rank", "checkout", "stratum", "begun", *OF_BASKET)
"""Columns of visits, which are in the order of units and time.

`rank` numbers the instants of a unit on a day, `checkout` is the place of one, `begun` tells the
decision that begins it, where that may have been of either arm.
"""


@dataclass(slots=True)
class OfferTable:
    """Rows of offers and their visits.

    Visits name `strata` by position. Of offers, `visit` is one of the checkout and unit, `judged`
    that of the decision that the checkout is judged by, -1 where it has none of the offers; `kind`,
    `key` and `tally` are places in `KINDS`, `keys` and `tallies` (m, len(TALLIES)), which are the
    different combinations of keys, and of marks and counts.
    """

    strata: Sequence[Stratum]
    visits: Mapping[str, Ints]
    offers: Mapping[str, Ints]
    tallies: NDArray[np.int64]
    keys: Sequence[Any]

    def some(self, keep: NDArray[np.bool_]) -> OfferTable:
        """Return the rows of some of the visits; of a checkout these are all or none."""
        moved = np.cumsum(keep) - 1
        is_chosen = keep[self.offers["visit"]]
        offers = {name: column[is_chosen] for name, column in self.offers.items()}
        offers["visit"] = moved[offers["visit"]]
        offers["judged"] = np.where(offers["judged"] < 0, -1, moved[offers["judged"]])
        visits = {name: column[keep] for name, column in self.visits.items()}
        return OfferTable(self.strata, visits, offers, self.tallies, self.keys)


def write_offers(table: OfferTable, left_out: Iterable[str]) -> bytes:
    """Write the rows of a day, whose keys are those of `OFFER_KEYS`, and what is left out of them.

    Numbers that grow from row to row are written as differences, which take less room.
    """
    visits, offers = dict(table.visits), dict(table.offers)
    offers["judged"] = np.where(offers["judged"] < 0, 0, offers["judged"] - offers["visit"] + 1)
    visits["offers"] = np.bincount(offers.pop("visit"), minlength=len(visits["unit"]))
    visits["unit"] = np.diff(visits["unit"], prepend=0)
    visits["checkout"] = visits["checkout"] - np.arange(len(visits["unit"]))
    del visits["day"]
    names: dict[str, list[str]] = {}
    codes = offers.pop("key")
    for at, name in enumerate(OFFER_KEYS):
        places: dict[str, int] = {}
        of_keys = [places.setdefault(key[at], len(places)) for key in table.keys]
        offers[name], names[name] = np.array(of_keys, np.int64)[codes], list(places)
    head = {
        "strata": table.strata,
        "tallies": table.tallies.tolist(),
        "names": names,
        "left_out": sorted(left_out),
    }
    parts = msgspec.json.encode(head), write_columns(visits), write_columns(offers)
    return msgspec.msgpack.encode(parts)


class StoredOffers:
    """The rows of a day as `write_offers` wrote them."""

    def __init__(self, body: bytes) -> None:
        head, self._visits, self._offers = msgspec.msgpack.decode(
            body, type=tuple[bytes, bytes, bytes]
        )
        self._head = msgspec.json.decode(head, type=_Head)

    @property
    def left_out(self) -> Sequence[str]:
        """The checkouts that are left out."""
        return self._head.left_out

    def table(self, keys: Sequence[str], day: int) -> OfferTable:
        """Return the rows, with a tuple of some keys; `day` is the number of the day."""
        visits, offers = read_columns(self._visits), read_columns(self._offers)
        n = len(visits["unit"])
        visits["unit"] = np.cumsum(visits["unit"], dtype=np.int64)
        visits["checkout"] = visits["checkout"] + np.arange(n)
        visits["day"] = np.full(n, day)
        offers["visit"] = np.repeat(np.arange(n), visits.pop("offers"))
        offers["judged"] = np.where(
            offers["judged"] > 0, offers["visit"] + offers["judged"] - 1, -1
        )
        code, named = np.zeros(len(offers["visit"]), np.int64), [()]
        for key in keys:
            names = self._head.names[key]
            different, code = np.unique(code * len(names) + offers[key], return_inverse=True)
            named = [
                (*named[at // len(names)], names[at % len(names)]) for at in different.tolist()
            ]
        offers["key"] = code
        tallies = np.array(self._head.tallies, np.int64).reshape(-1, len(TALLIES))
        return OfferTable(self._head.strata, visits, offers, tallies, named)


class _Head(msgspec.Struct):
    strata: list[Stratum]
    tallies: list[list[int]]
    names: dict[str, list[str]]
    left_out: list[str]
