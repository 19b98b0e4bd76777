"""Firing the rules of a cart by the compiled kernels."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from engine.arrays import Ragged
from engine.native.library import (
    Held,
    Library,
    Rows,
    address_of,
    counted,
    doubles_at,
    integers_at,
)

_POINTER = ctypes.c_void_p


class _Filed(ctypes.Structure):
    _fields_ = (
        ("rules", Rows),
        ("strength", _POINTER),
        ("position", _POINTER),
        ("rest", _POINTER),
        ("width", ctypes.c_int64),
    )


class NativeRules:
    """Rules filed by their first item: single-item ones, and the others."""

    def __init__(self, library: Library, others: float) -> None:
        self._library, self.others, self._held = library, others, Held()
        self._filed: list[_Filed] = []

    def file(
        self,
        consequents: Ragged[np.int32],
        strength: NDArray[np.float32],
        position: NDArray[np.int32],
        rest: NDArray[np.int32],
    ) -> None:
        """First the single-item rules, then the others; shapes as in `cross_sell.recommender`.

        Of each first item the consequents ascend.
        """
        held = self._held
        self._filed.append(
            _Filed(
                held.rows(consequents),
                held.address(strength, np.float32),
                held.address(position, np.int32),
                held.address(rest, np.int32),
                rest.shape[1],
            )
        )

    @property
    def addresses(self) -> tuple[int, int]:
        """Of the single-item rules, and of the others; valid for as long as this is."""
        single, several = self._filed
        return ctypes.addressof(single), ctypes.addressof(several)

    def fire(self, cart: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """(Consequents, ascending; their scores), as of `Fired.combined`."""
        single, several = self._filed
        items, strengths = _POINTER(), _POINTER()
        n = counted(
            self._library.functions.mersalg_fire(
                self._library.workspace,
                ctypes.addressof(single),
                ctypes.addressof(several),
                address_of(cart),
                len(cart),
                self.others,
                ctypes.addressof(items),
                ctypes.addressof(strengths),
            )
        )
        # NumPy has vector instructions for this, which a plain compiler has not.
        return integers_at(items, n), -np.expm1(-doubles_at(strengths, n))

    def strongest(self, cart: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.int32]:
        """int32 (n_items,), the strongest rule the cart fires for each; -1 where there is none."""
        single, several = self._filed
        items, rules = np.ascontiguousarray(items), np.empty(len(items), dtype=np.int32)
        counted(
            self._library.functions.mersalg_strongest(
                ctypes.addressof(single),
                ctypes.addressof(several),
                address_of(cart),
                len(cart),
                address_of(items),
                len(items),
                address_of(rules),
            )
        )
        return rules
