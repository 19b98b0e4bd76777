"""Fitting the scorers of a ranking: which of the candidates was the one that was hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.native.signals import COMPLEMENT
from mersalg.engine.progress import Progress
from mersalg.engine.ranking.ranking import Mode, Ranking
from mersalg.engine.ranking.scorer import Scorer
from mersalg.training.networks import Plan, Rows, calibrated, fit_networks
from mersalg.training.ranking.examples import Examples, Moments, bought, hide_one

if TYPE_CHECKING:
    from mersalg.engine.ranking.purchases import Carts, Past, Purchases
    from mersalg.training.reading.dataset import Dataset

N_EXAMPLES: dict[Mode, int] = {"discovery": 18_000, "complete": 26_000}
"""Carts a scorer learns from, at most."""
MIN_EXAMPLES = 400
"""Fewer say too little: such a shop is served by its rules."""
_NEGATIVES = 20
"""Candidates of each cart that were not bought and that are learned from, drawn at random."""
_HELD_OUT = 0.15
CALIBRATION = 1_500
"""Share of the orders that are held out, and their carts at most: on them a fit sees when to end,
and all of their candidates calibrate it."""
_TURNS = 4
"""Times an order may be drawn, each time with an item hidden by a new lot."""
_LAYERS: dict[Mode, tuple[int, ...]] = {"discovery": (32, 16), "complete": (64, 32)}
_PENALTY: dict[Mode, float] = {"discovery": 0.03, "complete": 0.003}
"""What customers have never bought leaves fewer traces: a larger network would learn noise."""
_NETWORKS: dict[Mode, int] = {"discovery": 3, "complete": 1}
_MAX_NETWORKS = 3
_FEW_EXAMPLES = 6_000
"""Networks of other first weights whose mean counts, and how many where examples are few: the
fewer the traces, the more it steadies."""
_MAX_STALE = 80 * MICROS_PER_DAY
"""Microseconds that what is known of a customer may lie back."""
_SEED = 11


def fit_scorers(
    base: Ranking, before: Dataset, later: Dataset, purchases: Purchases, progress: Progress
) -> dict[Mode, Scorer] | None:
    """Return a scorer for each mode; None where `later` holds too few orders to learn from.

    Where customers have bought nearly all there is, what is new to them is too little to learn
    from: then discovery is weighed like the rest. `base` is of the orders `before` a moment;
    `later` are those after it, and `purchases` are of both.
    """
    earlier = bought(before)
    is_sold = base.signals.n_orders > 0
    scorers: dict[Mode, Scorer] = {}
    modes: tuple[Mode, ...] = ("complete", "discovery")
    for mode in modes:
        rounds: list[Examples] = []
        for turn in range(_TURNS):
            rounds.append(
                hide_one(
                    later,
                    is_sold,
                    N_EXAMPLES[mode] - sum(map(len, rounds)),
                    earlier,
                    seed=_SEED + turn,
                    only_new=mode == "discovery",
                )
            )
            if len(rounds[0]) < MIN_EXAMPLES:
                break
        examples = Examples.joined(rounds)
        if len(examples) < MIN_EXAMPLES:
            if mode == "complete":
                return None
            scorers[mode] = scorers["complete"]
            continue
        with progress.task(f"Fitting the {mode} ranker"):
            scorers[mode] = _fit(base, mode, examples, purchases)
    return scorers


def _fit(base: Ranking, mode: Mode, examples: Examples, purchases: Purchases) -> Scorer:
    # An order may be drawn several times: all of it is held out, or none.
    orders = np.random.default_rng(_SEED).permutation(np.unique(examples.order))
    share = min(_HELD_OUT, CALIBRATION / len(examples))
    is_held_out = np.isin(examples.order, orders[: max(int(share * len(orders)), 1)])
    held_out = examples.take(np.flatnonzero(is_held_out))
    learned = np.random.default_rng(_SEED).permutation(np.flatnonzero(~is_held_out))
    # Half see all that was bought up to the checkout, half only what was known some time before:
    # shops that do not report purchases are served by what they knew when they trained.
    fresh, stale = (examples.take(np.sort(half)) for half in (learned[::2], learned[1::2]))
    delay = np.random.default_rng(_SEED).integers(0, _MAX_STALE, len(stale), dtype=np.int64)
    parts = [
        rows_of(base, mode, fresh, purchases, None, _NEGATIVES),
        rows_of(base, mode, stale, purchases, stale.at - delay, _NEGATIVES),
    ]
    plan = Plan(
        _LAYERS[mode],
        penalty=_PENALTY[mode],
        rate=3e-3,
        batch_size=2048,
        networks=_MAX_NETWORKS if len(examples) < _FEW_EXAMPLES else _NETWORKS[mode],
        seed=_SEED,
    )
    scorer = fit_networks(
        plan,
        Rows(*map(np.concatenate, zip(*parts, strict=True))),
        rows_of(base, mode, held_out, purchases, None, _NEGATIVES),
    )
    return calibrated(scorer, rows_of(base, mode, held_out, purchases, None, None))


def rows_of(
    base: Ranking,
    mode: Mode,
    examples: Examples,
    purchases: Purchases,
    known_until: Moments,
    n_negatives: int | None,
) -> Rows:
    """Return the signals of candidates and whether each was hidden.

    They are the hidden items and `n_negatives` of the others of a cart, or all.
    """
    native, n_others = base.native(), np.inf if n_negatives is None else n_negatives

    def of_batch(part: slice, carts: Carts, past: Past) -> Rows:
        draw = np.random.default_rng([_SEED, part.start])
        draws = draw.random(0 if n_negatives is None else carts.n_carts * native.most)
        hidden = examples.hidden[part]
        cart, item, signals = native.signals(carts, past, mode, hidden, n_others, draws)
        return Rows(signals, item == hidden[cart])

    parts = examples.each_batch(of_batch, purchases, known_until)
    none = Rows(np.zeros((0, len(COMPLEMENT)), dtype=np.float32), np.zeros(0, dtype=np.bool_))
    return Rows(*map(np.concatenate, zip(none, *parts, strict=True)))
