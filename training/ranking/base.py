"""The part of a ranking that is counted rather than fitted to outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.progress import Progress
from mersalg.engine.ranking.ranking import Ranking
from mersalg.training.ranking.item_item import fit_neighbours
from mersalg.training.ranking.signals import fit_signals, group_baskets, groups_of

if TYPE_CHECKING:
    from mersalg.training.dataset import Dataset


def fit_base(dataset: Dataset, price_minor: NDArray[np.int64], progress: Progress) -> Ranking:
    """Item-item models and signals of `dataset`; a ranking without scorers.

    Parameters
    ----------
    price_minor : int64 (n_items,)
        What each item usually costs, not above zero where unknown.
    """
    group, n_groups = groups_of(dataset.catalogue)
    baskets = dataset.baskets
    return Ranking(
        neighbours=fit_neighbours(baskets, progress, name="item-item"),
        groups=fit_neighbours(
            group_baskets(baskets, group, n_groups), progress, name="group-group"
        ),
        signals=fit_signals(
            baskets,
            dataset.ordered_at,
            group,
            n_groups,
            np.where(dataset.catalogue.price_minor > 0, dataset.catalogue.price_minor, price_minor),
            dataset.catalogue.cost_minor,
        ),
        scorers={},
    )
