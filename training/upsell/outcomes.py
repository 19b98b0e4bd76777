"""Upgrades as buyers answered them: the scores of shown offers set against what was bought.

Offers were made by earlier versions, whose scores were perhaps calibrated on offers before them:
that is taken back first, so that calibrating again and again does not add up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np

from mersalg.engine.arrays import Bools, Float64s
from mersalg.engine.config import TrackingSection
from mersalg.engine.errors import ModelError
from mersalg.engine.model import Model
from mersalg.engine.registry import Registry
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import Store, open_existing_store
from mersalg.engine.tracking.attribution import outcomes
from mersalg.engine.tracking.history import build_history
from mersalg.engine.tracking.query import DEFAULT_BOT_RATE
from mersalg.engine.upsell.likelihood import Likelihood, log_odds
from mersalg.engine.words import counted
from mersalg.training.networks import fit_platt

MIN_SHOWN, MIN_CONVERTED = 1_000, 50
_MAX_READ = 50_000


Platt = tuple[float, float]
"""Slope and intercept on log-odds by which a version's scores were calibrated on offers."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Shown upsell offers: the odds each was made with, and whether it converted; shape (n,).

    `odds` are logarithms, as customers' histories alone gave them.
    """

    odds: Float64s
    converted: Bools

    @property
    def enough(self) -> bool:
        """Whether there are enough offers to calibrate on."""
        return len(self.odds) >= MIN_SHOWN and int(self.converted.sum()) >= MIN_CONVERTED


def outcomes_from_facts(
    store: Store, platt_of: Callable[[str], Platt | None], tracking: TrackingSection
) -> Answers:
    """Return the last shown upsell offers of a database, judged as reports judge them.

    `platt_of`: how a version calibrated its scores; None for one whose scores mean something else
    or that is no longer there: its offers are left out.
    """
    facts = store.facts.read(FactScope())
    vouched = tracking.count == "vouched"
    history = build_history(facts, DEFAULT_BOT_RATE, only_vouched=vouched)
    days = tracking.attribution_window_days, tracking.checkout_days
    shown = [
        outcome
        for outcome in outcomes(history, tracking.impressions, *days).values()
        if outcome.shown and outcome.placed.offer.kind == "upsell"
    ]
    shown.sort(key=lambda outcome: outcome.placed.recency)
    odds: list[float] = []
    converted: list[bool] = []
    for outcome in shown[-_MAX_READ:]:
        # Only the whole decision tells the score an offer was made with.
        decision = store.facts.decision(outcome.placed.decision.decision_id)
        platt = platt_of(decision.model_version or "") if decision is not None else None
        if decision is None or platt is None:
            continue
        wanted, (slope, intercept) = outcome.placed.offer.offer_id, platt
        for offer in decision.offers:
            if offer.offer_id == wanted and offer.score > 0:
                odds.append((float(log_odds(np.array(offer.score))) - intercept) / slope)
                converted.append(outcome.converted)
    return Answers(np.array(odds), np.array(converted, dtype=np.bool_))


def recalibrated(likelihood: Likelihood, answers: Answers) -> Likelihood:
    """With the log-odds at which shown offers were taken (Platt, 1999).

    Raises ValueError: the answers are too few.
    """
    if not answers.enough:
        raise ValueError(f"{counted(len(answers.odds), 'shown offer')}: too few")
    # Scores that turned out upside down say nothing: then only the level is taken over.
    slope, intercept = fit_platt(answers.odds, answers.converted, least_slope=0.05)
    return replace(likelihood, offer_slope=slope, offer_intercept=intercept)


def with_outcomes(model: Model, url: str, registry: Registry) -> tuple[Model, list[str]]:
    """Return the model calibrated on a database's offers, and what kept it from being so.

    `registry` holds the versions the offers were made by.

    Raises StorageError: the database cannot be read.
    """
    if model.likelihood is None:
        return model, ["outcomes are not used: customers' histories were too few to fit upgrades"]
    store = open_existing_store(url)
    try:
        platt_of = lru_cache(None)(partial(_platt_of, registry))
        answers = outcomes_from_facts(store, platt_of, model.settings.tracking)
    finally:
        store.close()
    if not answers.enough:
        return model, [
            "outcomes are not used: of versions still here"
            f" {counted(len(answers.odds), 'shown upsell offer')} and"
            f" {counted(int(answers.converted.sum()), 'conversion')} are recorded;"
            f" {MIN_SHOWN:,} and {MIN_CONVERTED:,} are needed"
        ]
    return replace(model, likelihood=recalibrated(model.likelihood, answers)), []


def _platt_of(registry: Registry, version: str) -> Platt | None:
    """None where the version is gone, or scored upgrades by popularity."""
    try:
        likelihood = registry.load(version).likelihood
    except ModelError:
        return None
    return (likelihood.offer_slope, likelihood.offer_intercept) if likelihood else None
