"""Two periods side by side, and reports split by what the shop calls its own."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from statsmodels.stats.proportion import confint_proportions_2indep

from mersalg.engine.errors import ConfigError
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import Decision, Fact
from mersalg.engine.storage.store import open_store
from mersalg.engine.tracking.comparison import compared
from mersalg.engine.tracking.query import ReportQuery, other_period, parse_query
from mersalg.engine.tracking.rates import RATES
from mersalg.engine.tracking.report import build_report, report_of
from tests.engine.tracking.test_incremental import trial
from tests.support.facts import histories

QUERY = ReportQuery(timezone="Europe/Oslo", currency="NOK")


def in_month(month: int, n_shown: int, n_converted: int) -> list[Fact]:
    """Facts of `trial` in another month, under ids of their own."""
    found: list[Fact] = []
    for visit in trial(n_shown, n_converted, 10, 2):
        for fact in visit:
            record = {**fact, "occurred_at": fact["occurred_at"].replace("-01-", f"-{month:02}-")}
            for name in ("event_id", "decision_id", "checkout_id", "transaction_id", "customer_id"):
                if name in record:
                    record[name] = f"{month}-{record[name]}"
            if "offers" in record:
                record["offers"] = [
                    {**offer, "offer_id": f"{month}-{offer['offer_id']}"}
                    for offer in record["offers"]
                ]
            found.append(parse_fact(record))
    return found


@pytest.mark.parametrize(
    ("query", "since", "until"),
    [
        ({"from": "2026-03-01", "to": "2026-03-31"}, "2026-01-29", "2026-02-28"),
        ({"from": "2026-03-05", "to": "2026-03-05"}, "2026-03-04", "2026-03-04"),
        (
            {"from": "2026-03-02T00:00:00+01:00", "to": "2026-03-03T12:00:00+01:00"},
            "2026-02-28T12:00:00+01:00",
            "2026-03-02T00:00:00+01:00",
        ),
    ],
)
def test_the_period_before_is_as_long(query: dict[str, str], since: str, until: str) -> None:
    other = other_period(parse_query({**query, "compare": "previous"}))
    assert (other.since.isoformat(), other.until.isoformat()) == (since, until)
    assert other.compare is None


@pytest.mark.parametrize(
    ("compare", "period", "message"),
    [
        ("previous", {"from": "2026-01-01"}, "needs both from and to"),
        ("previous", {"from": "2026-01-01", "to": "2026-02-01T00:00:00+01:00"}, "two days, or two"),
        ("previous", {"from": "0001-01-01", "to": "0001-02-01"}, "nothing comes before"),
        ("last year", {}, "neither previous nor FROM..TO"),
        ("2026-01-01..", {}, "neither previous nor FROM..TO"),
        ("2026-01-01..soon", {}, "to: 'soon'"),
        ("2026-02-01..2026-01-01", {}, "is after"),
    ],
)
def test_a_period_that_cannot_be_known(compare: str, period: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        other_period(parse_query({**period, "compare": compare}))


def test_two_months_beside_each_other(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'facts.db'}", secret=b"k" * 32)
    store.migrate()
    store.facts.append([*in_month(1, 40, 10), *in_month(2, 60, 24)])
    query = replace(
        QUERY,
        since=date(2026, 2, 1),
        until=date(2026, 2, 28),
        impressions="served",
        compare="2026-01-01..2026-01-31",
    )
    report = build_report(store, query)
    comparison = report["comparison"]
    alone = build_report(store, replace(query, compare=None))
    assert {name: part for name, part in report.items() if name != "comparison"} == alone
    january = replace(query, since=date(2026, 1, 1), until=date(2026, 1, 31), compare=None)
    assert comparison["total"] == build_report(store, january)["total"]
    store.close()
    change = comparison["change"]["cross_sell"]["checkout"]
    assert change["value"] == pytest.approx(24 / 60 - 10 / 40)
    expected = confint_proportions_2indep(24, 60, 10, 40, compare="diff", method="newcomb")
    assert (change["lower"], change["upper"]) == pytest.approx(expected)
    # Each customer came once, so clustered intervals are the textbook ones.
    assert change["method"] == "newcombe_clustered"
    plain = change["unclustered"]
    assert (plain["lower"], plain["upper"]) == (change["lower"], change["upper"])
    # January has three days more than February, in which more customers may have bought one.
    assert (report["days"], comparison["days"]) == (28, 31)
    assert change["status"] == "ok"
    for name in ("customer", "penetration", "net_customer", "net_penetration"):
        per_unit = comparison["change"]["cross_sell"][name]
        assert (per_unit["status"], per_unit["value"], per_unit["lower"]) == (
            "not_comparable", None, None,
        )  # fmt: skip
        assert "28 and 31 days long" in per_unit["reason"]
    now, before = (float(each["total"]["cross_sell"]["revenue"]) for each in (report, comparison))
    assert float(comparison["change"]["cross_sell"]["revenue"]) == now - before > 0


def test_a_change_is_as_wide_as_returning_customers_make_it() -> None:
    """Each customer comes once in January, six come ten times each in February."""

    def report(month: int, visits: int) -> dict[str, object]:
        facts = [
            structs.replace(fact, customer_id=f"c{int(fact.customer_id.split('-c')[1]) // visits}")
            for fact in in_month(month, 60, 24)
        ]
        query = replace(QUERY, since=date(2026, month, 1), until=date(2026, month, 28))
        return report_of(facts, replace(query, impressions="served"))

    january, february = report(1, 1), report(2, 10)
    change = compared(february, january)["change"]["cross_sell"]["offer"]
    now, before = (each["total"]["cross_sell"]["offer"] for each in (february, january))
    assert change["value"] == 0
    assert change["lower"] == pytest.approx(
        -math.hypot(now["value"] - now["lower"], before["upper"] - before["value"])
    )
    assert change["lower"] < change["unclustered"]["lower"] < 0
    assert change["unclustered"]["method"] == "newcombe"


@given(histories())
def test_a_period_beside_itself_has_not_changed(facts: list[Fact]) -> None:
    report = report_of(facts, QUERY)
    for kind, change in compared(report, report)["change"].items():
        for rate in RATES:
            entry = report["total"][kind][rate]
            known = entry["denominator"] > 0
            same = RATES[rate].is_per_unit and report["days"]
            same = same or entry["status"] == "not_comparable"  # nobody but who accepted is known
            status = "not_comparable" if same else "ok"
            assert change[rate]["status"] == (status if known else "no_data")
            assert change[rate]["value"] == (0 if change[rate]["status"] == "ok" else None)
            assert (change[rate]["reason"] is None) == (change[rate]["status"] != "not_comparable")


@given(histories(), st.sampled_from(["arm", "store", "segment", "family"]))
def test_groups_part_the_offers(facts: list[Fact], key: str) -> None:
    """Offers shown in all groups are those shown in total, each in the group its facts name."""
    query = replace(QUERY, by=(key,), impressions="served")
    report = report_of(facts, query)
    named: defaultdict[str, set[str]] = defaultdict(set)
    seen: set[str] = set()
    decisions = {fact.decision_id: fact for fact in facts if isinstance(fact, Decision)}
    for each in sorted(decisions.values(), key=lambda each: (each.occurred_at, each.decision_id)):
        for offer in each.offers:
            if offer.offer_id in seen or each.is_bot:
                continue
            seen.add(offer.offer_id)
            words = {
                "arm": each.arm,
                "store": each.store_id,
                "segment": each.segment,
                "family": offer.family,
            }
            named[words[key] or "unknown"].add(offer.offer_id)
    groups = {row["key"][key]: row for row in report["groups"]}
    assert set(groups) == set(named)
    for kind in ("cross_sell", "upsell"):
        shown = [row[kind]["offer"]["denominator"] for row in groups.values()]
        assert sum(shown) == report["total"][kind]["offer"]["denominator"]
    if key == "arm" and "control" in groups:
        assert groups["control"]["cross_sell"]["offer"]["denominator"] == 0


@pytest.mark.parametrize(
    ("period", "other", "reason"),
    [
        (("2026-01-01", "2026-01-14"), ("2026-02-01", "2026-02-14"), None),
        (("2026-01-01", "2026-01-14"), ("2026-01-15", "2026-02-10"), "14 and 27 days long"),
        (("2026-01-01", "2026-01-31"), ("2026-01-31", "2026-03-02"), "overlap"),
        (("2026-01-15", None), ("2026-01-01", "2026-02-15"), "overlap"),
        (
            ("2026-03-01T00:00:00+01:00", "2026-03-02T00:00:00+01:00"),
            ("2026-02-01T00:00:00+01:00", "2026-02-01T12:00:00+01:00"),
            "1 and 0.5 days long",
        ),
    ],
)
def test_rates_per_customer_need_periods_of_equal_length(
    period: tuple[str, str | None], other: tuple[str, str], reason: str | None
) -> None:
    facts = [*in_month(1, 40, 10), *in_month(2, 60, 24), *in_month(3, 60, 24)]

    def report(bounds: tuple[str, str | None]) -> dict[str, object]:
        asked = parse_query({"from": bounds[0], "to": bounds[1], "impressions": "served"})
        return report_of(facts, replace(asked, timezone="Europe/Oslo", currency="NOK"))

    now, before = report(period), report(other)
    change = compared(now, before)["change"]["cross_sell"]["customer"]
    if reason is None:
        assert (change["status"], change["reason"]) == ("ok", None)
        assert change["value"] is not None
    else:
        assert (change["status"], change["value"]) == ("not_comparable", None)
        assert reason in change["reason"]
