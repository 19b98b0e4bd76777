"""What the offers changed: by hand, blind to views, blocked where the arms are not as drawn."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest
from scipy import stats

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.tracking import intervals
from mersalg.engine.tracking.incremental import effect_text
from mersalg.engine.tracking.report import ReportQuery, report_of


def visit(
    number: int, arm: str, *, buys_bun: bool = False, ends: bool = True, share: float | None = 0.5
) -> list[dict[str, Any]]:
    """One checkout of a coffee for 30, a bun for 25 offered or withheld."""
    who = {"checkout_id": f"k{number}", "customer_id": f"c{number}", "currency": "NOK"}
    facts: list[dict[str, Any]] = [
        {"type": "decision", "event_id": f"d{number}", "decision_id": f"d{number}", "arm": arm,
         "occurred_at": "2026-01-01T10:00:00+00:00", **who,
         **({} if share is None else {"control_share": share}),
         "lines": [{"item_id": "coffee", "quantity": 1, "unit_price": "30"}],
         "offers": [{"offer_id": f"o{number}", "kind": "cross_sell", "item_id": "bun",
                     "unit_price": "25"}]},
    ]  # fmt: skip
    if ends:
        items = [{"item_id": "coffee", "price": "30"}]
        items += [{"item_id": "bun", "price": "25"}] if buys_bun else []
        facts.append(
            {"type": "purchase", "event_id": f"p{number}", "transaction_id": f"t{number}",
             "occurred_at": "2026-01-01T11:00:00+00:00", **who, "items": items}
        )  # fmt: skip
    return facts


def report(*visits: list[dict[str, Any]], **query: Any) -> Any:
    facts = [parse_fact(fact) for each in visits for fact in each]
    return report_of(facts, ReportQuery(**query))


def trial(treated: int, converted: int, held_out: int, anyway: int) -> list[list[dict[str, Any]]]:
    return [
        *(visit(n, "treatment", buys_bun=n < converted) for n in range(treated)),
        *(visit(1000 + n, "control", buys_bun=n < anyway) for n in range(held_out)),
    ]


def test_both_arms_are_judged_alike_though_nobody_saw_anything() -> None:
    entry = report(*trial(120, 72, 120, 30))["total"]["cross_sell"]["incremental"]
    assert entry["treatment"] == {"value": 0.6, "numerator": 72, "denominator": 120}
    assert entry["control"] == {"value": 0.25, "numerator": 30, "denominator": 120}
    expected = intervals.newcombe(72, 120, 30, 120)
    assert expected is not None
    assert (entry["value"], entry["lower"], entry["upper"]) == (
        expected.value, expected.lower, expected.upper,
    )  # fmt: skip
    assert (entry["status"], entry["reason"]) == ("ok", None)
    # Baskets of 30 or 55: (72 - 30) x 25 over 120 checkouts more in the treatment arm.
    money = entry["revenue_per_checkout"]
    assert (money["value"], money["treatment"], money["control"]) == (
        "8.7500", "45.0000", "36.2500",
    )  # fmt: skip
    first, second = [55] * 72 + [30] * 48, [55] * 30 + [30] * 90
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    bounds = (float(money["lower"]), float(money["upper"]))
    assert bounds == pytest.approx((welch.low, welch.high), abs=1e-4)
    assert money["method"] == "welch_t_clustered"
    assert entry["offer_revenue_per_checkout"]["value"] == "8.7500"
    assert entry["completion"]["value"] == 0
    assert entry["margin_per_checkout"]["status"] == "no_data"


def test_no_offer_that_a_line_names_ties_it_to_a_checkout() -> None:
    """What only buyers with offers can do is no effect: nobody buys more here."""
    visits = trial(30, 6, 30, 6)
    for number in range(20, 30):
        # Of the treatment arm, and its order is known by its offer alone.
        visits[number][1] |= {"checkout_id": None, "items": [
            {"item_id": "bun", "price": "25", "offer_id": f"o{number}"}]}  # fmt: skip
    made = report(*visits, impressions="served")
    entry = made["total"]["cross_sell"]["incremental"]
    assert entry["treatment"] == {"value": 0.2, "numerator": 6, "denominator": 30}
    assert entry["completion"]["treatment"]["numerator"] == 20
    assert made["quality"]["orders_without_checkout"] == 10
    # The rates credit what a line names.
    assert made["total"]["cross_sell"]["checkout"]["numerator"] == 16


def test_a_line_that_names_an_offer_of_another_checkout_is_of_its_order_in_effects() -> None:
    visits = trial(30, 6, 30, 6)
    for number in range(6):
        visits[number][1]["items"][1]["offer_id"] = f"o{number + 10}"
    made = report(*visits, impressions="served")
    entry = made["total"]["cross_sell"]["incremental"]
    assert (entry["treatment"]["numerator"], entry["control"]["numerator"]) == (6, 6)


def test_the_base_item_in_a_line_that_names_another_offer_makes_an_upsell_an_addition() -> None:
    visits = trial(2, 0, 2, 0)
    for facts in visits:
        decision, order = facts
        name = decision["decision_id"]
        decision["offers"] = [{"offer_id": f"u{name}", "kind": "upsell", "item_id": "large",
                               "replaces": {"item_id": "coffee", "quantity": 1}}]  # fmt: skip
        order["items"] = [{"item_id": "large", "price": "40"}, {"item_id": "coffee", "price": "30"}]
        if decision["arm"] == "treatment":
            other = "d1" if name == "d0" else "d0"
            order["items"][1]["offer_id"] = f"u{other}"
    entry = report(*visits)["total"]["upsell"]["incremental"]
    assert (entry["treatment"]["numerator"], entry["control"]["numerator"]) == (0, 0)


def priced(visits: list[list[dict[str, Any]]], **fields: Any) -> list[list[dict[str, Any]]]:
    """The visits with every order and line changed."""
    for facts in visits:
        for fact in facts[1:]:
            fact |= {name: value for name, value in fields.items() if name != "price"}
            if "price" in fields:
                fact["items"] = [{**line, "price": fields["price"]} for line in fact["items"]]
    return visits


def test_checkouts_with_orders_in_another_currency_have_no_part_in_money() -> None:
    abroad = [visit(5_000 + n, "treatment", buys_bun=True) for n in range(40)]
    abroad += [visit(6_000 + n, "control", buys_bun=True) for n in range(10)]
    at_home = trial(120, 72, 120, 30)
    made = report(*at_home, *priced(abroad, currency="EUR"), currency="NOK")
    entry = made["total"]["cross_sell"]["incremental"]
    assert (entry["treatment"]["numerator"], entry["treatment"]["denominator"]) == (112, 160)
    assert (entry["control"]["numerator"], entry["control"]["denominator"]) == (40, 130)
    assert entry["completion"]["treatment"]["numerator"] == 160
    alone = report(*at_home)["total"]["cross_sell"]["incremental"]
    for name in ("revenue_per_checkout", "offer_revenue_per_checkout"):
        assert entry[name] == alone[name]
        assert entry[name]["status"] == "ok"
    assert made["quality"]["other_currency"] == 50


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"currency": "EUR"}, "0 units in treatment are too few"),
        ({"price": None}, "of nothing that was bought in treatment a price is known"),
    ],
)
def test_no_effect_on_money_is_made_of_orders_without_any(
    fields: dict[str, Any], reason: str
) -> None:
    visits = priced(trial(120, 72, 120, 30), **fields)
    entry = report(*visits, currency="NOK")["total"]["cross_sell"]["incremental"]
    assert entry["status"] == "ok"
    for name in ("revenue_per_checkout", "offer_revenue_per_checkout"):
        assert (entry[name]["value"], entry[name]["status"]) == (None, "no_data")
        assert entry[name]["reason"].startswith(reason)


def test_money_of_effects_is_without_tax() -> None:
    visits = trial(120, 72, 120, 30)
    for facts in visits:
        for line in facts[1]["items"]:
            line["tax"] = "6" if line["item_id"] == "coffee" else "5"
    entry = report(*visits)["total"]["cross_sell"]["incremental"]
    # A fifth of the prices is tax: 24 and 20 are left.
    assert entry["revenue_per_checkout"]["value"] == "7.0000"
    assert entry["revenue_per_checkout"]["control"] == "29.0000"
    assert entry["offer_revenue_per_checkout"]["value"] == "7.0000"


def returned(number: int, kind: str, *item_ids: str) -> dict[str, Any]:
    """What comes back of an order of `visit`; nothing named is all of it."""
    items = [{"item_id": item_id, "quantity": 1} for item_id in item_ids]
    return {"type": kind, "event_id": f"r{number}", "transaction_id": f"t{number}",
            "occurred_at": "2026-01-05T11:00:00+00:00", "items": items}  # fmt: skip


def test_an_effect_that_is_sent_back_is_none_net() -> None:
    """Those who would not have bought a bun without the offer bring it back."""
    visits = trial(120, 72, 120, 30)
    for number in range(42):
        visits[number].append(returned(number, "refund", "bun"))
    measured = report(*visits)["total"]["cross_sell"]
    gross, net = measured["incremental"], measured["net_incremental"]
    assert gross.keys() == net.keys()
    assert gross["value"] == pytest.approx(0.35)
    assert net["treatment"] == {"value": 0.25, "numerator": 30, "denominator": 120}
    assert net["value"] == 0
    assert net["lower"] == -net["upper"]
    assert (gross["p_value"] < 0.001, net["p_value"]) == (True, 1.0)
    for name in ("revenue_per_checkout", "offer_revenue_per_checkout"):
        assert (gross[name]["value"], net[name]["value"]) == ("8.7500", "0.0000")
    assert net["revenue_per_checkout"]["treatment"] == "36.2500"
    assert (gross["offered_units"]["treatment"], gross["offered_units"]["control"]) == (0.6, 0.25)
    assert gross["offered_units"]["value"] == pytest.approx(0.35)
    assert net["offered_units"]["value"] == 0
    # The coffee was kept, so that as many orders are left.
    for entry in (gross, net):
        assert (entry["orders"]["value"], entry["orders"]["treatment"]) == (0, 1)
        assert entry["completion"]["treatment"]["numerator"] == 120


def test_a_cancelled_order_completes_nothing_and_a_refunded_one_did() -> None:
    visits = trial(120, 72, 120, 30)
    for number in range(10):
        visits[number].append(returned(number, "cancel"))
        visits[number + 20].append(returned(number + 20, "refund"))
    measured = report(*visits)["total"]["cross_sell"]
    for name, orders, converted in (("incremental", 120, 72), ("net_incremental", 100, 52)):
        entry = measured[name]
        assert entry["completion"]["treatment"]["numerator"] == 110
        assert entry["orders"]["treatment"] == orders / 120
        assert entry["treatment"]["numerator"] == converted
        assert entry["offered_units"]["treatment"] == pytest.approx(converted / 120)
        assert entry["offer_revenue_per_checkout"]["treatment"] == f"{25 * converted / 120:.4f}"


def test_units_and_orders_are_counted_beside_money() -> None:
    """Half of a bun for half of its price, by weight; and a second order in the checkout."""
    visits = trial(120, 60, 120, 60)
    for number in range(60):
        visits[number][1]["items"][1] |= {"quantity": "0.5"}
        visits[number + 120][1]["items"][1] |= {"quantity": 2}
        again = visits[number][1] | {"event_id": f"x{number}", "transaction_id": f"x{number}"}
        visits[number].append(again | {"items": [{"item_id": "coffee", "price": "30"}]})
    entry = report(*visits)["total"]["cross_sell"]["incremental"]
    assert entry["value"] == 0
    units, orders = entry["offered_units"], entry["orders"]
    assert (units["treatment"], units["control"], units["value"]) == (0.25, 1, -0.75)
    assert (orders["treatment"], orders["control"], orders["value"]) == (1.5, 1, 0.5)
    welch = stats.ttest_ind(
        [0.5] * 60 + [0] * 60, [2] * 60 + [0] * 60, equal_var=False
    ).confidence_interval()
    assert (units["lower"], units["upper"]) == pytest.approx((welch.low, welch.high), abs=1e-3)
    assert units["method"] == orders["method"] == "welch_t_clustered"
    few = report(*trial(29, 12, 29, 12))["total"]["cross_sell"]["net_incremental"]["orders"]
    assert (few["status"], few["value"]) == ("no_data", None)
    assert few["reason"].startswith("29 units in treatment are too few")


def test_checkouts_of_one_customer_are_no_independent_trials() -> None:
    """Every customer comes three times and does the same each time."""
    visits = trial(120, 72, 120, 30)
    for place, facts in enumerate(visits):
        for fact in facts:
            fact["customer_id"] = f"c{place // 3}"
    made = report(*visits)["total"]["cross_sell"]
    entry = made["incremental"]
    plain, alone = intervals.newcombe(72, 120, 30, 120), intervals.newcombe(24, 40, 10, 40)
    assert plain is not None
    assert alone is not None
    assert entry["unclustered"] == {
        "lower": plain.lower, "upper": plain.upper, "method": "newcombe",
    }  # fmt: skip
    assert entry["value"] == plain.value
    assert entry["lower"] < alone.lower < plain.lower
    assert plain.upper < alone.upper < entry["upper"]
    for name in ("lower", "upper", "method"):
        assert entry[name] == entry["clustered"][name]
    assert entry["completion"]["method"] == entry["method"] == "newcombe_clustered"
    watched = report(*visits, watched=True)["total"]["cross_sell"]["incremental"]
    assert watched["clustered"] is None
    assert watched["unclustered"] == {"lower": None, "upper": None, "method": "newcombe"}
    assert watched["lower"] < entry["lower"]


def test_abandoned_checkouts_are_eligible_and_counted() -> None:
    visits = [*trial(4, 2, 4, 1), visit(50, "treatment", ends=False)]
    entry = report(*visits)["total"]["cross_sell"]["incremental"]
    assert entry["treatment"]["denominator"] == 5
    assert entry["completion"]["treatment"] == {"value": 0.8, "numerator": 4, "denominator": 5}


def test_what_only_those_with_offers_are_asked_next_is_no_effect() -> None:
    """Who dismisses a bun is offered a cake; all buy a cake, offered to no control checkout."""
    visits = trial(30, 6, 30, 6)
    for number in range(30):
        facts = visits[number]
        again = {
            **facts[0], "event_id": f"x{number}", "decision_id": f"x{number}",
            "occurred_at": "2026-01-01T10:05:00+00:00",
            "offers": [{"offer_id": f"x{number}", "kind": "cross_sell", "item_id": "cake"}],
        }  # fmt: skip
        visits[number] = [facts[0], again, *facts[1:]]
    for facts in visits:
        facts[-1]["items"] = [*facts[-1]["items"], {"item_id": "cake", "price": "40"}]
    made = report(*visits, impressions="served", by=("item",))
    entry = made["total"]["cross_sell"]["incremental"]
    assert (entry["treatment"]["numerator"], entry["control"]["numerator"]) == (6, 6)
    assert entry["value"] == 0
    # The rates are of all that was shown.
    assert made["total"]["cross_sell"]["offer"]["denominator"] == 60
    cake = next(row for row in made["groups"] if row["key"] == {"item": "cake"})
    assert cake["cross_sell"]["incremental"]["treatment"]["denominator"] == 0
    assert cake["cross_sell"]["offer"]["numerator"] == 30


@pytest.mark.parametrize(("minutes", "counted"), [(5, 6), (6, 0)])
def test_clocks_may_differ_as_much_in_both_arms(minutes: int, counted: int) -> None:
    """Purchases stamped before their decisions; those of treatment name their offers."""
    visits = trial(30, 6, 30, 6)
    for facts in visits:
        facts[1]["occurred_at"] = f"2026-01-01T09:{60 - minutes}:00+00:00"
        if facts[0]["arm"] == "treatment" and len(facts[1]["items"]) > 1:
            facts[1]["items"][1]["offer_id"] = facts[0]["offers"][0]["offer_id"]
    entry = report(*visits)["total"]["cross_sell"]["incremental"]
    for arm in ("treatment", "control"):
        assert entry[arm]["numerator"] == counted
        assert entry["completion"][arm]["numerator"] == (30 if counted else 0)


def test_a_missing_arm_is_no_data() -> None:
    entry = report(*trial(5, 2, 0, 0), holdout=0.0)["total"]["cross_sell"]["incremental"]
    assert (entry["value"], entry["status"]) == (None, "no_data")
    assert entry["reason"] == "no eligible checkout in control"


@pytest.mark.parametrize(
    ("sizes", "share", "whole", "offered"),
    [
        ((20, 8, 9, 3), "9 units in control are too few", "9 units", "9 units"),
        ((9, 3, 1, 1), "1 unit in control is too few", "1 unit", "1 unit"),
        ((29, 20, 32, 30), None, "29 units in treatment are too few", "29 units"),
        ((32, 20, 30, 9), None, None, "9 purchases in control are too few"),
        ((32, 20, 30, 10), None, None, None),
    ],
)
def test_arms_too_small_for_an_interval_have_no_effect(
    sizes: tuple[int, int, int, int],
    share: str | None,
    whole: str | None,
    offered: str | None,
) -> None:
    entry = report(*trial(*sizes), holdout=0.5)["total"]["cross_sell"]["incremental"]
    of_money = (entry["revenue_per_checkout"], entry["offer_revenue_per_checkout"])
    expected = zip((entry, entry["completion"], *of_money), (share, share, whole, offered),
                   strict=True)  # fmt: skip
    for measure, reason in expected:
        assert measure["status"] == ("ok" if reason is None else "no_data")
        assert (measure["reason"] or "").startswith(reason or "")
        assert (measure["reason"] is None) == (reason is None)
        bounds = [measure[name] for name in ("value", "lower", "upper")]
        assert all((bound is None) == (reason is not None) for bound in bounds)
    # What was counted is reported all the same.
    assert entry["control"]["denominator"] == sizes[2]
    assert of_money[0]["control"] is not None


@pytest.mark.parametrize(
    ("currency", "minor", "text"),
    [("EUR", 9.59, "0.0959"), ("JPY", 12.354, "12.35"), ("KWD", -0.004, "0.00000"),
     ("NOK", -1.0, "-0.0100"), ("NOK", math.inf, None), (None, 1.0, None)],
)  # fmt: skip
def test_money_of_effects_is_finer_than_the_minor_unit(
    currency: str | None, minor: float, text: str | None
) -> None:
    assert effect_text(minor, currency) == text


def test_arms_that_are_not_as_drawn_block_every_effect() -> None:
    made = report(*trial(60, 20, 20, 5))
    entry = made["total"]["cross_sell"]["incremental"]
    assert made["quality"]["srm_p_value"] == pytest.approx(stats.binomtest(20, 80).pvalue)
    assert entry["status"] == entry["completion"]["status"] == "blocked"
    assert entry["value"] is entry["lower"] is entry["upper"] is None
    assert entry["revenue_per_checkout"]["value"] is None
    for part in ("40.0 were expected", "20 were seen", "--holdout"):
        assert part in entry["reason"]
    # The rates themselves stand: they are not about the arms.
    assert made["total"]["cross_sell"]["penetration"]["status"] == "ok"


def test_days_too_few_to_tell_by_themselves_are_blocked_with_the_whole() -> None:
    """What moved units moved them on every day, though no day alone shows it."""
    visits: list[list[dict[str, Any]]] = []
    for number in range(60):
        arm = "control" if number % 2 else "treatment"
        day = f"2026-01-0{1 + number % 3}"
        facts = visit(number, arm, share=0.25)
        visits.append([fact | {"occurred_at": f"{day}T1{n}:00:00+00:00"}
                       for n, fact in enumerate(facts)])  # fmt: skip
    made = report(*visits, by=("day",))
    assert made["quality"]["srm_p_value"] < 0.001
    blocked = {made["total"]["cross_sell"]["incremental"]["reason"]}
    assert len(made["groups"]) == 3
    for group in made["groups"]:
        entry = group["cross_sell"]["incremental"]
        assert (entry["status"], entry["value"]) == ("blocked", None)
        blocked.add(entry["reason"])
    assert len(blocked) == 1
    alone = report(*visits[::3])
    assert alone["total"]["cross_sell"]["incremental"]["status"] == "ok"


def test_decisions_that_do_not_say_take_the_share_asked_for() -> None:
    visits = [visit(n, "control" if n < 20 else "treatment", share=None) for n in range(60)]
    assert report(*visits)["quality"]["srm_p_value"] < 0.001
    entry = report(*visits, holdout=0.3)["total"]["cross_sell"]["incremental"]
    assert entry["status"] == "ok"


def test_a_unit_is_drawn_once_however_often_it_comes() -> None:
    again = [{**visit(0, "treatment")[0], "event_id": f"x{n}", "decision_id": f"x{n}", "offers": []}
             for n in range(30)]  # fmt: skip
    made = report(visit(0, "treatment"), visit(1, "control"), again)
    assert made["quality"]["srm_p_value"] == 1.0


def returning(held_out: int, more: float) -> list[list[dict[str, Any]]]:
    """Units of one to three checkouts, of which one in three buys a bun in each; some come again.

    `more` of those with offers do.
    """
    visits: list[list[dict[str, Any]]] = []
    for arm in ("treatment", "control"):
        for unit in range(held_out):
            again = arm == "treatment" and unit < more * held_out
            for _ in range(1 + unit % 3 + again):
                facts = visit(len(visits), arm, buys_bun=unit % 3 == 1)
                for fact in facts:
                    fact["customer_id"] = f"{arm}{unit}"
                visits.append(facts)
    return visits


def test_checkouts_are_compared_where_units_have_as_many() -> None:
    entry = report(*returning(150, 0.0))["total"]["cross_sell"]["incremental"]
    assert (entry["status"], entry["value"], entry["per_unit"]["value"]) == ("ok", 0, 0)
    assert entry["per_unit"]["treatment"] == {"value": 1 / 3, "numerator": 50, "denominator": 150}


def test_units_are_compared_where_offers_bring_more_checkouts() -> None:
    """Half of those with offers have one checkout more."""
    measured = report(*returning(150, 0.5))["total"]["cross_sell"]
    for name in ("incremental", "net_incremental"):
        entry = measured[name]
        of_checkouts = ("completion", "orders", "offered_units", "revenue_per_checkout",
                        "offer_revenue_per_checkout")  # fmt: skip
        for each in (entry, *(entry[of] for of in of_checkouts)):
            assert (each["status"], each["value"]) == ("not_comparable", None)
        assert "with offers have 2.5 eligible checkouts each, those without 2" in entry["reason"]
        units = entry["per_unit"]
        expected = intervals.newcombe(50, 150, 50, 150)
        assert expected is not None
        assert (units["value"], units["lower"], units["upper"]) == (
            expected.value, expected.lower, expected.upper,
        )  # fmt: skip
        assert units["offered_units"]["treatment"] == 125 / 150
        assert units["offered_units"]["control"] == 100 / 150
        assert units["offer_revenue_per_unit"]["value"] == f"{25 * 25 / 150:.4f}"
        bought = [[2 + (unit < 75) if unit % 3 == 1 else 0 for unit in range(150)],
                  [2 if unit % 3 == 1 else 0 for unit in range(150)]]  # fmt: skip
        welch = stats.ttest_ind(*bought, equal_var=False).confidence_interval()
        found = (units["offered_units"]["lower"], units["offered_units"]["upper"])
        assert found == pytest.approx((welch.low, welch.high), abs=1e-3)


def test_units_belong_to_the_stratum_of_their_first_decision() -> None:
    visits, seen = returning(150, 1.0), set[str]()
    for facts in visits:
        if facts[0]["customer_id"] in seen:
            facts[0] |= {"control_share": 0.4, "occurred_at": "2026-01-01T10:30:00+00:00"}
        seen.add(facts[0]["customer_id"])
    entry = report(*visits)["total"]["cross_sell"]["incremental"]
    assert entry["status"] == "not_comparable"
    assert len(entry["shares"]) == 2
    units = entry["per_unit"]
    assert (units["status"], units["value"]) == ("ok", 0)
    for arm, more in (("treatment", 50), ("control", 0)):
        assert units[arm] == {"value": 1 / 3, "numerator": 50, "denominator": 150}
        assert units["offered_units"][arm] == (100 + more) / 150


def beside(name: str, unit: dict[str, Any], at: str, **fields: Any) -> list[dict[str, Any]]:
    """A checkout without an offer, with an order of 30 an hour later."""
    facts = visit(0, unit["arm"], share=unit["control_share"])
    for fact, hour in zip(facts, ("00", "59"), strict=True):
        names = {"event_id": f"{fact['event_id']}-{name}", "checkout_id": name}
        names |= {
            "customer_id": unit["customer_id"],
            "occurred_at": f"2026-01-{at}:{hour}:00+00:00",
        }
        fact |= names
    facts[0] |= {"decision_id": name, "offers": []}
    facts[1] |= {"transaction_id": name, **fields}
    facts[0] |= {key: fields[key] for key in fields.keys() & {"control_share"}}
    return facts


def test_what_units_buy_beside_eligible_checkouts_is_theirs_from_the_first_on() -> None:
    """Forty units an arm, each with one eligible checkout at 10:00 in which 30 is paid."""
    visits = trial(40, 0, 40, 0)
    units = [facts[0] for facts in visits[:40]]
    more = [beside(f"after{n}", units[n], "01T12") for n in range(8)]
    more += [beside(f"with{n}", units[n], "01T10") for n in range(4)]
    more += [beside(f"before{n}", units[n], "01T08") for n in range(8)]
    more += [beside(f"without{n}", units[n], "01T12", control_share=0.0) for n in range(8)]
    # Not of the period.
    more += [beside(f"later{n}", units[n], "02T12") for n in range(8)]
    # By an offer alone, and ten minutes before the decision of its checkout.
    more += [beside(f"elsewhere{n}", units[n], "01T12", checkout_id=None) for n in range(8)]
    more += [
        beside(f"early{n}", units[n], "01T12", occurred_at="2026-01-01T11:49:00+00:00")
        for n in range(8)
    ]
    sent_back = {"type": "refund", "event_id": "r", "transaction_id": "after0",
                 "occurred_at": "2026-01-03T12:00:00+00:00"}  # fmt: skip
    made = report(
        *visits, *more, [sent_back], since=date(2026, 1, 1), until=date(2026, 1, 1)
    )["total"]["cross_sell"]  # fmt: skip
    effect, net = made["incremental"], made["net_incremental"]["per_unit"]
    assert effect["orders"]["treatment"] == effect["orders"]["control"] == 1
    of_units = effect["per_unit"]
    assert of_units["orders"]["treatment"] == 1 + 12 / 40
    assert of_units["orders"]["control"] == 1
    assert of_units["orders"]["value"] == pytest.approx(12 / 40)
    assert of_units["revenue_per_unit"]["value"] == f"{30 * 12 / 40:.4f}"
    assert of_units["offer_revenue_per_unit"]["treatment"] == "0.0000"
    assert of_units["completion"]["treatment"]["numerator"] == 40
    assert net["orders"]["value"] == pytest.approx(11 / 40)
    assert net["revenue_per_unit"]["value"] == f"{30 * 11 / 40:.4f}"


def test_a_unit_with_an_order_abroad_beside_its_eligible_checkouts_has_no_part_in_money() -> None:
    visits = trial(40, 10, 40, 10)
    units = [facts[0] for facts in visits[:10]]
    more = [beside(f"b{n}", units[n], "01T12", currency="SEK") for n in range(10)]
    effect = report(*visits, *more, currency="NOK")["total"]["cross_sell"]["incremental"]
    assert effect["revenue_per_checkout"]["treatment"] == f"{30 + 25 / 4:.4f}"
    of_units = effect["per_unit"]
    assert of_units["revenue_per_unit"]["treatment"] == "30.0000"
    assert of_units["revenue_per_unit"]["control"] == f"{30 + 25 / 4:.4f}"
    assert of_units["offer_revenue_per_unit"]["treatment"] == "0.0000"
    assert of_units["orders"]["treatment"] == 1.25
    assert of_units["treatment"] == {"value": 0.25, "numerator": 10, "denominator": 40}
