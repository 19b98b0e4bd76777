"""Which offer is credited, and with how much: examples worked out by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import Fact
from mersalg.engine.tracking.report import ReportQuery, report_of


def at(hour: int) -> str:
    return f"2026-01-{1 + hour // 24:02d}T{hour % 24:02d}:00:00+00:00"


def decided(hour: int = 0, name: str = "d", **fields: Any) -> dict[str, Any]:
    """Two small coffees in the cart; a bun beside them, or large ones instead."""
    return {
        "type": "decision", "event_id": f"e-{name}", "decision_id": name, "occurred_at": at(hour),
        "checkout_id": "k", "customer_id": "ann", "arm": "treatment", "currency": "NOK",
        "lines": [{"item_id": "small", "quantity": 2, "unit_price": "30"}],
        "offers": [
            {"offer_id": f"{name}-bun", "kind": "cross_sell", "item_id": "bun", "position": 1,
             "unit_price": "25"},
            {"offer_id": f"{name}-large", "kind": "upsell", "item_id": "large", "position": 1,
             "unit_price": "42", "replaces": {"item_id": "small", "quantity": 2}},
        ],
        **fields,
    }  # fmt: skip


def seen(offer_id: str, hour: int = 1, kind: str = "view_promotion") -> dict[str, Any]:
    event_id = f"{kind}-{offer_id}-{hour}"
    return {"type": kind, "event_id": event_id, "occurred_at": at(hour), "offer_id": offer_id}


def bought(*items: dict[str, Any], hour: int = 2, **fields: Any) -> dict[str, Any]:
    return {
        "type": "purchase", "event_id": f"p-{hour}", "occurred_at": at(hour), "checkout_id": "k",
        "transaction_id": f"t-{hour}", "customer_id": "ann", "currency": "NOK",
        "items": list(items), **fields,
    }  # fmt: skip


def item(item_id: str, quantity: float = 1, **more: Any) -> dict[str, Any]:
    prices = {"bun": "25", "small": "30", "large": "42"}
    return {"item_id": item_id, "quantity": quantity, "price": prices[item_id], **more}


def measured(facts: list[dict[str, Any]], kind: str, **query: Any) -> Any:
    parsed: list[Fact] = [parse_fact(fact) for fact in facts]
    report: Any = report_of(parsed, ReportQuery(**query))
    return report["total"][kind]


def outcome(facts: list[dict[str, Any]], kind: str, **query: Any) -> tuple[int, int, str, str]:
    """Converted offers, shown offers, gross and net revenue."""
    k = measured(facts, kind, **query)
    offer = k["offer"]
    return offer["numerator"], offer["denominator"], k["revenue"], k["net_revenue"]


VIEWS = [seen("d-bun"), seen("d-large")]


def test_a_complement_is_credited_whole_less_its_discount() -> None:
    order = bought(item("small", 2), item("bun", 3, discount="5"))
    assert outcome([decided(), *VIEWS, order], "cross_sell") == (1, 1, "70.00", "70.00")


def test_an_upgrade_is_credited_by_the_difference_of_replaced_units() -> None:
    order = bought(item("small"), item("large"))
    assert outcome([decided(), *VIEWS, order], "upsell") == (1, 1, "12.00", "12.00")


def test_more_large_ones_than_were_replaced_earn_no_more() -> None:
    assert outcome([decided(), *VIEWS, bought(item("large", 5))], "upsell")[2] == "24.00"


def test_an_addition_is_no_upgrade() -> None:
    order = bought(item("small", 2), item("large"))
    assert outcome([decided(), *VIEWS, order], "upsell") == (0, 1, "0.00", "0.00")


HUGE = {"offer_id": "d-huge", "kind": "upsell", "item_id": "huge", "position": 2,
        "unit_price": "50", "replaces": {"item_id": "small", "quantity": 2}}  # fmt: skip


def huge_too(n_large: int, n_huge: int, n_small: int = 2) -> list[dict[str, Any]]:
    """Large ones offered first and huge ones second, and so many of them bought."""
    decision = decided(lines=[{"item_id": "small", "quantity": n_small, "unit_price": "30"}])
    decision["offers"].append(HUGE)
    order = bought({"item_id": "huge", "quantity": n_huge, "price": "50"}, item("large", n_large))
    return [decision, *VIEWS, seen("d-huge"), order]


def test_no_more_upsells_convert_than_base_units_were_replaced() -> None:
    # Both small ones became large: none is left for the huge one.
    assert outcome(huge_too(2, 1), "upsell") == (1, 2, "24.00", "24.00")
    assert outcome(huge_too(1, 1), "upsell") == (2, 2, "32.00", "32.00")


def test_what_is_left_of_the_base_units_is_charged_to_the_last_better_unit() -> None:
    # Five small ones became one large and one huge: 42 - 30 and 50 - 4 x 30.
    facts = huge_too(1, 1, n_small=5)
    by_item: Any = report_of([parse_fact(fact) for fact in facts], ReportQuery(by=("item",)))
    worth = {row["key"]["item"]: row["upsell"]["revenue"] for row in by_item["groups"]}
    assert (worth["large"], worth["huge"]) == ("12.00", "-70.00")


def test_a_pack_that_lowers_the_bill_has_a_negative_worth() -> None:
    facts = [decided(), *VIEWS, bought(item("large"))]  # 42 for two at 30
    assert outcome(facts, "upsell") == (1, 1, "-18.00", "-18.00")


def test_the_base_item_in_another_order_of_the_checkout_makes_it_an_addition() -> None:
    for hour in (1, 5):
        both = [bought(item("large", 2)), bought(item("small", 2), hour=hour)]
        assert outcome([decided(), *VIEWS, *both], "upsell") == (0, 1, "0.00", "0.00")
    one = [bought(item("large", 2)), bought(item("small"), hour=5)]
    assert outcome([decided(), *VIEWS, *one], "upsell") == (1, 1, "12.00", "12.00")


def test_within_a_window_orders_of_other_checkouts_count_too() -> None:
    later = bought(item("small", 2), hour=30, checkout_id="elsewhere")
    facts = [decided(), *VIEWS, bought(item("large", 2)), later]
    assert outcome(facts, "upsell", attribution_window_days=1)[0] == 1
    assert outcome(facts, "upsell", attribution_window_days=2)[0] == 0


def test_an_upsell_is_worth_what_the_offer_said_where_nothing_changed() -> None:
    """Two at 30 less 5, so 27.50 each; 42 less that is 14.50 for one of them."""
    cart = [{"item_id": "small", "quantity": 2, "unit_price": "30", "discount": "5"}]
    large = item("large", 2, discount="4")
    assert outcome([decided(lines=cart), *VIEWS, bought(item("large", 2))], "upsell")[2] == "29.00"
    assert outcome([decided(lines=cart), *VIEWS, bought(large)], "upsell")[2] == "25.00"
    unpriced = decided(lines=[{"item_id": "small", "quantity": 2}])
    replaces = {"item_id": "small", "quantity": 2, "price_difference": "14.50"}
    unpriced["offers"][1]["replaces"] = replaces
    assert outcome([unpriced, *VIEWS, bought(item("large", 2))], "upsell")[2] == "29.00"


def test_an_upsell_bought_at_another_price_is_counted() -> None:
    for price, n_repriced in (("42", 0), ("40", 1)):
        facts = [decided(), *VIEWS, bought(item("large", 2, price=price))]
        made: Any = report_of([parse_fact(fact) for fact in facts], ReportQuery())
        assert made["quality"]["repriced"] == n_repriced


def test_what_was_in_the_cart_already_is_not_sold_by_the_offer() -> None:
    decision = decided(lines=[{"item_id": "bun", "quantity": 1}])
    assert outcome([decision, *VIEWS, bought(item("bun", 2))], "cross_sell")[0] == 0


def test_an_offer_never_seen_is_neither_shown_nor_credited() -> None:
    facts = [decided(), bought(item("bun"))]
    assert outcome(facts, "cross_sell")[:2] == (0, 0)
    assert outcome(facts, "cross_sell", impressions="served")[:2] == (1, 1)


def test_a_line_that_names_the_offer_shows_and_credits_it() -> None:
    order = bought(item("bun", offer_id="d-bun"))
    assert outcome([decided(), order], "cross_sell")[:2] == (1, 1)


def minutes(n: int) -> str:
    return (datetime.fromisoformat(at(24)) + timedelta(minutes=n)).isoformat()


def test_clocks_may_differ_by_five_minutes_where_a_line_names_its_offer() -> None:
    for passed, name, expected in (
        (-5, "d-bun", (1, 0)),
        (-6, "d-bun", (0, 1)),
        (-1, None, (0, 0)),
        (0, None, (1, 0)),
    ):
        order = bought(item("bun", offer_id=name)) | {"occurred_at": minutes(passed)}
        view = seen("d-bun") | {"occurred_at": minutes(-1)}
        facts = [decided(24), view, order]
        made: Any = report_of([parse_fact(fact) for fact in facts], ReportQuery())
        n_converted = made["total"]["cross_sell"]["offer"]["numerator"]
        assert (n_converted, made["quality"]["early"]) == expected


def test_a_view_long_before_its_offer_is_counted() -> None:
    facts = [decided(24), seen("d-bun", hour=20), bought(item("bun"), hour=26)]
    made: Any = report_of([parse_fact(fact) for fact in facts], ReportQuery())
    assert made["quality"]["early"] == 1


@pytest.mark.parametrize("name", [None, "d-bun"])
def test_attribution_within_a_checkout_ends(name: str | None) -> None:
    facts = [decided(), *VIEWS, bought(item("bun", offer_id=name), hour=72)]
    assert outcome(facts, "cross_sell", checkout_days=3)[0] == 1
    assert outcome(facts, "cross_sell", checkout_days=2)[0] == 0
    facts[-1]["occurred_at"] = minutes(30 * 24 * 60)  # 31 days after the decision
    assert outcome(facts, "cross_sell")[0] == 0


def two_checkouts(second_day: int = 0) -> list[dict[str, Any]]:
    """Offers of two checkouts, both named by one purchase that names no checkout."""
    other = decided(24 * second_day, "z", checkout_id="k2")
    other["offers"][0]["item_id"] = "cake"
    lines = [
        {"item_id": "bun", "price": "9", "offer_id": "d-bun"},
        {"item_id": "cake", "price": "20", "offer_id": "z-bun"},
    ]
    return [decided(), other, bought(*lines, hour=30 + 24 * second_day, checkout_id=None)]


@pytest.mark.parametrize("second_day", [0, 1])
def test_a_named_line_belongs_to_the_checkout_of_its_offer(second_day: int) -> None:
    k = measured(two_checkouts(second_day), "cross_sell")
    counts = {
        name: (k[name]["numerator"], k[name]["denominator"]) for name in ("checkout", "order")
    }
    assert counts == {"checkout": (2, 2), "order": (1, 1)}
    assert (k["conversions"]["total"], k["revenue"]) == (2, "29.00")


def test_a_line_that_names_an_offer_of_another_checkout_converts_it() -> None:
    facts = [decided(), bought(item("bun", offer_id="d-bun"), checkout_id="elsewhere")]
    assert outcome(facts, "cross_sell") == (1, 1, "25.00", "25.00")


def test_a_line_that_names_another_items_offer_credits_nobody() -> None:
    order = bought(item("bun", offer_id="d-large"))
    assert outcome([decided(), *VIEWS, order], "cross_sell")[0] == 0


def test_seen_after_the_purchase_is_too_late() -> None:
    facts = [decided(), seen("d-bun", hour=3), bought(item("bun"))]
    assert outcome(facts, "cross_sell")[:2] == (0, 1)


def test_the_last_of_two_offers_is_credited_even_if_its_rule_fails() -> None:
    later = decided(1, "z", lines=[{"item_id": "bun", "quantity": 1}])
    facts = [decided(), *VIEWS, later, seen("z-bun"), bought(item("bun"))]
    assert outcome(facts, "cross_sell")[:2] == (0, 2)


def test_another_checkout_counts_only_inside_a_window() -> None:
    facts = [decided(), *VIEWS, bought(item("bun"), hour=30, checkout_id="elsewhere")]
    assert outcome(facts, "cross_sell", attribution_window_days=0)[0] == 0
    assert outcome(facts, "cross_sell", attribution_window_days=1)[0] == 0
    assert outcome(facts, "cross_sell", attribution_window_days=2)[0] == 1
    facts[-1]["customer_id"] = "bob"
    assert outcome(facts, "cross_sell", attribution_window_days=2)[0] == 0


def test_a_click_before_the_purchase_is_distinguished_from_a_view() -> None:
    facts = [decided(), *VIEWS, bought(item("bun"))]
    assert measured(facts, "cross_sell")["conversions"] == {
        "accepted_click": 0, "view_through": 1, "total": 1,
    }  # fmt: skip
    facts.append(seen("d-bun", kind="select_promotion"))
    assert measured(facts, "cross_sell")["conversions"]["accepted_click"] == 1


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ({"type": "refund"}, (0, "0.00")),
        ({"type": "cancel"}, (0, "0.00")),
        ({"type": "refund", "items": [{"item_id": "bun", "quantity": 1}]}, (1, "50.00")),
        ({"type": "refund", "items": [{"item_id": "bun", "quantity": 9}]}, (0, "0.00")),
        ({"type": "refund", "items": [{"item_id": "small", "quantity": 2}]}, (1, "75.00")),
    ],
)
def test_net_of_returns(returned: dict[str, Any], expected: tuple[int, str]) -> None:
    # The refund arrives, and is dated, before its purchase: books are not always in order.
    refund = {"event_id": "r", "occurred_at": at(1), "transaction_id": "t-2", **returned}
    k = measured(
        [refund, decided(), *VIEWS, bought(item("small", 2), item("bun", 3))], "cross_sell"
    )
    assert (k["net_offer"]["numerator"], k["net_revenue"]) == expected
    assert (k["offer"]["numerator"], k["revenue"]) == (1, "75.00")


def goodwill(amount: str, name: str = "r", **more: Any) -> dict[str, Any]:
    return {"type": "refund", "event_id": name, "occurred_at": at(5), "transaction_id": "t-2",
            "currency": "NOK", "amount": amount, **more}  # fmt: skip


@pytest.mark.parametrize(
    ("refunds", "kept", "net"),
    [
        # 60 and 75 were paid: of 27 given back 15 are the buns'.
        ([goodwill("27")], 1, "60.00"),
        ([goodwill("0")], 1, "75.00"),
        # The shop kept 5 of the price of a bun, and 15 of that of three.
        ([goodwill("20", items=[{"item_id": "bun"}])], 1, "55.00"),
        ([goodwill("60", items=[{"item_id": "bun", "quantity": 3}])], 0, "15.00"),
        # 25 for a bun, and of 27 more the buns' 15.
        ([goodwill("52", items=[{"item_id": "bun"}])], 1, "35.00"),
        ([goodwill("27"), {**goodwill("45", "all"), "amount": None}], 0, "0.00"),
        ([goodwill("27"), goodwill("75", "buns", items=[{"item_id": "bun", "quantity": 3}])],
         0, "0.00"),
        # In another currency the units come back at their price.
        ([goodwill("20", currency="EUR", items=[{"item_id": "bun"}])], 1, "50.00"),
    ],
)  # fmt: skip
def test_money_given_back(refunds: list[dict[str, Any]], kept: int, net: str) -> None:
    facts = [decided(), *VIEWS, bought(item("small", 2), item("bun", 3)), *refunds]
    k = measured(facts, "cross_sell")
    assert (k["net_offer"]["numerator"], k["revenue"], k["net_revenue"]) == (kept, "75.00", net)


def test_money_given_back_of_an_upgrade_is_taken_off_the_difference() -> None:
    facts = [decided(), *VIEWS, bought(item("large", 2)), goodwill("8.40")]
    assert outcome(facts, "upsell") == (1, 1, "24.00", "15.60")


def test_a_refund_counts_once_whatever_reports_it() -> None:
    facts = [decided(), *VIEWS, bought(item("bun", 3))]
    twice = [goodwill("5", "shop", refund_id="r1"), goodwill("5", "till", refund_id="r1")]
    made: Any = report_of([parse_fact(fact) for fact in [*facts, *twice]], ReportQuery())
    assert made["total"]["cross_sell"]["net_revenue"] == "70.00"
    assert made["quality"]["duplicates"] == 1
    other = goodwill("5", "other", refund_id="r2")
    assert measured([*facts, *twice, other], "cross_sell")["net_revenue"] == "65.00"


@pytest.mark.parametrize(
    "refund",
    [
        goodwill("80"),
        goodwill("5", currency="EUR"),
        {**goodwill("5"), "amount": None, "items": [{"item_id": "cake"}]},
        {**goodwill("5"), "amount": None, "items": [{"item_id": "bun", "quantity": 4}]},
    ],
)
def test_refunds_of_more_than_was_bought_are_counted(refund: dict[str, Any]) -> None:
    facts = [decided(), *VIEWS, bought(item("bun", 3)), refund]
    made: Any = report_of([parse_fact(fact) for fact in facts], ReportQuery())
    assert made["quality"]["refund_mismatch"] == 1
    assert float(made["total"]["cross_sell"]["net_revenue"]) >= 0


TAXED = [item("bun", 4, discount="10", tax="18"), item("large", 2, tax="16.80")]
"""Of 90 and 84, with a fifth of tax in them."""


def test_credit_is_without_tax() -> None:
    facts = [decided(), *VIEWS, bought(*TAXED)]
    assert outcome(facts, "cross_sell")[2:] == ("72.00", "72.00")
    # 84 - 60 = 24 with tax, of which a fifth is tax on both sides.
    assert outcome(facts, "upsell")[2:] == ("19.20", "19.20")
    made: Any = report_of([parse_fact(fact) for fact in facts], ReportQuery())
    assert made["quality"]["untaxed"] == 0


@pytest.mark.parametrize(
    ("shop", "purchase", "cross_sell", "upsell"),
    [
        (True, None, "72.00", "19.20"),
        (True, True, "72.00", "19.20"),
        (False, None, "90.00", "24.00"),
        (False, False, "90.00", "24.00"),
        # Lines without tax, a cart with a sixth of it: 84 - 60 / 1.2.
        (True, False, "90.00", "34.00"),
        # Lines with tax, a cart without: 67.20 - 60.
        (False, True, "72.00", "7.20"),
    ],
)
def test_prices_include_tax_as_shop_or_purchase_says(
    shop: bool, purchase: bool | None, cross_sell: str, upsell: str
) -> None:
    facts = [decided(), *VIEWS, bought(*TAXED, prices_include_tax=purchase)]
    assert measured(facts, "cross_sell", prices_include_tax=shop)["revenue"] == cross_sell
    assert measured(facts, "upsell", prices_include_tax=shop)["revenue"] == upsell


@pytest.mark.parametrize(
    ("shop", "purchase", "untaxed"),
    [(True, None, 2), (True, True, 2), (False, None, 0), (True, False, 1), (False, True, 2)],
)
def test_credited_lines_with_an_unknown_tax_are_counted(
    shop: bool, purchase: bool | None, untaxed: int
) -> None:
    order = bought(item("bun"), item("large", 2), prices_include_tax=purchase)
    facts = [parse_fact(fact) for fact in (decided(), *VIEWS, order)]
    made: Any = report_of(facts, ReportQuery(prices_include_tax=shop))
    assert made["quality"]["untaxed"] == untaxed
    assert made["total"]["cross_sell"]["revenue"] == "25.00"
    assert made["total"]["upsell"]["revenue"] == "24.00"


def test_a_tax_of_more_than_its_line_cost_is_not_known() -> None:
    facts = [decided(), *VIEWS, bought(item("bun", tax="25.01"))]
    made: Any = report_of([parse_fact(fact) for fact in facts], ReportQuery())
    assert made["total"]["cross_sell"]["revenue"] == "25.00"
    assert made["quality"]["untaxed"] == 1


@pytest.mark.parametrize(
    ("includes", "amount", "net"),
    [(True, "45", "36.00"), (False, "54", "45.00"), (True, "90", "0.00"), (False, "108", "0.00")],
)
def test_money_given_back_is_with_tax(includes: bool, amount: str, net: str) -> None:
    order = bought(item("bun", 4, discount="10", tax="18"), prices_include_tax=includes)
    facts = [parse_fact(fact) for fact in (decided(), *VIEWS, order, goodwill(amount))]
    made: Any = report_of(facts, ReportQuery())
    assert made["total"]["cross_sell"]["net_revenue"] == net
    assert made["quality"]["refund_mismatch"] == 0


def test_an_upgrade_partly_returned_keeps_the_difference_of_the_rest() -> None:
    refund = {"type": "refund", "event_id": "r", "occurred_at": at(5), "transaction_id": "t-2",
              "items": [{"item_id": "large", "quantity": 1}]}  # fmt: skip
    facts = [decided(), *VIEWS, bought(item("large", 2)), refund]
    assert outcome(facts, "upsell") == (1, 1, "24.00", "12.00")


def test_a_second_purchase_of_one_transaction_counts_once() -> None:
    order = bought(item("bun"))
    again = {**order, "event_id": "again", "occurred_at": at(4)}
    facts = [parse_fact(fact) for fact in (decided(), *VIEWS, again, order)]
    report: Any = report_of(facts, ReportQuery())
    assert report["total"]["cross_sell"]["revenue"] == "25.00"
    assert report["quality"]["duplicates"] == 1


def test_an_anonymous_visit_belongs_to_the_one_customer_of_its_session() -> None:
    early = decided(customer_id=None, session_id="s")
    facts = [early, *VIEWS, bought(item("bun"), session_id="s"),
             decided(3, "x", checkout_id="k2", session_id="s")]  # fmt: skip
    customer = measured([*facts, seen("x-bun", 4)], "cross_sell")["customer"]
    assert (customer["numerator"], customer["denominator"]) == (1, 1)


def units_of(facts: list[dict[str, Any]]) -> tuple[int, int, int]:
    """Customers who bought an offered bun, customers shown one who bought, and all who bought."""
    k = measured(facts, "cross_sell")
    assert k["customer"]["numerator"] == k["penetration"]["numerator"]
    return (*(k["customer"][name] for name in ("numerator", "denominator")),
            k["penetration"]["denominator"])  # fmt: skip


def visit(number: int, session: str, line: dict[str, Any], **order: Any) -> list[dict[str, Any]]:
    """A checkout whose decision names the session, and an order that does not."""
    name, checkout = f"d{number}", f"k{number}"
    return [
        decided(number, name, customer_id=None, checkout_id=checkout, session_id=session),
        seen(f"{name}-bun", number),
        bought(line, hour=10 + number, **{"checkout_id": checkout, **order}),
    ]


def test_a_session_and_a_customer_in_one_checkout_are_one_unit() -> None:
    """Three checkouts of one buyer: decisions name the session, purchases the customer."""
    lines = [item("bun"), item("small"), item("small")]
    visits = [visit(number, f"s{number}", line) for number, line in enumerate(lines)]
    assert units_of([fact for each in visits for fact in each]) == (1, 1, 1)


def test_the_checkouts_of_a_shared_session_are_those_of_their_customers() -> None:
    people = ("ann", "bob", "ann")
    facts = [
        fact
        for number, customer in enumerate(people)
        for fact in visit(number, "till", item("bun"), customer_id=customer)
    ]
    assert units_of(facts) == (2, 2, 2)
    # Of those that no customer claims there is one unit, the session.
    assert units_of(facts + visit(3, "till", item("bun"), customer_id=None)) == (3, 3, 3)


def test_the_customer_of_the_checkout_comes_before_that_of_the_session() -> None:
    login = seen("d1-bun", 3, "select_promotion") | {"session_id": "s", "customer_id": "ann"}
    other = visit(0, "s", item("bun"), customer_id="bob")
    assert units_of([*other, login]) == (1, 1, 1)


def test_a_purchase_that_names_an_offer_says_whose_its_checkout_is() -> None:
    facts = visit(0, "s", item("bun", offer_id="d0-bun"), checkout_id=None)
    assert units_of(facts) == (1, 1, 1)


def test_an_order_of_nobody_is_that_of_the_customer_of_its_checkout() -> None:
    """Two orders of a checkout without a decision, only one of which names the customer."""
    orders = [bought(item("small"), hour=hour, customer_id=customer)
              for hour, customer in ((3, "ann"), (4, None))]  # fmt: skip
    assert units_of(orders) == (0, 0, 1)


def test_a_session_is_a_bot_only_in_the_hour_in_which_it_is_one() -> None:
    """A till that many share: three decisions in one minute, and one the next day."""
    till = [decided(0, f"d{n}", checkout_id=f"k{n}", session_id="till") for n in range(3)]
    next_day = decided(24, "z", session_id="till")
    facts = [parse_fact(fact) for fact in [*till, next_day, seen("z-bun", 25)]]
    made: Any = report_of(facts, ReportQuery(bot_decisions_per_hour=2, impressions="served"))
    assert made["quality"]["bots_by_rate"] == 3
    assert made["total"]["cross_sell"]["offer"]["denominator"] == 1


def test_another_currency_never_adds() -> None:
    other = bought(item("bun"), hour=3, currency="EUR")
    parsed = [parse_fact(fact) for fact in (decided(), *VIEWS, bought(item("bun")), other)]
    report: Any = report_of(parsed, ReportQuery(currency="NOK"))
    assert report["total"]["cross_sell"]["revenue"] == "25.00"
    assert report["quality"]["other_currency"] == 1
    undecided: Any = report_of(parsed, ReportQuery())
    assert undecided["currency"] is None
    assert undecided["total"]["cross_sell"]["revenue"] is None
    assert undecided["quality"]["currency"] == "several: EUR, NOK; choose one"


def test_bots_count_for_nothing() -> None:
    refund = {"type": "refund", "event_id": "r", "occurred_at": at(5), "transaction_id": "t-2"}
    facts = [decided(is_bot=True), *VIEWS, bought(item("bun")), refund]
    parsed = [parse_fact(fact) for fact in facts]
    report: Any = report_of(parsed, ReportQuery(impressions="served"))
    assert report["total"]["cross_sell"]["offer"]["denominator"] == 0
    assert report["total"]["cross_sell"]["penetration"]["denominator"] == 0
    assert report["quality"]["bots_excluded"] == 5
    assert report["quality"]["unmatched"] == 0


def test_a_checkout_that_people_were_in_too_is_theirs() -> None:
    facts = [decided(is_bot=True), decided(1, "z"), seen("z-bun"), bought(item("bun"))]
    assert outcome(facts, "cross_sell")[:2] == (1, 1)


@pytest.mark.parametrize(
    ("returned", "kept"),
    [
        # A bun came back: the credited one is taken first, so that net rates never flatter.
        ({"item_id": "bun", "quantity": 1}, (1, "25.00")),
        ({"item_id": "bun", "quantity": 1, "offer_id": "d-bun"}, (0, "0.00")),
    ],
)
def test_which_line_a_returned_unit_is_taken_from(
    returned: dict[str, Any], kept: tuple[int, str]
) -> None:
    # First line: credited to the later offer z; second: names the earlier one.
    facts = [decided(), decided(1, "z"), seen("z-bun", 1)]
    facts.append(bought(item("bun"), item("bun", offer_id="d-bun")))
    refund = {"type": "refund", "event_id": "r", "occurred_at": at(5), "transaction_id": "t-2"}
    k = measured([*facts, {**refund, "items": [returned]}], "cross_sell", by=("item",))
    assert k["offer"]["numerator"] == 2
    assert k["net_offer"]["numerator"] == 1
    early: Any = report_of(
        [parse_fact(fact) for fact in (*facts, {**refund, "items": [returned]})],
        ReportQuery(until=datetime.fromisoformat(at(1))),
    )
    first = early["total"]["cross_sell"]
    assert (first["net_offer"]["numerator"], first["net_revenue"]) == kept


def test_a_returned_unit_is_a_credited_one_first() -> None:
    # The first bun names an offer of something else and is owed to nobody; the second is credited.
    order = bought(item("bun", offer_id="d-large"), item("bun"))
    refund = {"type": "refund", "event_id": "r", "occurred_at": at(5), "transaction_id": "t-2",
              "items": [{"item_id": "bun", "quantity": 1}]}  # fmt: skip
    assert outcome([decided(), *VIEWS, order, refund], "cross_sell") == (1, 1, "25.00", "0.00")


def test_a_unit_cheaper_than_a_coin_keeps_its_price_until_its_line_is_summed() -> None:
    screws = {"item_id": "bun", "quantity": 10_000, "price": "0.0042"}
    assert outcome([decided(), *VIEWS, bought(screws)], "cross_sell")[2:] == ("42.00", "42.00")


def test_a_line_without_a_price_is_unknown_and_not_zero() -> None:
    facts = [decided(), *VIEWS, bought({"item_id": "bun"})]
    k = measured(facts, "cross_sell")
    assert k["offer"]["numerator"] == 1
    assert (k["revenue"], k["net_revenue"]) == (None, None)
    assert k["unpriced"] == {"numerator": 1, "denominator": 1}
    again = decided(3, "z", checkout_id="k2")
    priced = bought(item("bun"), hour=5, checkout_id="k2")
    k = measured([*facts, again, seen("z-bun", 4), priced], "cross_sell")
    assert (k["revenue"], k["unpriced"]) == ("25.00", {"numerator": 1, "denominator": 2})


def test_a_free_upgrade_without_a_price_is_not_credited_from_the_price_of_the_offer() -> None:
    facts = [decided(), *VIEWS, bought({"item_id": "large", "quantity": 2})]
    k = measured(facts, "upsell")
    assert (k["offer"]["numerator"], k["revenue"]) == (1, None)
    free = [decided(), *VIEWS, bought(item("large", 2, price="0"))]
    assert outcome(free, "upsell") == (1, 1, "-60.00", "-60.00")
