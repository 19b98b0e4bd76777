"""Count facts by unit, in rows: of a day for its roll-up, or of sets of offers for a report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from mersalg.engine.facts import KINDS, Arm, Decision, Kind
from mersalg.engine.tracking.attribution import Outcome
from mersalg.engine.tracking.clusters import (
    checkout_of,
    first_with_offers,
    is_drawn,
    orders_after,
    stratum_of,
)
from mersalg.engine.tracking.cuped import Spending, Unit
from mersalg.engine.tracking.measures import SPENT, Measures, Part
from mersalg.engine.tracking.quality import currency_of, n_logged
from mersalg.engine.tracking.rates import UNIT_COUNTS, Counts
from mersalg.engine.tracking.rollups.day import (
    BESIDE,
    CHANGES,
    FLAGS,
    AnyStratum,
    Notes,
    UnitRows,
    unit_rows,
    write_day,
)
from mersalg.engine.tracking.rollups.offer_count import OfferCounter
from mersalg.engine.tracking.rollups.offer_sums import Marks, Totals, totals_of
from mersalg.engine.tracking.rollups.sums import measures_of
from mersalg.engine.tracking.rollups.unit_sums import of_sets
from mersalg.engine.tracking.sample_ratio import Drawn, drawn_of, first_eligible, group_of
from mersalg.engine.tracking.strata import OF_BASKET, Cluster, Stratum, share_of

_SPENDING: Sequence[tuple[Kind, str]] = tuple(product(KINDS, SPENT))
_OF_SPENDING = (*SPENT, "checkouts", "foreign")


def day_of(
    part: Part,
    own: Part,
    quality: Mapping[str, int],
    currency: str | None,
    numbers: Callable[[Sequence[str]], Mapping[str, int]],
) -> bytes:
    """Count what falls into one day (or any period), as the roll-up that `Day` reads.

    `own` has the outcomes of the `part` without those in checkouts that several days share, and its
    decisions in the checkouts that are counted in it; `quality` are counts of facts that count for
    nothing. All money is in `currency`, None where it is the only one that the facts
    name. `numbers` returns the number of each unit, the same for every day.
    """
    history, currencies = part.history, part.currencies()
    currency, _ = currency_of(currencies, currency)
    last_orders, first = part.last_orders(), first_eligible(history, part.decisions)
    groups = sorted({group_of(each) for of_kind in first.values() for each in of_kind.values()})
    places = {group: index for index, group in enumerate(groups, 1)}
    strata: dict[str, Stratum] = {}
    for each in part.decisions:
        strata.setdefault(history.units[each.decision_id], stratum_of(each))
    counter = OfferCounter(history, own.decisions, currency, last_orders)
    counter.add(own.outcomes, _all)
    counter.mark(part.outcomes, _all)
    notes: defaultdict[tuple[AnyStratum, str], Counter[str]] = defaultdict(Counter)
    for unit, stratum in strata.items():
        notes[stratum, unit]["flags"] = 0
    for mark, units in (("ordered", last_orders), ("buying", part.buying_units())):
        for unit in units:
            notes[strata.get(unit, (None, None)), unit]["flags"] |= FLAGS[mark]
    for kind, of_kind in first.items():
        for unit, decision in of_kind.items():
            counter.visit(decision)
            notes[stratum_of(decision), unit][f"{kind}_drawn"] = places[group_of(decision)]
    number_of = numbers(sorted({*counter.units(), *(unit for _, unit in notes)}))
    table = counter.table(number_of)
    marks = Marks(
        [stratum for stratum, _ in notes],
        [number_of[unit] for _, unit in notes],
        {
            name: [each[name] for each in notes.values()]
            for name in ("flags", *(f"{kind}_drawn" for kind in KINDS))
        },
        {
            kind: [counter.places[each.decision_id] for each in of_kind.values()]
            for kind, of_kind in first.items()
        },
    )
    totals = totals_of(table, np.zeros_like(table.offers["key"]), 1, marks=marks)
    orders = Counter(order.currency for order in part.orders if order.currency is not None)
    elsewhere = {each.checkout_id for each in part.decisions}
    elsewhere -= {each.checkout_id for each in own.decisions}
    units = {
        history.units[each.decision_id] for each in part.decisions if each.checkout_id in elsewhere
    }
    of_day = Notes(
        totals.counts[0],
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
    return write_day(of_day, totals.by_unit())


def _all(_: Outcome) -> int:
    return 0


def measured(
    parts: Iterable[tuple[Part, Sequence[Sequence[Outcome]]]],
    currency: str | None,
    holdout: float,
    past: Mapping[str, int] | None = None,
) -> list[Measures]:
    """Measure sets of outcomes, each set of those that fall into a period, one after the other.

    `holdout` is the control share of decisions that state none, `past` what each unit spent before
    its first decision.
    """
    all_measures: list[Measures] = []
    for part, sets in parts:
        history, buying = part.history, part.buying_units()
        drawn: dict[Kind, Drawn] = {
            kind: drawn_of(of_units.values())
            for kind, of_units in first_eligible(history, part.decisions).items()
        }
        counter = OfferCounter(history, part.decisions, currency, part.last_orders())
        for number, outcomes in enumerate(sets):
            counter.add(outcomes, lambda _, number=number: number)
        units = counter.units()
        table = counter.table({unit: number for number, unit in enumerate(units)})
        totals = totals_of(table, np.array(table.keys, np.int64)[table.offers["key"]], len(sets))
        sums = of_sets(unit_rows(totals.columns), totals.ends, holdout)
        bought = counter.converted()
        counts: list[Mapping[Kind, Counts]] = [
            {
                kind: each + Counts(units_buying=len(buying | bought[number, kind]))
                for kind, each in of_kinds.items()
            }
            for number, of_kinds in enumerate(totals.counts)
        ]
        for number, measures in enumerate(measures_of(sums, counts)):
            spending = None if past is None else _spending(totals, number, units, holdout, past)
            all_measures.append(replace(measures, drawn=drawn, spending=spending))
    return all_measures


def _spending(
    totals: Totals, number: int, names: Sequence[str], holdout: float, past: Mapping[str, int]
) -> Mapping[tuple[Kind, str], Spending]:
    """Return what the units of a set spent, and had spent before."""
    spending = {each: dict[tuple[int, Arm], dict[str, Unit]]() for each in _SPENDING}
    bounds = totals.ends[number : number + 2]
    for (arm, stated), columns in totals.columns.items():
        if arm is None:
            continue
        own = slice(*np.searchsorted(columns["unit"], bounds).tolist())
        numbers: list[int] = totals.units[columns["unit"][own]].tolist()
        units = [names[unit] for unit in numbers]
        for kind, name in _SPENDING:
            # Columns are in the smallest types that hold them.
            of = {each: columns[f"{kind}_{each}"][own].astype(np.int64) for each in _OF_SPENDING}
            spent = of[name] + (of[CHANGES[name][0]] if name in CHANGES else 0)
            of_units = spending[kind, name].setdefault((share_of(stated, holdout), arm), {})
            both: list[list[int]] = [spent.tolist(), (of["checkouts"] - of["foreign"]).tolist()]
            for unit, x, m in zip(units, *both, strict=True):
                if m:
                    before = of_units.get(unit, Unit(0, 0, 0))
                    of_units[unit] = Unit(before.x + x, before.m + m, past.get(unit, 0))
    return spending


def rows_beside(
    shared: Part,
    currency: str | None,
    numbers: Callable[[Sequence[str]], Mapping[str, int]],
    counts_after: Callable[[Kind, int, int], int],
) -> Sequence[UnitRows]:
    """Return the rows of checkouts that several days share and that are not judged by any offer.

    `counts_after` returns, of a kind, a unit and the instant at which a checkout began, before
    which day the first eligible decision of the unit has to be.
    """
    history = shared.history
    first: dict[str, Decision] = {}
    for decision in shared.decisions:
        first.setdefault(decision.checkout_id, decision)
    drawn = [decision for decision in first.values() if is_drawn(decision)]
    of_units = numbers(sorted({history.units[each.decision_id] for each in drawn}))
    rows: list[tuple[int, int, Mapping[str, int]]] = []
    for kind in KINDS:
        own = [each.placed.decision for each in shared.outcomes if each.placed.offer.kind == kind]
        judged = {
            decision.checkout_id
            for decision in own
            if decision is first_with_offers(history, decision.checkout_id, kind)
        }
        for decision in drawn:
            if decision.checkout_id not in judged:
                number = of_units[history.units[decision.decision_id]]
                basket = checkout_of(history, orders_after(history, decision), (), currency)
                day = counts_after(kind, number, decision.occurred_at)
                rows.append((number, day, _beside(kind, basket)))
    return [rows_of_days(sorted(rows, key=lambda each: each[:2]))] if rows else []


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


def _beside(kind: Kind, basket: Cluster) -> Mapping[str, int]:
    """Return the columns of a checkout that is not eligible."""
    values = {f"beside_{name}": int(getattr(basket, name)) for name in OF_BASKET}
    plain = {**values}
    for name, (base, factor) in CHANGES.items():
        if name in values:
            values[name] -= factor * plain[base]
    return {f"{kind}_{name}": value for name, value in values.items()}
