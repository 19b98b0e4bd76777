"""What may be offered beside a cart, and the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engine.cross_sell.recommender import row_slices
from engine.model import Model


class Reason(IntEnum):
    """Why a candidate is not offered; the first that applies."""

    ELIGIBLE = 0
    IN_CART = 1
    EXCLUDED = 2
    """The call said so."""
    NOT_OFFERABLE = 3
    """Inactive or out of stock."""
    DOES_NOT_FIT = 4
    """Made for other items than those of the cart."""
    SUBSTITUTE = 5
    """Instead of something in the cart, not beside it."""


@dataclass(frozen=True, slots=True)
class Eligibility:
    """What serving prepares once for each model.

    Attributes:
        offerable: bool (n_items,).
        needs: bool (n_items,); the item fits certain other items only.
        fits_indptr, fits_items: CSR; the items that fit item i (a phone and its cases).
        family: int32 (n_items,), ladder of each item or -1.
        family_excludes: bool (n_ladders + 1,); the last place stands for "on no ladder".
    """

    offerable: NDArray[np.bool_]
    needs: NDArray[np.bool_]
    fits_indptr: NDArray[np.int64]
    fits_items: NDArray[np.int32]
    family: NDArray[np.int32]
    family_excludes: NDArray[np.bool_]

    @classmethod
    def prepare(cls, model: Model) -> Self:
        catalogue, ladders = model.catalogue, model.ladders
        n_items = len(catalogue)
        n_fits = np.diff(catalogue.compatible_indptr)
        order = np.argsort(catalogue.compatible_items, kind="stable")
        fits_indptr = np.zeros(n_items + 1, dtype=np.int64)
        np.cumsum(np.bincount(catalogue.compatible_items, minlength=n_items), out=fits_indptr[1:])
        # A family the affinity says nothing of is taken to exclude: the safe side.
        excludes = np.ones(ladders.n_ladders + 1, dtype=np.bool_)
        known = model.affinity.family_excludes[: ladders.n_ladders]
        excludes[: len(known)] = known
        excludes[-1] = False
        return cls(
            offerable=catalogue.offerable,
            needs=n_fits > 0,
            fits_indptr=fits_indptr,
            fits_items=np.repeat(np.arange(n_items, dtype=np.int32), n_fits)[order],
            family=ladders.family,
            family_excludes=excludes,
        )

    def beside(self, cart: Sequence[int], excluded: Sequence[int]) -> CartEligibility:
        """For a cart and excluded items of dense indices."""
        marks = np.zeros(len(self.offerable), dtype=np.uint8)
        marks[list(excluded)] = Reason.EXCLUDED
        marks[list(cart)] = Reason.IN_CART
        fitting = np.zeros(len(self.offerable), dtype=np.bool_)
        for part in row_slices(self.fits_indptr, cart):
            fitting[self.fits_items[part]] = True
        families = np.zeros(len(self.family_excludes), dtype=np.bool_)
        families[self.family[list(cart)]] = True
        return CartEligibility(self, marks, fitting, families & self.family_excludes)


@dataclass(frozen=True, slots=True)
class CartEligibility:
    prepared: Eligibility
    marks: NDArray[np.uint8]
    fitting: NDArray[np.bool_]
    blocked_families: NDArray[np.bool_]

    def mark(self, items: Sequence[int], reason: Reason) -> None:
        """From now on `items` are left out for `reason`."""
        self.marks[list(items)] = reason

    def reasons(self, items: NDArray[np.int32], *, beside: bool) -> NDArray[np.uint8]:
        """A `Reason` for each of `items`; substitutes are refused only `beside` the cart."""
        prepared = self.prepared
        reasons = self.marks[items]
        if beside:
            substitutes = self.blocked_families[prepared.family[items]]
            reasons[substitutes & (reasons == 0)] = Reason.SUBSTITUTE
        misfits = prepared.needs[items] & ~self.fitting[items]
        # Written from the last reason to the first, so that the first one that applies stays.
        reasons[misfits & ((reasons == 0) | (reasons > Reason.DOES_NOT_FIT))] = Reason.DOES_NOT_FIT
        missing = ~prepared.offerable[items]
        reasons[missing & ((reasons == 0) | (reasons > Reason.NOT_OFFERABLE))] = (
            Reason.NOT_OFFERABLE
        )
        return reasons
