"""Ranking the complements of one cart by the compiled kernels."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from engine.facts import Mode
from engine.native.library import (
    Held,
    Library,
    Network,
    Rows,
    address_of,
    counted,
    doubles_at,
    fits,
    integers_at,
    library,
)
from engine.native.packing import packed_items
from engine.ranking.purchases import Past
from engine.ranking.ranking import Ranking

_POINTER = ctypes.c_void_p


class _Ranking(ctypes.Structure):
    _fields_ = (
        ("near", Rows),
        ("near_weight", _POINTER),
        ("near_joint", _POINTER),
        ("groups", Rows),
        ("group_weight", _POINTER),
        ("leaders", Rows),
        ("n_orders", _POINTER),
        ("items", _POINTER),
        ("popular", _POINTER),
        ("n_popular", ctypes.c_int64),
        ("n_orders_all", ctypes.c_float),
    )


class NativeRanking:
    """What the kernels look at of a `Ranking`; whatever does not depend on a cart, worked out."""

    def __init__(
        self, library: Library, ranking: Ranking, packed: NDArray[np.float32] | None = None
    ) -> None:
        """`packed` is `packed_items` of the ranking's signals, where a version has them."""
        near, groups, signals = ranking.neighbours, ranking.groups, ranking.signals
        self._library, self._held = library, Held()
        held = self._held
        self._model = _Ranking(
            near=held.rows(near.items),
            near_weight=held.address(near.weight, np.float32),
            near_joint=held.address(near.n_joint, np.int32),
            groups=held.rows(groups.items),
            group_weight=held.address(groups.weight, np.float32),
            leaders=held.rows(signals.leaders),
            n_orders=held.address(signals.n_orders, np.float32),
            items=held.address(packed_items(signals) if packed is None else packed, np.float32),
            popular=held.address(signals.popular, np.int32),
            n_popular=len(signals.popular),
            n_orders_all=float(signals.n_orders_all[0]),
        )
        self._networks: dict[Mode, Network] = {
            mode: held.network(scorer) for mode, scorer in ranking.scorers.items()
        }

    @property
    def address(self) -> int:
        """Of what the kernels look at; valid for as long as this is."""
        return ctypes.addressof(self._model)

    def network(self, mode: Mode) -> int:
        """The address of the network that ranks in a mode."""
        return ctypes.addressof(self._networks[mode])

    def rank(
        self, cart: NDArray[np.int32], past: Past, mode: Mode
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """(Candidates, ascending; how likely each is bought next), as of `Ranking.rank`."""
        items, scores = _POINTER(), _POINTER()
        n = counted(
            self._library.functions.mersalg_rank(
                self._library.workspace,
                self.address,
                self.network(mode),
                *asked_of(cart, past, mode),
                ctypes.addressof(items),
                ctypes.addressof(scores),
            )
        )
        return integers_at(items, n), doubles_at(scores, n)

    def pairs(self, items: NDArray[np.int32], cart: NDArray[np.int32]) -> list[tuple[int, int]]:
        """Of each item the one of the cart whose pair with it is best borne out by counts, and how
        many orders have both; -1 where none is known to go with it."""
        items = np.ascontiguousarray(items)
        held, joint = np.empty(len(items), dtype=np.int32), np.empty(len(items), dtype=np.int32)
        counted(
            self._library.functions.mersalg_pairs(
                self.address,
                address_of(cart),
                len(cart),
                address_of(items),
                len(items),
                address_of(held),
                address_of(joint),
            )
        )
        return list(zip(held.tolist(), joint.tolist(), strict=True))


def asked_of(cart: NDArray[np.int32], past: Past, mode: Mode) -> tuple[int, ...]:
    """A cart, its buyer's past and what is wanted beside it, as the kernels take them in turn."""
    return (
        *(address_of(cart), len(cart)),
        *(address_of(past.item), address_of(past.age), address_of(past.order), len(past.item)),
        mode == "discovery",
    )


def native_ranking(
    ranking: Ranking, packed: NDArray[np.float32] | None = None
) -> NativeRanking | None:
    """None where NumPy has to rank: with networks that the kernels do not take."""
    if not all(map(fits, ranking.scorers.values())):
        return None
    return NativeRanking(library(), ranking, packed)
