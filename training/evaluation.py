"""The back-test: hide one item, or family, of a later basket, and see who finds it again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from mersalg.engine.arrays import Int32s, Int64s, Ragged
from mersalg.engine.catalogue import UNKNOWN
from mersalg.engine.config import ShopConfig
from mersalg.engine.cross_sell import measures
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.errors import DataError
from mersalg.engine.model import Model
from mersalg.engine.progress import Progress, Task
from mersalg.engine.ranking.ranking import MODES, Mode, Scorer
from mersalg.training.keyed import medians_of
from mersalg.training.mining.local import LocalEngine
from mersalg.training.mining.protocol import MiningEngine
from mersalg.training.mining.rules import rules_from_itemsets
from mersalg.training.mining.search import affordable_min_count
from mersalg.training.model_fit import FittedLadders, fit_model
from mersalg.training.ranking.choice import FITTED, Choice, choose
from mersalg.training.ranking.hits import LIST_LENGTH, Reliability, Tested
from mersalg.training.ranking.ranker import MIN_EXAMPLES, bought, fit_scorers
from mersalg.training.ranking.ranker import hide_one as examples_of
from mersalg.training.ranking.signals import fit_base, purchases_of
from mersalg.training.reading.catalogue_file import catalogue_of_ids
from mersalg.training.reading.dataset import Dataset, split_by_time, usual_prices

Ranker = Callable[[Int32s], Int32s]
"""A cart of dense indices -> items to offer beside it, best first, none of the cart."""

_MAX = 1_000
"""Items a list holds at most: enough that ten are left when what was bought before is not."""
_MIN_JOINT = 5
"""Orders in which two items must meet, at least, to be a rule that is compared with."""
LEARNED_SHARE = 0.125
"""Of the orders before the split: the last part, which the scorers learn from."""


def plain_rules(table: RuleTable, n_orders_of_item: Int64s) -> Ranker:
    """Return items by the best conviction of any rule of the cart, then by popularity.

    Of the usual measures conviction finds most. `table` holds rules of single antecedents.
    """
    n_items = len(n_orders_of_item)
    first = table.antecedents.values[table.antecedents.indptr[:-1]]
    rules_of = Ragged.grouped(first, np.arange(len(table)), n_items)
    popular = np.argsort(-n_orders_of_item, kind="stable").astype(np.int32)
    conviction = measures.conviction(*table.counts())

    def rank(cart: Int32s) -> Int32s:
        fired = rules_of.of(cart)
        fired = fired[np.argsort(-conviction[fired], kind="stable")]
        ranked = np.append(table.consequent[fired], popular[: _MAX + len(cart)])
        ranked = ranked[~np.isin(ranked, cart)]
        _, first = np.unique(ranked, return_index=True)
        return ranked[np.sort(first)][:_MAX]

    return rank


@dataclass(frozen=True, slots=True)
class HitRate:
    """`hits` of `n` hidden items stood among the first ten."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """Share of hidden items that were hit; None without any."""
        return self.hits / self.n if self.n else None

    @property
    def standard_error(self) -> float | None:
        """sqrt(p (1 - p) / n), of a binomial share."""
        if not self.n:
            return None
        share = self.hits / self.n
        return math.sqrt(share * (1 - share) / self.n)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"value": self.value, "standard_error": self.standard_error, **asdict(self)}


@dataclass(frozen=True, slots=True)
class BackTest:
    """HitRate@10 of each ranker on the same hidden items."""

    hit_rates: Mapping[str, HitRate]
    """By ranker: `mersalg` (what is served; what customers bought up to each order is known),
    `mersalg_static` (only what they bought before the split is; where a ranking is served), `ease`,
    `item_knn`, `frequency` (what the customer buys most; where customers are known), `plain_rules`,
    `popularity`; `fitted`, where that is not what is served."""
    discovery: Mapping[str, HitRate]
    """The same of the hidden items their customers had not bought before the split, everything
    bought before left out of the lists."""
    reliability: Mapping[str, Reliability]
    """By mode, the reliability of scores."""
    n_train: int
    n_test: int
    """`n_train`, `n_test`: orders before and after the split."""
    n_eligible: int
    """Test orders with at least two items known from training."""
    n_kept_apart: int
    """Hidden items that keep apart from something in their cart. They are bought, yet Mersalg
    offers them only where something else in the cart calls for them."""
    n_held_back: Mapping[str, int]
    """Hidden items that the price cap and sensitive categories would not offer; hits are counted as
    if neither held."""
    upsell_coverage: float | None
    """Share of sold items for which a dearer tier can be offered."""
    choice: Choice
    """Which ranking is served, with all orders."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            f"hit_rate_at_{LIST_LENGTH}": _json_of(self.hit_rates),
            f"discovery_hit_rate_at_{LIST_LENGTH}": _json_of(self.discovery),
            "reliability": {mode: each.to_json() for mode, each in self.reliability.items()},
            "train_orders": self.n_train,
            "test_orders": self.n_test,
            "eligible_orders": self.n_eligible,
            "hidden_kept_apart": self.n_kept_apart,
            "hidden_held_back": dict(self.n_held_back),
            "upsell_coverage": self.upsell_coverage,
            "served": {
                **self.choice.served,
                "kept_apart_up_to_lift": self.choice.max_lift
                if self.choice.max_lift >= 0
                else None,
                "reason": self.reason,
            },
        }

    @property
    def reason(self) -> str:
        """Why what is served is served, in words."""
        others = {
            name: rate.hits
            for name, rate in self.hit_rates.items()
            if not name.startswith("mersalg") and name != self.choice.served["complete"]
        }
        best = max(others, key=lambda name: others[name])
        rate = self.hit_rates["mersalg"].value
        if rate is None:
            return "no later order holds two items known from before: nothing to compare"
        return (
            f"{self.choice.served['complete']} finds {rate:.1%} of hidden items in ten, "
            f"the best of the others ({best}) {self.hit_rates[best].value:.1%}"
        )


def _rates(hits: Mapping[str, int], n: int) -> dict[str, HitRate]:
    return {name: HitRate(n_hits, n) for name, n_hits in hits.items()}


def _json_of(rates: Mapping[str, HitRate]) -> dict[str, Any]:
    return {name: rate.to_json() for name, rate in rates.items()}


class _Rehearsal:
    """Progress of a fit that only serves the back-test, named apart from the real one."""

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

    The scorers learn from the last eighth of the earlier orders, with all else fitted on what came
    before those; then all else is fitted on all earlier orders. None where the split leaves one
    side without orders. Ladders come from the catalogue and play no part in the ranking, so those
    of all orders may be given.
    """
    try:
        train, test = split_by_time(dataset, config.training.test_share)
    except DataError:
        # Too few orders, or all of one moment: a young shop may train without a back-test.
        return None
    rehearsal = _Rehearsal(progress)
    fitted = fit_model(
        train,
        config,
        engine,
        rehearsal,
        fitted_ladders=fitted_ladders,
        scorers=learn_scorers(train, rehearsal) or {},
    )
    counts, base = fitted.model.affinity.n_orders_of_item, fitted.model.ranking
    if base is None:
        raise AssertionError("a model with scorers has a ranking")
    examples = examples_of(test, counts > 0, n_samples, bought(train))
    purchases = purchases_of(dataset)
    tested = Tested.of(fitted.model, fitted.apart, examples, purchases, int(test.ordered_at.min()))
    # Many rules of two items rank better than sure ones.
    least = affordable_min_count(train.baskets, _MIN_JOINT, max_length=2)
    pairs = LocalEngine().itemsets(train.baskets, least, 2, rehearsal)
    rank = plain_rules(rules_from_itemsets(pairs), counts)
    with progress.task("Back-test: ranking", total=3) as task:
        choice = choose(tested, base, customers=bool((train.customer >= 0).any()))
        task.advance()
        served = None if choice.scorers is None else base.with_scorers(choice.scorers)
        tested = tested.serving(choice.max_lift, served)
        outcomes = dict(tested.served())
        task.advance()
        hits: dict[Mode, dict[str, int]] = {}
        for mode in MODES:
            by_rules = tested.by(rank, new=mode == "discovery")
            hits[mode] = {**choice.found[mode], "plain_rules": by_rules}
        task.advance()
    for mode, hits_of_mode in hits.items():
        if choice.served[mode] == FITTED:
            hits_of_mode.pop(FITTED)
    new_hits, new_reliability = outcomes.pop("discovery")
    of_all = {name: n_hits for name, (n_hits, _) in outcomes.items()}
    reliability = {"complete": outcomes["mersalg"][1], "discovery": new_reliability}
    return BackTest(
        hit_rates=_rates(of_all | hits["complete"], len(examples)),
        discovery=_rates({"mersalg": new_hits} | hits["discovery"], len(tested.new)),
        reliability={mode: each for mode, each in reliability.items() if each is not None},
        n_train=train.n_orders,
        n_test=test.n_orders,
        n_eligible=examples.n_eligible,
        n_kept_apart=tested.n_kept_apart(),
        n_held_back=tested.n_held_back(),
        upsell_coverage=upsell_coverage(tested.model),
        choice=choice,
    )


def learn_scorers(dataset: Dataset, progress: Progress) -> dict[Mode, Scorer] | None:
    """Scorers fitted on the last eighth of the orders; None where they are too few."""
    try:
        before, later = split_by_time(dataset, LEARNED_SHARE)
    except DataError:
        return None
    if later.n_orders < MIN_EXAMPLES:
        return None
    base = fit_base(before, usual_prices(before), progress)
    return fit_scorers(base, before, later, purchases_of(dataset), progress)


def upsell_coverage(model: Model) -> float | None:
    """Share of sold items with an offerable item of a higher tier at an allowed price."""
    ladders, price = model.ladders, model.catalogue.price_minor
    offers = model.settings.offers
    sold = model.affinity.n_orders_of_item > 0
    covered = 0
    for ladder in range(ladders.n_ladders):
        members = ladders.members[ladder]
        better = members[model.catalogue.offerable[members]]
        ratio = price[better] / price[members][:, None]
        fits = (ratio >= offers.min_price_ratio) & (ratio <= offers.max_price_ratio)
        fits &= ladders.tier[better] > ladders.tier[members][:, None]
        covered += int((fits.any(axis=1) & sold[members]).sum())
    return covered / int(sold.sum()) if sold.any() else None


def by_family(dataset: Dataset) -> Dataset:
    """Return the data with every family as one item, at the median price of its members.

    Items without a family are left out.

    Raises DataError: the catalogue names no family.
    """
    catalogue, family = dataset.catalogue, dataset.catalogue.family
    n_families = len(catalogue.family_names)
    if not (family >= 0).any():
        raise DataError("the catalogue names no families to rank")
    lines = dataset.lines.assign(item=family[dataset.lines["item"].to_numpy()])
    lines = lines[lines["item"] >= 0].drop_duplicates(["order", "item"]).reset_index(drop=True)
    members = np.argsort(family, kind="stable")
    members = members[family[members] >= 0]
    first = np.searchsorted(family[members], np.arange(n_families))
    priced = members[catalogue.price_minor[members] > 0]
    medians = medians_of(family[priced], catalogue.price_minor[priced], n_families)
    ids = pa.array(list(catalogue.family_names), pa.large_string())
    families = replace(
        catalogue_of_ids(ids, catalogue.currency),
        price_minor=np.nan_to_num(medians, nan=UNKNOWN).astype(np.int64),
        category=catalogue.category[members[np.minimum(first, len(members) - 1)]],
        category_names=catalogue.category_names,
    )
    baskets = dataset.baskets.by_group(family, n_families)
    return replace(dataset, catalogue=families, lines=lines, baskets=baskets)
