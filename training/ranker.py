"""Fitting the scorers of a ranking: which of the candidates was the one that was hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.native.signals import COMPLEMENT
from mersalg.engine.progress import Progress
from mersalg.engine.ranking.ranking import Mode, Ranking
from mersalg.engine.ranking.scorer import Scorer
from mersalg.training.epochs import chosen_epochs
from mersalg.training.ranking.examples import Examples, Moments, bought, hide_one
from mersalg.training.ranking.signals import purchases_of

if TYPE_CHECKING:
    from mersalg.engine.ranking.purchases import Carts, Past, Purchases
    from mersalg.training.dataset import Dataset

N_EXAMPLES: dict[Mode, int] = {"discovery": 18_000, "complete": 26_000}
"""Carts a scorer learns from, at most."""
LEAST_EXAMPLES = 400
"""Fewer say too little: such a shop is served by its rules."""
_NEGATIVES = 20
"""Candidates of each cart that were not bought and that are learned from, drawn by lot."""
_CALIBRATION = 0.15
CALIBRATION = 1_500
"""Share of the carts kept apart for calibration, and at most; all of their candidates count."""
_TURNS = 4
"""Times an order may be drawn, each time with an item hidden by a new lot."""
_LAYERS: dict[Mode, tuple[int, ...]] = {"discovery": (32, 16), "complete": (64, 32)}
_PENALTY: dict[Mode, float] = {"discovery": 0.03, "complete": 0.003}
_EPOCHS: dict[Mode, int] = {"discovery": 6, "complete": 8}
"""What customers have never bought leaves fewer traces: a larger network would learn noise."""
_NETWORKS: dict[Mode, int] = {"discovery": 3, "complete": 1}
_MOST_NETWORKS = 3
_FEW_EXAMPLES = 6_000
"""Networks of other first weights whose mean counts, and how many where examples are few: the
fewer the traces, the more it steadies."""
_MOST_STALE = 80 * MICROS_PER_DAY
"""Microseconds that what is known of a customer may lie back."""
_SEED = 11


@dataclass(frozen=True, slots=True)
class _Rows:
    features: NDArray[np.float32]
    is_hidden: NDArray[np.bool_]


def fit_scorers(
    base: Ranking, before: Dataset, later: Dataset, progress: Progress
) -> dict[Mode, Scorer] | None:
    """Return a scorer for each mode; None where `later` holds too few orders to learn from.

    Where customers have bought nearly all there is, what is new to them is too little to learn
    from: then discovery is weighed like the rest.

    Parameters
    ----------
    base
        Item-item models and signals of `before`.
    before, later
        Orders up to a moment, and those after it; the same customers.
    """
    joined = _joined_purchases(before, later)
    earlier = bought(before)
    known = base.signals.n_orders > 0
    scorers: dict[Mode, Scorer] = {}
    modes: tuple[Mode, ...] = ("complete", "discovery")
    for mode in modes:
        rounds: list[Examples] = []
        for turn in range(_TURNS):
            rounds.append(
                hide_one(
                    later,
                    known,
                    N_EXAMPLES[mode] - sum(map(len, rounds)),
                    earlier,
                    seed=_SEED + turn,
                    only_new=mode == "discovery",
                )
            )
            if len(rounds[0]) < LEAST_EXAMPLES:
                break
        examples = Examples.joined(rounds)
        if len(examples) < LEAST_EXAMPLES:
            if mode == "complete":
                return None
            scorers[mode] = scorers["complete"]
            continue
        with progress.task(f"Fitting the {mode} ranker"):
            scorers[mode] = _fit(base, mode, examples, joined)
    return scorers


def _joined_purchases(before: Dataset, later: Dataset) -> Purchases:
    from dataclasses import replace

    from mersalg.engine.orders import Baskets

    joined = replace(
        before,
        ordered_at=np.concatenate([before.ordered_at, later.ordered_at]),
        customer=np.concatenate([before.customer, later.customer]),
        baskets=Baskets(
            np.concatenate(
                [before.baskets.indptr, later.baskets.indptr[1:] + len(before.baskets.items)]
            ),
            np.concatenate([before.baskets.items, later.baskets.items]),
            before.baskets.n_items,
        ),
    )
    return purchases_of(joined)


def _fit(base: Ranking, mode: Mode, examples: Examples, purchases: Purchases) -> Scorer:
    from sklearn.neural_network import MLPClassifier

    shuffled = np.random.default_rng(_SEED).permutation(len(examples))
    n_calibration = min(int(_CALIBRATION * len(examples)), CALIBRATION)
    kept_apart = examples.take(np.sort(shuffled[:n_calibration]))
    learned = shuffled[n_calibration:]
    # Half see all that was bought up to the checkout, half only what was known some time before:
    # shops that do not report purchases are served by what they knew when they trained.
    fresh, stale = (examples.take(np.sort(half)) for half in (learned[::2], learned[1::2]))
    delay = np.random.default_rng(_SEED).integers(0, _MOST_STALE, len(stale), dtype=np.int64)
    parts = [
        rows_of(base, mode, fresh, purchases, None, _NEGATIVES),
        rows_of(base, mode, stale, purchases, stale.at - delay, _NEGATIVES),
    ]
    features = np.concatenate([part.features for part in parts])
    is_hidden = np.concatenate([part.is_hidden for part in parts])
    mean = features.mean(axis=0)
    scale = features.std(axis=0)
    scale[scale < 1e-6] = 1
    standardised = np.clip((features - mean) / scale, -8, 8)
    networks = [
        MLPClassifier(
            _LAYERS[mode],
            alpha=_PENALTY[mode],
            batch_size=2048,
            learning_rate_init=3e-3,
            max_iter=_EPOCHS[mode],
            random_state=_SEED + place,
        )
        for place in range(_MOST_NETWORKS if len(examples) < _FEW_EXAMPLES else _NETWORKS[mode])
    ]
    with chosen_epochs():
        for network in networks:
            network.fit(standardised, is_hidden)
    weights, biases = side_by_side([(each.coefs_, each.intercepts_) for each in networks])
    scorer = Scorer(mean, scale, weights, biases, 1.0, 0.0)
    return calibrated(scorer, rows_of(base, mode, kept_apart, purchases, None, None))


_Layers = Sequence[NDArray[np.floating]]


def side_by_side(
    networks: Sequence[tuple[_Layers, _Layers]],
) -> tuple[tuple[NDArray[np.float32], ...], tuple[NDArray[np.float32], ...]]:
    """One network whose output is the mean of those of `networks`, (weights, biases) each."""
    from scipy.linalg import block_diag

    weights, biases = zip(*networks, strict=True)
    last, share = len(weights[0]) - 1, np.float32(1 / len(networks))
    joined_weights: list[NDArray[np.float32]] = []
    joined_biases: list[NDArray[np.float32]] = []
    for layer, (parts, shifts) in enumerate(
        zip(zip(*weights, strict=True), zip(*biases, strict=True), strict=True)
    ):
        if layer == last:
            # Stacked columns add the outputs up.
            joined_weights.append((np.vstack(parts) * share).astype(np.float32))
            joined_biases.append((np.sum(shifts, axis=0) * share).astype(np.float32))
        else:
            joined = np.hstack(parts) if layer == 0 else block_diag(*parts)
            joined_weights.append(joined.astype(np.float32))
            joined_biases.append(np.concatenate(shifts).astype(np.float32))
    return tuple(joined_weights), tuple(joined_biases)


def calibrated(scorer: Scorer, rows: _Rows) -> Scorer:
    """Return the scorer with the slope and intercept under which the scores of `rows` come true."""
    from dataclasses import replace

    from sklearn.linear_model import LogisticRegression

    if len(np.unique(rows.is_hidden)) < 2:
        return scorer
    raw = scorer.raw(rows.features)
    platt = LogisticRegression(C=1e6).fit(raw[:, None], rows.is_hidden)
    # Whatever few examples say, what ranks higher is not less likely.
    slope = max(float(platt.coef_[0, 0]), 1e-3)
    return replace(scorer, slope=slope, intercept=float(platt.intercept_[0]))


def rows_of(
    base: Ranking,
    mode: Mode,
    examples: Examples,
    purchases: Purchases,
    known_until: Moments,
    n_negatives: int | None,
) -> _Rows:
    """Return the signals of candidates and whether each was hidden.

    They are the hidden items and `n_negatives` of the others of a cart, or all.
    """
    native, n_others = base.native(), np.inf if n_negatives is None else n_negatives

    def of_batch(part: slice, carts: Carts, past: Past) -> _Rows:
        draw = np.random.default_rng([_SEED, part.start])
        draws = draw.random(0 if n_negatives is None else carts.n_carts * native.most)
        hidden = examples.hidden[part]
        cart, item, signals = native.signals(carts, past, mode, hidden, n_others, draws)
        return _Rows(signals, item == hidden[cart])

    parts = examples.each_batch(of_batch, purchases, known_until)
    none = _Rows(np.zeros((0, len(COMPLEMENT)), dtype=np.float32), np.zeros(0, dtype=np.bool_))
    return _Rows(
        np.concatenate([part.features for part in (none, *parts)]),
        np.concatenate([part.is_hidden for part in (none, *parts)]),
    )
