"""Ladders: each family's price levels, found by K-means on log price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mersalg.engine.arrays import Bools, Float64s, Int16s, Int64s, Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.native import kernels
from mersalg.engine.progress import Progress
from mersalg.engine.upsell.tiers import Ladders
from mersalg.training.keyed import medians_of
from mersalg.training.reading.dataset import Dataset
from mersalg.training.upsell.families import Groups, groups_of

MIN_LINES = 3
"""Lines of each half of the time that a usual price is read from."""
Key = tuple[int, str]
FormerCuts = Mapping[Key, Float64s]
"""Prices between tiers, float64 ascending, by how the family is known and its name."""
MAX_TIERS = 5
EXPLAINED = 0.92
"""Share of the variance of log price the tiers must explain; K-means reaches .924 on groceries."""
STABLE = 0.95
"""Share of items that must stand on the same tier when prices move as the shop's prices do."""
SMALLEST_STEP = 1.05
"""Prices nearer than this ratio are one level to a buyer."""
N_EXAMPLES = 5
_CONTRADICTION = 10.0
_FAR_OFF = 100.0
_FAR_OFF_ALIKE = 10.0
_DRAWS = 16
_NO_CHANGES = np.zeros(0)


def best_cuts(values: Float64s, most: int) -> tuple[Int64s, Float64s]:
    """Return the first index of every cluster, and what is left unexplained, for k = 1..`most`.

    Of ascending `values`: int64 (most, most), row k - 1 holds k starts, and float64 (most,), sums
    of squares.
    """
    starts, left = np.empty((most, most), dtype=np.int64), np.empty(most)
    kernels.best_cuts(np.ascontiguousarray(values, dtype=np.float64), starts, left)
    return starts, left


def labels_of(starts: Int64s, n: int) -> Int64s:
    """Return the number of the interval of each of `n` ascending values; shape (n,)."""
    return np.searchsorted(starts, np.arange(n), side="right") - 1


def agreement(values: Float64s, moves: Float64s, starts: Int64s) -> Float64s:
    """Return the share of values that keep their cluster when moved and clustered again.

    `values` ascend, `moves` is (draws, n), `starts` that of `best_cuts(values, most)`. The result
    is float64 (most,), the mean over draws, by number of clusters.
    """
    moved = values + moves
    order = np.argsort(moved, axis=1, kind="stable")
    shares = np.zeros(len(starts))
    moved = np.take_along_axis(moved, order, axis=1)
    kernels.agreement(moved, order, starts, np.empty_like(starts), shares)
    return shares


def price_changes(dataset: Dataset) -> Float64s:
    """Return the changes of log usual prices between the halves of the time span, sorted.

    Of the items sold in both, float64 (n,), zeros among them; empty where there are no times or
    prices. Changes beyond a factor of ten are errors, not changes.
    """
    priced = dataset.lines[dataset.lines["unit_price_minor"] > 0]
    if not len(priced) or not (dataset.ordered_at > 0).any():
        return np.zeros(0)
    times = dataset.ordered_at[priced["order"].to_numpy()]
    later = times > (int(times.min()) + int(times.max())) // 2
    halves = [
        priced[half].groupby("item")["unit_price_minor"].agg(["median", "size"])
        for half in (~later, later)
    ]
    first, second = (half[half["size"] >= MIN_LINES]["median"] for half in halves)
    ratio = np.log((second / first).dropna().to_numpy(dtype=np.float64))
    return np.sort(ratio[np.abs(ratio) <= np.log(10.0)])


def former_cuts(catalogue: Catalogue, ladders: Ladders) -> FormerCuts:
    """Return where a version cut its tiers, so that a new one does not cut elsewhere for nothing.

    Between two tiers it is the geometric mean of the prices on either side. A ladder whose tiers do
    not follow prices (the shop gave them) has no cuts.
    """
    cuts: dict[Key, Float64s] = {}
    if ladders.families is None:
        return cuts
    for ladder in range(ladders.n_ladders):
        members = ladders.members[ladder]
        steps = np.diff(ladders.tier[members].astype(np.int64))
        if (steps < 0).any():
            continue
        log_price = np.log(catalogue.price_minor[members].astype(np.float64))
        between = np.flatnonzero(steps)
        key = (int(ladders.families.method[ladder]), ladders.families.names[ladder])
        cuts[key] = np.exp((log_price[between] + log_price[between + 1]) / 2)
    return cuts


@dataclass(frozen=True, slots=True)
class TierCounts:
    """Counts of the ladders, and of the items that they leave out.

    `contradicted`: catalogue price more than 10 times off what orders paid; `far_off`: more than
    100 times off the family's median (10 times in a family derived from names). `examples`: ids of
    such items with their prices, by reason.
    """

    ladders: int
    items: int
    ladders_with_steps: int
    unpriced: int
    contradicted: int
    far_off: int
    families_learned: int = 0
    cut_as_before: int = 0
    """Ladders whose tiers were cut where the version before cut them."""
    examples: Mapping[str, list[dict[str, Any]]] | None = None

    def to_json(self) -> dict[str, int]:
        """Return the numbers only."""
        return {name: number for name, number in asdict(self).items() if name != "examples"}


def fit_ladders(
    catalogue: Catalogue,
    paid_minor: Int64s,
    progress: Progress,
    *,
    groups: Groups | None = None,
    changes: Float64s = _NO_CHANGES,
    former: FormerCuts | None = None,
) -> tuple[Ladders, TierCounts]:
    """One ladder for each group with at least two priced items.

    `paid_minor`, int64 (n_items,), is the usual unit price in orders, UNKNOWN where not known.
    Without `groups` they are the families and categories of the catalogue. `changes` are those of
    the logarithms of the shop's prices, and `former` where the version before cut its tiers.
    """
    groups = groups or groups_of(catalogue)
    group, n_groups, price = groups.group, len(groups), catalogue.price_minor
    priced = (group >= 0) & (price > 0)
    # Free of charge, by the catalogue, is a price too that orders may contradict.
    is_priced = (group >= 0) & (price >= 0) & (paid_minor > 0)
    contradicted = is_priced & _off(price, paid_minor, _CONTRADICTION)
    usable = priced & ~contradicted
    # One group more, so that items without one have a median too.
    medians = medians_of(group[usable], price[usable], n_groups + 1)
    median = np.nan_to_num(medians)[np.maximum(group, 0)]
    # A family derived from names is one thing in sizes and grades: ten times the price is another.
    alike = groups.is_learned(group)
    far_off = usable & (
        _off(price, median, _FAR_OFF) | (alike & _off(price, median, _FAR_OFF_ALIKE))
    )
    usable &= ~far_off
    sizes = np.bincount(group[usable], minlength=n_groups)
    ladder_groups = np.flatnonzero(sizes >= 2)
    ladder_of_group = np.full(n_groups + 1, UNKNOWN, dtype=np.int32)
    ladder_of_group[ladder_groups] = np.arange(len(ladder_groups), dtype=np.int32)
    family = np.where(usable, ladder_of_group[group], UNKNOWN).astype(np.int32)

    members = np.flatnonzero(family >= 0)
    members = members[np.lexsort((members, price[members], family[members]))].astype(np.int32)
    ladders = Ragged.of_lengths(sizes[ladder_groups], members)
    tier = np.full(len(catalogue), UNKNOWN, dtype=np.int16)
    with_steps = n_former = 0
    with progress.task("Fitting price tiers", total=len(ladder_groups)) as task:
        for ladder in range(len(ladder_groups)):
            inside = ladders[ladder]
            prices = price[inside]
            known_as = int(ladder_groups[ladder])
            cuts = (former or {}).get((int(groups.method[known_as]), groups.names[known_as]))
            earlier = None if cuts is None else tiers_as_before(prices, cuts)
            n_former += earlier is not None
            tier[inside] = tiers_of_prices(prices, changes) if earlier is None else earlier
            if catalogue.given_tier is not None:
                tier[inside] = _given(catalogue.given_tier[inside], prices, tier[inside])
            with_steps += int(tier[inside].max() > 0)
            task.advance()
    counts = TierCounts(
        ladders=len(ladder_groups),
        items=len(members),
        ladders_with_steps=with_steps,
        unpriced=int(((group >= 0) & (price <= 0) & ~contradicted).sum()),
        contradicted=int(contradicted.sum()),
        far_off=int(far_off.sum()),
        families_learned=int(groups.is_learned(ladder_groups).sum()),
        cut_as_before=n_former,
        examples={
            "contradicted": _examples(catalogue, contradicted, "orders paid", paid_minor),
            "far_off": _examples(catalogue, far_off, "median of its family", median),
        },
    )
    return Ladders(family, tier, ladders, groups.families(ladder_groups)), counts


def tiers_of_prices(prices: Int64s, changes: Float64s = _NO_CHANGES) -> Int16s:
    """Tier of each of the ascending positive `prices`, 0 the cheapest; shape (n,).

    The fewest tiers, five at most, that explain 92% of the variance of log price, and no more than
    stay the same when prices move: at least 95% of the items must keep their tier, on average over
    draws in which every price moves by one of `changes` (choice of k by stability: Ben-Hur,
    Elisseeff and Guyon 2002). Where prices do not move, up to five levels, each a clear step above
    the one before, are tiers as they stand.
    """
    if not len(prices) or prices[-1] < prices[0] * SMALLEST_STEP:
        return np.zeros(len(prices), dtype=np.int16)
    levels = np.unique(prices)
    most = min(MAX_TIERS, len(levels))
    log_price = np.log(prices.astype(np.float64))
    starts, unexplained = best_cuts(log_price, most)
    clear = len(levels) <= MAX_TIERS and bool((levels[1:] >= levels[:-1] * SMALLEST_STEP).all())
    wanted = (1 - EXPLAINED) * unexplained[0]
    enough = np.flatnonzero(unexplained <= wanted)
    n_tiers = most if clear or not len(enough) else int(enough[0]) + 1
    if n_tiers > 2 and len(changes) and changes.any():
        # Always the same draws.
        drawn = np.random.default_rng(len(prices)).integers(0, len(changes), (_DRAWS, len(prices)))
        agreed = agreement(log_price, changes[drawn], starts)
        steady = np.flatnonzero(agreed[:n_tiers] >= STABLE)
        n_tiers = max(2, int(steady[-1]) + 1 if len(steady) else 2)
    if n_tiers == len(levels):
        return np.searchsorted(levels, prices).astype(np.int16)
    return labels_of(starts[n_tiers - 1, :n_tiers], len(prices)).astype(np.int16)


def tiers_as_before(prices: Int64s, cuts: Float64s) -> Int16s | None:
    """Tiers cut at the former prices, None where these no longer describe what is sold.

    They are kept as long as no tier is empty and they explain nearly as much (15 points less at
    most) as new ones of the same number would.
    """
    tiers = np.searchsorted(cuts, prices, side="right")
    n_tiers = len(cuts) + 1
    if len(np.unique(tiers)) < n_tiers:
        return None
    log_price = np.log(prices.astype(np.float64))
    _, unexplained = best_cuts(log_price, n_tiers)
    if n_tiers == 1:
        return tiers.astype(np.int16) if prices[-1] < prices[0] * SMALLEST_STEP else None
    own = sum(
        float(((part - part.mean()) ** 2).sum())
        for part in (log_price[tiers == tier] for tier in range(n_tiers))
    )
    return tiers.astype(np.int16) if own - unexplained[-1] <= 0.15 * unexplained[0] else None


def _given(given: Int16s, prices: Int64s, tier: Int16s) -> Int16s:
    """Return the shop's ranks, closed up; an item without one has that of the nearest price."""
    stated = np.flatnonzero(given >= 0)
    if not len(stated):
        return tier
    _, ranks = np.unique(given[stated], return_inverse=True)
    distance = np.abs(np.log(prices)[:, None] - np.log(prices[stated])[None, :])
    nearest = np.argmin(np.where(given[stated] == given[:, None], -1.0, distance), axis=1)
    return ranks[nearest].astype(np.int16)


def _examples(
    catalogue: Catalogue, chosen: Bools, beside: str, other: Int64s | Float64s
) -> list[dict[str, Any]]:
    return [
        {
            "item_id": catalogue.items[item],
            "price_minor": int(catalogue.price_minor[item]),
            f"{beside.replace(' ', '_')}_minor": round(float(other[item])),
        }
        for item in np.flatnonzero(chosen)[:N_EXAMPLES].tolist()
    ]


def _off(left: Int64s, right: Int64s | Float64s, ratio: float) -> Bools:
    return (left > right * ratio) | (left * ratio < right)
