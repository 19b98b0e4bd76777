"""Measure whether tiers stay the same when they are derived again from later prices."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mersalg.engine.catalogue import UNKNOWN
from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.progress import SilentProgress
from mersalg.training.reading.dataset import usual_prices
from mersalg.training.upsell.families import groups_of
from mersalg.training.upsell.tiers import fit_ladders, former_cuts, price_changes

if TYPE_CHECKING:
    from mersalg.training.reading.dataset import Dataset

_MIN_LINES = 5
"""Lines of each period that an item's usual price is read from."""


@dataclass(frozen=True, slots=True)
class TierStability:
    """Shares of items that stand on the same tier in both derivations; None where there are none.

    `alone` derives the later tiers from later prices only, `with_former` is given the earlier
    ladders as training is. `mean_tiers` is how many tiers an item's ladder has, on average.
    """

    n_items: int
    alone: float | None
    with_former: float | None
    mean_tiers: float | None

    def to_json(self) -> dict[str, float | int | None]:
        """Return it as JSON holds it."""
        return asdict(self)


def tier_stability(dataset: Dataset, *, first_later_day: int) -> TierStability:
    """Compare tiers on the prices before day `first_later_day` with those from it on.

    Day 0 begins with the first order. Items are priced by `_MIN_LINES` lines in both parts.
    """
    start = int(dataset.ordered_at.min()) if dataset.n_orders else 0
    later = (dataset.ordered_at - start) // MICROS_PER_DAY >= first_later_day
    before = dataset.select_orders(~later)
    parts = (before, dataset.select_orders(later))
    prices = [usual_prices(part, _MIN_LINES) for part in parts]
    both = (prices[0] > 0) & (prices[1] > 0)
    catalogues = [
        replace(dataset.catalogue, price_minor=np.where(both, price, UNKNOWN)) for price in prices
    ]
    groups, unpaid = groups_of(dataset.catalogue), np.full(len(both), UNKNOWN, dtype=np.int64)
    changes, silent = price_changes(before), SilentProgress()
    first, _ = fit_ladders(catalogues[0], unpaid, silent, groups=groups, changes=changes)
    alone, _ = fit_ladders(catalogues[1], unpaid, silent, groups=groups, changes=changes)
    former = former_cuts(catalogues[0], first)
    given, _ = fit_ladders(
        catalogues[1], unpaid, silent, groups=groups, changes=changes, former=former
    )
    compared = (first.tier >= 0) & (alone.tier >= 0) & (given.tier >= 0)
    if not compared.any():
        return TierStability(0, None, None, None)
    highest = np.array([first.tier[first.members[one]].max() for one in range(first.n_ladders)])
    return TierStability(
        int(compared.sum()),
        float((first.tier == alone.tier)[compared].mean()),
        float((first.tier == given.tier)[compared].mean()),
        float(highest[first.family[compared]].mean() + 1),
    )
