"""The back-test: hide one item of a later basket, and see who finds it again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.config import ShopConfig
from engine.cross_sell.recommender import CrossSell
from engine.cross_sell.rules import AntecedentIndex, RuleTable
from engine.errors import DataError
from engine.model import Model
from engine.orders import Baskets
from engine.progress import Progress, Task
from training.fitting import FittedLadders, fit_model
from training.mining.protocol import MiningEngine
from training.splitting import split_by_time

if TYPE_CHECKING:
    from training.dataset import Dataset

LIST_LENGTH = 10
_SEED = 7

Ranker = Callable[[NDArray[np.int32]], NDArray[np.int32]]
"""A cart of dense indices -> the items offered beside it, best first, none of the cart."""


@dataclass(frozen=True, slots=True)
class HitRate:
    """`hits` of `n` hidden items stood among the first ten."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        return self.hits / self.n if self.n else None

    @property
    def standard_error(self) -> float | None:
        """sqrt(p (1 - p) / n), of a binomial share."""
        if not self.n:
            return None
        share = self.hits / self.n
        return math.sqrt(share * (1 - share) / self.n)

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "standard_error": self.standard_error,
            "hits": self.hits,
            "n": self.n,
        }


@dataclass(frozen=True, slots=True)
class BackTest:
    """HitRate@10 of each ranker on the same hidden items.

    Attributes:
        hit_rates: by ranker: `mersalg`, `plain_rules`, `popularity`.
        n_train, n_test: orders before and after the split.
        n_eligible: test orders with at least two items known from training.
        n_kept_apart: hidden items that keep apart from something in their cart. They are bought,
            yet Mersalg offers them only where something else in the cart calls for them.
        upsell_coverage: share of sold items for which a dearer tier can be offered.
    """

    hit_rates: Mapping[str, HitRate]
    n_train: int
    n_test: int
    n_eligible: int
    n_kept_apart: int
    upsell_coverage: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            f"hit_rate_at_{LIST_LENGTH}": {
                name: rate.to_json() for name, rate in self.hit_rates.items()
            },
            "train_orders": self.n_train,
            "test_orders": self.n_test,
            "eligible_orders": self.n_eligible,
            "hidden_kept_apart": self.n_kept_apart,
            "upsell_coverage": self.upsell_coverage,
        }


class _Rehearsal:
    """Progress of a fit that only serves the back-test, told apart from the real one."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def task(self, description: str, total: int | None = None) -> AbstractContextManager[Task]:
        described = description[:1].lower() + description[1:]
        return self._progress.task(f"Back-test: {described}", total)


def back_test(
    dataset: Dataset,
    config: ShopConfig,
    engine: MiningEngine,
    progress: Progress,
    *,
    n_samples: int,
    fitted_ladders: FittedLadders | None = None,
) -> BackTest | None:
    """Fit on the earlier orders, rank for up to `n_samples` of the later ones.

    None where the split leaves one side without orders. Ladders come from the catalogue and play
    no part in the ranking, so those of all orders may be given.
    """
    try:
        train, test = split_by_time(dataset, config.training.test_share)
    except DataError:
        # Too few orders, or all of one moment: a young shop may train without a back-test.
        return None
    rehearsal = _Rehearsal(progress)
    fitted = fit_model(train, config, engine, rehearsal, fitted_ladders=fitted_ladders)
    model = fitted.model
    carts, hidden, n_eligible = hide_one(
        test.baskets, model.affinity.n_orders_of_item > 0, n_samples
    )
    recommender = CrossSell.prepare(model)
    rankers: dict[str, Ranker] = {
        "mersalg": lambda cart: recommender.rank(cart.tolist(), LIST_LENGTH)[0],
        "plain_rules": plain_rules(fitted.every_rule, len(model.catalogue)),
        "popularity": popularity(model.affinity.n_orders_of_item),
    }
    hits = dict.fromkeys(rankers, 0)
    with progress.task("Back-test: ranking", total=len(carts)) as task:
        for cart, item in zip(carts, hidden, strict=True):
            for name, rank in rankers.items():
                hits[name] += bool((rank(cart)[:LIST_LENGTH] == item).any())
            task.advance()
    return BackTest(
        hit_rates={name: HitRate(found, len(carts)) for name, found in hits.items()},
        n_train=train.n_orders,
        n_test=test.n_orders,
        n_eligible=n_eligible,
        n_kept_apart=sum(
            any(item in model.affinity.repelled_by(held) for held in cart.tolist())
            for cart, item in zip(carts, hidden, strict=True)
        ),
        upsell_coverage=upsell_coverage(model),
    )


def hide_one(
    baskets: Baskets, known: NDArray[np.bool_], n_samples: int
) -> tuple[list[NDArray[np.int32]], list[int], int]:
    """Carts without their hidden item, the hidden items, and how many baskets were eligible.

    Eligible: at least two items of `known`, bool (n_items,); the others of a basket are dropped.
    """
    entry_known = known[baskets.items]
    ends = np.append(0, np.cumsum(entry_known))[baskets.indptr]
    eligible = np.flatnonzero(np.diff(ends) >= 2)
    draw = np.random.RandomState(_SEED)
    if len(eligible) > n_samples:
        chosen = np.sort(draw.choice(eligible, n_samples, replace=False))
    else:
        chosen = eligible
    carts: list[NDArray[np.int32]] = []
    hidden: list[int] = []
    for order in chosen.tolist():
        items = baskets.basket(order)
        items = items[known[items]]
        place = draw.randint(len(items))
        carts.append(np.delete(items, place))
        hidden.append(int(items[place]))
    return carts, hidden, len(eligible)


def popularity(n_orders_of_item: NDArray[np.int64]) -> Ranker:
    """The most bought items, whatever the cart."""
    ranked = np.argsort(-n_orders_of_item, kind="stable").astype(np.int32)

    def rank(cart: NDArray[np.int32]) -> NDArray[np.int32]:
        first = ranked[: LIST_LENGTH + len(cart)]
        return first[~np.isin(first, cart)]

    return rank


def plain_rules(table: RuleTable, n_items: int) -> Ranker:
    """Every mined rule, the best confidence wins: what a rule table does without any care.

    Nothing is filled up where fewer than ten items are found.
    """
    index, confidence, lengths = AntecedentIndex.build(table, n_items), table.confidence(), None
    if len(table) and int(table.lengths.max()) > 1:
        lengths = table.lengths

    def rank(cart: NDArray[np.int32]) -> NDArray[np.int32]:
        fired = np.concatenate([index.rules_of(item) for item in cart.tolist()])
        if lengths is not None:
            fires = [
                lengths[rule] == 1 or bool(np.isin(table.antecedent(rule), cart).all())
                for rule in fired.tolist()
            ]
            fired = fired[np.array(fires, dtype=np.bool_)]
        fired = fired[np.argsort(-confidence[fired], kind="stable")]
        found = table.consequent[fired]
        found = found[~np.isin(found, cart)]
        _, first = np.unique(found, return_index=True)
        return found[np.sort(first)][:LIST_LENGTH]

    return rank


def upsell_coverage(model: Model) -> float | None:
    """Share of sold items with an offerable item of a higher tier at an allowed price."""
    ladders, price = model.ladders, model.catalogue.price_minor
    offers = model.settings.offers
    sold = model.affinity.n_orders_of_item > 0
    covered = 0
    for ladder in range(ladders.n_ladders):
        members = ladders.members_of(ladder)
        better = members[model.catalogue.offerable[members]]
        ratio = price[better] / price[members][:, None]
        fits = (ratio >= offers.min_price_ratio) & (ratio <= offers.max_price_ratio)
        fits &= ladders.tier[better] > ladders.tier[members][:, None]
        covered += int((fits.any(axis=1) & sold[members]).sum())
    return covered / int(sold.sum()) if sold.any() else None
