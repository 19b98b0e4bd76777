"""How likely an upgrade is, and to which item: two fitted models, served as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.ranking.purchases import Past
from engine.ranking.scorer import Scorer
from engine.upsell.history import History
from engine.upsell.signals import Now, Questions, moves_from_past, signals
from engine.upsell.standing import Facts, Standing


def shares(raw: NDArray[np.floating], questions: Questions, slope: float) -> NDArray[np.float64]:
    """P(this item | an upgrade), float64 (n_rows,); the rows of each question add up to one."""
    if not len(raw):
        return np.zeros(0)
    owner = questions.owner
    value = np.asarray(raw, dtype=np.float64) * slope
    top = np.full(len(questions.base), -np.inf)
    np.maximum.at(top, owner, value)
    odds = np.exp(value - top[owner])
    return odds / np.bincount(owner, odds, len(questions.base))[owner]


def log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    bounded = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.log(bounded / (1 - bounded))


@dataclass(frozen=True, slots=True)
class Likelihood:
    """WHICH and WHETHER, and all they look at.

    Attributes:
        which: its `slope` sharpens the shares of a question's items (a conditional logit).
        whether: calibrated by Platt's method.
        offer_slope, offer_intercept: turn the log-odds of the product into those at which offers
            shown were taken; 1 and 0 until enough offers have been.
    """

    facts: Facts
    standing: Standing
    which: Scorer
    whether: Scorer
    offer_slope: float = 1.0
    offer_intercept: float = 0.0

    def of_cart(self, past: Past, questions: Questions) -> NDArray[np.float64]:
        """P(upgrade | customer, base) x P(item | upgrade), float64 (n_rows,), for one cart."""
        history = History.of_cart(
            past, questions.base.tolist(), self.facts.category, self.facts.level
        )
        whether, which = self.odds(history, questions)
        return self.as_offered(whether[questions.owner] * which)

    def as_offered(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """By how offers that were shown were taken; the same shape."""
        if self.offer_slope == 1.0 and self.offer_intercept == 0.0:
            return score
        odds = self.offer_slope * log_odds(score) + self.offer_intercept
        return 1.0 / (1.0 + np.exp(-np.clip(odds, -30, 30)))

    def odds(
        self, history: History, questions: Questions
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(P(upgrade) of each question, P(item | upgrade) of each row)."""
        asked, rows = signals(self.facts, history, questions, self.now(history, questions))
        return self.whether.probability(asked), shares(
            self.which.raw(rows), questions, self.which.slope
        )

    def now(self, history: History, questions: Questions) -> Now:
        standing, base, sibling = self.standing, questions.base, questions.sibling
        return Now(
            standing.orders[base],
            standing.promotion[base],
            standing.usual[base],
            standing.ups[base],
            standing.downs[base],
            standing.moves[base],
            standing.orders[sibling],
            standing.promotion[sibling],
            standing.usual[sibling],
            standing.times_moved(base[questions.owner], sibling),
            moves_from_past(
                self.facts.ladder,
                history,
                questions,
                lambda item, sibling, _question: standing.times_moved(item, sibling),
            ),
        )
