"""Fits the two models of upsell: which better item is taken, and whether any is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Float32s, Float64s, Int64s
from mersalg.engine.ranking.ranking import Scorer
from mersalg.engine.upsell.likelihood import Likelihood
from mersalg.engine.upsell.tiers import Ladders
from mersalg.training.networks import Plan, Rows, calibrated, fit_networks
from mersalg.training.reading.dataset import Dataset
from mersalg.training.upsell.events import MAX_RATIO, MIN_RATIO, Questions, Turns, questions_of
from mersalg.training.upsell.memory import Memory, facts_of

SEED = 11
_NEGATIVES = 10.0
PLAN = Plan((32, 16), penalty=0.003, rate=2e-3, batch_size=1024, networks=1, seed=SEED)
HELD_OUT = 0.15
"""Share of the questions that are held out: on them a fit sees when to end, and is calibrated."""
_SLOPES = np.geomspace(0.2, 3.0, 55)
MIN_UPGRADES, MIN_TURNS = 300, 1_000
"""Fewer say too little: such a shop's upgrades are ordered by popularity and price."""
MAX_UPGRADES, MAX_TURNS = 30_000, 70_000
WARM_UP = 0.15
"""Share of the time that only teaches what there is to know, and is not learned from."""
_UNKNOWN_BUYERS = 0.15
"""Share of the questions asked as if nobody knew the customer, so that guests can be answered."""


def shares(raw: NDArray[np.floating], questions: Questions, slope: float) -> Float64s:
    """P(this item | an upgrade), float64 (n_rows,); the rows of each question add up to one."""
    if not len(raw):
        return np.zeros(0)
    owner = questions.owner
    value = np.asarray(raw, dtype=np.float64) * slope
    top = np.full(len(questions.base), -np.inf)
    np.maximum.at(top, owner, value)
    odds = np.exp(value - top[owner])
    return odds / np.bincount(owner, odds, len(questions.base))[owner]


def fit_which(features: Float32s, taken: Bools, questions: Questions) -> Scorer:
    """Fit the share of each better item among those of its question.

    `features` are float32 (n_rows, n_signals); `taken` is bool (n_rows,), one of each question's.
    """
    draw = np.random.default_rng(SEED)
    apart = draw.random(len(questions.base)) < HELD_OUT
    owner = questions.owner
    chance = _NEGATIVES / np.maximum(np.diff(questions.indptr), 1)
    drawn = taken | (draw.random(len(owner)) < chance[owner])
    learned, held_out = (
        Rows(features[rows], taken[rows]) for rows in (drawn & ~apart[owner], drawn & apart[owner])
    )
    scorer = fit_networks(PLAN, learned, held_out)
    raw = scorer.raw(features)
    hidden = np.flatnonzero(taken & apart[owner])
    if not len(hidden):
        return scorer
    fit = [float(np.log(shares(raw, questions, slope)[hidden] + 1e-12).mean()) for slope in _SLOPES]
    return replace(scorer, slope=float(_SLOPES[int(np.argmax(fit))]))


def fit_whether(features: Float32s, went_up: Bools) -> Scorer:
    """`features` are float32 (n_turns, n_signals), `went_up` bool (n_turns,)."""
    apart = np.random.default_rng(SEED).random(len(went_up)) < HELD_OUT
    learned, held_out = (Rows(features[rows], went_up[rows]) for rows in (~apart, apart))
    scorer = fit_networks(replace(PLAN, networks=2), learned, held_out)
    return calibrated(scorer, held_out)


@dataclass(frozen=True, slots=True)
class Asker:
    """Ladders and prices with everything that happened on them."""

    memory: Memory
    ladders: Ladders
    price: NDArray[np.floating]
    min_ratio: float = MIN_RATIO
    max_ratio: float = MAX_RATIO

    @property
    def turns(self) -> Turns:
        """Purchases of an item that has a ladder."""
        return self.memory.turns

    def upgrades(self) -> Bools:
        """Return the mask of turns to a dearer tier at a price inside the band."""
        turns = self.turns
        ratio = self.price[turns.item] / self.price[turns.base]
        inside = (ratio >= self.min_ratio - 1e-9) & (ratio <= self.max_ratio + 1e-9)
        return self.goes_up() & inside

    def goes_up(self) -> Bools:
        """Return the mask of turns to a dearer tier."""
        turns, tier = self.turns, self.ladders.tier
        return tier[turns.item] > tier[turns.base]

    def below_top(self) -> Bools:
        """Return the turns whose base has a tier above it."""
        ladders = self.ladders
        top = np.zeros(max(ladders.n_ladders, 1), dtype=np.int16)
        members = ladders.members.values
        np.maximum.at(top, ladders.family[members], ladders.tier[members])
        base = self.turns.base
        return ladders.tier[base] < top[ladders.family[base]]

    def which(self, chosen: Int64s) -> Scorer | None:
        """Return the model of which better item is taken; None where too few were."""
        chosen = drawn(chosen, MAX_UPGRADES)
        if len(chosen) < MIN_UPGRADES:
            return None
        turns = self.turns.take(chosen)
        asked = self.ask(turns)
        taken = asked.sibling == turns.item[asked.owner]
        _, rows = self.memory.signals(_some_unknown(turns.customer), asked, turns.seconds)
        return fit_which(rows, taken, asked)

    def whether(self, chosen: Int64s, went_up: Bools) -> Scorer | None:
        """Return the model of whether a turn goes up; `went_up` is bool, of all turns."""
        chosen = drawn(chosen, MAX_TURNS)
        labels = went_up[chosen]
        if len(chosen) < MIN_TURNS or labels.sum() < 50:
            return None
        turns = self.turns.take(chosen)
        signals, _ = self.memory.signals(
            _some_unknown(turns.customer), self.ask(turns), turns.seconds
        )
        return fit_whether(signals, labels)

    def ask(self, turns: Turns) -> Questions:
        """Return the better items that each turn could have taken."""
        return questions_of(turns.base, self.ladders, self.price, self.min_ratio, self.max_ratio)


def fit_likelihood(
    dataset: Dataset, ladders: Ladders, price: NDArray[np.floating], band: tuple[float, float]
) -> Likelihood | None:
    """Return both models and what is known at the last order; None where histories say too little.

    `price`: (n_items,) minor units, at most 0 where not known. `band`: least and largest price of
    an upgrade, in prices of what it replaces.
    """
    if not len(dataset.customer_ids) or not (dataset.ordered_at > 0).any():
        return None
    facts = facts_of(dataset.catalogue, ladders, price)
    memory = Memory.of(dataset, ladders, facts)
    asker = Asker(memory, ladders, price, *band)
    seconds = memory.turns.seconds
    end = int((dataset.ordered_at.max() - dataset.ordered_at.min()) // 1_000_000)
    warm = seconds >= WARM_UP * end
    upgrades = asker.upgrades()
    which = asker.which(np.flatnonzero(upgrades & warm))
    if which is None:
        return None
    whether = asker.whether(np.flatnonzero(asker.below_top() & warm), upgrades)
    if whether is None:
        return None
    return Likelihood(facts, memory.standing(end + 1), which, whether)


def drawn(chosen: Int64s, most: int) -> Int64s:
    """Return at most so many, drawn without replacement, ascending."""
    if len(chosen) <= most:
        return chosen
    return np.sort(np.random.default_rng(SEED).choice(chosen, most, replace=False))


def _some_unknown(customer: Int64s) -> Int64s:
    unknown = np.random.default_rng(SEED + 1).random(len(customer)) < _UNKNOWN_BUYERS
    return np.where(unknown, -1, customer)
