"""Upgrades as buyers answered them: the scores of shown offers set against what was bought."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.model import Model
from engine.storage.sql import open_store
from engine.storage.store import FactScope, Store
from engine.tracking.attribution import Impressions, outcomes
from engine.tracking.reading import build_history
from engine.upsell.likelihood import Likelihood, log_odds

LEAST_SHOWN, LEAST_CONVERTED = 1_000, 50
_MOST_READ = 50_000


@dataclass(frozen=True, slots=True)
class Answers:
    """Shown upsell offers: the score each was made with, and whether it converted; shape (n,)."""

    score: NDArray[np.float64]
    converted: NDArray[np.bool_]

    @property
    def enough(self) -> bool:
        return len(self.score) >= LEAST_SHOWN and int(self.converted.sum()) >= LEAST_CONVERTED


def outcomes_from_facts(
    store: Store, impressions: Impressions = "viewed", window_days: int = 0
) -> Answers:
    """The last shown upsell offers of a database, judged as reports judge them."""
    history = build_history(store.facts(FactScope()))
    shown = [
        found
        for found in outcomes(history, impressions, window_days).values()
        if found.shown and found.placed.offer.kind == "upsell"
    ]
    shown.sort(key=lambda found: found.placed.recency)
    scores: list[float] = []
    converted: list[bool] = []
    for found in shown[-_MOST_READ:]:
        # Only the whole decision tells the score an offer was made with.
        decision = store.decision(found.placed.decision.decision_id)
        wanted = found.placed.offer.offer_id
        for offer in decision.offers if decision is not None else ():
            if offer.offer_id == wanted and offer.score > 0:
                scores.append(offer.score)
                converted.append(found.converted)
    return Answers(np.array(scores), np.array(converted, dtype=np.bool_))


def recalibrated(likelihood: Likelihood, answers: Answers) -> Likelihood:
    """With the log-odds at which shown offers were taken (Platt, 1999).

    Raises:
        ValueError: the answers are too few.
    """
    from sklearn.linear_model import LogisticRegression

    if not answers.enough:
        raise ValueError(f"{len(answers.score)} shown offers are too few")
    odds = log_odds(answers.score)[:, None]
    platt = LogisticRegression(C=1e6).fit(odds, answers.converted)
    # Scores that turned out upside down say nothing: then only the level is taken over.
    slope = max(float(platt.coef_[0, 0]), 0.05)
    return replace(likelihood, offer_slope=slope, offer_intercept=float(platt.intercept_[0]))


def with_outcomes(model: Model, url: str) -> tuple[Model, list[str]]:
    """The model calibrated on a database's offers, and what kept it from being so.

    Raises:
        StorageError: the database cannot be read.
    """
    if model.likelihood is None:
        return model, ["outcomes are not used: customers' histories were too few to fit upgrades"]
    store = open_store(url)
    try:
        tracking = model.settings.tracking
        answers = outcomes_from_facts(store, tracking.impressions, tracking.attribution_window_days)
    finally:
        store.close()
    if not answers.enough:
        return model, [
            f"outcomes are not used: {len(answers.score):,} upsell offers were shown and"
            f" {int(answers.converted.sum()):,} converted; {LEAST_SHOWN:,} and"
            f" {LEAST_CONVERTED:,} are needed"
        ]
    return replace(model, likelihood=recalibrated(model.likelihood, answers)), []
