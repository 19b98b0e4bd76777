"""What the kernels look at of an item, side by side in one line of a processor's cache.

Kept in a version, so that workers share it; worked out where a version has none.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.ranking.features import item_logs
from engine.ranking.ranking import Ranking
from engine.ranking.signals import ItemSignals
from engine.upsell.likelihood import Likelihood

Packed = NDArray[np.generic]

_WAY = 1
"""Grows with every change of what the arrays mean."""


def packed_arrays(ranking: Ranking | None, likelihood: Likelihood | None) -> dict[str, Packed]:
    """All that is packed of a model, with the number of the way it is."""
    arrays: dict[str, Packed] = {"way": np.array([_WAY], dtype=np.int64)}
    if ranking is not None:
        arrays["ranking_items"] = packed_items(ranking.signals)
    if likelihood is not None:
        arrays |= packed_upgrades(likelihood)
    return arrays


def known_way(arrays: Mapping[str, Packed] | None) -> Mapping[str, Packed] | None:
    """None where the arrays were packed in another way, or not at all."""
    return arrays if arrays is not None and int(arrays["way"][0]) == _WAY else None


def packed_items(signals: ItemSignals) -> NDArray[np.float32]:
    """float32 (n_items, 16): what each is by itself, side by side; the group in its own bits."""
    logs = item_logs(signals)
    packed = np.zeros((signals.n_items, 16), dtype=np.float32)
    packed[:, 0] = np.ascontiguousarray(signals.group, dtype=np.int32).view(np.float32)
    for place, values in enumerate(
        (
            signals.share,
            signals.log_price,
            signals.margin,
            logs["popular_log"],
            logs["recent_log"],
            logs["latest_log"],
            logs["share_log"],
        ),
        start=1,
    ):
        packed[:, place] = values
    return packed


def packed_upgrades(likelihood: Likelihood) -> dict[str, Packed]:
    """Items as of `_upgrade_items`, and moves from an item to others as rows that ascend."""
    standing, n_items = likelihood.standing, len(likelihood.facts.ladder)
    base = standing.move_keys // max(n_items, 1)
    return {
        "upgrade_items": _upgrade_items(likelihood),
        "moved_indptr": np.searchsorted(base, np.arange(n_items + 1)).astype(np.int64),
        "moved_items": (standing.move_keys - base * n_items).astype(np.int32),
    }


def _upgrade_items(likelihood: Likelihood) -> NDArray[np.float32]:
    """float32 (n_items, 16): facts and standing side by side; codes in their own bits."""
    facts, standing = likelihood.facts, likelihood.standing
    packed = np.zeros((len(facts.ladder), 16), dtype=np.float32)
    for place, codes in enumerate((facts.ladder, facts.category, facts.brand)):
        packed[:, place] = np.ascontiguousarray(codes, dtype=np.int32).view(np.float32)
    for place, values in enumerate((facts.tier, facts.level, facts.log_price, facts.log_amount)):
        packed[:, 3 + place] = values
    packed[:, 7:11] = standing.orders
    for place, values in enumerate(
        (standing.promotion, standing.usual, standing.ups, standing.downs, standing.moves)
    ):
        packed[:, 11 + place] = values
    return packed
