"""A mining engine that adds to what an earlier training counted, wherever that is less work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engine.orders import Baskets
from engine.progress import Progress
from training.incremental.differing import Difference, difference
from training.incremental.updating import updated
from training.mining.protocol import Itemsets, MiningEngine

_MARGIN = 10
"""Sets are listed down to a tenth below what is asked, so that a threshold that stays leaves room
for new orders: the pre-large itemsets of Hong, Wang and Tao (2001)."""
_MOST_CHANGED = 0.5
"""Beyond this share of the orders all are counted again."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Baskets, and the itemsets that were counted in them."""

    baskets: Baskets
    itemsets: Itemsets


@dataclass(frozen=True, slots=True)
class CountsOrigin:
    """Where the itemsets of one mining came from.

    Attributes:
        orders: orders they are of.
        remembered: whether remembered counts were added to; else every order was counted.
        added, removed: orders by which they differ from those remembered (0 where none are).
        reason: why every order was counted; "" where not.
    """

    orders: int
    remembered: bool
    added: int
    removed: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class RememberingEngine:
    """Gives what `engine` gives, to the integer.

    Attributes:
        counted: what was mined, for the next training to remember.
        origins: how, in the same sequence.
    """

    def __init__(self, engine: MiningEngine, remembered: Sequence[Counted] = ()) -> None:
        self.name = engine.name
        self._engine = engine
        self._remembered = remembered
        self.counted: list[Counted] = []
        self.origins: list[CountsOrigin] = []

    def itemsets(
        self, baskets: Baskets, min_count: int, max_length: int, progress: Progress
    ) -> Itemsets:
        """All sets of 1..`max_length` items in at least `min_count` orders."""
        found, origin = self._added_up(baskets, min_count, max_length, progress)
        if found is None:
            lowest = min_count - min_count // _MARGIN
            found = self._engine.itemsets(baskets, lowest, max_length, progress)
        self.counted.append(Counted(baskets, found))
        self.origins.append(origin)
        return _at_least(found, min_count)

    def _added_up(
        self, baskets: Baskets, min_count: int, max_length: int, progress: Progress
    ) -> tuple[Itemsets | None, CountsOrigin]:
        n_orders = baskets.n_orders

        def counted_anew(reason: str) -> tuple[None, CountsOrigin]:
            return None, CountsOrigin(n_orders, False, 0, 0, reason)

        usable = [
            counted for counted in self._remembered if counted.itemsets.max_length == max_length
        ]
        if not usable:
            return counted_anew("no counts of that length are remembered")
        differences = [difference(counted.baskets, baskets) for counted in usable]
        best = min(range(len(usable)), key=lambda place: len(differences[place]))
        old, changed = usable[best], differences[best]
        if len(changed) > _MOST_CHANGED * n_orders:
            return counted_anew("most orders are others than those remembered")
        lowest = _lowest(old.itemsets, changed, n_orders, min_count)
        if lowest > min_count:
            return counted_anew(
                f"sets were counted from {old.itemsets.min_count} orders on, too near to"
                f" {min_count} for so many new orders"
            )
        found = updated(
            old.itemsets,
            baskets.take(changed.added),
            old.baskets.take(changed.removed),
            baskets,
            min_count=lowest,
            engine=self._engine,
            progress=progress,
        )
        return found, CountsOrigin(n_orders, True, len(changed.added), len(changed.removed), "")


def _lowest(old: Itemsets, changed: Difference, n_orders: int, min_count: int) -> int:
    """The least threshold worth counting to from `old`; beyond `min_count`: none is.

    The new orders are searched for sets of `lowest - old.min_count + 1` orders; as a share of them
    that should not lie below the share asked of all orders, or the search finds nearly everything.
    """
    share = -(-len(changed.added) * min_count // max(n_orders, 1))
    # A single order holds few pairs, but more triples than anyone wants to see.
    fewest = 1 if old.max_length <= 2 else 2
    return old.min_count + max(share, fewest if len(changed.added) else 1) - 1


def _at_least(itemsets: Itemsets, min_count: int) -> Itemsets:
    kept = [counts >= min_count for counts in itemsets.counts]
    return Itemsets(
        tuple(rows[mask] for rows, mask in zip(itemsets.items, kept, strict=True)),
        tuple(counts[mask] for counts, mask in zip(itemsets.counts, kept, strict=True)),
        itemsets.n_orders,
        min_count,
    )
