"""Every figure of every page, report file and mail, against the report that counts by brute force.

A page is opened in a real browser and taken apart: each of its parts must hold exactly the numbers
that are expected there, in their order, and nothing is left over that holds one. What is expected
comes from a report made of the plain facts, without roll-ups, each count and amount of which the
independent `ReferenceReport` confirms first.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from mersalg.engine import clock
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import KINDS, Decision, Fact, Offer
from mersalg.engine.locales import LANGUAGES, Language
from mersalg.engine.storage.store import open_store
from mersalg.engine.tracking.comparison import compared
from mersalg.engine.tracking.local_days import ends_at, starts_at, zone_of
from mersalg.engine.tracking.power import checkouts_needed
from mersalg.engine.tracking.query import ReportQuery, other_period
from mersalg.engine.tracking.report import report_of
from mersalg.serving.presentation.glossary import MEANS, NOT_IN_DOUBT, QUALITY, RATES, glossary_of
from mersalg.training.simulation.invented_shop import Invented, Plan
from tests.engine.tracking.test_report import check_intervals, expected_of, fractions_of
from tests.serving.test_dashboard import opened
from tests.serving.test_dashboard_pages import is_counted
from tests.support.commands import run
from tests.support.models import TinyItem, TinyRule, tiny_model
from tests.support.reference_report import ReferenceReport
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import eventually

pytestmark = pytest.mark.browser

OSLO, HOLDOUT, WORTHWHILE = "Europe/Oslo", 0.5, 0.01
SINCE, UNTIL = date(2026, 1, 12), date(2026, 2, 8)
"""Four weeks of the simulated buyers, with some of them before and after."""
WEEK = date(2026, 2, 2)
"""Monday of the last week of a shop whose facts end with the period."""
PERIOD = f"from={SINCE}&to={UNTIL}"
GOODS = {"lamp": "bulb", "kettle": "tea-egg", "rucksack-20": "rain-cover",
         "headset": "headset-case"}  # fmt: skip
BETTER = {"lamp": "lamp-dimmable", "kettle": "kettle-steel", "rucksack-20": "rucksack-30",
          "headset": "headset-wireless"}  # fmt: skip
NAMES = {item_id: re.sub(r"[-\d]+", " ", item_id).strip().capitalize() + " x" * ("30" in item_id)
         for item_id in (*GOODS, *GOODS.values(), *BETTER.values())}  # fmt: skip
"""Names without numbers, so that every number of a page is a figure."""
N_JOINT, N_ANTECEDENT, N_CONSEQUENT, N_ORDERS = 120, 1_310, 507, 10_000
"""Past orders with both items of every rule, with what the cart holds, with the other, and all."""
LIFT = (N_JOINT / N_ANTECEDENT) * (N_ORDERS / N_CONSEQUENT)
LIFT_LOWER = LIFT * math.exp(
    -1.96 * math.sqrt(1 / N_JOINT - 1 / N_ANTECEDENT - 1 / N_CONSEQUENT + (2 * LIFT - 1) / N_ORDERS)
)


def _enriched(visit: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the facts of a checkout with store, segment and placement, and evidence of rules."""
    decision, *events = visit
    number = sum(map(ord, decision["customer_id"]))
    decision |= {
        "store_id": ("oslo", "bergen")[number % 2],
        "segment": ("new", "regular", "club")[number % 3],
        "placement": ("cart", "checkout")[sum(map(ord, decision["checkout_id"])) % 2],
    }
    base = decision["lines"][0]["item_id"]
    for offer in decision["offers"]:
        if offer["kind"] == "cross_sell":
            offer["evidence"] = {
                "antecedent_item_ids": [base], "n_joint": N_JOINT, "n_antecedent": N_ANTECEDENT,
                "confidence": N_JOINT / N_ANTECEDENT, "lift": LIFT, "lift_lower": LIFT_LOWER,
            }  # fmt: skip
    return [decision, *events]


@cache
def facts(last: date = date.max) -> tuple[Fact, ...]:
    """Return the facts of buyers of known habits, up to a day."""
    plan = Plan(checkouts=220, days=45, seed=28, holdout=HOLDOUT, anyway=0.3, persuaded=0.3,
                trade_up=0.2, upgraded=0.3, returned=0.2, visits=1.7)  # fmt: skip
    found = [parse_fact(fact) for each in Invented(plan).facts() for fact in _enriched(each)]
    return tuple(fact for fact in found if _day(fact.occurred_at) <= last)


def _day(micros: int) -> date:
    return clock.to_datetime(micros).astimezone(zone_of(OSLO)).date()


def _key_of(by: str, offer: Offer, decision: Decision) -> str:
    """Return the key of an offer in a report, found by what it says of itself."""
    base = decision.lines[0].item_id
    return (
        _bucket(by, _day(decision.occurred_at))
        or {
            "item": offer.item_id,
            "rule": f"{base} -> {offer.item_id}" if offer.kind == "cross_sell" else "unknown",
            "upgrade": f"{base} -> {offer.item_id}" if offer.kind == "upsell" else "unknown",
            "store": decision.store_id or "",
            "segment": decision.segment or "",
            "placement": decision.placement,
        }[by]
    )


def _within(oracle: ReferenceReport, key: Mapping[str, str]) -> ReferenceReport:
    """Return the oracle of the day, week or month of a key, as far as it is of the period."""
    zone, own = zone_of(OSLO), copy(oracle)
    days = [SINCE + timedelta(days=n) for n in range(-100, 100)]
    for by, text in key.items():
        of_time = [day for day in days if _bucket(by, day) == text]
        if of_time:
            begin, end = starts_at(of_time[0], zone), ends_at(of_time[-1], zone)
            own.since, own.until = max(own.since, begin or 0), min(own.until, end or own.until)
    return own


def _bucket(by: str, day: date) -> str:
    year, week, _ = day.isocalendar()
    buckets = {"day": day.isoformat(), "week": f"{year}-W{week:02}", "month": f"{day:%Y-%m}"}
    return buckets.get(by, "")


@cache
def _oracle(last: date) -> ReferenceReport:
    return ReferenceReport(
        facts(last), since=0, until=2**63, impressions="viewed", window_days=0, currency="NOK"
    )


@cache
def _report(query: ReportQuery, last: date) -> dict[str, Any]:
    """Return the report of a query from the plain facts, after the oracle confirmed its counts."""
    made: Any = report_of(facts(last), query)
    zone = zone_of(OSLO)
    since, until = starts_at(query.since, zone), ends_at(query.until, zone)
    assert since is not None
    assert until is not None
    oracle = copy(_oracle(last))
    oracle.since, oracle.until = since, until
    wanted: list[tuple[Mapping[str, Any], Mapping[str, str]]] = [(made["total"], {})]
    wanted += [(row, row["key"]) for row in made["groups"]]
    for measured, key in wanted:
        own = _within(oracle, key)

        def matches(offer: Offer, decision: Decision, key: Mapping[str, str] = key) -> bool:
            return all(_key_of(by, offer, decision) == text for by, text in key.items())

        for kind in query.kinds:
            assert fractions_of(measured[kind]) == expected_of(own.measured(kind, matches))
            check_intervals(measured[kind], own.trials(kind, matches))
    of_kinds = ("unpriced", "repriced", "untaxed") if query.kinds != KINDS else ()
    left_out = ("immature", *of_kinds)
    counted = {name: n for name, n in oracle.quality().items() if name not in left_out}
    assert {name: made["quality"][name] for name in counted} == counted
    return made


def report(*by: str, since: date = SINCE, until: date = UNTIL, kind: str = "",
           only: tuple[str, str] | None = None, **more: Any) -> dict[str, Any]:  # fmt: skip
    """Return the report of a page: split `by`, of a `kind`, and of one value of a filter alone."""
    last = more.pop("last", date.max)
    query = ReportQuery(
        since=since, until=until, kinds=(kind,) if kind else KINDS,  # type: ignore[arg-type]
        timezone=OSLO, currency="NOK", impressions="viewed", holdout=HOLDOUT,
        **{"watched": True, **more},
    ).filled({})  # fmt: skip
    if only is None:
        made = _report(replace(query, by=by), last)
        before = _report(other_period(replace(query, compare="previous")), last)
        return {**made, "comparison": compared(made, before)}
    name, value = only
    (whole,) = (row for row in _report(replace(query, by=(name,)), last)["groups"]
                if row["key"][name] == value)  # fmt: skip
    made = _report(replace(query, by=(*by, name)), last)
    return {
        **made,
        "total": {each: whole[each] for each in query.kinds},
        "extra_sales": whole["extra_sales"],
        "groups": [row for row in made["groups"] if row["key"][name] == value],
    }


# Numbers as they are read from a page, and as they are expected there.

_SIGNS = {"en": (",", r"\."), "nb": ("\u00a0", ",")}
_DATES = {
    "en": r"\b\d{1,2} [A-Z][a-z]{2}\b(?: \d{4})?",
    "nb": r"\b\d{1,2}\. [a-z]{3}\.?(?: \d{4})?",
}
Expected = Any
"""A number, a pair of one and of the unit it is rounded to, or None for no number."""


def numbers(text: str, language: str) -> list[Decimal]:
    """Return the numbers of a text as the language writes them; those of dates are none."""
    group, point = _SIGNS[language]
    text = re.sub(rf"{_DATES[language]}|\d{{4}}-\d\d-\d\d", " ", text).replace("NOK\u00a0", "")
    for item_id in NAMES:
        text = text.replace(item_id, " ")
    found = re.findall(rf"[+−-]?\d{{1,3}}(?:{group}\d{{3}})+(?:{point}\d+)?(?!\d)|"
                       rf"(?<![\w.])[+−-]?\d+(?:{point}\d+)?", text)  # fmt: skip
    return [
        Decimal(each.replace(group, "").replace("−", "-").replace(",", ".").replace("+", ""))
        for each in found
    ]


def is_number(shown: Decimal, expected: Expected) -> bool:
    """Return whether a number is the expected one, rounded to the decimals that it shows."""
    value, unit = expected if isinstance(expected, tuple) else (expected, Decimal(0))
    step = max(Decimal(unit), Decimal(1).scaleb(int(shown.as_tuple().exponent)))
    return abs(shown - Decimal(str(value))) <= step / 2 + Decimal("1e-9")


def significant(
    values: Sequence[str | Decimal], first: int = 2, largest: int = 3
) -> list[Expected]:
    """Return amounts of which only some digits are shown: of the first, and of the largest."""
    amounts = [Decimal(each) for each in values]
    most = max(map(abs, amounts))
    unit = Decimal(10) ** max(0, amounts[0].adjusted() + 1 - first, most.adjusted() + 1 - largest)
    return [(each, unit) for each in amounts]


def three_digits(amount: str | Decimal) -> Expected:
    return (amount, Decimal(10) ** max(0, Decimal(amount).adjusted() - 2))


ENDS = ("value", "lower", "upper")


def _p_value(value: float | None) -> Expected:
    """Return a p-value of which three digits are shown."""
    return None if value is None else (value, Decimal(10) ** (Decimal(value).adjusted() - 2))


def percents(*shares: float | None) -> list[Expected]:
    return [None if share is None else 100 * share for share in shares]


def ends(entry: Mapping[str, Any], scale: int = 100) -> list[Expected]:
    return [None if entry[end] is None else scale * Decimal(str(entry[end])) for end in ENDS]


def counts(entry: Mapping[str, Any]) -> list[Expected]:
    return [entry["numerator"], entry["denominator"]]


def rate(entry: Mapping[str, Any]) -> list[Expected]:
    return [*ends(entry), *counts(entry)]


class Texts:
    """What the parts of a page hold in one language."""

    level = 95

    def __init__(self, language: Language, made: Mapping[str, Any], waits: bool = True) -> None:
        self.language, self.made, self.waits = language, made, waits
        self.terms, self.phrase = glossary_of(language).terms, glossary_of(language).phrase
        self.kinds: Mapping[str, Any] = made["total"]

    def said(self, *texts: str) -> list[Expected]:
        """Return the numbers that texts hold whatever is reported."""
        return [number for text in texts for number in numbers(text, self.language)]

    def why(self, entry: Mapping[str, Any]) -> list[Expected]:
        """Return the numbers of a reason, which is given in English alone."""
        return self.said(entry["reason"] or "") if self.language == "en" else []

    def arms(self) -> tuple[int, int]:
        return max(
            ((each["incremental"]["treatment"]["denominator"],
              each["incremental"]["control"]["denominator"]) for each in self.kinds.values()),
        )  # fmt: skip

    def exposures(self) -> list[Expected]:
        treated, control = self.arms()
        return [treated + control, treated, control]

    def days_left(self) -> int | None:
        """Return the days until the data suffice, as `power --watched` counts them.

        Of one week alone nothing `waits`: its mail says what the last four weeks come to.
        """
        if not self.waits:
            return None
        treated, control = self.arms()
        largest = next(each["incremental"] for each in self.kinds.values())
        days = [row["key"]["day"] for row in self.made["groups"] if "day" in row["key"]]
        length = (
            (date.fromisoformat(days[-1]) - date.fromisoformat(days[0])).days + 1
            if days
            else self.made["days"]
        )
        needed = checkouts_needed(
            largest["control"]["value"], WORTHWHILE, control / (treated + control),
            design_effect=largest["design_effect"], watched=True,
        )  # fmt: skip
        left = needed * length / (treated + control) - length
        return max(1, round(left)) if left > 0 else None

    def verdict(self) -> list[Expected]:
        extra = self.made["extra_sales"]
        if extra["value"] is None:
            days = self.days_left()
            return [days if days and days <= 365 else None, *self.said(self.phrase("why_few"))]
        amounts = significant([extra[end] for end in ENDS])
        if Decimal(extra["lower"]) > 0:
            return [amounts[0], self.level, *amounts[1:]]
        days = self.days_left()
        return [days if days and days <= 365 else None, *amounts]

    def worth(self) -> Iterator[list[Expected]]:
        entries = [each["extra_sales"] for each in self.kinds.values()]
        for entry in [*entries, *([self.made["extra_sales"]] if len(entries) > 1 else [])]:
            if entry["value"] is None:
                yield []
                continue
            value, lower, upper = significant([entry[end] for end in ENDS])
            is_clear = not Decimal(entry["lower"]) <= 0 <= Decimal(entry["upper"])
            yield [value if is_clear else None, lower, upper]

    def checks(self) -> Iterator[list[Expected]]:
        effect = max((each["incremental"] for each in self.kinds.values()),
                     key=lambda each: sum(each[arm]["denominator"] for arm in ARMS))  # fmt: skip
        done, basket = effect["completion"], effect["revenue_per_checkout"]
        known = done["value"] is not None
        yield [*percents(*(done[arm]["value"] for arm in ARMS)), *ends(done)] if known else []
        known = basket["value"] is not None
        yield [*(basket[arm] for arm in ARMS), *ends(basket, 1)] if known else []
        treated, control = (effect[arm]["denominator"] for arm in ARMS)
        share = 100 * control / (treated + control)
        quality = self.made["quality"]
        yield [control, treated + control, share, _p_value(quality["srm_p_value"])]
        doubts = [name for name in QUALITY if name not in (*NOT_IN_DOUBT, "immature")]
        yield [sum(quality[name] > 0.02 * quality["orders"] for name in doubts) or None]

    def worth_formula(self) -> list[Expected]:
        term, found = self.terms["extra_sales"], list[Expected]()
        found += self.said(term.definition, term.formula)
        for each in self.kinds.values():
            extra = each["extra_sales"]
            if extra["value"] is not None:
                of = each["net_incremental"]["offer_revenue_per_checkout"]
                found += [of["value"], extra["checkouts"], 30, self.made["days"], extra["value"]]
        together = self.made["extra_sales"]
        if together["value"] is not None and len(self.kinds) > 1:
            found += ends(together, 1)
        return found + self.said(self.phrase("worth_basket"), term.advice)

    def effect(self, entry: Mapping[str, Any]) -> list[Expected]:
        return self.why(entry) if entry["value"] is None else ends(entry)

    def incremental(self, kind: str) -> list[Expected]:
        """Return the numbers of all effects of a kind, gross and net of returns."""
        gross, net = (self.kinds[kind][name] for name in ("incremental", "net_incremental"))
        shares = [100 * each["share"] for each in gross["shares"]]
        if gross["value"] is None:
            return [*self.why(gross), *shares]
        found = percents(*(gross[arm]["value"] for arm in ARMS))
        found += [*ends(gross), *(gross[arm]["denominator"] for arm in ARMS), *self.effect(net)]
        for field, *_ in MEANS:
            name = field.format("checkout")
            both = [gross[name], net[name]]
            if both[0]["value"] is None and both[0]["reason"] == both[1]["reason"]:
                del both[1]  # What is unknown for the same reason is said once.
            for entry in both:
                found += self.why(entry) if entry["value"] is None else ends(entry, 1)
        return [*found, *self.effect(gross["completion"]), *shares]

    def change(self, kind: str) -> list[Expected]:
        other = self.made.get("comparison")
        if other is None:
            return []
        entry, before = other["change"][kind]["customer"], other["total"][kind]["customer"]
        known = entry["value"] is not None and before["denominator"]
        return percents(entry["value"], before["value"]) if known else []

    def anyway(self, kind: str) -> list[Expected]:
        treated, control = (self.kinds[kind]["incremental"][arm]["value"] for arm in ARMS)
        known = self.kinds[kind]["incremental"]["value"] is not None and treated > control
        return [round(10 * control / treated), 10] if known else []

    def card(self, kind: str) -> list[Expected]:
        of, term = self.kinds[kind], self.terms[kind]
        first, effect = of["customer"], of["incremental"]
        arms = percents(*(effect[arm]["value"] for arm in ARMS))
        found = [*self.said(term.definition), 100 * first["value"], self.level, *ends(first)[1:]]
        found += [*counts(first), *self.change(kind)]
        if effect["value"] is not None:
            found += [*ends(effect), *arms, *self.anyway(kind)]
        found += [of["revenue"], of["net_revenue"], *self.said(term.formula, term.advice)]
        for name in RATES:
            found += [*rate(of[name]), *self.said(self.terms[name].formula)]
        return found + self.incremental(kind)

    def buckets(self, step: str) -> Iterator[list[Expected]]:
        for row in self.made["groups"]:
            text = row["key"][step]
            named = {"day": [], "week": [int(text[-2:]), int(text[:4])], "month": [int(text[:4])]}
            shown = [row[kind]["checkout"] for kind in self.kinds]
            yield [*named[step], *(n for each in shown if each["denominator"] for n in rate(each))]

    def funnel(self, of: Mapping[str, Any]) -> list[Expected]:
        gross, net, clicks = of["incremental"], of["net_incremental"], of["click_through"]
        treated, control = (gross[arm]["denominator"] for arm in ARMS)
        shown = of["checkout"]["denominator"]

        def step(entry: Mapping[str, Any]) -> list[Expected]:
            bought, without = (entry[arm]["numerator"] for arm in ARMS)
            return [100 * bought / treated, bought,
                    100 * without / control if control else None, without]  # fmt: skip

        found = [100, treated, 100 if control else None, control, 100 * shown / treated, shown]
        clicked = percents(clicks["value"])
        return [*found, *clicked, *counts(clicks), *step(gross), *step(net)]

    def notes(self) -> list[Expected]:
        found, quality = list[Expected](), self.made["quality"]
        for name in QUALITY:
            if quality[name] and name not in NOT_IN_DOUBT:
                found += [quality[name], *self.said(self.terms[name].definition)]
        return found

    def quality(self) -> list[Expected]:
        found, quality = self.notes(), self.made["quality"]
        for name in (*QUALITY, "srm_p_value"):
            term, n = self.terms[name], quality[name]
            n = _p_value(n) if name == "srm_p_value" else n
            found += [n, *self.said(term.definition, term.advice)]
        return found


ARMS = ("treatment", "control")
Part = tuple[str, list[list[Expected]]]
"""A selector, and the numbers of each element that it finds."""


def overview_parts(texts: Texts, step: str) -> list[Part]:
    """Return the parts of a page with both rates, over time and the funnel."""
    first = "section.verdict"
    return [
        (f"{first} .top-row > div > p.small", [texts.exposures()]),
        (f"{first} .top-row > div", [texts.verdict()]),
        (f"{first} .forest tbody tr", list(texts.worth())),
        (f"{first} .checks > div", list(texts.checks())),
        (f"{first} details", [texts.worth_formula()]),
        *((f"section.{kind}", [texts.card(kind)]) for kind in texts.kinds),
        ("#buckets tbody tr", list(texts.buckets(step))),
        ("section[aria-labelledby=time] .lede", [[texts.level]]),
        *funnel_parts(texts),
        ("section[aria-labelledby=quality]", [texts.quality()]),
    ]


def funnel_parts(texts: Texts) -> list[Part]:
    return [("table.funnel", [texts.funnel(of) for of in texts.kinds.values()])]


TAKE = """(selector) => [...document.querySelectorAll(selector)].map((found) => {
    const walker = document.createTreeWalker(found, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode())
        if (!walker.currentNode.parentElement.closest("svg, select"))
            texts.push(walker.currentNode.data);
    found.remove();
    return texts.join("\\u2003");
})"""
"""Read elements, and take them off the page."""
DROP = """() => document.querySelectorAll(
    "form.filters, .chart, .marks, [aria-labelledby=where] details:has(table)"
).forEach((each) => each.remove())"""
"""What holds no figure: filters, times of marks and of carts, and the chart, see `_check_chart`."""


def check_page(page: Any, parts: Iterable[Part], language: str, whole: str = "main") -> None:
    """Compare every number of a page with what is expected of its parts."""
    page.evaluate(DROP)
    for selector, expected in parts:
        texts = page.evaluate(TAKE, selector)
        assert len(texts) == len(expected), (selector, page.url)
        for text, wanted in zip(texts, expected, strict=True):
            compare(text, wanted, language, f"{page.url} {selector}")
    (rest,) = page.evaluate(TAKE, whole)
    assert numbers(rest, language) == [], (page.url, rest)


def compare(text: str, wanted: Sequence[Expected], language: str, where: str) -> None:
    shown, known = numbers(text, language), [each for each in wanted if each is not None]
    assert len(shown) == len(known), (where, text, shown, known)
    for place, pair in enumerate(zip(shown, known, strict=True)):
        assert is_number(*pair), (where, text, place, pair)


# Pages.


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("figures")
    _record(folder)
    with running_server(folder) as server:
        yield server


def _record(folder: Path, last: date = date.max) -> None:
    items = [
        TinyItem(item_id, name, "99.00", n_orders=N_CONSEQUENT) for item_id, name in NAMES.items()
    ]
    rules = [TinyRule((base,), other, N_JOINT, N_ANTECEDENT) for base, other in GOODS.items()]
    publish_model(
        folder / "models",
        tiny_model(items=items, rules=rules, repelled={}, holdout=HOLDOUT, shop_name="Kafé"),
    )
    store = open_store(f"sqlite:///{folder / 'facts.db'}")
    try:
        store.migrate()
        store.facts.append(list(facts(last)))
    finally:
        store.close()


def test_numbers_are_read_as_a_language_writes_them() -> None:
    shown = "NOK\u00a01,234.50, −5 to +12.0%, 30/28 days, 3 Nov 2026, p = 0.31"
    assert numbers(shown, "en") == [Decimal(each) for each in "1234.5 -5 12 30 28 0.31".split()]
    shown = "1\u00a0234,50\u00a0kr, −5 til +12,0\u00a0%, 3. nov. 2026, rucksack-20"
    assert numbers(shown, "nb") == [Decimal(each) for each in "1234.5 -5 12".split()]
    assert is_number(Decimal("12.3"), 12.34)
    assert not is_number(Decimal("12.4"), 12.34)
    assert is_number(Decimal(6400), (Decimal(6431), Decimal(100)))
    assert not is_number(Decimal(6500), (Decimal(6431), Decimal(100)))


FILTERS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    "kind=cross_sell": {"kind": "cross_sell"},
    "kind=upsell": {"kind": "upsell"},
    "placement=cart": {"only": ("placement", "cart")},
    "store=bergen": {"only": ("store", "bergen")},
    "segment=new&kind=upsell": {"only": ("segment", "new"), "kind": "upsell"},
}


def addresses() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield pages with both rates: name, step, and what else the address asks for."""
    yield from (("", "day", {"asked": each, **more}) for each, more in FILTERS.items())
    yield from (("", step, {"asked": f"step={step}"}) for step in ("week", "month"))
    yield from (("/funnel", "day", {"asked": each, **more}) for each, more in FILTERS.items())


@pytest.mark.parametrize("language", LANGUAGES)
def test_overview_funnel_and_time(browser: Browser, shop: Server, language: Language) -> None:
    with opened(browser) as seen:
        for path, step, given in addresses():
            asked, more = given["asked"], {k: v for k, v in given.items() if k != "asked"}
            texts = Texts(language, report(step, **more))
            open_page(seen.page, shop, f"/dashboard{path}?{PERIOD}&{asked}", language)
            if not path:
                _check_chart(seen.page)
            parts = overview_parts(texts, step) if not path else funnel_parts(texts)
            check_page(seen.page, parts, language)


def open_page(page: Any, shop: Server, address: str, language: str) -> None:
    eventually(partial(is_counted, page, shop.url + address.rstrip("&"), language))


def _check_chart(page: Any) -> None:
    """The texts of the chart, which a pointer shows, are those of its table."""
    titles = page.locator("#chart .hit title").evaluate_all(
        "all => all.map(each => each.textContent)"
    )
    rows = [
        [cell.strip() for cell in row.locator("th, td").all_text_contents()]
        for row in page.locator("#buckets tbody tr").all()
    ]
    kinds = [each.strip() for each in page.locator("#buckets thead th").all_text_contents()[1:]]
    assert titles == [
        f"{name}: " + "; ".join(f"{kind} {cell}" for kind, cell in zip(kinds, cells, strict=True))
        for name, *cells in rows
    ]


def _lines(made: Mapping[str, Any], by: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return key, kind and entries of the rows of a table, most kept sales first."""
    found = [
        (row["key"][by], kind, row[kind])
        for row in made["groups"]
        for kind in made["total"]
        if row["key"][by] != "unknown"
        and any(row[kind]["incremental"][arm]["denominator"] for arm in ARMS)
    ]
    return sorted(found, key=lambda each: -Decimal(each[2]["net_revenue"]))


def _line(by: str, of: Mapping[str, Any]) -> list[Expected]:
    """Return the numbers of one row: what it earned, how sure that is, and the counts behind."""
    extra, net, shown = of["extra_sales"], of["net_incremental"], of["offer"]
    found = [of["net_revenue"], shown["denominator"], *ends(shown), 100 * shown["shrunken"]]
    found.append(of["net_revenue"])
    if extra["value"] is not None:
        found += [three_digits(extra[end]) for end in ENDS]
    else:
        found += [net["control"]["numerator"], net["control"]["denominator"]]
    return found if by != "rule" else [*found, N_JOINT, N_ANTECEDENT, LIFT_LOWER]


TABLES = {"items": ("item", "item"), "rules": ("rule", "rule"), "ladders": ("upgrade", "upgrade")}
"""Pages of tables: the key of their report, and the name of the page of a row."""
COLUMNS = ("rate", "shrunken", "kept", "effect")


def how_counted(texts: Texts, by: str) -> list[Expected]:
    """Return the numbers of the texts that say how the columns are counted."""
    values = {"level": f"{texts.level}%", "days": 28}
    columns = (*COLUMNS, *(("evidence",) if by == "rule" else ()))
    return texts.said(*(texts.phrase(f"how_{each}", **values) for each in columns))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", TABLES)
def test_tables_and_the_page_of_each_row(
    browser: Browser, shop: Server, name: str, language: Language
) -> None:
    by, row_page = TABLES[name]
    with opened(browser) as seen:
        for asked in ("", "kind=cross_sell", "kind=upsell", "store=oslo"):
            more = FILTERS.get(asked, {"only": ("store", "oslo")})
            made = report(by, **more)
            texts, rows = Texts(language, made), _lines(made, by)
            open_page(seen.page, shop, f"/dashboard/{name}?{PERIOD}&{asked}", language)
            worth = texts.said(texts.phrase("worth_how"))
            n = len(rows)
            parts: list[Part] = [
                ("table caption", [[n]] if rows else []),
                ("table tbody tr", [_line(by, of) for _, _, of in rows]),
                (".pager", [[1, n, n]] if rows else []),
                *([("section[aria-labelledby=actions]", [worth])] if name == "items" else []),
                ("section details", [how_counted(texts, by)]),
            ]
            check_page(seen.page, parts, language)
        for key, kind, of in _lines(report(by), by):
            address = f"/dashboard/{name}/{row_page}?{PERIOD}&{urlencode({'of': kind, 'key': key})}"
            open_page(seen.page, shop, address, language)
            check_page(
                seen.page, _row_page(Texts(language, report(by)), by, key, kind, of), language
            )


def _row_page(texts: Texts, by: str, key: str, kind: str, of: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the parts of the page of an item, rule or upgrade."""
    extra, net, shown = of["extra_sales"], of["net_incremental"], of["offer"]
    arms = [(net[arm]["numerator"], net[arm]["denominator"]) for arm in ARMS]
    known = extra["value"] is not None
    is_clear = known and not Decimal(extra["lower"]) <= 0 <= Decimal(extra["upper"])
    amounts = [three_digits(extra[end]) for end in ENDS] if known else []
    yield "section.verdict .say", [amounts[:1] if is_clear else [] if known else [*arms[1]]]
    yield "section.verdict .why", [amounts[1:]] if known else []
    yield "section.verdict table.funnel", [texts.funnel(of)]
    yield (
        "section.verdict .checks > div",
        [ends(shown), [100 * shown["shrunken"]], [of["net_revenue"]], []],
    )
    formula = [*counts(shown), 100 * shown["value"]]
    if known:
        a_checkout, n = net["offer_revenue_per_checkout"], arms[0][1] + arms[1][1]
        formula += [*arms[0], *arms[1], 100 * net["value"], a_checkout["value"], n, 30, 28]
    yield "section.verdict details", [formula]
    decided, places = _decided(by, key, kind)
    yield "section[aria-labelledby=where] caption", [[decided]]
    yield "section[aria-labelledby=where] tbody tr", places
    if by == "item":
        other = "rule" if kind == "cross_sell" else "upgrade"
        related = [each for each in _lines(report(other), other)
                   if each[0].endswith(f" -> {key}") and each[1] == kind]  # fmt: skip
        if related:
            yield (
                "section[aria-labelledby=related] tbody tr",
                [_line(other, row) for _, _, row in related],
            )
            yield "section[aria-labelledby=related] details", [how_counted(texts, other)]


def _decided(by: str, key: str, kind: str) -> tuple[int, list[list[Expected]]]:
    """Return the number of newest decisions, and how often each cart was offered it, and why."""
    decisions = [each for each in facts() if isinstance(each, Decision)]
    with_it = Counter(
        decision.lines[0].item_id
        for decision in decisions
        for offer in decision.offers
        if offer.kind == kind and _key_of(by, offer, decision) == key
    )
    why = [N_JOINT, N_ANTECEDENT, LIFT_LOWER] if kind == "cross_sell" else []
    return len(decisions), [[n, *why] for _, n in with_it.most_common()]


def test_what_is_missing_is_the_same_number_of_facts(browser: Browser, shop: Server) -> None:
    """The page of the integration shows the counts of the reference report."""
    for language in LANGUAGES:
        quality = report()["quality"]
        with opened(browser) as seen:
            open_page(seen.page, shop, f"/dashboard/health?{PERIOD}", language)
            terms = glossary_of(language).terms
            shown = dict(
                zip(
                    seen.page.locator("details dt").all_text_contents(),
                    seen.page.locator("details dd").all(),
                    strict=True,
                )
            )
            assert [numbers(text, language) for text in shown] == [
                [Decimal(quality[name])] for name in QUALITY
            ]
            assert [text.rpartition(":")[0] for text in shown] == [
                terms[name].name for name in QUALITY
            ]


# The HTML file and the mail.


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("filters", [(), ("--kind", "upsell")])
def test_the_html_file(
    browser: Browser, tmp_path: Path, language: Language, filters: tuple[str, ...]
) -> None:
    _record(tmp_path)
    out = tmp_path / "report.html"
    run("report", *_of(tmp_path), "--from", SINCE, "--to", UNTIL, "--by", "item",
        "--format", "html", "--lang", language, "--out", out, *filters)  # fmt: skip
    kind = filters[1] if filters else ""
    made = report("day", kind=kind, watched=False)
    made.pop("comparison")
    by_item = report("item", kind=kind, watched=False)
    texts = Texts(language, made)
    with opened(browser) as seen:
        seen.page.goto(out.as_uri())
        parts = [
            ("table.all:not(.groups) tbody tr", list(_all_numbers(texts))),
            ("table.groups tbody tr", [
                [*rate(of["customer"]), of["net_revenue"]] for of in _groups(by_item)
            ]),
            ("section[aria-labelledby=numbers] details", [_explained(texts)]),
            ("section[aria-labelledby=numbers] .lede", [[28, 30, 0, texts.level]]),
            *overview_parts(texts, "day"),
        ]  # fmt: skip
        check_page(seen.page, parts, language)


def _of(folder: Path) -> tuple[object, ...]:
    database = f"sqlite:///{folder / 'facts.db'}"
    return ("--database", database, "--models", folder / "models", "--timezone", OSLO)


def _groups(made: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows of a file, the item that kept most money first, of what was decided."""
    rows = sorted(
        made["groups"],
        key=lambda row: -sum(Decimal(row[kind]["net_revenue"] or 0) for kind in made["total"]),
    )
    return [
        row[kind]
        for row in rows
        for kind in made["total"]
        if any(row[kind]["incremental"][arm]["denominator"] for arm in ARMS)
    ]


def _all_numbers(texts: Texts) -> Iterator[list[Expected]]:
    """Yield the rows of the table of all numbers: of each, the cells of both kinds."""
    kinds = list(texts.kinds.values())
    for name in RATES:
        nets = [of.get(f"net_{name}") for of in kinds]
        yield [
            each
            for of, net in zip(kinds, nets, strict=True)
            for each in (*rate(of[name]), *(ends(net) if net else []))
        ]
    yield [of["conversions"][part] for of in kinds
           for part in ("total", "accepted_click", "view_through")]  # fmt: skip
    yield [of[part] for of in kinds for part in ("revenue", "net_revenue")]
    extra = [ends(of["extra_sales"], 1) for of in kinds]
    if len(kinds) > 1:
        extra[0] += ends(texts.made["extra_sales"], 1)
    yield [each for of in extra for each in of]
    yield [each for kind in texts.kinds for each in texts.incremental(kind)]


def _explained(texts: Texts) -> list[Expected]:
    explained = glossary_of(texts.language).explained
    return texts.said(*(text for each in explained
                        for text in (each.definition, each.formula, each.advice)))  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_mail_of_a_week(browser: Browser, tmp_path: Path, language: Language) -> None:
    last = WEEK + timedelta(days=6)
    _record(tmp_path, last)
    run("report", *_of(tmp_path), "--weekly", "--lang", language, "--out", tmp_path / "mail")
    week = Texts(language, report("day", since=WEEK, until=last, last=last), waits=False)
    month = Texts(language, report("day", since=last - timedelta(days=27), until=last, last=last))
    with opened(browser) as seen:
        seen.page.goto((tmp_path / "mail.html").as_uri())
        (text,) = seen.page.evaluate(TAKE, "body")
        compare(text, list(_mail(week, month)), language, "mail")


def _mail(week: Texts, month: Texts) -> Iterator[Expected]:
    """Yield the numbers of the mail in their order."""
    yield from (6, 2026)
    yield from week.verdict()
    if week.made["extra_sales"]["value"] is None or Decimal(week.made["extra_sales"]["lower"]) <= 0:
        yield from month.verdict()[:1]
    for worth in week.worth():
        yield from worth
    for kind, of in week.kinds.items():
        effect = of["incremental"]
        yield from (*rate(of["customer"]), *week.change(kind))
        yield from (*ends(effect), *week.anyway(kind), of["revenue"], of["net_revenue"])
    for check in week.checks():
        yield from check
    for kind, of in week.kinds.items():
        entries = [of[name] for name in RATES]
        entries += [of["incremental"], of["incremental"]["completion"], of["extra_sales"]]
        entries.append(week.made["comparison"]["change"][kind]["customer"])
        reasons = [entry["reason"] or "" for entry in entries if entry["value"] is None]
        yield from (week.said(*dict.fromkeys(reasons)) if week.language == "en" else ())
    yield from (*week.notes(), 7, 30, 0, week.level)
