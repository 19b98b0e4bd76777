"""Better versions of what a cart holds: dearer siblings a few tiers up the same ladder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache, partial
from math import inf
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.config import OffersSection
from engine.eligibility import CartEligibility
from engine.facts import Quantity, Step
from engine.model import Model
from engine.money import LARGEST_MINOR, scale, to_minor
from engine.native.kernels import NativeSiblings, NativeUpgrades
from engine.native.packing import PackedUpgrades
from engine.ranking.purchases import Past
from engine.upsell.families import LEARNED
from engine.upsell.gains import Comparison, compare_items
from engine.upsell.given import given_upgrades
from engine.upsell.likelihood import Likelihood
from engine.upsell.packs import Pack, pack_of
from engine.upsell.signals import Questions
from engine.upsell.steps import step_of
from engine.upsell.tiers import Ladders

_PRIOR_SHARE, _PRIOR_ORDERS = 0.1, 10.0
"""A sibling nobody has bought yet is taken to win one buyer in ten."""
_EACH_TIER_MORE = 0.6
_NOTHING_KNOWN = 0.5
_EACH_LOSS = 0.8
_TOLERANCE = 1e-9
_REMEMBERED = 4_096
_SHORTEST_WORD = 3
_MOST_COMPARED = 256
"""Candidates looked at closely: a bound on the time a cart of wide categories takes."""
_NO_ITEMS = np.zeros(0, dtype=np.int32)


class BaseItem(NamedTuple):
    """What may be replaced: an item of the cart, all its lines together.

    `unit_price_minor` is what the buyer pays for one unit after the lines' discounts, on average
    over the lines, None where nothing is known; `paid_minor` what all units come to, not rounded,
    None where the price of some is not known.
    """

    item: int
    quantity: Quantity
    unit_price_minor: int | None
    paid_minor: Quantity | None = None


@dataclass(frozen=True, slots=True)
class Upgrade:
    """`score` in [0, 1] is how likely the upgrade is taken.

    By the fitted likelihood of a customer's upgrades where the model holds one, else by the
    item's share among both's buyers. `worth_minor` is what one taken unit brings: its margin
    beyond the base item's where both costs are known, else the price difference. `weight` is
    below 1 where nothing known is gained or something lost: it moves the rank, not the score.
    """

    item: int
    base: BaseItem
    score: float
    price_difference_minor: int
    comparison: Comparison
    step: Step = "tier"
    weight: float = 1.0
    worth_minor: int | None = None

    @property
    def total_difference_minor(self) -> int:
        """Minor units the whole swap adds to the cart."""
        base, difference = self.base, self.price_difference_minor
        if base.paid_minor is None or base.unit_price_minor is None:
            return min(scale(difference, base.quantity, 1), LARGEST_MINOR)
        price = base.unit_price_minor + difference
        total = (price * Decimal(base.quantity) - base.paid_minor).quantize(Decimal(1))
        return min(int(total), LARGEST_MINOR)

    @property
    def expected_minor(self) -> float:
        """Expected extra revenue or margin: what upgrades are ranked by across the cart."""
        worth = self.price_difference_minor if self.worth_minor is None else self.worth_minor
        return self.score * self.weight * worth * float(self.base.quantity)


class _Sibling(NamedTuple):
    """A better item before its attributes are looked at.

    Attributes:
        base: position of the base item among those asked for.
        difference: minor units more for one unit.
        worth: minor units it brings, as of an `Upgrade`.
        row: its position among all.
        score: as of an `Upgrade` that gains something and loses nothing.
        bound: the highest expected gain the upgrade can come to.
    """

    item: int
    base: int
    difference: int
    worth: int
    row: int
    score: float
    bound: float


@dataclass(frozen=True, slots=True)
class Upsell:
    """What serving keeps of each model."""

    catalogue: Catalogue
    ladders: Ladders
    n_orders_of_item: NDArray[np.int64]
    settings: OffersSection
    substitutes: NDArray[np.bool_]
    """bool (n_ladders,); members replace each other rather than being bought together."""
    compare: Callable[[int, int], Comparison]
    """`compare_items` of base and better item, remembered for the pairs that are asked often."""
    pack: Callable[[int], Pack | None]
    """How much an item holds, remembered likewise."""
    likelihood: Likelihood | None
    least_minor: int = 0
    """Expected gain below which nothing is offered, minor units."""
    given: Mapping[int, NDArray[np.int32]] = field(default_factory=dict[int, NDArray[np.int32]])
    """Better versions of an item by the shop's own word."""
    native: NativeSiblings | None = None
    """Finds the better items of bases for which the shop names none."""

    @classmethod
    def prepare(cls, model: Model) -> Self:
        upgrades = None
        if model.likelihood is not None:
            packed = model.packed and model.packed.upgrades
            packed = packed or PackedUpgrades.of(model.likelihood)
            upgrades = NativeUpgrades(model.likelihood, packed)
        # A ladder the affinity says nothing of is taken for one of substitutes.
        substitutes = np.ones(model.ladders.n_ladders, dtype=np.bool_)
        known = model.affinity.family_excludes[: len(substitutes)]
        substitutes[: len(known)] = known
        return cls(
            model.catalogue,
            model.ladders,
            model.affinity.n_orders_of_item,
            model.settings.offers,
            substitutes,
            lru_cache(_REMEMBERED)(
                partial(compare_items, model.catalogue, attributes=model.settings.attributes)
            ),
            lru_cache(_REMEMBERED)(partial(pack_of, model.catalogue)),
            model.likelihood,
            to_minor(model.settings.offers.min_upsell_gain, model.catalogue.currency),
            given_upgrades(model.catalogue, model.settings.offers),
            NativeSiblings(
                model.ladders,
                model.catalogue,
                model.affinity.n_orders_of_item,
                _ratios(model.settings.offers),
                upgrades,
            ),
        )

    def best(
        self,
        bases: Sequence[BaseItem],
        eligibility: CartEligibility,
        limit: int,
        past: Past | None = None,
    ) -> list[Upgrade]:
        """The `limit` upgrades of the highest expected gain, each better item once.

        `past` is what the buyer bought before, where that is known.
        """
        if limit <= 0 or not bases:
            return []
        chosen: dict[int, Upgrade] = {}
        # What a better item has to bring to be among those chosen.
        enough = -inf
        cart = [base.item for base in bases]
        # The bound leaves attributes out, which can only lower it: few items need comparing.
        for sibling in self._waiting(bases, eligibility, past or Past.unknown()):
            if sibling.bound < self.least_minor or sibling.bound <= enough:
                break
            item, base = sibling.item, bases[sibling.base]
            comparison = self.compare(base.item, item)
            losses = len(comparison.losses)
            worse = losses > len(comparison.gains)
            if not self.is_given(base.item, item) and (
                worse or not self._is_version(base.item, item, comparison)
            ):
                continue
            if self._strands(base.item, item, cart):
                continue
            difference = sibling.difference
            step = self.step(base, item, difference)
            score, weight = sibling.score, _EACH_LOSS**losses
            if not comparison.gains and step != "size":
                weight *= _NOTHING_KNOWN
            if self.likelihood is None:
                score, weight = score * weight, 1.0
            worth = sibling.worth
            upgrade = Upgrade(item, base, score, difference, comparison, step, weight, worth)
            if upgrade.expected_minor < self.least_minor:
                continue
            rival = chosen.get(item)
            if rival is None or upgrade.expected_minor > rival.expected_minor:
                chosen[item] = upgrade
                if len(chosen) >= limit:
                    brought = sorted(each.expected_minor for each in chosen.values())
                    enough = brought[-limit]
        return sorted(chosen.values(), key=lambda each: (-each.expected_minor, each.item))[:limit]

    def is_given(self, base: int, better: int) -> bool:
        """Whether the shop itself names `better` as a better version of `base`."""
        return base in self.given and bool((self.given[base] == better).any())

    def step(self, base: BaseItem, better: int, price_difference_minor: int) -> Step:
        """Whether `better` is a bigger pack at a lower unit price, or another dearer version."""
        paid, pack = base.unit_price_minor or 0, self.pack(base.item)
        if pack is None:
            return "tier"
        return step_of(pack, self.pack(better), paid, paid + price_difference_minor)

    def _waiting(
        self, bases: Sequence[BaseItem], eligibility: CartEligibility, past: Past
    ) -> Iterator[_Sibling]:
        """The better items of `bases` of the highest bound, highest first."""
        if self.native is None or (self.given and any(base.item in self.given for base in bases)):
            return self._siblings(bases, eligibility, past)
        asked = [(base.item, base.unit_price_minor or 0, float(base.quantity)) for base in bases]
        found = self.native.find(past, asked, eligibility.marks, _MOST_COMPARED)
        return map(_Sibling._make, found)

    def _siblings(
        self, bases: Sequence[BaseItem], eligibility: CartEligibility, past: Past
    ) -> Iterator[_Sibling]:
        """The same in NumPy."""
        items = np.array([base.item for base in bases], dtype=np.int32)
        prices = np.array([base.unit_price_minor or 0 for base in bases], dtype=np.int64)
        ladder = self.ladders.family[items]
        known = ((ladder >= 0) & (prices > 0)).nonzero()[0]
        members = self.ladders.members.of(ladder[known])
        of_base = np.repeat(known, self.ladders.members.lengths_of(ladder[known]))
        n_learned = len(members)
        if self.given:
            named = [
                place for place in (prices > 0).nonzero()[0] if int(items[place]) in self.given
            ]
            better = [self.given[int(items[place])] for place in named]
            members = np.concatenate([members, *better])
            of_base = np.append(of_base, np.repeat(np.array(named, np.int64), [*map(len, better)]))
        price, paid = self.catalogue.price_minor[members], prices[of_base]
        ratio = price / paid
        steps = self.ladders.tier[members] - self.ladders.tier[items][of_base]
        steps[n_learned:] = 1
        least, most = _ratios(self.settings)
        fit = (steps > 0) & (ratio >= least) & (ratio <= most)
        fit[n_learned:] = True
        fit &= price > paid
        could_be = fit.nonzero()[0]
        fit &= eligibility.instead(members)
        # What the shop names wins over what was learned of the same item.
        settled = np.zeros(len(items), dtype=np.bool_)
        settled[of_base[n_learned:][fit[n_learned:]]] = True
        fit[:n_learned] &= ~settled[of_base[:n_learned]]
        if self.likelihood is not None and fit.any():
            # Shares are of all that could be bought instead, offered or not.
            return self._likely(
                bases,
                past,
                members[could_be],
                of_base[could_be],
                fit[could_be],
                ratio[could_be],
            )
        fit = fit.nonzero()[0]
        members, of_base, steps = members[fit], of_base[fit], steps[fit]
        bought = self.n_orders_of_item[members]
        share = (bought + _PRIOR_SHARE * _PRIOR_ORDERS) / (
            bought + self.n_orders_of_item[items[of_base]] + _PRIOR_ORDERS
        )
        score = share / ratio[fit] * _EACH_TIER_MORE ** (steps - 1.0)
        difference = price[fit] - paid[fit]
        quantity = np.array([float(base.quantity) for base in bases])
        bound = score * difference * quantity[of_base]
        return _highest(members, of_base, difference, difference, score, bound)

    def _likely(
        self,
        bases: Sequence[BaseItem],
        past: Past,
        members: NDArray[np.int32],
        of_base: NDArray[np.int64],
        allowed: NDArray[np.bool_],
        ratio: NDArray[np.float64],
    ) -> Iterator[_Sibling]:
        """As `_siblings`, by what is likely; members that may not be offered take their share."""
        assert self.likelihood is not None
        if self.given:
            order = np.argsort(of_base, kind="stable")
            members, of_base, allowed = members[order], of_base[order], allowed[order]
            ratio = ratio[order]
        begins = np.flatnonzero(np.append(True, of_base[1:] != of_base[:-1]))
        indptr = np.append(begins, len(of_base))
        position = np.repeat(np.arange(len(begins)), np.diff(indptr))
        base = np.array([each.item for each in bases], dtype=np.int32)[of_base[begins]]
        questions = Questions(base, indptr, members, ratio.astype(np.float32))
        upgrades = self.native.upgrades if self.native is not None else None
        score = (upgrades or self.likelihood).of_cart(past, questions)
        paid = np.array([each.unit_price_minor or 0 for each in bases], dtype=np.int64)
        difference = self.catalogue.price_minor[members] - paid[of_base]
        cost, base_cost = self.catalogue.cost_minor[members], self.catalogue.cost_minor[base]
        known = (cost >= 0) & (base_cost[position] >= 0)
        worth = difference - np.where(known, cost - base_cost[position], 0)
        # What brings nothing, though it is dearer, is not worth an offer.
        kept = (allowed & (worth > 0)).nonzero()[0]
        quantity = np.array([float(each.quantity) for each in bases])
        bound = score * worth * quantity[of_base]
        return _highest(
            members[kept], of_base[kept], difference[kept], worth[kept], score[kept], bound[kept]
        )

    def _is_version(self, base: int, better: int, comparison: Comparison) -> bool:
        """Whether `better` is the same kind of thing as `base`.

        Items of a family are, by the shop's own word, or by names and baskets. Those that share
        only a category (breakfast and parking) must be known to replace each other, and to gain
        something or be called alike. Of two that are called the same and differ in nothing told,
        the dearer is only dearer, unless the shop says that they are versions.
        """
        catalogue, families = self.catalogue, self.ladders.families
        given = catalogue.family.item(base)
        if given >= 0 and given == catalogue.family.item(better):
            return True
        if (
            not comparison.gains
            and catalogue.given_tier is None
            and catalogue.names[base].casefold() == catalogue.names[better].casefold()
            and self.pack(base) == self.pack(better)
        ):
            return False
        if families is not None and families.method[self.ladders.family[base]] == LEARNED:
            return True
        if not self.substitutes[self.ladders.family[base]]:
            return False
        return bool(comparison.gains) or not _words(catalogue.names[base]).isdisjoint(
            _words(catalogue.names[better])
        )

    def _strands(self, base: int, better: int, cart: Sequence[int]) -> bool:
        """Something else in the cart fits the base item and would not fit the better one."""
        if not len(self.catalogue.compatible.values):
            return False
        left = {item for item in cart if item != base} | {better}
        return any(
            base in fitted and not left.intersection(fitted)
            for item in cart
            if item != base and (fitted := self.catalogue.compatible[item].tolist())
        )


def _ratios(offers: OffersSection) -> tuple[float, float]:
    """The least and the most of a better item's price to its base's."""
    return offers.min_price_ratio - _TOLERANCE, offers.max_price_ratio + _TOLERANCE


def _highest(
    item: NDArray[np.int32],
    base: NDArray[np.int64],
    difference: NDArray[np.int64],
    worth: NDArray[np.int64],
    score: NDArray[np.float64],
    bound: NDArray[np.float64],
) -> Iterator[_Sibling]:
    """As siblings, of the highest bound first; all arrays have shape (n,)."""
    rows = np.argsort(-bound, kind="stable")[:_MOST_COMPARED]
    return map(
        _Sibling,
        *(column[rows].tolist() for column in (item, base, difference, worth)),
        rows.tolist(),
        score[rows].tolist(),
        bound[rows].tolist(),
    )


def _words(name: str) -> set[str]:
    """Words of a name that say something: `Latte, large` and `Small latte` share one."""
    found = re.findall(r"[^\W\d_]+", name.casefold())
    return {word for word in found if len(word) >= _SHORTEST_WORD}
