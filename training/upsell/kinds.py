"""Words that say what a thing is (mug, doormat), told from those of its design (retrospot, heart).

Things of one kind cost much the same, while a design is put on wraps and on doormats.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mersalg.training.upsell.names import words_of

ENOUGH = 5
"""Names with a word, before their prices say whether it names a kind."""
WIDE = 0.75
"""Spread of log price, beside that of the whole catalogue, from which a word is no kind."""


def design_words(stems: Sequence[str], price_minor: NDArray[np.floating]) -> frozenset[str]:
    """Words whose names cost nearly as differently as any.

    Parameters
    ----------
    price_minor : float64 (n,)
        The usual price of each stem, NaN where none is known.
    """
    known = np.log(price_minor[price_minor > 0])
    spread = float(known.std()) if len(known) else 0.0
    if spread <= 0:
        return frozenset()
    prices: dict[str, list[float]] = {}
    for stem, price in zip(stems, price_minor.tolist(), strict=True):
        if price > 0:
            for word in {*words_of(stem)}:
                prices.setdefault(word, []).append(price)
    return frozenset(
        word
        for word, found in prices.items()
        if len(found) >= ENOUGH and float(np.log(found).std()) >= WIDE * spread
    )


def share_a_kind(
    stems: Sequence[str], pairs: NDArray[np.int64], designs: frozenset[str]
) -> NDArray[np.bool_]:
    """Bool (n_pairs,): whether two names share a word that is more than a design.

    Names that share no whole word (`pannekake`, `pannekaker`) are judged by their letters alone.
    """
    words = [{*words_of(stem)} for stem in stems]
    answers = [
        not (shared := words[left] & words[right]) or not shared <= designs
        for left, right in pairs.tolist()
    ]
    return np.array(answers, dtype=np.bool_)
