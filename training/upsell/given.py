"""Tiers in the shop's own words, as ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.catalogue import UNKNOWN
from mersalg.engine.upsell.gains import compare_texts, is_step
from mersalg.training.numbers import parse_number

_MOST = np.iinfo(np.int16).max


def ranks_of(
    cells: Sequence[str], levels: Sequence[str]
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Rank of each cell's tier among all of the shop's, and which cells name none that is known.

    Words of `levels` ascend as they stand there; without them numbers do, and words of one of the
    known scales (small, medium, large). Empty cells are UNKNOWN and clear.
    """
    texts = sorted({cell.strip().casefold() for cell in cells} - {""})
    place: dict[str, float] = {}
    if levels:
        place = {level.strip().casefold(): float(rank) for rank, level in enumerate(levels)}
    else:
        numbers = {text: parse_number(text, ".") for text in texts}
        place = {text: number for text, number in numbers.items() if not np.isnan(number)}
        if not place:
            # A word's rank: how many of the others it is a step above.
            on_scale = [text for text in texts if any(is_step(text, other) for other in texts)]
            place = {
                text: float(sum(_above(text, other) for other in on_scale)) for text in on_scale
            }
    distinct = {value: rank for rank, value in enumerate(sorted({*place.values()})[:_MOST])}
    ranks = {text: distinct.get(value, UNKNOWN) for text, value in place.items()}
    words = [cell.strip().casefold() for cell in cells]
    found = [ranks.get(word, UNKNOWN) for word in words]
    unclear = [word != "" and word not in ranks for word in words]
    return np.array(found, dtype=np.int16), np.array(unclear, dtype=np.bool_)


def _above(text: str, other: str) -> bool:
    return is_step(other, text) and compare_texts(other, text) == "gain"
