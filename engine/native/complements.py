"""The complements of one cart, ranked, chosen and borne out by the compiled kernels in one go."""

from __future__ import annotations

import ctypes
import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.arrays import Ragged
from engine.facts import Mode
from engine.native.library import Held, Library, Rows, address_of, counted
from engine.native.ranking import NativeRanking, asked_of
from engine.native.rules import NativeRules
from engine.ranking.purchases import Past

_POINTER = ctypes.c_void_p
_CALL = struct.Struct("=QqQQQqqQQqdqqq")
_CHOSEN = struct.Struct("=d4i")


class _Shop(ctypes.Structure):
    _fields_ = (
        ("ranking", _POINTER),
        ("single", _POINTER),
        ("several", _POINTER),
        ("repelled", Rows),
        ("contrary", Rows),
        ("n_items", ctypes.c_int64),
        ("category", _POINTER),
        ("family", _POINTER),
        ("price", _POINTER),
        ("others", ctypes.c_double),
    )


class Wanted(NamedTuple):
    """What may be chosen for a cart.

    Attributes:
        marks: uint8 (n_items,), 0 where an item may be offered, were it not for the rest.
        blocked: int32, families of which none may be.
        dearest: minor units, below 0 where any price will do.
        most: places of each category, which others that find no room take where it `gives_way`.
        limit: how many.
    """

    marks: NDArray[np.uint8]
    blocked: NDArray[np.int32]
    dearest: float
    most: int
    gives_way: bool
    limit: int


class Chosen(NamedTuple):
    """Why an item was chosen: `rule` is the strongest, -1 where none fires; then `held` is an item
    of the cart that goes with it in `joint` orders, -1 where none is known to.

    Where rules rank, `score` is how strong they are together, of which the score is 1 - exp(-it).
    """

    score: float
    item: int
    rule: int
    held: int
    joint: int


class NativeComplements:
    """What the kernels look at of a shop to find what goes with a cart."""

    def __init__(
        self,
        library: Library,
        rules: NativeRules,
        ranking: NativeRanking | None,
        apart: tuple[Ragged[np.int32], Ragged[np.int32]],
        category: NDArray[np.int32],
        family: NDArray[np.int32],
        price_minor: NDArray[np.int64],
    ) -> None:
        """`apart` are the items that each item keeps away: by affinity, and by rules that say so;
        the others have shape (n_items,)."""
        self._library, self._rules, self._ranking, held = library, rules, ranking, Held()
        self._held = held
        repelled, contrary = (held.rows(each) for each in apart)
        single, several = rules.addresses
        self._shop = _Shop(
            None if ranking is None else ranking.address,
            single,
            several,
            repelled,
            contrary,
            len(category),
            held.address(category, np.int32),
            held.address(family, np.int32),
            held.address(price_minor, np.int64),
            rules.others,
        )
        self._address = ctypes.addressof(self._shop)

    def of(self, cart: NDArray[np.int32], past: Past, mode: Mode, wanted: Wanted) -> list[Chosen]:
        """Best first; where they are fewer than wanted, there may be weaker ones.

        `cart` ascends, each item once; of an unknown `past` nothing is left out.
        """
        found = _POINTER()
        blocked = np.ascontiguousarray(wanted.blocked)
        asked = _CALL.pack(
            *asked_of(cart, past, mode),
            address_of(wanted.marks),
            address_of(blocked),
            len(blocked),
            wanted.dearest,
            wanted.most,
            wanted.gives_way,
            wanted.limit,
        )
        n = counted(
            self._library.functions.mersalg_complements(
                self._library.workspace,
                self._address,
                None if self._ranking is None else self._ranking.network(mode),
                asked,
                ctypes.addressof(found),
            )
        )
        whole = ctypes.string_at(found, n * _CHOSEN.size) if n else b""
        return list(map(Chosen._make, _CHOSEN.iter_unpack(whole)))
