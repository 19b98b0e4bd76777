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
from engine.upsell.tiers import Ladders

Items = NDArray[np.int32]
Marks = NDArray[np.uint8]


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


# Arrays are compared with a plain number: numpy asks an enum's member many questions first.
_ELIGIBLE = int(Reason.ELIGIBLE)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """What serving prepares once for each model.

    Attributes:
        alone: uint8 (n_items,), the `Reason` of each item beside an empty cart.
        fitted: uint8 (n_items,), the same beside a cart that every item fits.
        fits_indptr, fits_items: CSR; the items that fit item i (a phone and its cases).
        needs_indptr, needs_items: CSR the other way; the items that item i fits.
        ladders: the ladders, for the other models of what an accessory fits.
        family: int32 (n_items,), ladder of each item or -1.
        family_excludes: bool (n_ladders + 1,); the last place stands for "on no ladder".
    """

    alone: Marks
    fitted: Marks
    fits_indptr: NDArray[np.int64]
    fits_items: NDArray[np.int32]
    needs_indptr: NDArray[np.int64]
    needs_items: NDArray[np.int32]
    ladders: Ladders
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
        fitted = np.where(catalogue.offerable, _ELIGIBLE, int(Reason.NOT_OFFERABLE))
        alone = np.where((fitted == _ELIGIBLE) & (n_fits > 0), int(Reason.DOES_NOT_FIT), fitted)
        return cls(
            alone=alone.astype(np.uint8),
            fitted=fitted.astype(np.uint8),
            fits_indptr=fits_indptr,
            fits_items=np.repeat(np.arange(n_items, dtype=np.int32), n_fits)[order],
            needs_indptr=catalogue.compatible_indptr,
            needs_items=catalogue.compatible_items,
            ladders=ladders,
            family=ladders.family,
            family_excludes=excludes,
        )

    def beside(self, cart: Items, excluded: Sequence[int]) -> CartEligibility:
        """For a cart and excluded items of dense indices."""
        marks = self.alone.copy()
        if len(self.fits_items):
            for part in row_slices(self.fits_indptr, cart):
                fits = self.fits_items[part]
                marks[fits] = self.fitted[fits]
        if len(excluded):
            marks[np.asarray(excluded)] = int(Reason.EXCLUDED)
        marks[cart] = int(Reason.IN_CART)
        families = np.zeros(len(self.family_excludes), dtype=np.bool_)
        families[self.family[cart]] = True
        families &= self.family_excludes
        return CartEligibility(marks, self.family, families)

    def other_models(self, cart: Items) -> Items:
        """Siblings of what the cart's accessories fit, which they do not fit: another phone."""
        if not len(self.needs_items) or not len(cart):
            return np.zeros(0, dtype=np.int32)
        fitted = np.concatenate(
            [self.needs_items[part] for part in row_slices(self.needs_indptr, cart)]
        )
        families = np.unique(self.family[fitted])
        parts = row_slices(self.ladders.member_indptr, families[families >= 0])
        siblings = [self.ladders.members[part] for part in parts]
        return np.setdiff1d(np.concatenate([fitted[:0], *siblings]), fitted)


@dataclass(frozen=True, slots=True)
class CartEligibility:
    """`marks` holds the `Reason` of each item instead of, or beside, the cart."""

    marks: Marks
    family: NDArray[np.int32]
    blocked_families: NDArray[np.bool_]

    def leave_out(self, items: Items, reason: Reason) -> None:
        """From now on those of `items` that were eligible are not, for `reason`."""
        self.marks[items[self.marks[items] == _ELIGIBLE]] = int(reason)

    def instead(self, items: Items) -> NDArray[np.bool_]:
        """Whether each of `items` may replace something in the cart."""
        return self.marks[items] == _ELIGIBLE

    def beside(self, items: Items) -> NDArray[np.bool_]:
        """Whether each of `items` may be bought beside the cart."""
        return (self.marks[items] == _ELIGIBLE) & ~self.blocked_families[self.family[items]]

    def reasons(self, items: Items) -> list[Reason]:
        """Why each of `items` is not offered beside the cart."""
        blocked = self.blocked_families[self.family[items]]
        marks = self.marks[items]
        marks[blocked & (marks == _ELIGIBLE)] = int(Reason.SUBSTITUTE)
        return [Reason(mark) for mark in marks.tolist()]
