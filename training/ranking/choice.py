"""Choose the ranking to serve: the fitted one, or a simpler one better in the back-test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mersalg.engine.arrays import Int64s
from mersalg.engine.native.signals import COMPLEMENT
from mersalg.engine.ranking.ranking import MODES, Mode, Ranking, Scorer
from mersalg.training.ranking.hits import LIFTS, Tested

FITTED, RULES = "fitted", "rules"
_LITTLE = 1e-4
"""Of the logarithm of popularity: it orders what is otherwise equal."""
_SIMPLE: Mapping[str, Mapping[str, float]] = {
    "ease": {"weight": 1, "popular": _LITTLE / 100},
    "item_knn": {"cosine_log": 1, "popular": _LITTLE},
    "frequency": {"often": 1, "popular": _LITTLE},
    "popularity": {"popular": 1},
}
"""Weights of signals, of rankings that one signal makes: EASE, item-kNN (Sarwar et al., "Item-based
Collaborative Filtering Recommendation Algorithms", 2001), what the customer buys most, popularity.
"""
_SCALE = 4.0
"""Signals lie within 8 times it, where a `Scorer` clips them."""
_BETTER, _COST = 0.5, 0.25
"""Standard errors of hits by which a simpler ranking has to be better, and which keeping pairs
apart may cost: together less than one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The ranking to serve, and those it was compared with."""

    served: Mapping[Mode, str]
    """Name of the ranking of each mode: `fitted`, `rules` or a simple one."""
    scorers: Mapping[Mode, Scorer] | None
    """Those of the rankings; None where rules rank."""
    max_lift: float
    """Pairs are kept apart whose lift is surely not above it; below 0 none are."""
    found: Mapping[Mode, Mapping[str, int]]
    """Hits of each scorer in each mode, with no pairs kept apart."""


def choose(tested: Tested, ranking: Ranking, *, customers: bool) -> Choice:
    """Compare rankings on hidden items, at each of LIFTS.

    The fitted ranking is served, and without one the rules are, unless a simpler one finds more by
    half a standard error. Pairs are kept apart up to the greatest lift at which this costs the best
    ranking of each mode no more than a quarter of a standard error. `customers`: whether they are
    known, so that they have frequent items.
    """
    simple = simple_scorers()
    if not customers:
        del simple["frequency"]
    scorers: dict[Mode, dict[str, Scorer]] = {}
    hits: dict[Mode, dict[str, Int64s]] = {}
    for mode in MODES:
        fitted = {FITTED: ranking.scorers[mode]} if mode in ranking.scorers else {}
        scorers[mode] = fitted | simple
        if mode == "discovery":
            scorers[mode].pop("frequency", None)
        hits[mode] = tested.hits(ranking, scorers[mode], mode)
    best = {mode: max(each.values(), key=_unfiltered) for mode, each in hits.items()}
    level = next(
        index
        for index in range(len(LIFTS))
        if all(_costs_little(best[mode], index, len(tested.of_mode(mode)[0])) for mode in MODES)
    )

    def hits_at_level(level: int) -> dict[Mode, dict[str, int]]:
        return {mode: {name: int(n[level]) for name, n in hits[mode].items()} for mode in MODES}

    hits_at, unfiltered = hits_at_level(level), hits_at_level(-1)
    if not ranking.scorers:
        by_rules = tested.serving(LIFTS[level], None).by_rules()
        hits_at["complete"] = {RULES: by_rules} | hits_at["complete"]
    served: dict[Mode, str] = {
        mode: _best(hits_at[mode], len(tested.of_mode(mode)[0])) for mode in MODES
    }
    if served["complete"] == RULES:
        return Choice(dict.fromkeys(MODES, RULES), None, LIFTS[level], unfiltered)
    chosen: dict[Mode, Scorer] = {mode: scorers[mode][name] for mode, name in served.items()}
    for mode, name in served.items():
        if name != FITTED:
            chosen[mode] = tested.calibrated(ranking, chosen[mode], mode)
    return Choice(served, chosen, LIFTS[level], unfiltered)


def simple_scorers() -> dict[str, Scorer]:
    """Return the rankings that one signal makes; their scores are no probabilities yet."""
    scorers: dict[str, Scorer] = {}
    mean = np.zeros(len(COMPLEMENT), dtype=np.float32)
    for name, weights in _SIMPLE.items():
        column = np.array(
            [[_SCALE * weights.get(each, 0)] for each in COMPLEMENT], dtype=np.float32
        )
        bias = np.zeros(1, dtype=np.float32)
        scorers[name] = Scorer(mean, mean + np.float32(_SCALE), (column,), (bias,), 1.0, 0.0)
    return scorers


def _unfiltered(hits: Int64s) -> int:
    return int(hits[-1])


def _costs_little(hits: Int64s, level: int, n: int) -> bool:
    return _unfiltered(hits) - int(hits[level]) <= _COST * _error(_unfiltered(hits), n)


def _best(hits: Mapping[str, int], n: int) -> str:
    """Return the first of the rankings that is not worse than the best by more than chance."""
    best = max(hits.values())
    return next(name for name, each in hits.items() if best - each <= _BETTER * _error(best, n))


def _error(hits: int, n: int) -> float:
    """Return the standard error of the number of hits, of a binomial share."""
    return math.sqrt(hits * (1 - hits / n)) if n else 0.0
