"""What falls into a day, counted: the one place that makes roll-ups from facts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from engine.facts import KINDS, Arm, Kind
from engine.tracking.attribution import Outcome
from engine.tracking.clusters import clusters_of, stratum_of
from engine.tracking.counts import buyers_shown, count, count_by_unit
from engine.tracking.measures import Part
from engine.tracking.quality import n_logged
from engine.tracking.rates import Counts
from engine.tracking.rollups.day import CHANGES, FLAGS, OF_CLUSTER, Notes, pack
from engine.tracking.sample_ratio import first_eligible, group_of
from engine.tracking.strata import Stratum


def day_of(
    part: Part,
    counted: Sequence[Outcome],
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
    rows: defaultdict[tuple[Arm | None, int | None, str], Counter[str]] = defaultdict(Counter)
    strata: dict[str, Stratum] = {}
    for decision in part.decisions:
        strata.setdefault(history.units[decision.decision_id], stratum_of(decision))
    for unit, stratum in strata.items():
        rows[*stratum, unit]["flags"] = 0
    last_orders = part.last_orders()
    for mark, units in (("ordered", last_orders), ("buying", part.buying_units())):
        for unit in units:
            rows[*strata.get(unit, (None, None)), unit]["flags"] |= FLAGS[mark]
    first = first_eligible(history, part.decisions)
    groups = sorted({group_of(each) for of_kind in first.values() for each in of_kind.values()})
    places = {group: place for place, group in enumerate(groups, 1)}
    counts: dict[Kind, Counts] = {}
    for kind in KINDS:
        shown = [each for each in part.outcomes if each.placed.offer.kind == kind and each.shown]
        bought = buyers_shown(shown, history.orders_of, last_orders)
        for each in shown:
            row = rows[*stratum_of(each.placed.decision), each.placed.unit]
            row["flags"] |= FLAGS[f"{kind}_shown"]
            row["flags"] |= FLAGS[f"{kind}_bought"] if each.placed.unit in bought else 0
        members = [each for each in counted if each.placed.offer.kind == kind]
        by_unit = count_by_unit(members, history.orders_of)
        counts[kind] = count(members, by_unit, currency)
        first_shown: dict[str, Stratum] = {}
        for each in members:
            if each.shown:
                first_shown.setdefault(each.placed.unit, stratum_of(each.placed.decision))
        for name, of_unit in by_unit.items():
            for unit, n in of_unit.items():
                rows[*first_shown[unit], unit][f"{kind}_{name}"] = n
        for unit, decision in first[kind].items():
            rows[*stratum_of(decision), unit][f"{kind}_drawn"] = places[group_of(decision)]
        clusters = clusters_of(history, [each.placed for each in members], currency)
        for (stratum, unit), cluster in clusters.items():
            row = rows[*stratum, unit]
            for name in OF_CLUSTER:
                base, factor = CHANGES.get(name, ("checkouts", 0))
                row[f"{kind}_{name}"] = getattr(cluster, name) - factor * getattr(cluster, base)
    orders = Counter(order.currency for order in part.orders if order.currency is not None)
    logged = n_logged(history, part.decisions, part.orders)
    n_decisions = len(part.decisions)
    notes = Notes(counts, quality, orders, currency, currencies, n_decisions, logged, tuple(groups))
    number_of = numbers(sorted({unit for _, _, unit in rows}))
    return pack(
        {(arm, share, number_of[unit]): row for (arm, share, unit), row in rows.items()}, notes
    )
