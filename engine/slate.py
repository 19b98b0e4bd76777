"""One slate for one cart: cross-sell and upsell merged, nothing twice, nothing that cannot be sold.

Pure: the same model, cart and limits give the same slate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import UNKNOWN, Catalogue
from engine.cross_sell.recommender import CrossSell, RuleCounts, top
from engine.eligibility import CartEligibility, Eligibility, Reason
from engine.model import Model
from engine.offers import CartLine, Quantity
from engine.upsell.recommender import BaseItem, Upgrade, Upsell

_FILLER_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Complement:
    """A cross-sell candidate that was chosen; `counts` are those of its strongest rule."""

    item: int
    score: float
    counts: RuleCounts


@dataclass(frozen=True, slots=True)
class Rejected:
    item: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Slate:
    """In the order of their positions; `rejected` is filled only where an explanation is asked."""

    cross_sell: tuple[Complement, ...] = ()
    upsell: tuple[Upgrade, ...] = ()
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommenders:
    """Everything prepared once for each model."""

    catalogue: Catalogue
    eligibility: Eligibility
    cross_sell: CrossSell
    upsell: Upsell

    @classmethod
    def prepare(cls, model: Model) -> Self:
        return cls(
            model.catalogue,
            Eligibility.prepare(model),
            CrossSell.prepare(model),
            Upsell.prepare(model),
        )


def build_slate(
    recommenders: Recommenders,
    lines: Sequence[CartLine],
    *,
    cross_sell: int,
    upsell: int,
    excluded_item_ids: Sequence[str] = (),
    foreign_currency: bool = False,
    explain: bool = False,
) -> Slate:
    """What to offer beside a cart, at most `cross_sell` and `upsell` items of each kind.

    Items the model does not know are passed over. A cart in a foreign currency gets no upsell:
    its prices cannot be compared with the catalogue's.
    """
    catalogue = recommenders.catalogue
    bases = _base_items(catalogue, lines)
    cart = np.array([base.item for base in bases], dtype=np.int32)
    excluded = [
        index for text in excluded_item_ids if (index := catalogue.items.index_of(text)) is not None
    ]
    eligibility = recommenders.eligibility.beside(cart, excluded)
    upgrades = [] if foreign_currency else recommenders.upsell.best(bases, eligibility, upsell)
    # What is offered instead of a line is not offered beside it too.
    offered = np.array([upgrade.item for upgrade in upgrades], dtype=np.int32)
    eligibility.leave_out(offered, Reason.SUBSTITUTE)
    eligibility.leave_out(recommenders.eligibility.other_models(cart), Reason.DOES_NOT_FIT)
    complements, rejected = _complements(
        recommenders.cross_sell, cart, eligibility, cross_sell, explain=explain
    )
    return Slate(tuple(complements), tuple(upgrades), rejected)


def _base_items(catalogue: Catalogue, lines: Sequence[CartLine]) -> list[BaseItem]:
    """The known items of a cart, each once, by dense index; quantities of its lines added up."""
    found: dict[int, BaseItem] = {}
    for line in lines:
        item = catalogue.items.index_of(line.item_id)
        if item is None:
            continue
        price = line.unit_price_minor
        if price is None:
            listed = int(catalogue.price_minor[item])
            price = None if listed == UNKNOWN else listed
        seen = found.get(item)
        quantity = line.quantity
        if seen is not None:
            quantity = _sum(seen.quantity, quantity)
            # The dearest line decides, so that no unit is told a smaller step than it takes.
            known = [each for each in (seen.unit_price_minor, price) if each is not None]
            price = max(known, default=None)
        found[item] = BaseItem(item, quantity, price)
    return [found[item] for item in sorted(found)]


def _sum(first: Quantity, second: Quantity) -> Quantity:
    total = first + second
    return int(total) if total == int(total) else total


def _complements(
    recommender: CrossSell,
    cart: NDArray[np.int32],
    eligibility: CartEligibility,
    limit: int,
    *,
    explain: bool,
) -> tuple[list[Complement], tuple[Rejected, ...]]:
    if limit <= 0:
        return [], ()
    fired = recommender.fire(cart)
    items, scores = fired.combined()
    free = eligibility.beside(items)
    rejected: tuple[Rejected, ...] = ()
    if explain:
        refused = items[~free]
        rejected = tuple(map(Rejected, refused.tolist(), eligibility.reasons(refused)))
    places = free.nonzero()[0]
    chosen = places[top(scores[places], limit)]
    complements = list(
        map(
            Complement,
            items[chosen].tolist(),
            scores[chosen].tolist(),
            recommender.rule_counts(fired.strongest_rules(items[chosen])),
        )
    )
    missing = limit - len(complements)
    if missing > 0:
        complements += _fillers(recommender, cart, items, eligibility, missing)
    return complements, rejected


def _fillers(
    recommender: CrossSell,
    cart: NDArray[np.int32],
    ruled: NDArray[np.int32],
    eligibility: CartEligibility,
    limit: int,
) -> list[Complement]:
    """Popular complements that nothing in the cart keeps away and no rule has spoken for."""
    avoid = np.zeros(recommender.n_items, dtype=np.bool_)
    avoid[ruled] = True
    avoid[recommender.repelled_by(cart)] = True
    found: list[Complement] = []
    for start in range(0, len(recommender.popular), _FILLER_CHUNK):
        items = recommender.popular[start : start + _FILLER_CHUNK]
        free = (eligibility.beside(items) & ~avoid[items]).nonzero()[0][: limit - len(found)]
        found += [
            Complement(
                int(items[place]),
                float(recommender.popular_score[start + place]),
                recommender.popular_counts(int(items[place])),
            )
            for place in free.tolist()
        ]
        if len(found) == limit:
            break
    return found
