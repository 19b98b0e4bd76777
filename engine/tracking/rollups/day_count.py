"""What falls into a day, counted: the one place that makes roll-ups from facts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mersalg.engine.facts import KINDS, Arm, Decision, Kind
from mersalg.engine.tracking.attribution import Outcome
from mersalg.engine.tracking.clusters import Baskets, clusters_of, judged_by, stratum_of
from mersalg.engine.tracking.counts import buyers_shown, count, count_by_unit
from mersalg.engine.tracking.history import History
from mersalg.engine.tracking.measures import Part
from mersalg.engine.tracking.per_unit import OF_BASKET
from mersalg.engine.tracking.quality import n_logged
from mersalg.engine.tracking.rates import UNIT_COUNTS, Counts
from mersalg.engine.tracking.rollups.day import (
    BESIDE,
    CHANGES,
    FLAGS,
    OF_CLUSTER,
    Notes,
    UnitRows,
    pack,
)
from mersalg.engine.tracking.sample_ratio import first_eligible, group_of
from mersalg.engine.tracking.strata import Cluster, Stratum


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
    baskets = Baskets(history, begun, currency)
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
        judged = judged_by(history, [each.placed for each in members])
        for (stratum, unit), cluster in clusters_of(history, judged, currency).items():
            rows[*stratum, unit].update(_columns_of(kind, cluster))
        for unit in baskets.begun:
            drawn = first[kind].get(unit)
            for decision, basket in baskets.of_unit(unit, judged):
                is_before = drawn is not None and decision.occurred_at < drawn.occurred_at
                stratum = (None, None) if is_before else strata[unit]
                rows[*stratum, unit].update(_columns_of(kind, basket, "beside_"))
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
    return pack(
        {(arm, share, number_of[unit]): row for (arm, share, unit), row in rows.items()}, notes
    )


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
