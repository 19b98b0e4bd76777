"""How likely the upgrades of one cart are, by the compiled kernels."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from engine.native.library import (
    Held,
    Library,
    Rows,
    address_of,
    counted,
    doubles_at,
    fits,
    library,
)
from engine.native.packing import PackedUpgrades
from engine.ranking.purchases import Past
from engine.upsell.likelihood import Likelihood
from engine.upsell.signals import Questions

_POINTER = ctypes.c_void_p


class _Upgrades(ctypes.Structure):
    _fields_ = (
        ("items", _POINTER),
        ("moved", Rows),
        ("times", _POINTER),
    )


class Models(ctypes.Structure):
    """Of upgrades, as in `upsell.c`."""

    _fields_ = (("upgrades", _POINTER), ("whether", _POINTER), ("which", _POINTER))


class NativeUpgrades:
    """What the kernels look at of a `Likelihood`."""

    def __init__(
        self, library: Library, likelihood: Likelihood, packed: PackedUpgrades | None = None
    ) -> None:
        """`packed` is that of the model, where a version has it."""
        self._library, self._held, self._likelihood = library, Held(), likelihood
        held, arrays = self._held, packed or PackedUpgrades.of(likelihood)
        self._model = _Upgrades(
            held.address(arrays.items, np.float32),
            held.rows(arrays.moved),
            held.address(likelihood.standing.move_times, np.float32),
        )
        self._whether, self._which = map(held.network, (likelihood.whether, likelihood.which))

    @property
    def platt(self) -> tuple[float, float]:
        """By which scores become those of offers that were shown."""
        return self._likelihood.offer_slope, self._likelihood.offer_intercept

    @property
    def models(self) -> Models:
        """What the kernel of siblings asks; valid for as long as this is."""
        return Models(*map(ctypes.addressof, (self._model, self._whether, self._which)))

    def of_cart(self, past: Past, questions: Questions) -> NDArray[np.float64]:
        """As `Likelihood.of_cart`."""
        scores = _POINTER()
        n = counted(
            self._library.functions.mersalg_upgrades(
                self._library.workspace,
                ctypes.addressof(self._model),
                ctypes.addressof(self._whether),
                ctypes.addressof(self._which),
                address_of(past.item),
                address_of(past.age),
                len(past.item),
                address_of(questions.base),
                address_of(questions.indptr),
                len(questions.base),
                address_of(questions.sibling),
                address_of(questions.ratio),
                len(questions.sibling),
                ctypes.addressof(scores),
            )
        )
        return self._likelihood.as_offered(doubles_at(scores, n))


def native_upgrades(
    likelihood: Likelihood, packed: PackedUpgrades | None = None
) -> NativeUpgrades | None:
    """None where NumPy has to work them out: with networks that the kernels do not take."""
    if not (fits(likelihood.whether) and fits(likelihood.which)):
        return None
    return NativeUpgrades(library(), likelihood, packed)
