"""The signals of questions asked in the past, from nothing but what was known by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.ranking.purchases import NEVER
from engine.upsell.history import History
from engine.upsell.packs import packs_of
from engine.upsell.signals import Floats, Now, Questions, moves_from_past, signals
from engine.upsell.standing import PROMOTION_DAYS, WINDOWS, Facts, Standing
from engine.upsell.tiers import Ladders
from training.upsell.events import Integers, Purchased, Turns, purchased, turns_of
from training.upsell.timeline import Timeline

if TYPE_CHECKING:
    from training.dataset import Dataset

_DAY = 86_400
_BATCH = 20_000


def facts_of(catalogue: Catalogue, ladders: Ladders, price: NDArray[np.floating]) -> Facts:
    """`price` is float64 (n_items,), minor units, at most 0 where not known."""
    known = price > 0
    log_price = np.where(known, np.log(np.where(known, price, 1.0)), 0.0)
    level = np.zeros(len(price))
    members, owner = ladders.members.values, ladders.members.owners()
    size = np.maximum(ladders.members.lengths, 1)
    mean = np.bincount(owner, log_price[members], ladders.n_ladders) / size
    off = log_price[members] - mean[owner]
    spread = np.sqrt(np.bincount(owner, off**2, ladders.n_ladders) / size)
    level[members] = off / np.maximum(spread[owner], 0.05)
    brand = catalogue.attributes.get("brand")
    codes = np.full(len(price), -1, dtype=np.int32)
    if brand is not None:
        texts = np.array(list(brand), dtype=object)
        distinct, inverse = np.unique(texts, return_inverse=True)
        codes = np.where(distinct[inverse] == "", -1, inverse).astype(np.int32)
    # Where the shop gives no categories, a ladder is a category of its own.
    n_categories = len(catalogue.category_names)
    alone = np.where(ladders.family >= 0, ladders.family + n_categories, -1)
    category = np.where(catalogue.category >= 0, catalogue.category, alone).astype(np.int32)
    packs = packs_of(catalogue)
    amount = np.where(packs.dimension >= 0, packs.amount, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_amount = np.where(amount > 0, np.log(amount), np.nan)
    return Facts(
        ladders.family,
        ladders.tier,
        log_price.astype(np.float32),
        level.astype(np.float32),
        category,
        codes,
        log_amount.astype(np.float32),
    )


@dataclass(frozen=True, slots=True)
class Memory:
    """All that happened, ordered so that any moment can look back on it."""

    facts: Facts
    bought: Purchased
    turns: Turns
    orders: Timeline
    """Every order with the item, of customers or of nobody."""
    given: Timeline
    """Share of the price given away, and with it (`priced`) how many lines tell of it."""
    priced: Timeline
    up: Timeline
    down: Timeline
    moved: Timeline
    pair: Timeline
    pair_keys: Integers
    by_category: Integers
    """Positions of `bought` by customer, category and time."""
    category_stamps: Timeline
    by_customer: Timeline
    last_of_customer: Integers

    @classmethod
    def of(cls, dataset: Dataset, ladders: Ladders, facts: Facts) -> Self:
        bought = purchased(dataset)
        turns = turns_of(bought, ladders)
        n_items = len(facts.ladder)
        moments = dataset.ordered_at // 1_000_000
        moments = moments - moments.min() if len(moments) else moments
        baskets = dataset.baskets
        order = np.repeat(np.arange(baskets.n_orders), np.diff(baskets.indptr))
        lines = dataset.lines
        paid = lines["quantity"].to_numpy() * lines["unit_price_minor"].to_numpy()
        share = np.where(paid > 0, lines["discount_minor"].to_numpy() / np.maximum(paid, 1), 0)
        item, when = lines["item"].to_numpy().astype(np.int64), moments[lines["order"].to_numpy()]
        base = turns.base.astype(np.int64)
        step = facts.tier[turns.item] - facts.tier[turns.base]
        pairs, codes = np.unique(base * n_items + turns.item, return_inverse=True)
        category = facts.category[bought.item].astype(np.int64) + 1
        n_categories = int(facts.category.max(initial=0)) + 2
        key = bought.customer * n_categories + category
        by_category = np.argsort(key * (1 << 34) + bought.seconds, kind="stable")
        return cls(
            facts,
            bought,
            turns,
            Timeline.of(baskets.items.astype(np.int64), moments[order]),
            Timeline.of(item, when, np.clip(share, 0, 1)),
            Timeline.of(item, when),
            Timeline.of(base, turns.seconds, (step > 0).astype(np.float64)),
            Timeline.of(base, turns.seconds, (step < 0).astype(np.float64)),
            Timeline.of(base, turns.seconds),
            Timeline.of(codes.astype(np.int64), turns.seconds),
            pairs,
            by_category,
            Timeline.of(key, bought.seconds),
            Timeline.of(bought.customer, bought.seconds, facts.level[bought.item]),
            np.sort(bought.customer * (1 << 34) + bought.seconds),
        )

    def times_moved(
        self, base: NDArray[np.int32], following: NDArray[np.int32], seconds: Integers
    ) -> Floats:
        if not len(self.pair_keys):
            return np.zeros(len(base), dtype=np.float32)
        wanted = base.astype(np.int64) * len(self.facts.ladder) + following
        place = np.minimum(np.searchsorted(self.pair_keys, wanted), len(self.pair_keys) - 1)
        known = self.pair_keys[place] == wanted
        times = np.zeros(len(base), dtype=np.float32)
        times[known] = self.pair.before(place[known], seconds[known])
        return times

    def promotion(self, item: Integers, seconds: Integers) -> tuple[Floats, Floats]:
        lately = PROMOTION_DAYS * _DAY
        n_lately = self.priced.before(item, seconds, lately)
        n_all = self.priced.before(item, seconds)
        usual = self.given.before(item, seconds) / np.maximum(n_all, 1)
        now = (self.given.before(item, seconds, lately) + usual) / (n_lately + 1)
        return now.astype(np.float32), usual.astype(np.float32)

    def ordered(self, item: Integers, seconds: Integers) -> Floats:
        return np.stack(
            [self.orders.before(item, seconds, days * _DAY) for days in WINDOWS], axis=1
        ).astype(np.float32)

    def history(self, customer: Integers, base: NDArray[np.int32], seconds: Integers) -> History:
        n_categories = int(self.facts.category.max(initial=0)) + 2
        key = customer * n_categories + self.facts.category[base] + 1
        key = np.where((self.facts.category[base] >= 0) & (customer >= 0), key, -1)
        stamps = self.category_stamps.stamps
        begin = np.searchsorted(stamps, key * (1 << 34))
        end = np.searchsorted(stamps, key * (1 << 34) + seconds)
        lengths = np.where(key >= 0, end - begin, 0)
        owner = np.repeat(np.arange(len(base)), lengths)
        shift = begin - (np.cumsum(lengths) - lengths)
        place = self.by_category[np.arange(len(owner)) + shift[owner]]
        age = (seconds[owner] - self.bought.seconds[place]) / _DAY
        people = self.last_of_customer
        first = np.searchsorted(people, customer * (1 << 34))
        last = np.searchsorted(people, customer * (1 << 34) + seconds)
        n_entries = np.where(customer >= 0, last - first, 0)
        since = np.full(len(base), NEVER, dtype=np.float32)
        some = n_entries > 0
        since[some] = (seconds[some] - (people[last[some] - 1] & ((1 << 34) - 1))) / _DAY
        level = self.by_customer.before(np.maximum(customer, 0), seconds)
        return History(
            owner,
            self.bought.item[place],
            age.astype(np.float32),
            n_entries.astype(np.float32),
            np.where(some, level / np.maximum(n_entries, 1), 0).astype(np.float32),
            since,
        )

    def signals(
        self, customer: Integers, questions: Questions, seconds: Integers
    ) -> tuple[Floats, Floats]:
        """As `engine.upsell.signals.signals`, of each question at its second."""
        base = questions.base.astype(np.int64)
        sibling, owner = questions.sibling.astype(np.int64), questions.owner
        history = self.history(customer, questions.base, seconds)
        at = seconds[owner]
        base_promotion, base_usual = self.promotion(base, seconds)
        promotion, usual = self.promotion(sibling, at)
        now = Now(
            self.ordered(base, seconds),
            base_promotion,
            base_usual,
            self.up.before(base, seconds).astype(np.float32),
            self.down.before(base, seconds).astype(np.float32),
            self.moved.before(base, seconds).astype(np.float32),
            self.ordered(sibling, at),
            promotion,
            usual,
            self.times_moved(questions.base[owner], questions.sibling, at),
            moves_from_past(
                self.facts.ladder,
                history,
                questions,
                lambda item, sibling, question: self.times_moved(item, sibling, seconds[question]),
            ),
        )
        return signals(self.facts, history, questions, now)

    def in_batches(
        self, customer: Integers, questions: Questions, seconds: Integers
    ) -> tuple[Floats, Floats]:
        """As `signals`, a few thousand questions at a time."""
        parts: list[tuple[Floats, Floats]] = []
        for start in range(0, len(questions.base), _BATCH):
            end = min(start + _BATCH, len(questions.base))
            first, last = questions.indptr[start], questions.indptr[end]
            part = Questions(
                questions.base[start:end],
                questions.indptr[start : end + 1] - first,
                questions.sibling[first:last],
                questions.ratio[first:last],
            )
            parts.append(self.signals(customer[start:end], part, seconds[start:end]))
        if not parts:
            return self.signals(customer, questions, seconds)
        return np.concatenate([part[0] for part in parts]), np.concatenate(
            [part[1] for part in parts]
        )

    def standing(self, seconds: int) -> Standing:
        """Everything as of one moment, for serving."""
        n_items = len(self.facts.ladder)
        item, at = np.arange(n_items), np.full(n_items, seconds, dtype=np.int64)
        promotion, usual = self.promotion(item, at)
        codes = np.arange(len(self.pair_keys))
        times = self.pair.before(codes, np.full(len(codes), seconds, dtype=np.int64))
        kept = times > 0
        return Standing(
            self.ordered(item, at),
            promotion,
            usual,
            self.up.before(item, at).astype(np.float32),
            self.down.before(item, at).astype(np.float32),
            self.moved.before(item, at).astype(np.float32),
            self.pair_keys[kept],
            times[kept].astype(np.float32),
        )
