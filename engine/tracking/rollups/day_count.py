"""Count facts by unit, in rows: of a day for its roll-up, or of sets of offers for a report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mersalg.engine.facts import KINDS, Arm, Decision, Kind
from mersalg.engine.tracking.attribution import Outcome
from mersalg.engine.tracking.clusters import (
    Baskets,
    clusters_of,
    first_drawn,
    judged_by,
    stratum_of,
)
from mersalg.engine.tracking.counts import buyers_shown, count, count_by_unit
from mersalg.engine.tracking.cuped import with_past
from mersalg.engine.tracking.history import History
from mersalg.engine.tracking.measures import SPENT, Measures, Part
from mersalg.engine.tracking.per_unit import OF_BASKET
from mersalg.engine.tracking.quality import n_logged
from mersalg.engine.tracking.rates import UNIT_COUNTS, Counts
from mersalg.engine.tracking.rollups.day import (
    BESIDE,
    CHANGES,
    FLAGS,
    OF_CLUSTER,
    Notes,
    Rows,
    UnitRows,
    columns_of,
    unit_rows,
    write_day,
)
from mersalg.engine.tracking.rollups.sums import added, measures_of
from mersalg.engine.tracking.rollups.unit_sums import Group, Sums, of_units
from mersalg.engine.tracking.sample_ratio import Drawn, drawn_of, first_eligible, group_of
from mersalg.engine.tracking.strata import Cluster, Clusters, Stratum, by_share

UnitCounts = defaultdict[tuple[Arm | None, int | None, str], Counter[str]]
"""Rows as of `day`, by the name of the unit."""


def strata_of(part: Part) -> Mapping[str, Stratum]:
    """Return the stratum of the first decision of each unit."""
    strata: dict[str, Stratum] = {}
    for decision in part.decisions:
        strata.setdefault(part.history.units[decision.decision_id], stratum_of(decision))
    return strata


def mark_shown(
    rows: UnitCounts,
    kind: Kind,
    outcomes: Iterable[Outcome],
    history: History,
    last_orders: Mapping[str, int],
) -> None:
    """Mark the units of outcomes of a kind that were shown an offer, and those who bought then."""
    shown = [each for each in outcomes if each.shown]
    bought = buyers_shown(shown, history.orders_of, last_orders)
    for each in shown:
        row = rows[*stratum_of(each.placed.decision), each.placed.unit]
        row["flags"] |= FLAGS[f"{kind}_shown"]
        row["flags"] |= FLAGS[f"{kind}_bought"] if each.placed.unit in bought else 0


class OfKind:
    """Counts of some outcomes of one kind.

    Attributes
    ----------
    counts : Counts
        Without those of units.
    converted : frozenset of str
        The units with a conversion.
    clusters : mapping
        Their eligible checkouts.
    judged : mapping
        The offers that these are judged by.
    """

    def __init__(
        self, kind: Kind, history: History, outcomes: Iterable[Outcome], currency: str | None
    ) -> None:
        self._kind: Kind = kind
        self._members = [each for each in outcomes if each.placed.offer.kind == kind]
        self._by_unit = count_by_unit(self._members, history.orders_of)
        self.counts = count(self._members, self._by_unit, currency)
        self.converted = frozenset(self._by_unit["offers_converted"])
        self.judged = judged_by(history, [each.placed for each in self._members])
        self.clusters = clusters_of(history, self.judged, currency)

    def add_to(self, rows: UnitCounts) -> None:
        """Add the counts and the eligible checkouts of each unit."""
        first_shown: dict[str, Stratum] = {}
        for each in self._members:
            if each.shown:
                first_shown.setdefault(each.placed.unit, stratum_of(each.placed.decision))
        for name, of_unit in self._by_unit.items():
            for unit, n in of_unit.items():
                rows[*first_shown[unit], unit][f"{self._kind}_{name}"] = n
        for (stratum, unit), cluster in self.clusters.items():
            rows[*stratum, unit].update(_columns_of(self._kind, cluster))

    def add_baskets(
        self,
        rows: UnitCounts,
        baskets: Baskets,
        units: Iterable[str],
        first: Mapping[str, Decision],
        strata: Mapping[str, Stratum],
    ) -> None:
        """Add the other checkouts of some units: without an arm those before the first decision."""
        for unit in units:
            drawn = first.get(unit)
            for decision, basket in baskets.of_unit(unit, self.judged):
                is_before = drawn is not None and decision.occurred_at < drawn.occurred_at
                stratum = (None, None) if is_before else strata[unit]
                rows[*stratum, unit].update(_columns_of(self._kind, basket, "beside_"))


def day_of(
    part: Part,
    counted: Sequence[Outcome],
    begun: Sequence[Decision],
    quality: Mapping[str, int],
    currency: str | None,
    numbers: Callable[[Sequence[str]], Mapping[str, int]],
) -> bytes:
    """Count what falls into one day (or any period).

    Parameters
    ----------
    part : Part
        What falls into it.
    counted : sequence of Outcome
        Of all its outcomes, those that are counted in it: without those in checkouts that several
        days share.
    begun : sequence of Decision
        Its decisions in the checkouts that are counted in it.
    quality : mapping
        Counts of facts that count for nothing.
    currency : str or None
        Of all money; None where it is the only one that the facts name.
    numbers : callable
        Returns the number of each unit, the same for every day.

    Returns
    -------
    bytes
        The roll-up, as `Day` reads it.
    """
    history, currencies = part.history, part.currencies()
    if currency is None and len(currencies) == 1:
        (currency,) = currencies
    last_orders, first = part.last_orders(), first_eligible(history, part.decisions)
    groups = sorted({group_of(each) for of_kind in first.values() for each in of_kind.values()})
    places = {group: place for place, group in enumerate(groups, 1)}
    strata = strata_of(part)
    rows: UnitCounts = defaultdict(Counter)
    for unit, stratum in strata.items():
        rows[*stratum, unit]["flags"] = 0
    for mark, units in (("ordered", last_orders), ("buying", part.buying_units())):
        for unit in units:
            rows[*strata.get(unit, (None, None)), unit]["flags"] |= FLAGS[mark]
    baskets = Baskets(history, begun, currency)
    counts: dict[Kind, Counts] = {}
    for kind in KINDS:
        shown = [each for each in part.outcomes if each.placed.offer.kind == kind]
        mark_shown(rows, kind, shown, history, last_orders)
        of_kind = OfKind(kind, history, counted, currency)
        counts[kind] = of_kind.counts
        of_kind.add_to(rows)
        for unit, decision in first[kind].items():
            rows[*stratum_of(decision), unit][f"{kind}_drawn"] = places[group_of(decision)]
        of_kind.add_baskets(rows, baskets, baskets.begun, first[kind], strata)
    orders = Counter(order.currency for order in part.orders if order.currency is not None)
    number_of = numbers(sorted({unit for _, _, unit in rows}))
    elsewhere = {each.checkout_id for each in part.decisions} - {each.checkout_id for each in begun}
    units = {
        history.units[each.decision_id] for each in part.decisions if each.checkout_id in elsewhere
    }
    notes = Notes(
        counts,
        quality,
        orders,
        currency,
        currencies,
        len(part.decisions),
        n_logged(history, part.decisions, part.orders),
        tuple(groups),
        {
            kind: {
                str(number_of[unit]): decision.occurred_at
                for unit, decision in of_kind.items()
                if unit in units
            }
            for kind, of_kind in first.items()
        },
    )
    return write_day(notes, columns_of(_numbered(rows, number_of)))


def _numbered(rows: UnitCounts, number_of: Mapping[str, int]) -> Rows:
    return {(arm, share, number_of[unit]): row for (arm, share, unit), row in rows.items()}


def measured(
    parts: Iterable[tuple[Part, Sequence[Sequence[Outcome]]]],
    currency: str | None,
    holdout: float,
    past: Mapping[str, int] | None = None,
) -> list[Measures]:
    """Measure sets of outcomes, one after the other.

    Parameters
    ----------
    parts : iterable of (Part, sequence of sequence of Outcome)
        What falls into a period, and sets of its outcomes.
    currency : str or None
        Of all money.
    holdout : float
        Control share of decisions that state none.
    past : mapping, optional
        What each unit spent before its first decision.
    """
    groups: list[Group] = []
    found: list[tuple[Mapping[Kind, Counts], Mapping[Kind, Drawn], Mapping[Kind, Clusters]]] = []
    for part, sets in parts:
        history, strata = part.history, strata_of(part)
        buying, last_orders = part.buying_units(), part.last_orders()
        baskets = Baskets(history, part.decisions, currency)
        eligible = first_eligible(history, part.decisions)
        drawn: dict[Kind, Drawn] = {
            kind: drawn_of(of_units.values()) for kind, of_units in eligible.items()
        }
        for outcomes in sets:
            rows: UnitCounts = defaultdict(Counter)
            of_kinds: dict[Kind, OfKind] = {
                kind: OfKind(kind, history, outcomes, currency) for kind in KINDS
            }
            for kind, of_kind in of_kinds.items():
                members = [each for each in outcomes if each.placed.offer.kind == kind]
                mark_shown(rows, kind, members, history, last_orders)
                of_kind.add_to(rows)
                first = first_drawn(history, of_kind.judged)
                for unit, decision in first.items():
                    rows[*stratum_of(decision), unit][f"{kind}_drawn"] = 1
                of_kind.add_baskets(rows, baskets, first, first, strata)
            numbers = {unit: n for n, unit in enumerate(sorted({unit for _, _, unit in rows}))}
            groups.append(Group(unit_rows(_numbered(rows, numbers))))
            counts: dict[Kind, Counts] = {
                kind: each.counts + Counts(units_buying=len(buying) + len(each.converted - buying))
                for kind, each in of_kinds.items()
            }
            found.append((counts, drawn, {kind: each.clusters for kind, each in of_kinds.items()}))
    sums: list[list[tuple[int, Sums]]] = [[] for _ in groups]
    for at, of_some in of_units(groups, holdout):
        sums[at].append((1, of_some))
    return [
        replace(
            measures_of(added(own), counts),
            drawn=drawn,
            spending=None
            if past is None
            else {
                (kind, name): with_past(by_share(each, holdout), past, name)
                for kind, each in clusters.items()
                for name in SPENT
            },
        )
        for own, (counts, drawn, clusters) in zip(sums, found, strict=True)
    ]


def rows_beside(
    history: History,
    counted: Sequence[Outcome],
    baskets: Baskets,
    numbers: Callable[[Sequence[str]], Mapping[str, int]],
    counts_after: Callable[[Kind, int, int], int],
) -> Sequence[UnitRows]:
    """Return the rows of baskets of several days.

    Parameters
    ----------
    history : History
        All facts.
    counted : sequence of Outcome
        Those of the same checkouts.
    baskets : Baskets
        The checkouts.
    numbers : callable
        Returns the number of each unit.
    counts_after : callable
        Returns, of a kind, a unit and the instant at which a basket began, before which day the
        first eligible decision of the unit has to be.
    """
    found: list[tuple[int, int, Mapping[str, int]]] = []
    of_units = numbers(sorted(baskets.begun))
    for kind in KINDS:
        placed = [each.placed for each in counted if each.placed.offer.kind == kind]
        judged = judged_by(history, placed)
        for unit, number in of_units.items():
            for decision, basket in baskets.of_unit(unit, judged):
                day = counts_after(kind, number, decision.occurred_at)
                found.append((number, day, _columns_of(kind, basket, "beside_")))
    return [rows_of_days(sorted(found, key=lambda each: each[:2]))] if found else []


def rows_of_days(baskets: Sequence[tuple[int, int, Mapping[str, int]]]) -> UnitRows:
    """Return baskets, by unit and number of the day, as rows without an arm."""
    units, days, of_units = zip(*baskets, strict=True)
    n = len(baskets)
    columns = {"unit": np.array(units), "day": np.array(days), "flags": np.zeros(n, np.uint8)}
    columns |= {f"{kind}_counts": np.zeros(n, np.uint8) for kind in KINDS}
    columns |= {
        f"{kind}_{name}": np.array([each.get(f"{kind}_{name}", 0) for each in of_units], np.int64)
        for kind in KINDS
        for name in BESIDE
    }
    nothing = dict.fromkeys(KINDS, np.zeros((1, len(UNIT_COUNTS)), np.int64))
    return UnitRows(None, None, columns, (), nothing)


def _columns_of(kind: Kind, cluster: Cluster, prefix: str = "") -> Counter[str]:
    """Return the columns of a unit's eligible checkouts, or with a prefix of one of the others."""
    names = OF_BASKET if prefix else OF_CLUSTER
    values = {f"{prefix}{name}": getattr(cluster, name) for name in names}
    found = Counter[str]()
    for name, value in values.items():
        base, factor = CHANGES.get(name, (name, 0))
        found[f"{kind}_{name}"] = value - factor * values[base]
    return found
