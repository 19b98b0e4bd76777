"""Reports from roll-ups are those from the facts, to the byte, however the facts came in."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace as replace_sums
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import event

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.facts import KINDS, Decision, Event, Fact, Offer, PurchaseItem
from mersalg.engine.progress import SilentProgress
from mersalg.engine.storage import writer
from mersalg.engine.storage.fact_import import Source, import_facts
from mersalg.engine.storage.facts import Facts
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.tracking.intervals import RatioSums
from mersalg.engine.tracking.measures import Measures
from mersalg.engine.tracking.query import OFFER_KEYS, TIME_KEYS
from mersalg.engine.tracking.rates import UNIT_COUNTS, Counts
from mersalg.engine.tracking.report import ReportQuery, build_report
from mersalg.engine.tracking.rollups import format_1, rolled_up, stored, unit_sums
from mersalg.engine.tracking.rollups.day import (
    BESIDE,
    CHANGES,
    COUNT_COLUMNS,
    FIELDS,
    FLAGS,
    KEYS,
    OF_CLUSTER,
    TOTALS,
    Day,
    Key,
    Notes,
    Rows,
    columns_of,
    same_numbers,
    write_day,
)
from mersalg.engine.tracking.rollups.day_count import rows_of_days
from mersalg.engine.tracking.rollups.stratum import Column, sum_by_place
from mersalg.engine.tracking.rollups.sums import add_up, summed
from mersalg.engine.tracking.sample_ratio import Drawn
from mersalg.engine.tracking.strata import (
    ARMS,
    COUNTED,
    MEASURES,
    MONEY,
    Cluster,
    Strata,
    Stratum,
)
from mersalg.engine.tracking.strata import OF_BASKET as BASKET
from tests.benchmarks.importing import write_facts
from tests.support.cluster_sums import (
    Clusters,
    add_to,
    between_kinds,
    by_share,
    ratios_of,
    strata_of,
    sums_of,
)
from tests.support.facts import histories, returning
from tests.support.repetitions import repetitions

SECRET = b"a secret of the tests, long enough"
FIRST = date(2026, 3, 28)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "facts.db"
    store = open_store(str(path), secret=SECRET)
    store.migrate()
    store.reports.save_settings({"timezone": "Europe/Oslo", "bot_decisions_per_hour": "2"})
    store.close()
    return path


@contextmanager
def copied(empty: Path) -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.db"
        shutil.copy(empty, path)
        store = open_store(str(path), secret=SECRET)
        try:
            yield store
        finally:
            store.close()


def days() -> st.SearchStrategy[tuple[date | None, date | None]]:
    def period(start: int | None, length: int | None) -> tuple[date | None, date | None]:
        first = None if start is None else FIRST + timedelta(days=start)
        if length is None:
            return first, None
        return first, (first or FIRST) + timedelta(days=length)

    maybe = st.one_of(st.none(), st.integers(0, 3))
    return st.builds(period, maybe, maybe)


def queries() -> st.SearchStrategy[ReportQuery]:
    return st.builds(
        lambda bounds, by, fold, currency, watched: ReportQuery(
            since=bounds[0],
            until=bounds[1],
            by=by,
            fold_below=fold,
            currency=currency,
            watched=watched,
        ),
        days(),
        st.sampled_from([(), ("day",), ("week",), ("month", "day")])
        | st.lists(st.sampled_from(OFFER_KEYS), unique=True, min_size=1, max_size=2).map(tuple)
        | st.tuples(st.sampled_from(TIME_KEYS), st.sampled_from(OFFER_KEYS)),
        st.sampled_from([0, 0, 2]),
        st.sampled_from([None, None, "NOK", "SEK"]),
        st.booleans(),
    )


def same(store: Store, query: ReportQuery) -> None:
    reads: list[FactScope] = []
    plain = Facts.read

    def counted(self: Facts, scope: FactScope) -> Iterator[Fact]:
        reads.append(scope)
        return plain(self, scope)

    from_facts = json.dumps(build_report(store, query, from_facts=True))
    assert json.dumps(build_report(store, query)) == from_facts
    with patch.object(Facts, "read", counted):
        again = json.dumps(build_report(store, query))
    assert again == from_facts
    own = store.reports.settings().get("currency")
    if query.currency == own:
        # Rolled up once, no day is read again unless its money is of several currencies.
        currencies = len(json.loads(from_facts)["quality"]["currency"].split(",")) > 1
        assert not reads or currencies


@pytest.mark.thorough
@settings(max_examples=repetitions(20, 60))
@given(facts=histories(), data=st.data())
@pytest.mark.parametrize("bulk", [False, True])
def test_roll_ups_follow_the_facts(
    bulk: bool, empty: Path, facts: list[Fact], data: st.DataObject
) -> None:
    """Facts come in three deliveries in any order, with reports between them."""
    shuffled = data.draw(st.permutations(facts))
    cuts = sorted(data.draw(st.tuples(*[st.integers(0, len(facts))] * 2)))
    parts = [shuffled[: cuts[0]], shuffled[cuts[0] : cuts[1]], shuffled[cuts[1] :]]
    most = 0 if bulk else 1_000
    with (
        copied(empty) as store,
        patch.object(writer, "NOTED_SINGLY", most),
    ):
        store.reports.save_settings({"count": data.draw(st.sampled_from(["vouched", "all"]))})
        for part in parts:
            store.facts.append(part)
            same(store, data.draw(queries()))
        same(store, data.draw(queries()))


@settings(max_examples=repetitions(25, 250))
@given(facts=returning(), data=st.data())
def test_units_have_all_their_checkouts(
    empty: Path, facts: list[Fact], data: st.DataObject
) -> None:
    """From the first eligible decision on, also those that several days share."""
    at_once = data.draw(st.sampled_from([2, 10**6]))
    with copied(empty) as store, patch.object(rolled_up, "_ROWS", at_once):
        store.facts.append(facts)
        for by in ((), ("day",), ("item",), ("placement", "store")):
            first, last = data.draw(days())
            fold = data.draw(st.sampled_from([0, 2]))
            same(store, ReportQuery(since=first, until=last, by=by, fold_below=fold))
        same(store, ReportQuery())


@settings(max_examples=repetitions(20))
@given(facts=histories(), data=st.data())
def test_another_setting_of_the_shop_rolls_up_anew(
    empty: Path, facts: list[Fact], data: st.DataObject
) -> None:
    with copied(empty) as store:
        store.facts.append(facts)
        build_report(store, ReportQuery())
        store.reports.save_settings(
            data.draw(
                st.sampled_from(
                    [
                        {"timezone": "Asia/Tokyo"},
                        {"impressions": "served"},
                        {"checkout_days": "1"},
                        {"prices_include_tax": "false"},
                        {"currency": "NOK"},
                        {"bot_decisions_per_hour": "1"},
                        {"count": "vouched"},
                    ]
                )
            )
        )
        same(store, data.draw(queries()))


@settings(max_examples=repetitions(20))
@given(facts=histories(), data=st.data())
def test_a_forgotten_customer_counts_as_before(
    empty: Path, facts: list[Fact], data: st.DataObject
) -> None:
    with copied(empty) as store:
        store.reports.save_settings({"count": data.draw(st.sampled_from(["vouched", "all"]))})
        store.facts.append(facts)
        before = json.dumps(build_report(store, ReportQuery(by=("day",))))
        store.people.erase("ann")
        assert json.dumps(build_report(store, ReportQuery(by=("day",)))) == before
        same(store, data.draw(queries()))


@given(data=st.data(), days=st.lists(st.integers(0, 3), min_size=2, max_size=4))
@settings(max_examples=repetitions(10))
def test_an_order_of_several_checkouts_counts_once(
    empty: Path, data: st.DataObject, days: list[int]
) -> None:
    """A chain of checkouts, each of two neighbours with an order that names offers of both."""
    decided = [
        replace(
            _decision(f"d{number}"),
            occurred_at=_decision("").occurred_at + day * MICROS_PER_DAY,
            offers=(Offer(f"o{number}", "cross_sell", "bun", 1, 900),),
        )
        for number, day in enumerate(days)
    ]
    bought = [
        Event(
            event_id=f"p{number}",
            type="purchase",
            occurred_at=max(each.occurred_at for each in decided) + number,
            checkout_id=data.draw(st.sampled_from([None, "elsewhere"])),
            transaction_id=f"t{number}",
            currency="NOK",
            items=tuple(
                PurchaseItem("bun", 1, 900, offer_id=f"o{place}") for place in (number, number + 1)
            ),
        )
        for number in range(len(days) - 1)
    ]
    facts = data.draw(st.permutations([*decided, *bought]))
    with copied(empty) as store:
        for part in (facts[:2], facts[2:]):
            store.facts.append(part)
            same(store, data.draw(queries()))
        rates: Any = build_report(store, ReportQuery())["total"]
    of_order, of_checkout = (rates["cross_sell"][name] for name in ("order", "checkout"))
    assert of_order["numerator"] == of_order["denominator"] == len(bought)
    assert of_checkout["numerator"] == of_checkout["denominator"] == len(days)


def test_who_bought_before_a_checkout_of_two_days_has_not_bought_after_it(empty: Path) -> None:
    hour = MICROS_PER_DAY // 24
    shown = [
        replace(
            _decision(f"d{number}"),
            occurred_at=_decision("").occurred_at + number * MICROS_PER_DAY,
            checkout_id="long",
            customer_id="ann",
            offers=(Offer(f"o{number}", "cross_sell", "bun", 1, 900),),
        )
        for number in range(2)
    ]
    views = [
        Event(
            event_id=f"v{number}",
            type="view_promotion",
            occurred_at=each.occurred_at + 1,
            offer_id=f"o{number}",
            customer_id="ann",
        )
        for number, each in enumerate(shown)
    ]
    bought = Event(
        event_id="p",
        type="purchase",
        occurred_at=shown[0].occurred_at - hour,
        checkout_id="earlier",
        customer_id="ann",
        transaction_id="t",
        currency="NOK",
        items=(PurchaseItem("pot", 1, 900),),
    )
    with copied(empty) as store:
        store.facts.append([*shown, *views, bought])
        for by in ((), ("day",), ("item",)):
            same(store, ReportQuery(by=by))
        assert (
            build_report(store, ReportQuery())["total"]["cross_sell"]["customer"][  # type: ignore[index]
                "denominator"
            ]
            == 0
        )


def test_days_know_the_customer_that_a_later_fact_names(empty: Path) -> None:
    """Decisions of two days name sessions; whose they are is said by other facts, days later."""
    facts: list[Fact] = []
    for number, day in enumerate((0, 2)):
        offer = Offer(f"o{number}", "cross_sell", "bun", 1, 900)
        instant = _decision("").occurred_at + day * MICROS_PER_DAY
        made = {"occurred_at": instant, "session_id": f"s{number}", "offers": (offer,)}
        facts.append(replace(_decision(f"d{number}"), **made))
        facts.append(
            Event(
                event_id=f"p{number}",
                type="purchase",
                occurred_at=instant + 1,
                checkout_id=f"d{number}",
                transaction_id=f"t{number}",
                currency="NOK",
                items=(PurchaseItem("bun", 1, 900, offer_id=f"o{number}"),),
            )
        )
    late = [
        Event(
            event_id=f"v{number}",
            type="view_promotion",
            occurred_at=_decision("").occurred_at + (4 + number) * MICROS_PER_DAY,
            offer_id=f"o{number}",
            customer_id="ann",
        )
        for number in range(2)
    ]
    n_buyers: list[int] = []
    with copied(empty) as store:
        for part in (facts, late[:1], late[1:]):
            store.facts.append(part)
            same(store, ReportQuery())
            rates: Any = build_report(store, ReportQuery())["total"]
            n_buyers.append(rates["cross_sell"]["penetration"]["denominator"])
    assert n_buyers == [2, 2, 1]


def test_a_day_rolled_up_from_facts_read_before_is_not_saved(empty: Path) -> None:
    with copied(empty) as store:
        rollups = store.reports.rollups
        rollups.begin("x")
        store.facts.append([_decision("d1")])
        rollups.sort_fresh(lambda _: "2026-03-28")
        (stale,) = rollups.stale()
        store.facts.append([_decision("d2")])
        rollups.sort_fresh(lambda _: "2026-03-28")
        assert not rollups.save(stale, b"old", b"old", {}, [])
        (newer,) = rollups.stale()
        assert rollups.save(newer, b"new", b"offers", {}, [])
        assert list(rollups.bodies(None, None)) == [("2026-03-28", b"new")]
        assert rollups.stale() == []


def _decision(name: str) -> Decision:
    return Decision(
        event_id=name,
        decision_id=name,
        occurred_at=1_774_700_000_000_000,
        checkout_id=name,
        session_id=None,
        customer_id=None,
        arm="treatment",
        model_version=None,
        placement="checkout",
        currency="NOK",
        lines=(),
        offers=(),
    )


GROUPS = (("oslo", "new", "cart"), ("oslo", "new", "checkout"), ("unknown", "new", "cart"))
UNITS = st.lists(st.integers(0, 40), unique=True, max_size=12)
AMOUNTS = st.one_of(st.integers(-3, 3), st.integers(-(2**40), 2**40))
STRATA = st.sampled_from([(None, None), *itertools.product(ARMS, (None, 100_000, 500_000))])


@st.composite
def baskets(draw: st.DrawFn, kind: str, amounts: st.SearchStrategy[int]) -> dict[str, int]:
    """Columns of orders beside those of eligible checkouts."""
    row = {f"{kind}_{name}": draw(amounts) for name in BESIDE}
    return row | {
        f"{kind}_beside_orders": draw(st.integers(1, 3)),
        f"{kind}_beside_foreign": draw(st.sampled_from([0, 0, 1])),
    }


@st.composite
def rows_of_a_day(draw: st.DrawFn, amounts: st.SearchStrategy[int] = AMOUNTS) -> Rows:
    """Rows as a day has them: without an arm there are no sums, without checkouts neither."""
    rows: dict[Key, dict[str, int]] = {}
    foreigners = draw(st.sampled_from([st.just(0), st.integers(0, 3)]))
    for arm, share in draw(st.lists(STRATA, unique=True)):
        for unit in draw(UNITS):
            row = {"flags": draw(st.integers(0, 2 ** len(FLAGS) - 1))}
            for kind in KINDS:
                for name in UNIT_COUNTS if draw(st.booleans()) else ():
                    least = 1 if name.endswith("_shown") else 0
                    row[f"{kind}_{name}"] = draw(st.sampled_from([least, least, 1, 2, 2**20]))
            for kind in KINDS if arm else ():
                if not any(key[2] == unit and rows[key].get(f"{kind}_drawn") for key in rows):
                    row[f"{kind}_drawn"] = draw(st.integers(0, len(GROUPS)))
                checkouts = draw(st.integers(0, 3))
                row[f"{kind}_checkouts"] = checkouts
                foreign = min(draw(foreigners), checkouts)
                row[f"{kind}_foreign"] = foreign
                changes = st.just(0) if draw(st.booleans()) else amounts
                for name in MEASURES if checkouts else ():
                    if name not in MONEY or foreign < checkouts:
                        row[f"{kind}_{name}"] = draw(changes if name in CHANGES else amounts)
            for kind in draw(st.lists(st.sampled_from(KINDS), unique=True)):
                row |= draw(baskets(kind, amounts))
            rows[arm, share, unit] = row
    return rows


def noted(currency: str = "NOK") -> Notes:
    counts = dict.fromkeys(KINDS, Counts(offers_shown=2, revenue_minor=7))
    return Notes(counts, {"late": 1}, {currency: 1}, currency, frozenset({currency}), groups=GROUPS)


def pack(rows: Rows, notes: Notes) -> bytes:
    return write_day(notes, columns_of(rows))


@given(rows=rows_of_a_day(AMOUNTS | st.sampled_from([-(2**63), 2**63 - 1])))
def test_a_day_comes_back(rows: Rows) -> None:
    body = pack(rows, noted())
    day = Day(body)
    assert day.notes == noted()
    found: dict[Key, dict[str, int]] = {}
    for of_stratum in day.rows:
        for place, unit in enumerate(of_stratum.column("unit").tolist()):
            row = {name: int(of_stratum.column(name)[place]) for name in ("flags", *TOTALS)}
            for kind in KINDS:
                counts = of_stratum.counts[kind][of_stratum.column(f"{kind}_counts")[place]]
                row |= {f"{kind}_{name}": n for name, n in zip(UNIT_COUNTS, counts, strict=True)}
            found[of_stratum.arm, of_stratum.share, unit] = row
    names = ("flags", *COUNT_COLUMNS, *TOTALS)
    assert found == {key: {name: row.get(name, 0) for name in names} for key, row in rows.items()}
    assert body == pack(dict(reversed(list(rows.items()))), noted())
    assert same_numbers(body, body)
    assert not same_numbers(body, pack(rows, noted("SEK")))
    assert not same_numbers(body, pack({**rows, ("control", None, 99): {"flags": 1}}, noted()))
    with pa.ipc.open_stream(body) as reader:
        keys = {"arm", "share", "vouched", "item", "rule", "placement", "store", "segment"}
        assert keys < set(reader.schema.names)


@pytest.mark.parametrize("rows_at_once", [3, 10**6])
@given(
    days=st.lists(st.tuples(rows_of_a_day(), st.sampled_from(["NOK", "SEK"])), max_size=4),
    with_sums=st.tuples(*[st.booleans()] * 4),
    apart=st.sampled_from([1, 1_000]),
    beside=st.lists(
        st.tuples(st.integers(0, 40), st.integers(-1, 4), baskets("upsell", AMOUNTS)), max_size=6
    ),
)
def test_days_add_up_as_their_units_do(
    rows_at_once: int,
    days: list[tuple[Rows, str]],
    with_sums: tuple[bool, ...],
    apart: int,
    beside: list[tuple[int, int, dict[str, int]]],
) -> None:
    """Each unit counts once, whether its units are numbered densely or far apart.

    `beside` are orders in checkouts of several days, each with a unit and the day before which its
    first eligible decision was.
    """
    beside = sorted(((unit * apart, n, row) for unit, n, row in beside), key=lambda each: each[:2])
    apart_days = [
        ({(arm, share, unit * apart): row for (arm, share, unit), row in rows.items()}, currency)
        for rows, currency in days
    ]
    bodies = [pack(row, noted(money)) for row, money in apart_days]
    bodies = [summed(body) if so else body for body, so in zip(bodies, with_sums, strict=False)]
    made = [Day(body, n) for n, body in enumerate(bodies)]
    if beside:
        made.append(Day(pack({}, noted()), len(days)))
        made[-1].rows.append(rows_of_days(beside))
        apart_days.append(({}, "NOK"))
    with patch.object(unit_sums, "_ROWS", rows_at_once):
        (measured,) = add_up([made], "NOK", 0.25)
    assert measured == added_one_by_one(apart_days, beside, 0.25)


def fields(row: dict[str, int], prefix: str, names: Iterable[str], currency: str) -> dict[str, int]:
    """The fields of a cluster that the columns of a row say."""
    found = {
        name: row.get(prefix + name, 0) * (currency == "NOK" or name not in MONEY) for name in names
    }
    beside = "beside_" if prefix.endswith("beside_") else ""
    for name, (base, factor) in CHANGES.items():
        if name.startswith("beside_") == bool(beside):
            found[name.removeprefix(beside)] += factor * found[base.removeprefix(beside)]
    return found


def units_only(strata: Strata) -> Strata:
    """Without the count of checkouts whose decisions state no share, which units have none of."""
    return Strata({key: replace_sums(sums, unstated=0) for key, sums in strata.arms.items()})


def added_one_by_one(
    days: list[tuple[Rows, str]], beside: list[tuple[int, int, dict[str, int]]], holdout: float
) -> Measures:
    """The measures of days, unit by unit."""
    marks: defaultdict[int, set[str]] = defaultdict(set)
    first: dict[str, dict[int, tuple[Stratum, tuple[str, ...]]]] = {kind: {} for kind in KINDS}
    on_days: defaultdict[int, list[tuple[int, set[str]]]] = defaultdict(list)
    clusters: defaultdict[str, defaultdict[tuple[Stratum, str], Cluster]] = defaultdict(
        lambda: defaultdict(Cluster)
    )
    counted: dict[str, Counter[str]] = {name: Counter() for name in COUNT_COLUMNS}
    begun: dict[tuple[str, int], int] = {}
    extra = [(unit, n, "NOK", row) for unit, n, row in beside]
    for day, (rows, currency) in enumerate(days):
        for (arm, share, unit), row in rows.items():
            found = {mark for mark, flag in FLAGS.items() if row["flags"] & flag}
            on_days[unit].append((day, found))
            extra.append((unit, day + (arm is not None), currency, row))
            marks[unit] |= found
            for name in COUNT_COLUMNS:
                counted[name][str(unit)] += row.get(name, 0)
            for kind in KINDS if arm else ():
                if row.get(f"{kind}_drawn"):
                    group = GROUPS[row[f"{kind}_drawn"] - 1]
                    first[kind].setdefault(unit, ((arm, share), group))
                    begun.setdefault((kind, unit), day)
                if row.get(f"{kind}_checkouts"):
                    sums = fields(row, f"{kind}_", OF_CLUSTER, currency)
                    add_to(clusters[kind][(arm, share), str(unit)], Cluster(**sums))

    def trials(kind: str) -> Clusters:
        totals: defaultdict[int, Cluster] = defaultdict(Cluster)
        for (_, unit), cluster in clusters[kind].items():
            add_to(totals[int(unit)], cluster)
        for unit, day, currency, row in extra:
            if f"{kind}_beside_orders" in row and day > begun.get((kind, unit), 99):
                sums = fields(row, f"{kind}_beside_", BASKET, currency)
                add_to(totals[unit], Cluster(**sums))
        for total in totals.values():
            total.checkouts = 1
            for name in (*COUNTED, "foreign"):
                setattr(total, name, int(getattr(total, name) > 0))
        return {
            (first[kind][unit][0], str(unit)): total
            for unit, total in totals.items()
            if unit in first[kind]
        }

    def bought(kind: str, unit: int) -> bool:
        shown, ordered = (
            [day for day, found in on_days[unit] if mark in found]
            for mark in (f"{kind}_shown", "ordered")
        )
        later = any(one < other for one in shown for other in ordered)
        return later or f"{kind}_bought" in marks[unit]

    def counts(kind: str) -> Counts:
        return Counts(
            offers_shown=2 * len(days),
            revenue_minor=7 * sum(currency == "NOK" for _, currency in days),
            units_shown=sum(bought(kind, unit) for unit in marks),
            units_converted=len(+counted[f"{kind}_offers_converted"]),
            units_kept=len(+counted[f"{kind}_offers_kept"]),
            units_buying=sum("buying" in found for found in marks.values()),
        )

    return Measures(
        {kind: counts(kind) for kind in KINDS},
        {
            kind: ratios_of({name: +counted[f"{kind}_{name}"] for name in UNIT_COUNTS})
            for kind in KINDS
        },
        {kind: strata_of(clusters[kind], holdout) for kind in KINDS},
        {kind: units_only(strata_of(trials(kind), holdout)) for kind in KINDS},
        {kind: Drawn(of_units.values()) for kind, of_units in first.items()},
        between_kinds({kind: by_share(clusters[kind], holdout) for kind in KINDS}),
    )


@given(
    st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(1, 2**62)), max_size=30),
    st.data(),
)
def test_sums_are_exact(clusters: list[tuple[int, int]], data: st.DataObject) -> None:
    cut, n = data.draw(st.integers(0, len(clusters))), len(clusters)
    ends = np.array([0, cut, cut, n])
    x, m = (Column(np.array([each[at] for each in clusters], np.int64), ends) for at in (0, 1))
    expected = [sums_of(clusters[:cut]), sums_of([]), sums_of(clusters[cut:])]
    assert [RatioSums(*sums) for sums in x.per(m).tolist()] == expected


@given(st.lists(st.tuples(st.integers(-(2**59), 2**59), st.integers(0, 3)), max_size=7))
def test_sums_of_places_are_exact(values: list[tuple[int, int]]) -> None:
    amounts, places = (np.array([each[at] for each in values], np.int64) for at in (0, 1))
    expected = [sum(value for value, own in values if own == place) for place in range(4)]
    assert sum_by_place(amounts, places, 4).tolist() == expected


def test_many_days_are_rolled_up_by_many_processes(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "facts.jsonl"
    write_facts(file, 60)  # over a year
    query = ReportQuery(since=date(2025, 1, 1), until=date(2025, 12, 31), by=("month",))
    reports: list[str] = []
    started: list[int] = []
    make = stored.Workers

    def counted(most: int, *others: object) -> object:
        started.append(most)
        return make(most, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(stored, "Workers", counted)
    for many in (10**6, 16):
        monkeypatch.setattr(stored, "_MANY", many)
        monkeypatch.setattr(stored.os, "cpu_count", lambda: 2)
        with copied(empty) as store:
            with file.open("rb") as lines:
                rejects = tmp_path / "rejects"
                import_facts(store, Source.of(lines, file), rejects, SilentProgress())
            store.reports.rollups.begin("anew")  # every day is stale, as after a large import
            reported = build_report(store, query)
            reported.pop("generated_at", None)
            reports.append(json.dumps(reported, default=str))
            assert not store.reports.rollups.stale()
    assert reports[0] == reports[1]
    assert len(json.loads(reports[0])["groups"]) == 12
    assert started == [2]


def in_the_first_tables(notes: Notes, flags: list[int], checkouts: list[int]) -> bytes:
    """Return a roll-up as the first Arrow tables were: without counts of units or other money.

    Each kind has the same totals, so that those of the second are left out.
    """
    later = ("drawn", *CHANGES, "foreign")
    totals = [name for name in TOTALS if name.startswith("cross_sell") and not name.endswith(later)]
    fields = [field for field in FIELDS if field.name in {"unit", "flags", *totals}]
    schema = pa.schema([*KEYS, *fields], {"notes": msgspec.json.encode(notes)})
    n = len(flags)
    keys = [
        pa.RunEndEncodedArray.from_arrays(
            pa.array([n], pa.int32()), pa.array([value], field.type.value_type)
        )
        for field, value in zip(KEYS, ["treatment", 100_000, *[None] * 6], strict=True)
    ]
    columns = {"unit": list(range(1, n + 1)), "flags": flags} | {
        name: checkouts if name == "cross_sell_checkouts" else [0] * n for name in totals
    }
    arrays = [pa.array(columns[field.name], field.type) for field in fields]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch([*keys, *arrays], schema=schema))
    return sink.getvalue().to_pybytes()


def test_days_of_the_first_tables_keep_their_numbers() -> None:
    """Three units were shown 7 cross-sell offers; one bought one, another something else."""
    counts = Counts(
        offers_shown=7, offers_accepted=2, offers_converted=1, offers_kept=1, checkouts_shown=4,
        checkouts_converted=1, checkouts_kept=1, orders_shown=2, orders_converted=1, orders_kept=1,
    )  # fmt: skip
    notes = Notes(
        {"cross_sell": counts, "upsell": Counts()}, {}, {"NOK": 2}, "NOK", frozenset({"NOK"})
    )
    shown, sold, kept, buying, drawn = (1 << bit for bit in (0, 1, 2, 6, 7))
    flags = [shown | sold | kept | buying | drawn, shown | buying | drawn, shown | drawn, buying]
    body = format_1.renewed(in_the_first_tables(notes, flags, [2, 1, 1, 0]))
    assert format_1.renewed(body) == body
    day = Day(body)
    unknown = ("unknown",) * 3
    assert day.notes == replace(notes, groups=(unknown,))
    (measured,) = add_up([[day]], "NOK", 0.1)
    for kind in KINDS:
        assert measured.of_units[kind].units("treatment", [100_000]) == 3
        assert measured.drawn[kind] == {(("treatment", 100_000), unknown): 3}
    assert measured.counts["cross_sell"] == counts + Counts(
        units_shown=2, units_converted=1, units_kept=1, units_buying=3
    )
    assert measured.counts["upsell"] == Counts(units_buying=3)
    # What is not known of the units is shared out: 3, 2 and 2 offers.
    ratios = measured.ratios["cross_sell"]
    assert ratios["offer"] == RatioSums(3, 1, 7, 1, 3, 17, 1, 3)
    assert ratios["net_checkout"] == RatioSums(3, 1, 4, 1, 2, 6, 1, 3)
    assert {name: sums.sum_x for name, sums in ratios.items() if name.startswith("net")} == {
        "net_offer": 1, "net_order": 1, "net_checkout": 1,
    }  # fmt: skip
    for kind in KINDS:
        assert measured.strata[kind].total("converted", "treatment", [100_000]) == (0, 4)
    # Who bought that day and sees an offer later has not bought since.
    body = pack({("treatment", 100_000, 4): {"flags": FLAGS["cross_sell_shown"]}}, notes)
    earlier, later = Day(body, -1), Day(body, 1)
    measured, other = add_up([[day, later], [earlier, day]], "NOK", 0.1)
    assert (measured.counts["cross_sell"].units_shown, other.counts["cross_sell"].units_shown) == (
        2,
        3,
    )


@pytest.mark.parametrize("first", range(5))
def test_an_order_of_a_bot_does_not_take_the_place_of_a_buyers(empty: Path, first: int) -> None:
    """Both have one transaction id; the buyer sees the offer again two days later."""
    begin, hour = 1_774_728_000_000_000, MICROS_PER_DAY // 24
    offer = Offer("o1", "cross_sell", "jug", 1, 100)
    cup = (PurchaseItem("cup", 1, 100),)
    buyer = {"session_id": "s", "customer_id": "c"}
    bought: dict[str, Any] = {"transaction_id": "t1", "currency": "NOK", "items": cup}
    facts: list[Fact] = [
        Decision(
            event_id=f"e-{checkout}",
            decision_id=checkout,
            occurred_at=begin,
            checkout_id=checkout,
            session_id=None if is_bot else "s",
            customer_id="c",
            arm="treatment",
            model_version=None,
            placement="checkout",
            currency="NOK",
            lines=(),
            offers=() if is_bot else (offer,),
            is_bot=is_bot,
        )
        for checkout, is_bot in (("k1", True), ("k2", False))
    ]
    facts += [
        Event("e-b1", "purchase", begin + 10 * hour, checkout_id="k2", **buyer, **bought),
        Event("e-b2", "purchase", begin, checkout_id="k1", customer_id="c", **bought),
        Event("e-v", "view_promotion", begin + 37 * hour, offer_id="o1", **buyer),
    ]
    with copied(empty) as store:
        for fact in (*facts[first:], *facts[:first]):
            store.facts.append([fact])
            same(store, ReportQuery())
        made: Any = build_report(store, ReportQuery())
    assert made["quality"]["late"] == 1
    assert made["total"]["cross_sell"]["order"]["denominator"] == 1


def _view(number: int, day: int, offer_id: str) -> Event:
    instant = 1_774_700_000_000_000 + day * MICROS_PER_DAY
    return Event(
        f"v{number}", "view_promotion", instant, offer_id=offer_id, session_id=f"s{number}"
    )


@pytest.mark.parametrize("bulk", [False, True])
def test_events_that_match_nothing_make_no_day_stale(bulk: bool, empty: Path) -> None:
    query = ReportQuery()
    with copied(empty) as store, pytest.MonkeyPatch.context() as patched:
        patched.setattr(writer, "NOTED_SINGLY", 0 if bulk else 1_000)
        placed = Offer("o1", "cross_sell", "jug", 1, 100)
        store.facts.append([replace(_decision("d1"), offers=(placed,)), _view(0, 0, "o1")])
        same(store, query)
        rollups = store.reports.rollups
        before = dict(rollups.bodies(None, None))
        ids = [f"off_{number}" if number % 4 else f"PROMO-{number}" for number in range(1, 400)]
        strays = [_view(number, number, id_) for number, id_ in enumerate(ids, 1)]
        assert store.facts.append(strays).recorded == len(strays)
        with patch.object(stored, "_roll_up", side_effect=AssertionError("a day was counted")):
            quality: Any = build_report(store, query)["quality"]
        assert (quality["unmatched"], quality["other_promotions"]) == (300, 99)
        assert dict(rollups.bodies(None, None)) == before
        same(store, query)
        same(store, ReportQuery(since=FIRST, until=FIRST + timedelta(days=30), by=("day",)))
        # Two of them are of offers after all, which come with their checkout.
        late = [Offer(id_, "cross_sell", "jug", 1, 100) for id_ in ("off_7", "PROMO-8")]
        store.facts.append([replace(_decision("d2"), offers=tuple(late))])
        same(store, query)
        quality = build_report(store, query)["quality"]
        assert (quality["unmatched"], quality["other_promotions"]) == (299, 98)
        stored.rebuild(store, query.filled(store.reports.settings()), SilentProgress())
        same(store, query)


def test_sorting_names_no_fact_more_often_than_once_in_a_statement(empty: Path) -> None:
    """A list of ids in a part of a statement is compiled once for each use of that part."""
    with copied(empty) as store:
        store.facts.append([_decision(f"d{number}") for number in range(50)])
        given: list[int] = []
        engine = store.reports.rollups._database.engine

        def note(*call: Any) -> None:
            parameters, is_many = call[3], call[5]
            given.append(0 if is_many else len(parameters))

        event.listen(engine, "before_cursor_execute", note)
        store.reports.rollups.sort_fresh(lambda _: "2026-03-28")
    assert 0 < max(given) <= 60
