"""Decide which items may be offered beside a cart, and give the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import NamedTuple, Self

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Float64s, Int32s, Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.config import OffersSection
from mersalg.engine.fact_values import to_minor
from mersalg.engine.merchandising.reasons import LAST_BINDING, Reason
from mersalg.engine.merchandising.targets import sensitive_of
from mersalg.engine.model import Model
from mersalg.engine.native.kernels import NativeEligibility, mark, restore
from mersalg.engine.upsell.tiers import Ladders

_TOLERANCE = 1e-6
"""Minor units by which a product of floating-point numbers may miss."""

Marks = NDArray[np.uint8]


# Arrays are compared with a plain number: numpy asks an enum's member many questions first.
_ELIGIBLE, _LAST_BINDING = int(Reason.ELIGIBLE), int(LAST_BINDING)
_IN_CART = int(Reason.IN_CART)
_MIN_CAP = 2
_CAP_SHARE = 2
"""Half of the places: of a year of groceries this costs no hit at 3 places, and 0.0015 of HitRate
at 10, where the standard error is 0.0027 (a third of them would cost 0.0029)."""
_MAX_SPARE = 16


class Cap(NamedTuple):
    """Places of each category in a slate; items of no known category need none.

    Where it gives way, items without room may take places that nothing else can fill.
    """

    most: int
    gives_way: bool

    @classmethod
    def of(cls, most: int | None, limit: int) -> Self:
        """Return the shop's own cap, which is binding; without one half of `limit`, a wish."""
        if most is not None:
            return cls(most, False)
        return cls(max(_MIN_CAP, -(-limit // _CAP_SHARE)), True)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Arrays that serving prepares once for each model."""

    alone: Marks
    """uint8 (n_items,): the `Reason` of each item beside an empty cart."""
    fitted: Marks
    """uint8 (n_items,): the same beside a cart that every item fits."""
    fits: Ragged[np.int32]
    """Ragged of int32; the items that fit item i (a phone and its cases)."""
    needs: Ragged[np.int32]
    """Ragged of int32, the other direction; the items that item i fits."""
    ladders: Ladders
    """The ladders, for the other models of what an accessory fits."""
    substitutes: Int32s
    """int32 (n_items,): each ladder whose items exclude each other, or -1."""
    sensitive: Int32s
    """int32 (n_items,): which of the shop's sensitive categories each is of, or -1."""
    native: NativeEligibility
    """Says why items are not offered beside a cart, and chooses among the others."""
    max_price_to_cart: float | None
    """How many times the cart's own price a complement may cost."""
    bundled: Ragged[np.int32]
    """Ragged of int32; what a buyer of item i has already, or would get: the parts of a bundle, and
    the bundles that a part is in."""
    _spare: list[Marks] = field(default_factory=list[Marks], repr=False, compare=False)
    """Copies of `alone` that no cart uses."""

    @classmethod
    def prepare(cls, model: Model) -> Self:
        """Build the marks of all items from a model."""
        catalogue, ladders = model.catalogue, model.ladders
        needs, family = catalogue.compatible, ladders.family
        if model.newcomers is not None:
            family = np.append(family, model.newcomers.ladder)
        substitutes = model.affinity.substitutes(family)
        sensitive = sensitive_of(catalogue, model.settings.offers.sensitive)
        fitted = _off_sale(catalogue)
        mark(fitted, _below_margin(catalogue, model.settings.offers), int(Reason.BELOW_MARGIN))
        alone = fitted.copy()
        mark(alone, np.flatnonzero(needs.lengths).astype(np.int32), int(Reason.INCOMPATIBLE))
        return cls(
            alone=alone,
            fitted=fitted,
            fits=Ragged.grouped(needs.values, needs.owners().astype(np.int32), len(catalogue)),
            needs=needs,
            ladders=replace(ladders, family=family),
            substitutes=substitutes,
            sensitive=sensitive,
            native=NativeEligibility(
                catalogue.category, substitutes, sensitive, catalogue.price_minor
            ),
            max_price_to_cart=model.settings.offers.max_price_to_cart_ratio,
            bundled=_bundled(catalogue),
        )

    def without(self, blocks: Sequence[tuple[Int32s, Reason]]) -> Self:
        """Return the same with items marked that are not offered whatever the cart."""
        if not blocks:
            return self
        alone, fitted = self.alone.copy(), self.fitted.copy()
        for items, reason in blocks:
            mark(alone, items, int(reason))
            mark(fitted, items, int(reason))
        return replace(self, alone=alone, fitted=fitted, _spare=[])

    def beside(
        self,
        cart: Int32s,
        excluded: Sequence[int],
        declined: Sequence[int] = (),
        *,
        cart_price_minor: float | None = None,
        has_unknown: bool = False,
    ) -> CartEligibility:
        """For a cart and excluded and declined items of dense indices.

        `cart_price_minor` is the price of all the cart holds, None where it is not known;
        `has_unknown` says whether that is more than the items of `cart`.
        Pass it to `release` when nothing is asked of it any more.
        """
        try:
            marks = self._spare.pop()
        except IndexError:
            marks = self.alone.copy()
        changed = [cart]
        if len(self.fits.values):
            fits = self.fits.of(cart)
            marks[fits] = self.fitted[fits]
            changed.append(fits)
        for items, reason in (
            (declined, Reason.ALREADY_DECLINED),
            (excluded, Reason.EXCLUDED_BY_CALLER),
        ):
            if len(items):
                named = np.asarray(items, dtype=np.int32)
                marks[named] = int(reason)
                changed.append(named)
        if len(self.bundled.values):
            bundled = self.bundled.of(cart)
            marks[bundled] = int(Reason.IN_BUNDLE)
            changed.append(bundled)
        families, sensitive = self.native.held(cart, marks, _IN_CART)
        dearest = inf
        if self.max_price_to_cart is not None and cart_price_minor is not None:
            dearest = self.max_price_to_cart * cart_price_minor
        allowed = -1 if has_unknown else sensitive
        return CartEligibility(self.native, marks, families, dearest, allowed, changed)

    def release(self, used: CartEligibility) -> None:
        """Keep the marks of a cart for the next one: a copy of all of them costs more."""
        restore(used.marks, self.alone, used.changed)
        if len(self._spare) < _MAX_SPARE:
            self._spare.append(used.marks)

    def on_ladders_of(self, cart: Int32s, items: Int32s) -> Bools:
        """Return whether each of `items` is on the ladder of something in the cart."""
        ladders = self.ladders.family[items]
        return (ladders >= 0) & np.isin(ladders, self.ladders.family[cart])

    def other_models(self, cart: Int32s) -> Int32s:
        """Siblings of what the cart's accessories fit, which they do not fit: another phone."""
        if not len(self.needs.values):
            return self.needs.values
        fitted = self.needs.of(cart)
        families = np.unique(self.ladders.family[fitted])
        return np.setdiff1d(self.ladders.members.of(families[families >= 0]), fitted)


class CartEligibility(Struct, frozen=True, gc=False):
    """Items that may be offered instead of, or beside, those of one cart."""

    native: NativeEligibility
    marks: Marks
    """uint8 (n_items,): the `Reason` of each item that holds instead of the cart too."""
    families: Int32s
    """Ascending; no complement is of one of these."""
    dearest: float
    """Minor units that a complement costs at most."""
    sensitive: int
    """The sensitive category of all that the cart holds, -1 where it holds others."""
    changed: list[Int32s] = []
    """The items whose marks are not those of every cart."""

    def lifted(self) -> CartEligibility:
        """Return the same cart with every item eligible instead of what it holds."""
        return structs.replace(self, marks=np.zeros_like(self.marks), changed=[])

    def leave_out(self, items: Int32s, reason: Reason) -> None:
        """From now on `items` are not eligible, for `reason` unless an earlier one applies."""
        if len(items):
            mark(self.marks, items, int(reason))
            self.changed.append(items)

    def beside(self, items: Int32s) -> Bools:
        """Return whether each of `items` may be bought beside the cart."""
        return self._reasons(items) == _ELIGIBLE

    def best(
        self, items: Int32s, scores: Float64s, taken: list[int], cap: Cap, limit: int
    ) -> list[tuple[int, float]]:
        """Return the items of the highest scores that may be bought beside the cart, with these.

        `taken` is what the slate holds already.
        """
        beside = self.marks, self.families, self.dearest, self.sensitive
        return self.native.choose(items, scores, *beside, taken, *cap, limit)

    def at_any_price(self) -> CartEligibility:
        """Return the same cart with no price too dear beside it."""
        return structs.replace(self, dearest=inf)

    def pinnable(self, items: Int32s) -> Bools:
        """Return whether the shop itself may place each of `items` beside the cart."""
        marks = self.marks[items]
        return (marks == _ELIGIBLE) | (marks > _LAST_BINDING)

    def reasons(self, items: Int32s) -> list[Reason]:
        """Why each of `items` is not offered beside the cart."""
        return list(map(Reason, self._reasons(items).tolist()))

    def _reasons(self, items: Int32s) -> Marks:
        return self.native.reasons(items, self.marks, self.families, self.dearest, self.sensitive)

    def reasons_instead(self, items: Int32s) -> list[Reason]:
        """Why each of `items` is not offered instead of something in the cart."""
        return [Reason(mark) for mark in self.marks[items].tolist()]


def _off_sale(catalogue: Catalogue) -> Marks:
    marks = np.where(catalogue.offerable, _ELIGIBLE, int(Reason.NOT_ACTIVE)).astype(np.uint8)
    if catalogue.sold_out is not None:
        marks[catalogue.sold_out & ~catalogue.offerable] = int(Reason.OUT_OF_STOCK)
    return marks


def _bundled(catalogue: Catalogue) -> Ragged[np.int32]:
    if catalogue.bundles is None:
        return Ragged.empty(len(catalogue), np.int32)
    parts, wholes = catalogue.bundles.values, catalogue.bundles.owners().astype(np.int32)
    owners, held = np.append(wholes, parts), np.append(parts, wholes)
    return Ragged.grouped(owners, held, len(catalogue))


def _below_margin(catalogue: Catalogue, offers: OffersSection) -> Int32s:
    """Items known to leave less than the shop wants, in money or as a share of their price."""
    price, cost = catalogue.price_minor, catalogue.cost_minor
    has_margin, left = (price != UNKNOWN) & (cost != UNKNOWN), price - cost
    below = np.zeros(len(catalogue), dtype=np.bool_)
    if offers.min_margin is not None:
        # A share of exactly the least is enough, whatever its last binary digit.
        below |= left < offers.min_margin * price - _TOLERANCE
    if offers.min_margin_amount is not None:
        below |= left < to_minor(offers.min_margin_amount, catalogue.currency)
    return np.flatnonzero(has_margin & below).astype(np.int32)
