"""What the dashboard says: a report and the state of the service, as texts for a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import orjson

from engine.facts import Kind
from serving.dashboard import figures
from serving.dashboard.figures import RateText

Report = Mapping[str, object]
Kinds = Mapping[str, Mapping[str, object]]

_CHOICES = (7, 28, 90, 365)


@dataclass(frozen=True, slots=True)
class Choice:
    days: int
    label: str
    current: bool


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    gross: RateText
    net: RateText


@dataclass(frozen=True, slots=True)
class Card:
    """One of the two rates, with all that belongs to it."""

    kind: Kind
    title: str
    norwegian: str
    headline: RateText
    definition: str
    credit: str
    revenue: str
    net_revenue: str
    incremental: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class QualityFact:
    label: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class View:
    shop: str
    period: str
    timezone: str
    currency: str
    level: str
    attribution: str
    choices: tuple[Choice, ...]
    notices: tuple[str, ...]
    has_data: bool
    cards: tuple[Card, ...]
    chart: str
    quality: tuple[QualityFact, ...]
    model: str
    since: str
    until: str


_TITLES: Mapping[Kind, tuple[str, str]] = {
    "cross_sell": ("Cross-sell rate", "kryssalgsrate"),
    "upsell": ("Upsell rate", "oppsalgsrate"),
}

_DEFINITIONS: Mapping[Kind, str] = {
    "cross_sell": (
        "The share of buying customers shown a complement who bought it beside what they came for."
        " Cross-sell completes a purchase: the whole added item is credited."
    ),
    "upsell": (
        "The share of buying customers shown a better version who took it instead of what they"
        " came for. Upsell replaces a part of a purchase: only the price difference is credited."
    ),
}

_CREDITS: Mapping[Kind, str] = {
    "cross_sell": "added items",
    "upsell": "price difference",
}

# Rate of the report, what it is a share of, and what its denominator counts.
_ROWS = (
    ("offer", "offers shown", "offers"),
    ("order", "orders shown one", "orders"),
    ("checkout", "checkouts shown one, abandoned ones included", "checkouts"),
    ("penetration", "all buying customers, shown one or not", "customers"),
    ("click_through", "offers shown, clicked or added", "offers"),
)

_QUALITY = (
    ("duplicates", "duplicates", "facts that arrived again, counted once"),
    ("late", "late", "facts that arrived after what they belong to"),
    ("unmatched", "unmatched", "events that name no known offer or checkout"),
    ("bots_excluded", "bots", "facts of bots, left out"),
    ("unpriced", "without a price", "conversions whose purchase told no price"),
)


def build_view(
    report: Report,
    *,
    days: int,
    shop: str,
    model_version: str | None,
    model_problem: str | None,
    database_up: bool,
    paused: str | None = None,
) -> View:
    """Everything the page shows, as text."""
    currency = str(report["currency"] or "")
    total = cast("Kinds", report["total"])
    window = report["attribution_window_days"]
    return View(
        shop=shop,
        period=f"{_day(report['from'])} to {_day(report['to'])}",
        timezone=str(report["timezone"]),
        currency=currency or "no currency yet",
        level=figures.level(report["level"]),
        attribution=(
            f"purchases within {window} days of the offer are credited"
            if window
            else "purchases of the same checkout are credited"
        ),
        choices=tuple(Choice(n, f"{n} days", n == days) for n in _CHOICES),
        notices=tuple(_notices(model_version, model_problem, paused, database_up=database_up)),
        has_data=any(_has_data(total[kind]) for kind in _TITLES),
        cards=tuple(_card(kind, total[kind], report) for kind in _TITLES),
        chart=_chart(report),
        quality=tuple(_quality(cast("Mapping[str, object]", report["quality"]))),
        model=model_version or "none",
        since=_day(report["from"]),
        until=_day(report["to"]),
    )


def _day(instant: object) -> str:
    return str(instant or "")[:10]


def _notices(
    version: str | None, problem: str | None, paused: str | None, *, database_up: bool
) -> list[str]:
    notices: list[str] = []
    if paused is not None:
        notices.append(
            f"Offers are paused ({paused}); `mersalg guardrail resume` makes them again."
        )
    if version is None:
        notices.append(f"Nothing can be suggested: {problem or 'no model is published'}.")
    elif problem:
        notices.append(f"Model {version} is still served: {problem}.")
    if not database_up:
        notices.append("The database takes no facts at the moment; decisions wait in the spool.")
    return notices


def _has_data(kind: Mapping[str, object]) -> bool:
    checkout = cast("figures.Rate", kind.get("checkout") or {})
    return bool(checkout.get("denominator"))


def _card(kind: Kind, rates: Mapping[str, object], report: Report) -> Card:
    currency = str(report["currency"] or "")
    title, norwegian = _TITLES[kind]

    def rate(name: str, counted: str) -> RateText:
        return figures.rate(cast("figures.Rate | None", rates.get(name)), counted)

    return Card(
        kind=kind,
        title=title,
        norwegian=norwegian,
        headline=rate("customer", "buying customers shown one"),
        definition=_DEFINITIONS[kind],
        credit=_CREDITS[kind],
        revenue=figures.amount(rates["revenue"], currency),
        net_revenue=figures.amount(rates["net_revenue"], currency),
        incremental=_incremental(cast("Mapping[str, object]", rates["incremental"]), report),
        rows=tuple(
            Row(label, rate(name, counted), rate(f"net_{name}", counted))
            for name, label, counted in _ROWS
        ),
    )


def _incremental(entry: Mapping[str, object], report: Report) -> str:
    """One sentence: how much more was bought, or why that cannot be said."""
    if entry["value"] is None:
        return f"not known: {entry['reason'] or 'no data'}."
    with_offers, without = (
        cast("Mapping[str, object]", entry[arm])["value"] for arm in ("treatment", "control")
    )
    # As wide as customers who return make it.
    interval = cast("Mapping[str, object]", entry["clustered"] or entry)
    bounds = " to ".join(figures.points(interval[name]) for name in ("lower", "upper"))
    sentence = (
        f"{figures.points(entry['value'])} percentage points ({figures.level(report['level'])}"
        f"{', however often you look' if report['watched'] else ''}:"
        f" {bounds}). The offered item was bought in {figures.percent(with_offers)} of checkouts"
        f" with offers and in {figures.percent(without)} without."
    )
    money = cast("Mapping[str, object]", entry["offer_revenue_per_checkout"])
    if money["value"] is None:
        return sentence
    currency = str(report["currency"] or "")
    low, high = (figures.amount(money[name], currency) for name in ("lower", "upper"))
    worth = figures.amount(money["value"], currency)
    return f"{sentence} That is {worth} a checkout ({low} to {high})."


def _chart(report: Report) -> str:
    """The headline of each day as JSON for the script; empty where there is none."""
    groups = cast("list[Mapping[str, object]]", report["groups"])
    days = [str(cast("Mapping[str, object]", group["key"])["day"]) for group in groups]
    series = [_series(kind, groups) for kind in _TITLES]
    if not any(
        value is not None for each in series for value in cast("list[object]", each["value"])
    ):
        return ""
    return orjson.dumps({"days": days, "series": series}).decode()


def _series(kind: Kind, groups: Sequence[Mapping[str, object]]) -> dict[str, object]:
    entries = [cast("figures.Rate", cast("Kinds", group)[kind]["customer"]) for group in groups]
    texts = [figures.rate(entry) for entry in entries]
    return {
        "kind": kind,
        "name": _TITLES[kind][0],
        **{name: [entry[name] for entry in entries] for name in ("value", "lower", "upper")},
        "text": [f"{text.value} ({text.fraction})" for text in texts],
    }


def _quality(quality: Mapping[str, object]) -> Iterator[QualityFact]:
    for name, label, meaning in _QUALITY:
        yield QualityFact(label, figures.count(quality[name]), meaning)
    p_value = quality["srm_p_value"]
    yield QualityFact(
        "sizes of the arms",
        "–" if p_value is None else f"p = {p_value:.3g}",
        "below 0.001 the arms are not as drawn, and no incremental figure is given",
    )
