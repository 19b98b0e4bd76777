"""One slate for one cart: cross-sell and upsell merged, nothing twice, nothing that cannot be sold.

Pure: the same model, cart, moment and limits give the same slate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Self

import numpy as np
from msgspec import Struct

from mersalg.engine import clock, money
from mersalg.engine.arrays import Int32s
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.cross_sell.newcomers import Newcomers
from mersalg.engine.cross_sell.recommender import Candidates, CrossSell
from mersalg.engine.eligibility import Cap, Eligibility
from mersalg.engine.fact_values import LARGEST_QUANTITY
from mersalg.engine.facts import CartLine, Quantity, UnitPrice
from mersalg.engine.merchandising.placement import (
    Complement,
    Rejected,
    place_complements,
    rejected_complements,
    rejected_upgrades,
)
from mersalg.engine.merchandising.policy import Policy
from mersalg.engine.merchandising.reasons import Reason
from mersalg.engine.model import Model
from mersalg.engine.native.kernels import NativeRanking
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.ranking.ranking import Mode, Ranking
from mersalg.engine.upsell.recommender import BaseItem, Upgrade, Upsell


class Slate(Struct, frozen=True, gc=False):
    """In the order of their positions; `rejected` is filled only where an explanation is asked.

    `excluded` and `declined` are those items of the call's own lists that were in the running.
    """

    cross_sell: tuple[Complement, ...] = ()
    upsell: tuple[Upgrade, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    excluded: tuple[int, ...] = ()
    declined: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommenders:
    """Everything prepared once for each model."""

    catalogue: Catalogue
    eligibility: Eligibility
    policy: Policy
    cross_sell: CrossSell
    upsell: Upsell
    max_per_category: int | None
    ranking: Ranking | None
    native: NativeRanking | None
    """Ranks one cart as `ranking` does."""
    newcomers: Newcomers | None

    @classmethod
    def prepare(cls, model: Model) -> Self:
        """Build the recommenders of a model."""
        eligibility, cross_sell = Eligibility.prepare(model), CrossSell.prepare(model)
        ranking, native = model.ranking, None
        if ranking is not None:
            native = ranking.native(model.packed and model.packed.ranking)
        return cls(
            model.catalogue,
            eligibility,
            Policy.prepare(model, eligibility),
            cross_sell,
            Upsell.prepare(model),
            model.settings.offers.max_per_category,
            ranking,
            native,
            model.newcomers,
        )


def build_slate(
    recommenders: Recommenders,
    lines: Sequence[CartLine],
    *,
    cross_sell: int,
    upsell: int,
    at: int | None = None,
    excluded_item_ids: Sequence[str] = (),
    declined_item_ids: Sequence[str] = (),
    foreign_currency: bool = False,
    past: Past | None = None,
    mode: Mode = "discovery",
    explain: bool = False,
) -> Slate:
    """Return what to offer beside a cart, at most `cross_sell` and `upsell` items of each kind.

    Items the model does not know are passed over. A cart in a foreign currency gets no upsell: its
    prices cannot be compared with the catalogue's.

    The pins and blocks are those that hold `at` an instant in microseconds, now where none is
    given. `excluded_item_ids` are what the call wants left out, `declined_item_ids` what the buyer
    has dismissed, `past` is what the buyer bought before. Where the model holds a fitted ranking,
    `discovery` offers what the buyer has not bought before, `complete` repeats too. `explain` adds
    each candidate that is not offered, and why it is not.
    """
    catalogue, newcomers = recommenders.catalogue, recommenders.newcomers
    in_force = recommenders.policy.at(clock.now() if at is None else at)
    items = catalogue.items.indices_of([line.item_id for line in lines])
    prices = _prices(catalogue, lines, items)
    bases = _base_items(lines, items, prices)
    cart = np.array([base.item for base in bases], dtype=np.int32)
    held = {base.item for base in bases}
    excluded, declined = _known(catalogue, excluded_item_ids), _known(catalogue, declined_item_ids)
    limited = in_force.eligibility.max_price_to_cart is not None
    eligibility = in_force.eligibility.beside(
        cart,
        excluded,
        declined,
        cart_price_minor=_price_minor(lines, prices) if limited else None,
        has_unknown=-1 in items,
    )
    in_force.block(eligibility, held)
    upgrades: list[Upgrade] = []
    rejected: list[Rejected] = []
    if not foreign_currency:
        if newcomers is not None:  # which are on no ladder yet
            bases = [base for base in bases if base.item < newcomers.first]
        upgrades = recommenders.upsell.best(bases, eligibility, upsell, past)
        if explain and upsell > 0:
            rejected += rejected_upgrades(recommenders.upsell, bases, eligibility, upgrades)
    # What is offered instead of a line is not offered beside it too.
    offered = np.array([upgrade.item for upgrade in upgrades], dtype=np.int32)
    eligibility.leave_out(offered, Reason.ALREADY_OFFERED)
    eligibility.leave_out(recommenders.eligibility.other_models(cart), Reason.INCOMPATIBLE)
    complements: list[Complement] = []
    candidates = None
    if cross_sell > 0:
        native, purchases = recommenders.native, past or Past.unknown()
        basis = cart if newcomers is None else newcomers.with_stand_ins(cart)
        candidates = Candidates.of(recommenders.cross_sell, native, basis, purchases, mode)
        if newcomers is not None:
            on_sale = eligibility.beside(candidates.items)
            candidates = candidates.with_newcomers(newcomers, on_sale)
        cap = Cap.of(recommenders.max_per_category, cross_sell)
        pins = in_force.pins_of(held)
        complements = place_complements(candidates, eligibility, pins, cap, cross_sell)
        if explain:
            rejected += rejected_complements(
                candidates,
                eligibility,
                catalogue.category,
                recommenders.eligibility.substitutes,
                cap,
                complements,
                limit=cross_sell,
            )
    in_force.eligibility.release(eligibility)
    return Slate(
        tuple(complements),
        tuple(upgrades),
        tuple(rejected),
        _in_running(recommenders, cart, candidates, excluded),
        _in_running(recommenders, cart, candidates, declined),
    )


def _in_running(
    recommenders: Recommenders, cart: Int32s, candidates: Candidates | None, named: Sequence[int]
) -> tuple[int, ...]:
    """Those of the items a call names that something else than the call could have placed."""
    if not named:
        return ()
    items = np.array(named, dtype=np.int32)
    near = np.isin(items, recommenders.policy.pinnable)
    near |= recommenders.eligibility.on_ladders_of(cart, items)
    if candidates is not None:
        near |= candidates.concerns(items)
    return tuple(items[near].tolist())


def _known(catalogue: Catalogue, item_ids: Sequence[str]) -> list[int]:
    if not item_ids:
        return []
    return [item for item in catalogue.items.indices_of(item_ids) if item >= 0]


def _prices(
    catalogue: Catalogue, lines: Sequence[CartLine], items: Sequence[int]
) -> list[UnitPrice]:
    """Return what a unit of each line costs, as the catalogue says where it has no price itself."""
    return [
        line.unit_price_minor
        if line.unit_price_minor is not None
        else (catalogue.price_minor.item(item) if item >= 0 else UNKNOWN)
        for line, item in zip(lines, items, strict=True)
    ]


def _price_minor(lines: Sequence[CartLine], prices: Sequence[UnitPrice]) -> float | None:
    """Return what all lines cost together; None where it is nothing, or a price is not known."""
    if UNKNOWN in prices:
        return None
    total = 0.0
    for line, price in zip(lines, prices, strict=True):
        total += max(float(price) * float(line.quantity) - line.discount_minor, 0.0)
    return total or None


def _base_items(
    lines: Sequence[CartLine], items: Sequence[int], prices: Sequence[UnitPrice]
) -> list[BaseItem]:
    """Return the known items of a cart, each once, by dense index; its lines added up.

    Leave out items in greater numbers than can be recorded. `items` are dense indices of the lines,
    -1 where an item is unknown.
    """
    lines_of: dict[int, list[tuple[CartLine, UnitPrice]]] = {}
    for item, line, price in zip(items, lines, prices, strict=True):
        if item >= 0:
            lines_of.setdefault(item, []).append((line, price))
    bases: list[BaseItem] = []
    for item in sorted(lines_of):
        line, price = lines_of[item][0]
        if len(lines_of[item]) > 1 or line.discount_minor or isinstance(price, Decimal):
            together = _of_lines(item, lines_of[item])
            if together.quantity <= LARGEST_QUANTITY:
                bases.append(together)
        else:  # Nearly every item is like this, and long carts are many of them.
            bases.append(BaseItem(item, line.quantity, None if price == UNKNOWN else price))
    return bases


def _of_lines(item: int, lines: Sequence[tuple[CartLine, UnitPrice]]) -> BaseItem:
    quantity: Quantity = 0
    priced: Quantity = 0
    paid: Quantity = 0
    for line, price in lines:
        quantity += line.quantity
        if price == UNKNOWN:
            continue
        priced += line.quantity
        # Nobody is paid for taking something.
        paid += max(price * line.quantity - line.discount_minor, 0)
    return BaseItem(
        item,
        _units(quantity),
        money.scale(1, paid, priced) if priced else None,
        paid if priced == quantity else None,
    )


def _units(amount: Quantity) -> Quantity:
    return int(amount) if amount == int(amount) else amount


class Reach(NamedTuple):
    """Answer to whether any cart can be offered an item, beside its items or instead of one.

    `reasons` are codes: that of a `Reason`; `no_rule` where nothing leads to the item; `no_price`,
    `not_in_model` (nor its family), `no_cheaper_version` and, of a new item, `no_known_gain` where
    it is no upgrade.
    """

    cross_sell: bool
    upsell: bool
    reasons: list[str]


def reach_of(recommenders: Recommenders, item: int, at: int) -> Reach:
    """Return what keeps an item of a dense index from being offered at an instant, if anything."""
    reason = Reason(recommenders.policy.at(at).eligibility.fitted.item(item))
    if reason is not Reason.ELIGIBLE:
        return Reach(False, False, [reason.code])
    cross_sell, no_upgrade = _complements(recommenders, item), _no_upgrade(recommenders, item)
    reasons = [] if cross_sell else ["no_rule"]
    return Reach(cross_sell, no_upgrade is None, reasons + ([no_upgrade] if no_upgrade else []))


def _complements(recommenders: Recommenders, item: int) -> bool:
    cross_sell, ranking = recommenders.cross_sell, recommenders.ranking
    lists = [recommenders.policy.pinnable, cross_sell.table.consequent, cross_sell.popular]
    if ranking is not None:
        lists.append(ranking.neighbours.items.values)
    if recommenders.newcomers is not None:
        lists.append(recommenders.newcomers.items)
    return any(bool((items == item).any()) for items in lists)


def _no_upgrade(recommenders: Recommenders, item: int) -> str | None:
    upsell, prices = recommenders.upsell, recommenders.catalogue.price_minor
    ladders, newcomers = upsell.ladders, upsell.newcomers
    if prices.item(item) <= 0:
        return "no_price"
    if (upsell.given.values == item).any():
        return None
    is_new = item >= len(ladders.family)
    families = ladders.family if newcomers is None else np.append(ladders.family, newcomers.ladder)
    ladder = families.item(item)
    if is_new and ladder < 0:
        return "not_in_model"
    siblings = ladders.members[ladder] if ladder >= 0 else np.zeros(0, dtype=np.int32)
    cheaper = (prices[siblings] > 0) & (prices[siblings] < prices[item])
    if not is_new:
        cheaper &= ladders.tier[siblings] < ladders.tier[item]
    if not cheaper.any():
        return "no_cheaper_version"
    if not is_new:
        return None
    marks = np.ones(len(prices), dtype=np.uint8)
    marks[item] = 0
    bases = [BaseItem(base, 1, prices.item(base)) for base in siblings[cheaper].tolist()]
    return None if upsell.best_new(bases, marks, 1) else "no_known_gain"
