"""The better items of a cart's items, by the compiled kernels."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.native.library import Held, Library, Rows, address_of, counted, library
from engine.native.packing import PackedUpgrades
from engine.native.upgrades import NativeUpgrades, native_upgrades
from engine.ranking.purchases import Past
from engine.upsell.likelihood import Likelihood
from engine.upsell.tiers import Ladders

_POINTER = ctypes.c_void_p


class _Ladders(ctypes.Structure):
    _fields_ = (
        ("members", Rows),
        ("n_items", ctypes.c_int64),
        ("family", _POINTER),
        ("tier", _POINTER),
        ("price", _POINTER),
        ("cost", _POINTER),
        ("bought", _POINTER),
        ("least_ratio", ctypes.c_double),
        ("most_ratio", ctypes.c_double),
        ("offer_slope", ctypes.c_double),
        ("offer_intercept", ctypes.c_double),
    )


_SIBLING = struct.Struct("=5q2d")

Base = tuple[int, int, float]
"""An item, minor units paid for one unit (0 where not known), and units."""
Sibling = tuple[int, int, int, int, int, float, float]
"""A better item, the place of its base, minor units more, minor units it brings, its place among
all, how likely it is taken, and the highest expected gain it can come to."""


@lru_cache(256)
def _bases(n: int) -> struct.Struct:
    """Of carts of n items."""
    return struct.Struct("=" + n * "qqd")


class NativeSiblings:
    """What the kernels look at of ladders, prices and, where there are any, models of upgrades."""

    def __init__(
        self,
        library: Library,
        ladders: Ladders,
        catalogue: Catalogue,
        n_orders_of_item: NDArray[np.int64],
        ratios: tuple[float, float],
        upgrades: NativeUpgrades | None,
    ) -> None:
        """`ratios` are the least and the most of a better item's price to its base's."""
        self._library, self._held, self.upgrades = library, Held(), upgrades
        held, self._models, platt = self._held, None, (1.0, 0.0)
        if upgrades is not None:
            self._models, platt = upgrades.models, upgrades.platt
        self._ladders = _Ladders(
            held.rows(ladders.members),
            len(catalogue),
            held.address(ladders.family, np.int32),
            held.address(ladders.tier, np.int16),
            held.address(catalogue.price_minor, np.int64),
            held.address(catalogue.cost_minor, np.int64),
            held.address(n_orders_of_item, np.int64),
            *ratios,
            *platt,
        )

    def of(
        self, past: Past, bases: Sequence[Base], marks: NDArray[np.uint8], most: int
    ) -> Iterator[Sibling]:
        """The better items of `bases` that bring something and whose mark is 0, of the highest
        bound first; at most `most`."""
        asked, found = _bases(len(bases)).pack(*chain.from_iterable(bases)), _POINTER()
        n = counted(
            self._library.functions.mersalg_siblings(
                self._library.workspace,
                ctypes.addressof(self._ladders),
                None if self._models is None else ctypes.addressof(self._models),
                address_of(past.item),
                address_of(past.age),
                len(past.item),
                asked,
                len(bases),
                address_of(marks),
                most,
                ctypes.addressof(found),
            )
        )
        # A copy, of which mostly only the first are looked at.
        return _SIBLING.iter_unpack(ctypes.string_at(found, n * _SIBLING.size) if n else b"")


def native_siblings(
    ladders: Ladders,
    catalogue: Catalogue,
    n_orders_of_item: NDArray[np.int64],
    ratios: tuple[float, float],
    likelihood: Likelihood | None,
    packed: PackedUpgrades | None = None,
) -> NativeSiblings | None:
    """None where NumPy has to find them: with networks that the kernels do not take."""
    upgrades = None if likelihood is None else native_upgrades(likelihood, packed)
    if upgrades is None and likelihood is not None:
        return None
    return NativeSiblings(library(), ladders, catalogue, n_orders_of_item, ratios, upgrades)
