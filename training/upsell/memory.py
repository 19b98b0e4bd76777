"""The signals of questions asked in the past, from nothing but what was known by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Bools, Float32s, Float64s, Int16s, Int32s, Int64s, Ragged
from mersalg.engine.catalogue import Catalogue
from mersalg.engine.native.kernels import upgrade_signals
from mersalg.engine.native.signals import QUESTION, SIBLING
from mersalg.engine.ranking.purchases import NEVER
from mersalg.engine.upsell.likelihood import PROMOTION_DAYS, WINDOWS, Facts, Standing, ladder_items
from mersalg.engine.upsell.packs import DIMENSIONS, FLUID_OUNCE, OUNCE, pack_of
from mersalg.engine.upsell.tiers import Ladders
from mersalg.training.reading.dataset import Dataset
from mersalg.training.upsell.events import Purchased, Questions, Turns, purchased, turns_of

_SPAN = 1 << 34
"""More than the seconds of any shop's history (500 years)."""
_CODE = {dimension: code for code, dimension in enumerate(DIMENSIONS)}
_DAY = 86_400
_BATCH = 20_000


@dataclass(frozen=True, slots=True)
class Timeline:
    """Things that happened to keys; keys are below 2**29."""

    stamps: Int64s
    """(n,): ascending, `key * _SPAN + second`."""
    totals: Float64s
    """(n + 1,): running sums of what each weighs."""

    @classmethod
    def of(cls, keys: Int64s, seconds: Int64s, weights: NDArray[np.floating] | None = None) -> Self:
        """Build the sums of weights by key and time."""
        stamps = keys * _SPAN + seconds
        order = np.argsort(stamps, kind="stable")
        totals = np.zeros(len(stamps) + 1)
        np.cumsum(np.ones(len(stamps)) if weights is None else weights[order], out=totals[1:])
        return cls(stamps[order], totals)

    def before(self, keys: Int64s, seconds: Int64s, within: float | None = None) -> Float64s:
        """Sum of the weights of each key before a second, in the last `within` seconds only."""
        begin = np.zeros_like(seconds) if within is None else np.maximum(seconds - int(within), 0)
        first = np.searchsorted(self.stamps, keys * _SPAN + begin)
        last = np.searchsorted(self.stamps, keys * _SPAN + seconds)
        return self.totals[last] - self.totals[first]


def packs_of(catalogue: Catalogue) -> tuple[Int16s, Float64s]:
    """Return the packs of all items, from `pack_size` or else a size inside the name.

    They are positions in `DIMENSIONS`, -1 where not known, and amounts in the dimension's base
    unit, 0 where not known; both (n_items,). Ounces are fluid where most of the other packs of the
    family (or category) are volumes.
    """
    n_items = len(catalogue)
    dimension = np.full(n_items, -1, dtype=np.int16)
    amount = np.zeros(n_items, dtype=np.float64)
    ounces = np.zeros(n_items, dtype=np.bool_)
    for item in range(n_items):
        pack = pack_of(catalogue, item)
        if pack is not None:
            dimension[item], amount[item] = _CODE[pack.dimension], pack.amount
            ounces[item] = pack.ounces
    for groups in (catalogue.family, catalogue.category):
        fluid = _fluid_groups(groups, dimension, ounces)
        chosen = ounces & (groups >= 0)
        chosen[chosen] = fluid[groups[chosen]]
        dimension[chosen] = _CODE["volume"]
        amount[chosen] *= FLUID_OUNCE / OUNCE
        ounces &= ~chosen
    return dimension, amount


def _fluid_groups(groups: Int32s, dimension: Int16s, ounces: Bools) -> Bools:
    """Bool (n_groups,): more volumes than masses stand in it, ounces apart."""
    n_groups = int(groups.max(initial=-1)) + 1
    sure = (groups >= 0) & ~ounces
    counts = [
        np.bincount(groups[sure & (dimension == _CODE[kind])], minlength=n_groups)
        for kind in ("volume", "mass")
    ]
    return counts[0] > counts[1]


def facts_of(catalogue: Catalogue, ladders: Ladders, price: NDArray[np.floating]) -> Facts:
    """`price` is float64 (n_items,), minor units, at most 0 where not known."""
    has_price = price > 0
    log_price = np.where(has_price, np.log(np.where(has_price, price, 1.0)), 0.0)
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
    dimension, amount = packs_of(catalogue)
    amount = np.where(dimension >= 0, amount, np.nan)
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


class History(NamedTuple):
    """Earlier purchases of the buyer of each question."""

    items: Ragged[np.int32]
    """A row a question: those of the category of the question's item."""
    age: Float32s
    """Days before the question, of each value of `items`."""
    n_entries: Float32s
    level: Float32s
    since: Float32s
    """`n_entries`, `level`, `since`: float32 (n_questions,): items bought, whatever their category
    (each order counts), their mean price level, and days since the latest."""


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
    next_items: Ragged[np.int32]
    """The items that were bought after each item, and when: a row for each of its values."""
    next_seconds: Ragged[np.int64]
    by_category: Int64s
    """Positions of `bought` by customer, category and time."""
    category_stamps: Timeline
    by_customer: Timeline

    @classmethod
    def of(cls, dataset: Dataset, ladders: Ladders, facts: Facts) -> Self:
        """Build the history of purchases and prices."""
        bought = purchased(dataset)
        turns = turns_of(bought, ladders)
        n_items = len(facts.ladder)
        moments = dataset.ordered_at // 1_000_000
        moments = moments - moments.min() if len(moments) else moments
        baskets = dataset.baskets
        order = baskets.owners()
        lines = dataset.lines
        paid = lines["quantity"].to_numpy() * lines["unit_price_minor"].to_numpy()
        share = np.where(paid > 0, lines["discount_minor"].to_numpy() / np.maximum(paid, 1), 0)
        item, when = lines["item"].to_numpy().astype(np.int64), moments[lines["order"].to_numpy()]
        base = turns.base.astype(np.int64)
        step = facts.tier[turns.item] - facts.tier[turns.base]
        pairs, codes = np.unique(base * n_items + turns.item, return_inverse=True)
        first, following = np.divmod(pairs, max(n_items, 1))
        by_moment = np.lexsort((turns.seconds, codes))
        category = facts.category[bought.item].astype(np.int64) + 1
        n_categories = int(facts.category.max(initial=0)) + 2
        key = bought.customer * n_categories + category
        by_category = np.argsort(key * _SPAN + bought.seconds, kind="stable")
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
            Ragged.grouped(first, following.astype(np.int32), n_items),
            Ragged.grouped(codes[by_moment], turns.seconds[by_moment], len(pairs)),
            by_category,
            Timeline.of(key, bought.seconds),
            Timeline.of(bought.customer, bought.seconds, facts.level[bought.item]),
        )

    def promotion(self, item: Int64s, seconds: Int64s) -> tuple[Float32s, Float32s]:
        """Return the discount that buyers of an item had lately, and usually."""
        lately = PROMOTION_DAYS * _DAY
        n_lately = self.priced.before(item, seconds, lately)
        n_all = self.priced.before(item, seconds)
        usual = self.given.before(item, seconds) / np.maximum(n_all, 1)
        now = (self.given.before(item, seconds, lately) + usual) / (n_lately + 1)
        return now.astype(np.float32), usual.astype(np.float32)

    def ordered(self, item: Int64s, seconds: Int64s) -> Float32s:
        """Return how often an item was ordered in each window."""
        return np.stack(
            [self.orders.before(item, seconds, days * _DAY) for days in WINDOWS], axis=1
        ).astype(np.float32)

    def history(self, customer: Int64s, base: Int32s, seconds: Int64s) -> History:
        """Return what a customer bought of the base's category before."""
        n_categories = int(self.facts.category.max(initial=0)) + 2
        key = customer * n_categories + self.facts.category[base] + 1
        key = np.where((self.facts.category[base] >= 0) & (customer >= 0), key, -1)
        stamps = self.category_stamps.stamps
        begin = np.searchsorted(stamps, key * _SPAN)
        end = np.searchsorted(stamps, key * _SPAN + seconds)
        lengths = np.where(key >= 0, end - begin, 0)
        owner = np.repeat(np.arange(len(base)), lengths)
        shift = begin - (np.cumsum(lengths) - lengths)
        index = self.by_category[np.arange(len(owner)) + shift[owner]]
        items = Ragged.of_lengths(lengths, self.bought.item[index])
        age = (seconds[owner] - self.bought.seconds[index]) / _DAY
        people = self.by_customer.stamps
        first = np.searchsorted(people, customer * _SPAN)
        last = np.searchsorted(people, customer * _SPAN + seconds)
        n_entries = np.where(customer >= 0, last - first, 0)
        since = np.full(len(base), NEVER, dtype=np.float32)
        some = n_entries > 0
        since[some] = (seconds[some] - (people[last[some] - 1] & (_SPAN - 1))) / _DAY
        level = self.by_customer.before(np.maximum(customer, 0), seconds)
        return History(
            items,
            age.astype(np.float32),
            n_entries.astype(np.float32),
            np.where(some, level / np.maximum(n_entries, 1), 0).astype(np.float32),
            since,
        )

    def ladder_items(self, item: Int64s, seconds: Int64s) -> Float32s:
        """Return items as of a moment of each, float32 (n, 16), as the kernels take them."""
        rates = [each.before(item, seconds) for each in (self.up, self.down, self.moved)]
        return ladder_items(
            self.facts, item, self.ordered(item, seconds), [*self.promotion(item, seconds), *rates]
        )

    def signals(
        self, customer: Int64s, questions: Questions, seconds: Int64s
    ) -> tuple[Float32s, Float32s]:
        """Return the signals of each question at its second, and of each better item.

        As `upgrade_signals`, a few thousand questions at a time.
        """
        n_items = len(self.facts.ladder)
        nothing = np.zeros((n_items, len(WINDOWS)), dtype=np.float32)
        items = ladder_items(self.facts, np.arange(n_items), nothing, [])
        asked = [np.zeros((0, len(QUESTION)), dtype=np.float32)]
        rows = [np.zeros((0, len(SIBLING)), dtype=np.float32)]
        for start in range(0, len(questions.base), _BATCH):
            part = questions.part(start, min(start + _BATCH, len(questions.base)))
            at = seconds[start : start + _BATCH]
            signals_of_pairs = upgrade_signals(
                items,
                self.next_items,
                self.next_seconds,
                self.history(customer[start : start + _BATCH], part.base, at),
                part,
                self.ladder_items(part.base.astype(np.int64), at),
                self.ladder_items(part.sibling.astype(np.int64), at[part.owner]),
                at,
            )
            asked.append(signals_of_pairs[0])
            rows.append(signals_of_pairs[1])
        return np.concatenate(asked), np.concatenate(rows)

    def standing(self, seconds: int) -> Standing:
        """Everything as of one moment, for serving."""
        n_items = len(self.facts.ladder)
        item, at = np.arange(n_items), np.full(n_items, seconds, dtype=np.int64)
        promotion, usual = self.promotion(item, at)
        pairs = self.next_items.owners() * n_items + self.next_items.values
        by_then = self.next_seconds.owners()[self.next_seconds.values < seconds]
        times = np.bincount(by_then, minlength=len(pairs))
        is_repeated = times > 0
        up, down, moved = (
            each.before(item, at).astype(np.float32) for each in (self.up, self.down, self.moved)
        )
        moves, n_times = pairs[is_repeated], times[is_repeated].astype(np.float32)
        return Standing(self.ordered(item, at), promotion, usual, up, down, moved, moves, n_times)
