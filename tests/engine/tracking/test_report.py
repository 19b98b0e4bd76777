"""Reports against an independent oracle, in any order of facts, by group and over time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from operator import getitem
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine.errors import ConfigError
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.facts import OFFER_LOG, Decision, Fact, Offer
from mersalg.engine.tracking.local_days import ends_at, starts_at, zone_of
from mersalg.engine.tracking.quality import ONLY_ACCEPTED
from mersalg.engine.tracking.rates import RATES
from mersalg.engine.tracking.report import ReportQuery, parse_query, report_of
from tests.support.facts import histories, returning
from tests.support.reference_report import ReferenceReport, clustered_bounds
from tests.support.repetitions import repetitions

OSLO = "Europe/Oslo"
FIRST, LAST = date(2026, 3, 28), date(2026, 4, 1)


@st.composite
def queries(draw: st.DrawFn) -> ReportQuery:
    since = draw(st.dates(FIRST, LAST))
    return ReportQuery(
        since=since,
        until=draw(st.dates(since, LAST)),
        timezone=OSLO,
        currency="NOK",
        impressions=draw(st.sampled_from(["viewed", "served"])),
        attribution_window_days=draw(st.sampled_from([0, 0, 1, 30])),
        checkout_days=draw(st.sampled_from([1, 2, 30])),
        prices_include_tax=draw(st.sampled_from([None, True, False])),
        holdout=0.1,
        bot_decisions_per_hour=draw(st.sampled_from([0, 1, 2, 120])),
        count=draw(st.sampled_from(["vouched", "all", None])),
    )


def reference(facts: list[Fact], query: ReportQuery) -> ReferenceReport:
    zone = zone_of(OSLO)
    since, until = starts_at(query.since, zone), ends_at(query.until, zone)
    assert since is not None
    assert until is not None
    open_from = 2**63
    if facts:
        newest = max(fact.occurred_at for fact in facts)
        last = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=newest)).astimezone(zone)
        days = max(query.checkout_days or 0, query.attribution_window_days or 0)
        first = datetime.combine(last.date() - timedelta(days=days), time(), tzinfo=zone)
        open_from = int(first.timestamp()) * 10**6
    return ReferenceReport(
        facts,
        open_from=open_from,
        since=since,
        until=until,
        impressions=query.impressions or "",
        window_days=query.attribution_window_days or 0,
        currency="NOK",
        checkout_days=query.checkout_days or 0,
        prices_include_tax=query.prices_include_tax is not False,
        bot_rate=query.bot_decisions_per_hour or 0,
        only_vouched=query.count == "vouched",
    )


def fractions_of(measured: Mapping[str, Any]) -> dict[str, Any]:
    """What the oracle tells, taken from one K of the report."""
    found: dict[str, Any] = {
        name: (measured[name]["numerator"], measured[name]["denominator"]) for name in RATES
    }
    unpriced = measured["unpriced"]
    found["unpriced"] = (unpriced["numerator"], unpriced["denominator"])
    conversions = measured["conversions"]
    found["conversions"] = (conversions["accepted_click"], conversions["view_through"])
    for name in ("revenue", "net_revenue"):
        amount = measured[name]
        found[name] = None if amount is None else int(Decimal(amount) * 100)
    for arm in ("treatment", "control"):
        found[arm] = {
            name: reduce(getitem, path, measured)[arm] for name, path in OF_EFFECTS.items()
        }
    found["srm_p_value"] = measured["incremental"]["srm_p_value"]
    assert measured["net_incremental"]["srm_p_value"] == found["srm_p_value"]
    return found


OF_EFFECTS: Mapping[str, Sequence[str]] = {
    "converted": ("incremental",),
    "completed": ("incremental", "completion"),
    "orders": ("incremental", "orders"),
    "offered_units": ("incremental", "offered_units"),
    "order_revenue": ("incremental", "revenue_per_checkout"),
    "offer_revenue": ("incremental", "offer_revenue_per_checkout"),
    "unit_converted": ("incremental", "per_unit"),
    "unit_completed": ("incremental", "per_unit", "completion"),
    "unit_orders": ("incremental", "per_unit", "orders"),
    "unit_offered_units": ("incremental", "per_unit", "offered_units"),
    "unit_order_revenue": ("incremental", "per_unit", "revenue_per_unit"),
    "unit_offer_revenue": ("incremental", "per_unit", "offer_revenue_per_unit"),
    "kept": ("net_incremental",),
    "kept_orders": ("net_incremental", "orders"),
    "kept_units": ("net_incremental", "offered_units"),
    "net_order_revenue": ("net_incremental", "revenue_per_checkout"),
    "net_offer_revenue": ("net_incremental", "offer_revenue_per_checkout"),
    "unit_kept": ("net_incremental", "per_unit"),
    "unit_kept_orders": ("net_incremental", "per_unit", "orders"),
    "unit_kept_units": ("net_incremental", "per_unit", "offered_units"),
    "unit_net_order_revenue": ("net_incremental", "per_unit", "revenue_per_unit"),
    "unit_net_offer_revenue": ("net_incremental", "per_unit", "offer_revenue_per_unit"),
}
"""Measures of the oracle, and where a report has them."""


def expected_of(measured: dict[str, Any]) -> dict[str, Any]:
    """What the oracle counted, as a report writes it."""
    arms = {arm: dict(measured[arm]) for arm in ("treatment", "control")}
    for of_arm in arms.values():
        for name, (total, n) in of_arm.items():
            if name.removeprefix("unit_") in ("converted", "kept", "completed"):
                value = total / n if n else None
                of_arm[name] = {"value": value, "numerator": total, "denominator": n}
            elif n == 0:
                of_arm[name] = None
            elif name.endswith("revenue"):
                of_arm[name] = f"{Decimal(round(Fraction(total, n) * 100)).scaleb(-4):f}"
            else:
                of_arm[name] = pytest.approx(float(total / n))
    p_value = measured["srm_p_value"]
    return {
        **measured,
        **arms,
        "srm_p_value": None if p_value is None else pytest.approx(p_value),
    }


def check_intervals(measured: Mapping[str, Any], trials: dict[str, list[tuple[int, int]]]) -> None:
    """Each rate has Wilson's interval of its units, beside that of independent trials."""
    for name, rate in RATES.items():
        entry, plain = measured[name], measured[name]["unclustered"]
        assert (entry["method"], plain["method"]) == ("wilson_clustered", "wilson")
        x, m = entry["numerator"], entry["denominator"]
        if entry["status"] != "ok":
            assert entry["lower"] is plain["lower"] is entry["upper"] is plain["upper"] is None
            continue
        alone = [(1, 1)] * x + [(0, 1)] * (m - x)
        units = alone if rate.is_per_unit else trials[name]
        assert (sum(x for x, _ in units), sum(m for _, m in units)) == (x, m)
        for bounds, clusters in ((entry, units), (plain, alone)):
            expected = clustered_bounds(clusters)
            assert (bounds["lower"], bounds["upper"]) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=repetitions(120, 1_000))
@given(facts=histories() | returning(), query=queries())
def test_the_report_is_that_of_the_slow_oracle(facts: list[Fact], query: ReportQuery) -> None:
    report: Any = report_of(facts, query)
    oracle = reference(facts, query)
    for kind in ("cross_sell", "upsell"):
        assert fractions_of(report["total"][kind]) == expected_of(oracle.measured(kind))
        check_intervals(report["total"][kind], oracle.trials(kind))
    quality = oracle.quality()
    assert {name: report["quality"][name] for name in quality} == quality


KEYS = {
    "item": lambda offer, decision: offer.item_id,
    "placement": lambda offer, decision: decision.placement,
    "model_version": lambda offer, decision: decision.model_version or "unknown",
}


@settings(max_examples=repetitions(30, 240))
@given(facts=histories(), query=queries(), key=st.sampled_from(sorted(KEYS)))
def test_a_group_holds_the_offers_of_its_key(
    facts: list[Fact], query: ReportQuery, key: str
) -> None:
    report: Any = report_of(facts, ReportQuery(**{**_fields(query), "by": (key,)}))
    oracle = reference(facts, query)
    names = {
        KEYS[key](offer, decision)
        for offer, decision in oracle.offers.values()
        if oracle.inside(decision)
    }
    assert [row["key"] for row in report["groups"]] == [{key: name} for name in sorted(names)]
    for row in report["groups"]:

        def matches(offer: Offer, decision: Decision, wanted: str = row["key"][key]) -> bool:
            return KEYS[key](offer, decision) == wanted

        for kind in ("cross_sell", "upsell"):
            assert fractions_of(row[kind]) == expected_of(oracle.measured(kind, matches))
            check_intervals(row[kind], oracle.trials(kind, matches))


def _fields(query: ReportQuery) -> dict[str, Any]:
    return {name: getattr(query, name) for name in query.__dataclass_fields__}


@settings(max_examples=repetitions(40, 320))
@given(facts=histories(), query=queries(), data=st.data())
def test_order_and_repetition_of_facts_change_no_byte(
    facts: list[Fact], query: ReportQuery, data: st.DataObject
) -> None:
    query = ReportQuery(**{**_fields(query), "by": ("day", "item", "rule")})
    again = data.draw(st.lists(st.sampled_from(facts), max_size=10)) if facts else []
    shuffled = data.draw(st.permutations([*facts, *again]))
    assert json.dumps(report_of(facts, query)) == json.dumps(report_of(shuffled, query))


def _is_of_logs(report: Any) -> bool:
    return any(kind["customer"].get("reason") == ONLY_ACCEPTED for kind in report["total"].values())


@settings(max_examples=repetitions(30, 240))
@given(facts=histories(), query=queries(), offer_key=st.sampled_from([(), ("item",), ("rule",)]))
def test_a_day_of_a_report_is_the_report_of_that_day(
    facts: list[Fact], query: ReportQuery, offer_key: tuple[str, ...]
) -> None:
    whole: Any = report_of(facts, ReportQuery(**{**_fields(query), "by": ("day", *offer_key)}))
    for row in whole["groups"]:
        day = date.fromisoformat(row["key"].pop("day"))
        alone: Any = report_of(
            facts, ReportQuery(**{**_fields(query), "since": day, "until": day, "by": offer_key})
        )
        # A day says of itself that it is not over; groups of its items, and totals, do not.
        n_immature = row.pop("immature")
        # A bucket of time has no month.
        for each in (*alone["groups"], alone["total"]):
            each.pop("extra_sales", None)
            for measured in each.values():
                measured.pop("extra_sales", None)
        # Whether there is nothing but offer logs is said of the whole period.
        if _is_of_logs(alone) != _is_of_logs(whole):
            continue
        assert n_immature == alone["quality"]["immature"]
        if offer_key:
            assert row in alone["groups"]
        else:
            assert {name: row[name] for name in ("cross_sell", "upsell")} == alone["total"]


@settings(max_examples=repetitions(40, 320))
@given(facts=histories(), query=queries())
def test_every_value_is_a_share_inside_its_interval(facts: list[Fact], query: ReportQuery) -> None:
    report: Any = report_of(facts, query)
    for measured in report["total"].values():
        for name in RATES:
            entry = measured[name]
            if entry["status"] == "not_comparable":
                # The decisions that count are of an offer log that knows only who accepted.
                assert entry["value"] is entry["lower"] is entry["upper"] is None
                assert any(isinstance(each, Decision) and each.placement == OFFER_LOG
                           for each in facts)  # fmt: skip
            elif entry["denominator"] == 0:
                assert entry["numerator"] == 0
                assert entry["value"] is entry["lower"] is entry["upper"] is None
                assert entry["status"] == "no_data"
            else:
                assert 0 <= entry["lower"] <= entry["value"] <= entry["upper"] <= 1
                assert entry["value"] == entry["numerator"] / entry["denominator"]
        assert measured["net_offer"]["numerator"] <= measured["offer"]["numerator"]
        conversions = measured["conversions"]
        assert conversions["total"] == measured["offer"]["numerator"]
        assert conversions["accepted_click"] <= measured["click_through"]["numerator"]


def test_an_empty_report_says_no_data() -> None:
    report: Any = report_of([], ReportQuery())
    assert report["currency"] is None
    assert report["timezone"] == "UTC"
    assert report["groups"] == []
    assert report["total"]["upsell"]["revenue"] is None
    assert report["total"]["upsell"]["customer"]["status"] == "no_data"
    assert report["total"]["cross_sell"]["incremental"]["status"] == "no_data"
    assert report["quality"]["srm_p_value"] is None


def test_days_follow_the_clock_of_the_shop() -> None:
    zone = zone_of(OSLO)
    lengths = []
    for day in (date(2026, 3, 28), date(2026, 3, 29), date(2026, 10, 25)):
        start, end = starts_at(day, zone), ends_at(day, zone)
        assert start is not None
        assert end is not None
        lengths.append(timedelta(microseconds=end - start).total_seconds() / 3600)
    assert lengths == [24, 23, 25]


def test_a_question_reads_from_text() -> None:
    query = parse_query(
        {"from": "2026-01-01", "to": "2026-01-31T12:00:00 01:00", "by": "day, item",
         "kind": "upsell", "window": "7", "holdout": "", "level": None}
    )  # fmt: skip
    assert query.since == date(2026, 1, 1)
    assert query.until is not None
    assert query.until.isoformat() == "2026-01-31T12:00:00+01:00"
    assert query.by == ("day", "item")
    assert query.kinds == ("upsell",)
    assert query.attribution_window_days == 7
    assert hash(query) == hash(ReportQuery(**_fields(query)))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"from": "yesterday"}, "from: 'yesterday' is neither a day"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "from: 2026-02-01 is after 2026-01-01"),
        (
            {"by": "nonsense"},
            "item, family, rule, upgrade, placement, model_version, arm, store, segment",
        ),
        ({"by": "day,day"}, "names one twice"),
        ({"kind": "sidesell"}, "there are cross_sell, upsell"),
        ({"timezone": "Mars/Olympus"}, "'Mars/Olympus' is not a time zone"),
        ({"timezone": "../etc/passwd"}, "is not a time zone"),
        ({"currency": "kroner"}, "ISO 4217"),
        ({"impressions": "guessed"}, "there are viewed, served"),
        ({"window": "31"}, "0 to 30 days"),
        ({"window": "a week"}, "not a whole number"),
        ({"holdout": "nan"}, "share from 0 to 1"),
        ({"level": "95"}, "from 0.5 to 0.9999"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_wrong(
    texts: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_query(texts)
    assert message in str(caught.value)


@pytest.mark.parametrize("bounds", [("0001-01-01", "0001-01-01"), ("9999-12-31", "9999-12-31")])
def test_the_ends_of_the_calendar_are_days_too(bounds: tuple[str, str]) -> None:
    query = parse_query({"from": bounds[0], "to": bounds[1], "timezone": OSLO})
    assert report_of([], query)["from"] == bounds[0]


def test_small_groups_are_folded_where_they_could_name_a_person() -> None:
    facts: list[Fact] = []
    for number, item, segment, placement in (
        *((n, "bun", "a", "checkout") for n in range(5)),
        *((n, "jam", "a", "checkout") for n in range(10, 14)),
        (20, "tea", "b", "checkout"),
        (21, "tea", "b", "page"),
        *((30, "cup", "c", "checkout") for _ in range(7)),
    ):
        at = parse_instant("2026-01-01T10:00:00+00:00") + len(facts)
        facts.append(
            Decision(
                event_id=f"d{len(facts)}",
                decision_id=f"d{len(facts)}",
                occurred_at=at,
                checkout_id=f"ch{len(facts)}",
                session_id=None,
                customer_id=f"c{number}",
                arm="treatment",
                model_version=None,
                placement=placement,
                currency="NOK",
                lines=(),
                offers=(Offer(f"o{len(facts)}", "cross_sell", item, 1, 100),),
                control_share=0.0,
                segment=segment,
            )
        )

    def shown(*by: str, fold: int = 5) -> dict[tuple[str, ...], int]:
        query = ReportQuery(by=by, kinds=("cross_sell",), impressions="served", fold_below=fold)
        report: Any = report_of(facts, query)
        assert report["total"]["cross_sell"]["offer"]["denominator"] == len(facts)
        assert report.get("folded_below", 0) == fold
        return {
            tuple(group["key"].values()): group["cross_sell"]["offer"]["denominator"]
            for group in report["groups"]
        }

    assert shown("item", fold=0) == {("bun",): 5, ("jam",): 4, ("tea",): 2, ("cup",): 7}
    assert shown("item") == {("bun",): 5, ("other",): 13}, "seven offers to one person are few"
    assert shown("segment") == {("a",): 9, ("other",): 9}
    assert shown("day", "item") == {("2026-01-01", "bun"): 5, ("2026-01-01", "other"): 13}
    assert shown("item", "placement") == {
        ("bun", "checkout"): 5,
        ("other", "checkout"): 12,
        ("other", "page"): 1,
    }
    assert shown("placement") == {("checkout",): 17, ("page",): 1}, "that names nobody"
    assert shown("day") == {("2026-01-01",): 18}
