"""Better versions of what a cart holds: dearer siblings a few tiers up the same ladder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import inf
from typing import NamedTuple, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.cross_sell.newcomers import Newcomers
from mersalg.engine.eligibility import CartEligibility
from mersalg.engine.fact_values import to_minor
from mersalg.engine.facts import Quantity, Step
from mersalg.engine.model import Model
from mersalg.engine.money import LARGEST_MINOR, scale
from mersalg.engine.native.kernels import NativeUpgrades
from mersalg.engine.ranking.purchases import Past
from mersalg.engine.upsell.gains import PACK_SIZE, Comparison, amounts_of, compare_items
from mersalg.engine.upsell.likelihood import PackedUpgrades
from mersalg.engine.upsell.packs import step_of, unit_saving
from mersalg.engine.upsell.readings import Reading
from mersalg.engine.upsell.tiers import LEARNED, Ladders, given_upgrades

_NOTHING_KNOWN = 0.5
_BUYERS_TO_ONE = 10
"""Buyers of an item of whom one is taken to buy a better one that nobody has bought yet."""
_EACH_LOSS = 0.8
_TOLERANCE = 1e-9
_REMEMBERED = 4_096
_MAX_SIZES = 64
_MAX_COMPARED = 256
"""Candidates looked at closely: a bound on the time a cart of wide categories takes."""


class BaseItem(NamedTuple):
    """Item of a cart that may be replaced, all its lines together.

    `unit_price_minor` is what the buyer pays for one unit after the lines' discounts, on average
    over the lines, None where nothing is known; `paid_minor` what all units come to, not rounded,
    None where the price of some is not known.
    """

    item: int
    quantity: Quantity
    unit_price_minor: int | None
    paid_minor: Quantity | None = None


class Upgrade(Struct, frozen=True, gc=False):
    """`score` in [0, 1] is how likely the upgrade is taken.

    By the fitted likelihood of a customer's upgrades where the model holds one, else by the
    item's share among both's buyers. `worth_minor` is what one taken unit brings: its margin
    beyond the base item's where both costs are known, else the price difference. `weight` is
    below 1 where nothing known is gained or something lost: it moves the rank, not the score.
    `saving` is what less a unit costs, as of `unit_saving`, where `step` is `size`.
    """

    item: int
    base: BaseItem
    score: float
    price_difference_minor: int
    comparison: Comparison
    step: Step
    weight: float
    worth_minor: int
    saving: tuple[float, str] | None

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
        return self.score * self.weight * self.worth_minor * float(self.base.quantity)


_Found = tuple[int, int, int, int, float, float]
"""A better item before its texts are compared, as `NativeUpgrades.find` has it."""


@dataclass(frozen=True, slots=True)
class Upsell:
    """Arrays that serving keeps of each model."""

    catalogue: Catalogue
    ladders: Ladders
    substitutes: NDArray[np.int32]
    """int32 (n_items,), as of `Affinity.substitutes`."""
    reading: Callable[[int], Reading]
    """What the texts of an item say, remembered for the items that are asked often."""
    compare: Callable[[int, int], Comparison]
    """`compare_items` of base and better item, remembered likewise."""
    fitted: bool
    """Whether the model holds a fitted likelihood of upgrades."""
    least_minor: int
    """Expected gain below which nothing is offered, minor units."""
    given: Ragged[np.int32]
    """Better versions of each item by the shop's own word."""
    native: NativeUpgrades
    ratios: tuple[float, float]
    """Least and greatest price of a better item, as a multiple of its base's."""
    n_orders_of_item: NDArray[np.int64]
    newcomers: Newcomers | None
    """Items newer than the version; they are offered where trained ones leave room."""

    @classmethod
    def prepare(cls, model: Model) -> Self:
        """Build what upgrades are chosen with from a model."""
        catalogue, ladders, offers = model.catalogue, model.ladders, model.settings.offers
        packed = model.packed and model.packed.upgrades
        if model.likelihood is not None and packed is None:
            packed = PackedUpgrades.of(model.likelihood)
        given = given_upgrades(catalogue, offers, len(ladders.family))
        reading = lru_cache(_REMEMBERED)(model.reading)
        attributes, bought = model.settings.attributes, model.affinity.n_orders_of_item
        ratios = (offers.min_price_ratio - _TOLERANCE, offers.max_price_ratio + _TOLERANCE)

        def compare(base: int, better: int) -> Comparison:
            return compare_items(catalogue, base, better, attributes, reading(base).traits.kind)

        return cls(
            catalogue,
            ladders,
            model.affinity.substitutes(ladders.family),
            reading,
            lru_cache(_REMEMBERED)(compare),
            model.likelihood is not None,
            to_minor(offers.min_upsell_gain, catalogue.currency),
            given,
            NativeUpgrades(
                *(ladders, catalogue, bought, given, ratios, model.likelihood, packed),
                amounts_of(catalogue, attributes),
                _EACH_LOSS,
            ),
            ratios,
            bought,
            model.newcomers,
        )

    def best(
        self,
        bases: Sequence[BaseItem],
        eligibility: CartEligibility,
        limit: int,
        past: Past | None = None,
    ) -> list[Upgrade]:
        """Return the `limit` upgrades of the highest expected gain, each better item once.

        New items, of which no buyer is known yet, come after all trained ones. `past` is what the
        buyer bought before, where that is known.
        """
        if limit <= 0 or not bases:
            return []
        asked = [(base.item, base.unit_price_minor or 0, float(base.quantity)) for base in bases]
        siblings = self.native.find(past or Past.unknown(), asked, eligibility.marks, _MAX_COMPARED)
        chosen = self._choose(siblings, bases, limit)
        if self.newcomers is not None and len(chosen) < limit:
            chosen += self.best_new(bases, eligibility.marks, limit - len(chosen))
        return chosen

    def best_new(
        self, bases: Sequence[BaseItem], marks: NDArray[np.uint8], limit: int
    ) -> list[Upgrade]:
        """Return the same of items newer than the version; `marks` is 0 where one may be offered.

        A new item is a better version of the trained items of its family, as `Newcomers` has it,
        if it is known to gain something or is a bigger pack at a lower unit price.
        """
        new = sorted(self._new_siblings(bases, marks), key=lambda found: -found[-1])
        return self._choose(new[:_MAX_COMPARED], bases, limit)

    def _new_siblings(
        self, bases: Sequence[BaseItem], marks: NDArray[np.uint8]
    ) -> Iterator[_Found]:
        if self.newcomers is None:
            return
        first, (least, most) = self.newcomers.first, self.ratios
        prices, costs = self.catalogue.price_minor, self.catalogue.cost_minor
        for index, base in enumerate(bases):
            ladder, paid = self.ladders.family.item(base.item), base.unit_price_minor or 0
            if ladder < 0 or paid <= 0:
                continue
            items = first + np.flatnonzero(self.newcomers.ladder == ladder)
            new = prices[items]
            dearer = (new > max(paid, prices.item(base.item))) & (marks[items] == 0)
            dearer &= (new >= least * paid) & (new <= most * paid)
            # As the kernel scores an item that nobody has bought yet.
            buyers = self.n_orders_of_item.item(base.item) + _BUYERS_TO_ONE
            for item in items[dearer].tolist():
                difference = worth = prices.item(item) - paid
                if self.fitted and UNKNOWN not in (costs.item(item), costs.item(base.item)):
                    worth -= costs.item(item) - costs.item(base.item)
                score = paid / prices.item(item) / buyers
                if worth > 0:
                    bound = score * worth * float(base.quantity)
                    yield item, index, difference, worth, score, bound

    def _choose(
        self, siblings: Iterable[_Found], bases: Sequence[BaseItem], limit: int
    ) -> list[Upgrade]:
        """Return the best of some better items, given in descending order of their bounds."""
        chosen: dict[int, Upgrade] = {}
        # What a better item has to bring to be among those chosen.
        enough = -inf
        cart = [base.item for base in bases]
        # What texts say can only lower the bound: few items need comparing.
        for item, index, difference, worth, score, bound in siblings:
            if bound < self.least_minor or bound <= enough:
                break
            base = bases[index]
            comparison = self.compare(base.item, item)
            step, saving = self._step(base, item, difference)
            if not self._is_upgrade(base.item, item, comparison, step):
                continue
            if self._strands(base.item, item, cart):
                continue
            weight = _EACH_LOSS ** len(comparison.losses)
            if not comparison.gains and step != "size":
                weight *= _NOTHING_KNOWN
            if not self.fitted:
                score, weight = score * weight, 1.0
            upgrade = Upgrade(
                item, base, score, difference, comparison, step, weight, worth, saving
            )
            if upgrade.expected_minor < self.least_minor:
                continue
            rival = chosen.get(item)
            if rival is None or upgrade.expected_minor > rival.expected_minor:
                chosen[item] = upgrade
                if len(chosen) >= limit:
                    brought = sorted(each.expected_minor for each in chosen.values())
                    enough = brought[-limit]
        return sorted(chosen.values(), key=lambda each: (-each.expected_minor, each.item))[:limit]

    def _is_upgrade(self, base: int, better: int, comparison: Comparison, step: Step) -> bool:
        """Return whether `better` is a better version of `base`: neither other nor only dearer."""
        if self.is_given(base, better):
            return True
        if self._is_new(better) and not comparison.gains and step != "size":
            return False
        return (
            len(comparison.losses) <= len(comparison.gains)
            and not self._is_variant(base, better, comparison, step)
            and self._is_version(base, better, comparison)
        )

    def _is_new(self, item: int) -> bool:
        return self.newcomers is not None and item >= self.newcomers.first

    def is_given(self, base: int, better: int) -> bool:
        """Return whether the shop itself names `better` as a better version of `base`."""
        return bool(len(self.given.values)) and better in self.given[base]

    def _step(
        self, base: BaseItem, better: int, price_difference_minor: int
    ) -> tuple[Step, tuple[float, str] | None]:
        """Return whether `better` is a bigger pack at a lower unit price, or a dearer version."""
        paid = base.unit_price_minor or 0
        pack, bigger = self.reading(base.item).pack, self.reading(better).pack
        prices = paid, paid + price_difference_minor
        if pack is None or bigger is None or step_of(pack, bigger, *prices) == "tier":
            return "tier", None
        return "size", unit_saving(pack, bigger, *prices) if paid else None

    def _is_variant(self, base: int, better: int, comparison: Comparison, step: Step) -> bool:
        """Return whether `better` is for other people or another use, or only dearer.

        Another size of a garment, another wheel or season fits somebody else, and an accessory is
        no better machine. Without a gain, what differs only in colour or the like, or in how much
        it holds at no lower unit price, is only dearer, and so is what holds less.
        """
        (pack, first), (better_pack, second) = self.reading(base), self.reading(better)
        if comparison.fit or first.fits_others(second) or not first.same_kind(second):
            return True
        if step == "size" or any(change.attribute != PACK_SIZE for change in comparison.gains):
            return False
        if pack is not None and better_pack is not None:
            before, after = pack.beside(better_pack), better_pack.beside(pack)
            if before.dimension == after.dimension != "span" and after.amount < before.amount:
                return True
        if comparison.differs or first.stem != second.stem:
            return False
        if not first.kind and first.sizes != second.sizes and self._is_priced_by_size(base):
            return False
        same = (first.sizes, first.seasons, first.tastes) == (
            second.sizes, second.seasons, second.tastes,
        )  # fmt: skip
        return not same or bool(comparison.taste) or pack != better_pack

    def _is_priced_by_size(self, base: int) -> bool:
        """Return whether the sizes of an item differ in price, as of pizzas, but not of shirts."""
        members = self.ladders.members[int(self.ladders.family[base])][:_MAX_SIZES].tolist()
        stem = self.reading(base).traits.stem
        read = ((member, self.reading(member).traits) for member in members)
        sizes = {each: traits.sizes for each, traits in read if traits.stem == stem}
        prices = {int(self.catalogue.price_minor[size]) for size in sizes}
        return len(prices) == len(sizes) == len({*sizes.values()})

    def _is_version(self, base: int, better: int, comparison: Comparison) -> bool:
        """Return whether `better` is the same kind of thing as `base`.

        Items of a family are, by the shop's own word, or by names and baskets. Those that share
        only a category (breakfast and parking) must be known to replace each other, and to gain
        something or be called alike. Of two that are called the same and differ in nothing known,
        the dearer is only dearer, unless the shop says that they are versions.
        """
        catalogue, families = self.catalogue, self.ladders.families
        given = catalogue.family.item(base)
        (pack, first), (better_pack, second) = self.reading(base), self.reading(better)
        if given >= 0 and given == catalogue.family.item(better):
            return True
        if (
            not comparison.gains
            and catalogue.given_tier is None
            and catalogue.names[base].casefold() == catalogue.names[better].casefold()
            and pack == better_pack
        ):
            return False
        learned = families is not None and families.method[self.ladders.family[base]] == LEARNED
        if learned and not self._is_new(better):
            return True
        if self.substitutes[base] < 0:
            return False
        return bool(comparison.gains) or first.shares_a_word(second)

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
