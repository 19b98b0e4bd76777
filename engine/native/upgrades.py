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


def _items(likelihood: Likelihood) -> NDArray[np.float32]:
    """float32 (n_items, 16): facts and standing side by side; codes in their own bits."""
    facts, standing = likelihood.facts, likelihood.standing
    packed = np.zeros((len(facts.ladder), 16), dtype=np.float32)
    for place, codes in enumerate((facts.ladder, facts.category, facts.brand)):
        packed[:, place] = np.ascontiguousarray(codes, dtype=np.int32).view(np.float32)
    for place, values in enumerate((facts.tier, facts.level, facts.log_price, facts.log_amount)):
        packed[:, 3 + place] = values
    packed[:, 7:11] = standing.orders
    for place, values in enumerate(
        (standing.promotion, standing.usual, standing.ups, standing.downs, standing.moves)
    ):
        packed[:, 11 + place] = values
    return packed


class NativeUpgrades:
    """What the kernels look at of a `Likelihood`."""

    def __init__(self, library: Library, likelihood: Likelihood) -> None:
        self._library, self._held, self._likelihood = library, Held(), likelihood
        held, standing, n_items = self._held, likelihood.standing, len(likelihood.facts.ladder)
        base = standing.move_keys // max(n_items, 1)
        indptr = np.searchsorted(base, np.arange(n_items + 1)).astype(np.int64)
        self._model = _Upgrades(
            held.address(_items(likelihood), np.float32),
            held.rows(indptr, (standing.move_keys - base * n_items).astype(np.int32)),
            held.address(standing.move_times, np.float32),
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


def native_upgrades(likelihood: Likelihood) -> NativeUpgrades | None:
    """None where NumPy has to work them out: without kernels, or with networks they do not take."""
    found = library()
    if found is None or not (fits(likelihood.whether) and fits(likelihood.which)):
        return None
    return NativeUpgrades(found, likelihood)
