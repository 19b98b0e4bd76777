"""Fit the scorers of a ranking: leave one item of a cart out, and learn which it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import numpy as np
from joblib import Parallel, delayed

from mersalg.engine.arrays import Bools, Int32s, Int64s, Ragged
from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.native.signals import COMPLEMENT
from mersalg.engine.progress import Progress
from mersalg.engine.ranking.purchases import Carts, Past, Purchases
from mersalg.engine.ranking.ranking import Mode, Ranking, Scorer
from mersalg.training.keyed import distinct, look_up
from mersalg.training.networks import Plan, Rows, calibrated, fit_networks
from mersalg.training.reading.dataset import Dataset

T = TypeVar("T")
Moments = int | Int64s | None
"""Microseconds UTC: one for all examples, one for each, or none."""

_TEST_SEED = 7
_COLUMNS = ("hidden", "order", "customer", "at", "repeat")
_BATCH = 256
_THREADS = 2
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


@dataclass(frozen=True, slots=True)
class Examples:
    """Later orders with one item hidden; all arrays have shape (n,)."""

    carts: Carts
    """The other items."""
    hidden: Int32s
    order: Int64s
    customer: Int64s
    """Row of the purchases or -1."""
    at: Int64s
    """Moment of each order."""
    repeat: Bools
    """Whether the customer had bought the hidden item before the first of the later orders."""
    n_eligible: int
    """Orders with at least two known items, of which these were drawn."""

    def __len__(self) -> int:
        return len(self.hidden)

    def batches(self) -> Iterator[slice]:
        """Yield slices of all examples."""
        for start in range(0, len(self), _BATCH):
            yield slice(start, min(start + _BATCH, len(self)))

    def carts_of(self, part: slice) -> Carts:
        """Return the carts of a slice."""
        indptr = self.carts.indptr[part.start : part.stop + 1]
        return Ragged(indptr - indptr[0], self.carts.values[indptr[0] : indptr[-1]])

    def take(self, chosen: Int64s) -> Examples:
        """Return the examples at positions."""
        columns = {name: getattr(self, name)[chosen] for name in _COLUMNS}
        return replace(self, carts=self.carts.take(chosen), **columns)

    @staticmethod
    def joined(parts: Sequence[Examples]) -> Examples:
        """One after the other."""
        carts = Ragged.of_lengths(
            np.concatenate([part.carts.lengths for part in parts]),
            np.concatenate([part.carts.values for part in parts]),
        )
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS
        }
        return replace(parts[0], carts=carts, **columns)

    def past(self, part: slice, purchases: Purchases, known_until: Moments) -> Past:
        """Return what is known of customers before each order, or only before `known_until`."""
        now = self.at[part]
        until = now
        if known_until is not None:
            bound = known_until if isinstance(known_until, int) else known_until[part]
            until = np.minimum(now, bound)
        return Past.read(purchases, self.customer[part], now, until)

    def each_batch(
        self, work: Callable[[slice, Carts, Past], T], purchases: Purchases, known_until: Moments
    ) -> list[T]:
        """Return `work` of every batch, on both cores: the kernels let others run."""

        def one(part: slice) -> T:
            return work(part, self.carts_of(part), self.past(part, purchases, known_until))

        parallel = Parallel(n_jobs=_THREADS, prefer="threads", return_as="list")
        return cast(list[T], parallel(delayed(one)(part) for part in self.batches()))


def hide_one(
    later: Dataset,
    known: Bools,
    n_samples: int,
    bought_before: Int64s,
    *,
    seed: int = _TEST_SEED,
    only_new: bool = False,
) -> Examples:
    """Return up to `n_samples` orders that hold two known items or more, one of those hidden.

    `known` is bool (n_items,): the other items of an order are dropped. `bought_before` holds
    ascending keys `customer * n_items + item` of what customers bought earlier; with `only_new`
    what they had not bought is hidden, and orders without such are not drawn.
    """
    baskets = later.baskets
    entry_known = known[baskets.items]
    order_of_entry = baskets.owners()
    customer = later.customer[order_of_entry]
    repeat = np.zeros(len(entry_known), dtype=np.bool_)
    named = customer >= 0
    keys = customer[named] * baskets.n_items + baskets.items[named]
    repeat[named] = look_up(bought_before, keys)[1]
    n_known = np.bincount(order_of_entry[entry_known], minlength=baskets.n_orders)
    may_hide = entry_known & ~repeat if only_new else entry_known
    n_hidable = np.bincount(order_of_entry[may_hide], minlength=baskets.n_orders)
    eligible = np.flatnonzero((n_known >= 2) & (n_hidable >= 1))
    draw = np.random.RandomState(seed)
    chosen = eligible
    if len(eligible) > n_samples:
        chosen = np.sort(draw.choice(eligible, n_samples, replace=False))
    items: list[Int32s] = []
    hidden = np.zeros(len(chosen), dtype=np.int32)
    repeated = np.zeros(len(chosen), dtype=np.bool_)
    for index, order in enumerate(chosen.tolist()):
        entries = np.arange(baskets.indptr[order], baskets.indptr[order + 1])
        hidable = entries[may_hide[entries]]
        entry = hidable[draw.randint(len(hidable))]
        hidden[index], repeated[index] = baskets.items[entry], repeat[entry]
        rest = entries[entry_known[entries]]
        items.append(baskets.items[rest[rest != entry]])
    lengths = np.array([len(part) for part in items], dtype=np.int64)
    return Examples(
        Ragged.of_lengths(lengths, np.concatenate([np.zeros(0, dtype=np.int32), *items])),
        hidden,
        chosen.astype(np.int64),
        later.customer[chosen],
        later.ordered_at[chosen],
        repeated,
        len(eligible),
    )


def bought(dataset: Dataset) -> Int64s:
    """Ascending keys `customer * n_items + item` of what known customers bought."""
    baskets = dataset.baskets
    customer = np.repeat(dataset.customer, baskets.lengths)
    named = customer >= 0
    return distinct(customer[named] * baskets.n_items + baskets.items[named])


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
            most, only_new = N_EXAMPLES[mode] - sum(map(len, rounds)), mode == "discovery"
            drawn = hide_one(later, is_sold, most, earlier, seed=_SEED + turn, only_new=only_new)
            rounds.append(drawn)
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
        draws = draw.random(0 if n_negatives is None else len(carts) * native.most)
        hidden = examples.hidden[part]
        cart, item, signals = native.signals(carts, past, mode, hidden, n_others, draws)
        return Rows(signals, item == hidden[cart])

    parts = examples.each_batch(of_batch, purchases, known_until)
    none = Rows(np.zeros((0, len(COMPLEMENT)), dtype=np.float32), np.zeros(0, dtype=np.bool_))
    return Rows(*map(np.concatenate, zip(none, *parts, strict=True)))
