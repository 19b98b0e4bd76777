"""One local day, counted: what has to stand beside a sum so that days can be added up.

Offers, checkouts and orders are of one day, so their counts are added. Units come back: for each
unit a day keeps what it did, so that a period counts it once. Checkouts that several days share
are left out (see `spanning_checkouts`); whoever adds days up counts those from their facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field

import numpy as np

from engine.facts import KINDS, Arm, Decision, Kind
from engine.tracking import counting, incremental
from engine.tracking.attribution import Outcome
from engine.tracking.counts import Counts
from engine.tracking.drawing import WHOLE
from engine.tracking.history import History, Order
from engine.tracking.intervals import RatioSums
from engine.tracking.rollups.columns import Ints, halved, pack_columns, ratio_sums, unpack_columns

ARMS: tuple[Arm, ...] = ("treatment", "control")
SUMMED = ("converted", "completed", "ordered", "owed")
MEASURES = ("checkouts", *SUMMED)
BUYING = 1
UNKNOWN_SHARE = -1
NOT_DRAWN = -1

ADDED = tuple(name for name in Counts.__slots__ if not name.startswith("units_"))
"""Fields of `Counts` that days simply add; those of units are counted anew."""


def bits(kind: Kind) -> tuple[int, int, int]:
    """Flags of a unit: shown an offer of the kind, one converted, one kept."""
    first = 2 << (3 * KINDS.index(kind))
    return first, first << 1, first << 2


@dataclass(frozen=True, slots=True)
class Cell:
    """Columns over the units of a day, and sums.

    Attributes:
        units: numbers of units, ascending, each once.
        flags: `BUYING` and the `bits` of both kinds.
        arms: place in `ARMS` of the unit's first decision, `NOT_DRAWN` without one; `shares`
            its control share in millionths, `UNKNOWN_SHARE` where the decision does not say.
        clusters: (kind, arm, measure) -> a value for each place of `cluster_units[kind, arm]`,
            which are places in `units`.
        counts: of both kinds; only the fields `ADDED`.
        quality: the report's counts that days add; `unpriced` is by kind.
        orders_by_currency: orders of the day.
        currency: of all money here; `currencies` are all that facts of the day name.
    """

    units: Ints
    flags: Ints
    arms: Ints
    shares: Ints
    cluster_units: Mapping[tuple[Kind, Arm], Ints]
    clusters: Mapping[tuple[Kind, Arm, str], Ints]
    counts: Mapping[Kind, Counts]
    quality: Mapping[str, int]
    unpriced: Mapping[Kind, int]
    orders_by_currency: Mapping[str, int]
    currency: str | None
    currencies: frozenset[str]

    def sums_of(self, kind: Kind, arm: Arm, measure: str) -> RatioSums:
        """Over the units of this cell alone: kept beside the columns for whoever reads one day."""
        x, m = self.clusters[kind, arm, measure], self.clusters[kind, arm, "checkouts"]
        return ratio_sums(x, m)

    def pack(self) -> bytes:
        columns: dict[str, Ints] = {
            "units": np.diff(self.units, prepend=0),
            "flags": self.flags,
            "arms": self.arms,
            "shares": self.shares,
        }
        for (kind, arm), places in self.cluster_units.items():
            columns[f"{kind}/{arm}"] = np.diff(places, prepend=0)
            for measure in MEASURES:
                columns[f"{kind}/{arm}/{measure}"] = self.clusters[kind, arm, measure]
        notes = {
            "counts": {kind: _added(self.counts[kind]) for kind in KINDS},
            "quality": self.quality,
            "unpriced": self.unpriced,
            "orders": self.orders_by_currency,
            "currency": self.currency,
            "currencies": sorted(self.currencies),
            # As texts: a sum of squares may be larger than JSON's readers take.
            "sums": {
                f"{kind}/{arm}/{measure}": [str(each) for each in astuple(sums)]
                for kind in KINDS
                for arm in ARMS
                for measure in SUMMED
                for sums in (self.sums_of(kind, arm, measure),)
            },
        }
        return pack_columns(columns, notes)

    @classmethod
    def unpack(cls, body: bytes) -> Cell:
        columns, notes = unpack_columns(body)
        summed: dict[int, Ints] = {}

        def places(name: str) -> Ints:
            # Equal columns are one array; what is derived from them stays one too.
            column = columns[name]
            if id(column) not in summed:
                summed[id(column)] = halved(np.cumsum(column, dtype=np.int64))
            return summed[id(column)]

        both: list[tuple[Kind, Arm]] = [(kind, arm) for kind in KINDS for arm in ARMS]
        return cls(
            places("units"),
            columns["flags"],
            columns["arms"],
            columns["shares"],
            {(kind, arm): places(f"{kind}/{arm}") for kind, arm in both},
            {
                (kind, arm, measure): columns[f"{kind}/{arm}/{measure}"]
                for kind, arm in both
                for measure in MEASURES
            },
            {kind: Counts(**notes["counts"][kind]) for kind in KINDS},
            notes["quality"],
            notes["unpriced"],
            notes["orders"],
            notes["currency"],
            frozenset(notes["currencies"]),
        )


def _added(counts: Counts) -> dict[str, int]:
    return {name: value for name, value in asdict(counts).items() if name in ADDED}


@dataclass(slots=True)
class _Units:
    flags: dict[str, int] = field(default_factory=dict[str, int])
    drawn: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def mark(self, units: Iterable[str], flag: int) -> None:
        for unit in units:
            self.flags[unit] = self.flags.get(unit, 0) | flag


def cell_of(
    history: History,
    decisions: Sequence[Decision],
    orders: Sequence[Order],
    outcomes: Sequence[Outcome],
    quality: Mapping[str, int],
    currency: str | None,
    numbers: Callable[[Sequence[str]], Mapping[str, int]],
) -> Cell:
    """The cell of what falls into one day (or any period).

    Args:
        numbers: gives the number of each unit, the same in every cell.
    """
    units = _Units()
    units.mark(counting.buying_units(history, decisions, orders), BUYING)
    for decision in decisions:
        share = decision.control_share
        millionths = UNKNOWN_SHARE if share is None else round(share * WHOLE)
        drawn = (ARMS.index(decision.arm), millionths)
        units.drawn.setdefault(history.units[decision.decision_id], drawn)
    counts: dict[Kind, Counts] = {}
    clusters: dict[tuple[Kind, Arm], Mapping[str, incremental.Cluster]] = {}
    for kind in KINDS:
        members = [each for each in outcomes if each.placed.offer.kind == kind]
        counts[kind] = counting.count(members, frozenset(), history.orders_of, currency)
        shown, converted, kept = bits(kind)
        for each in members:
            if each.shown:
                flag = shown | (converted if each.converted else 0) | (kept if each.kept else 0)
                units.mark((each.placed.unit,), flag)
        of_arms = incremental.clusters_of(history, [each.placed for each in members], currency)
        for arm in ARMS:
            clusters[kind, arm] = of_arms[arm]
            units.mark(of_arms[arm], 0)
    units.mark(units.drawn, 0)
    named = list(units.flags)
    given = numbers(named)
    named.sort(key=given.__getitem__)
    place = {unit: at for at, unit in enumerate(named)}
    cluster_units: dict[tuple[Kind, Arm], Ints] = {}
    columns: dict[tuple[Kind, Arm, str], Ints] = {}
    for (kind, arm), of_units in clusters.items():
        at = sorted(of_units, key=place.__getitem__)
        cluster_units[kind, arm] = _ints([place[unit] for unit in at])
        for measure in MEASURES:
            columns[kind, arm, measure] = _ints([getattr(of_units[unit], measure) for unit in at])
    nobody = (NOT_DRAWN, UNKNOWN_SHARE)
    return Cell(
        _ints([given[unit] for unit in named]),
        _ints([units.flags[unit] for unit in named]),
        _ints([units.drawn.get(unit, nobody)[0] for unit in named]),
        _ints([units.drawn.get(unit, nobody)[1] for unit in named]),
        cluster_units,
        columns,
        counts,
        quality,
        {kind: _unpriced(outcomes, kind) for kind in KINDS},
        _by_currency(orders),
        currency,
        counting.currencies(history, decisions, orders),
    )


def _unpriced(outcomes: Iterable[Outcome], kind: Kind) -> int:
    return sum(
        credit.revenue_minor is None
        for outcome in outcomes
        if outcome.placed.offer.kind == kind
        for credit in outcome.credits
    )


def _by_currency(orders: Iterable[Order]) -> dict[str, int]:
    found: dict[str, int] = {}
    for order in orders:
        if order.currency is not None:
            found[order.currency] = found.get(order.currency, 0) + 1
    return found


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, np.int64)
