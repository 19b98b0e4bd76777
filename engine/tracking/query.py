"""Query of a report: a period of local days, groups, and the settings it is read by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from mersalg.engine import clock, money
from mersalg.engine.config import (
    CHECKOUT_DAYS,
    Counting,
    ExperimentSection,
    Impressions,
    ShopSection,
    TrackingSection,
)
from mersalg.engine.errors import ConfigError, shown
from mersalg.engine.facts import KINDS, Kind
from mersalg.engine.storage.store import Store
from mersalg.engine.tracking.local_days import ends_at, starts_at, zone_of

TIME_KEYS = ("day", "week", "month")
OFFER_KEYS = (
    *("item", "family", "rule", "upgrade"),
    *("placement", "model_version", "arm", "store", "segment"),
)
GROUP_KEYS = (*TIME_KEYS, *OFFER_KEYS)
"""What a report can be split by: the time of the decision, or a property of the offer."""

FOLDED_KEYS = ("item", "rule", "upgrade", "store", "segment")
"""Keys whose groups of few buyers may be put together; see `ReportQuery.fold_below`."""
OTHER = "other"
"""The group of those."""

UNKNOWN = "unknown"
"""The group of offers that do not have the property."""

MAX_WINDOW_DAYS = 30
MAX_CHECKOUT_DAYS = 365
DEFAULT_BOT_RATE = 120
_PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """A question; hashable. None in a setting means the shop's own, else the default."""

    since: date | datetime | None = None
    until: date | datetime | None = None
    """`since`, `until`: a date is a whole local day, both inclusive; a datetime is an instant, the
    period then half-open; None is unbounded."""
    by: tuple[str, ...] = ()
    """Group keys out of `GROUP_KEYS`, in the order wanted."""
    kinds: tuple[Kind, ...] = KINDS
    """Which of the two rates."""
    timezone: str | None = None
    """IANA name; default UTC."""
    currency: str | None = None
    """ISO 4217 code; default the only one in the facts."""
    impressions: Impressions | None = None
    """When an offer counts as shown; default "viewed"."""
    attribution_window_days: int | None = None
    """0 to 30; the default 0 credits the same checkout only."""
    checkout_days: int | None = None
    """Days after a decision in which its checkout is credited, 1 to 365; default 30."""
    holdout: float | None = None
    """Control share of units whose decisions do not state one; default 0.1."""
    holdout_by: str | None = None
    """Who stated it, for a filled query: "query", "shop" or "default"."""
    prices_include_tax: bool | None = None
    """Whether prices do, unless a purchase says otherwise of its own; default True."""
    bot_decisions_per_hour: int | None = None
    """A session with more decisions than that within 60 minutes is a bot for these minutes; default
    120, and 0 trusts every session."""
    count: Counting | None = None
    """Whether only vouched decisions count, or all; default "all"."""
    level: float = 0.95
    """Confidence level of every interval."""
    shop: str | None = None
    """Name of the shop, for people."""
    compare: str | None = None
    """Another period, `previous` or `FROM..TO`; see `other_period`."""
    watched: bool = False
    """Whether intervals of effects stay valid however often the report is looked at."""
    adjusted: bool = False
    """Whether to add the revenue effect adjusted by earlier spending of units (CUPED)."""
    fold_below: int = 0
    """Groups of fewer units by an item, rule, upgrade, store or segment are put together as
    `other`, for a reader who must not learn what single people bought; 0 leaves all."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone; UTC where none was filled in."""
        return zone_of(self.timezone or "UTC")

    @property
    def time_keys(self) -> tuple[str, ...]:
        """Those of `by` that are of time."""
        return tuple(key for key in self.by if key in TIME_KEYS)

    @property
    def offer_keys(self) -> tuple[str, ...]:
        """Those of `by` that are of offers."""
        return tuple(key for key in self.by if key not in TIME_KEYS)

    @classmethod
    def from_store(cls, store: Store, **overrides: Any) -> ReportQuery:
        """Return a query with all settings filled in; an override of None leaves the shop's own."""
        given = {name: value for name, value in overrides.items() if value is not None}
        return cls(**given).filled(store.reports.settings())

    def filled(self, settings: Mapping[str, str]) -> ReportQuery:
        """Return the query, checked, with the shop's `Store.settings` where it leaves them open.

        Raise ConfigError where a setting or a part of the question is impossible.
        """
        own = parse_query({name: settings.get(name) for name in _DEFAULTS})
        chosen: dict[str, Any] = {
            name: _first(getattr(self, name), getattr(own, name), default)
            for name, default in _DEFAULTS.items()
        }
        holdouts = {"query": self.holdout, "shop": own.holdout, "default": chosen["holdout"]}
        by = next(name for name, holdout in holdouts.items() if holdout is not None)
        query = replace(
            self,
            **chosen,
            holdout_by=self.holdout_by or by,
            shop=self.shop or settings.get("shop") or settings.get("name"),
        )
        _check(query)
        return query


def report_settings(
    shop: ShopSection, tracking: TrackingSection, experiment: ExperimentSection
) -> dict[str, str]:
    """Return the settings of a shop file that reports need, in the form a database keeps them."""
    return {
        "name": shop.name,
        "locale": shop.locale,
        "currency": shop.currency,
        "timezone": shop.timezone,
        "prices_include_tax": str(shop.prices_include_tax).lower(),
        "impressions": tracking.impressions,
        "attribution_window_days": str(tracking.attribution_window_days),
        "checkout_days": str(tracking.checkout_days),
        "holdout": str(experiment.holdout),
        "bot_decisions_per_hour": str(tracking.bot_decisions_per_hour),
        "count": tracking.count,
    }


_DEFAULTS: Mapping[str, object] = {
    "timezone": "UTC",
    "currency": None,
    "impressions": "viewed",
    "attribution_window_days": 0,
    "checkout_days": CHECKOUT_DAYS,
    "holdout": 0.1,
    "prices_include_tax": True,
    "bot_decisions_per_hour": DEFAULT_BOT_RATE,
    "count": "all",
}
"""What a setting is that neither the query nor the shop states."""


def parse_query(texts: Mapping[str, str | None]) -> ReportQuery:
    """Read a query from text, of an address or a command line.

    Keys are from, to, by, kind (lists by commas), timezone, currency, impressions, window (or
    attribution_window_days), checkout_days, holdout, bot_decisions_per_hour, count, level, compare,
    prices_include_tax, watched and adjusted (true or false). A missing or empty text leaves its
    default. Raise ConfigError for a text that is not what its field takes, and name both.
    """

    def text(*names: str) -> str | None:
        return next((value for name in names if (value := (texts.get(name) or "").strip())), None)

    def number(*names: str, whole: bool = False) -> Any:
        value = text(*names)
        return None if value is None else _number(names[0], value, whole=whole)

    taxed = text("prices_include_tax")
    query = ReportQuery(
        since=_bound("from", text("from", "since")),
        until=_bound("to", text("to", "until")),
        by=_list(text("by")),
        kinds=cast("tuple[Kind, ...]", _list(text("kind", "kinds"))) or KINDS,
        timezone=text("timezone"),
        currency=text("currency"),
        impressions=cast("Impressions | None", text("impressions")),
        attribution_window_days=number("window", "attribution_window_days", whole=True),
        checkout_days=number("checkout_days", whole=True),
        holdout=number("holdout"),
        prices_include_tax=None if taxed is None else _flag("prices_include_tax", taxed),
        bot_decisions_per_hour=number("bot_decisions_per_hour", whole=True),
        count=cast("Counting | None", text("count")),
        level=_first(number("level"), 0.95),
        compare=text("compare"),
        watched=_flag("watched", text("watched")),
        adjusted=_flag("adjusted", text("adjusted")),
    )
    _check(query)
    return query


def other_period(query: ReportQuery) -> ReportQuery:
    """Return the query of the period to compare with: `FROM..TO`, or the days just before.

    Raise ConfigError where the query does not say which period is meant.
    """
    text = query.compare or ""
    alone = replace(query, by=(), compare=None)
    if text != _PREVIOUS:
        first, dots, last = text.partition("..")
        if not (dots and first and last):
            raise ConfigError(f"compare: {shown(text)} is neither previous nor FROM..TO")
        other = parse_query({"from": first, "to": last})
        return replace(alone, since=other.since, until=other.until)
    since, until = query.since, query.until
    if since is None or until is None:
        raise ConfigError("compare: previous needs both from and to")
    try:
        if isinstance(since, datetime) and isinstance(until, datetime):
            return replace(alone, since=since - (until - since), until=since)
        if isinstance(since, datetime) or isinstance(until, datetime):
            raise ConfigError("compare: previous needs two days, or two instants")
        length = until - since + timedelta(days=1)
        return replace(alone, since=since - length, until=since - timedelta(days=1))
    except (OverflowError, TypeError) as error:
        raise ConfigError(f"compare: nothing comes before {since}") from error


def folded_group(query: ReportQuery, group: tuple[str, ...], n_units: int) -> tuple[str, ...]:
    """Return a group by the query's keys of offers, or the one that groups of few units are in.

    These are put together where an item, rule, store or segment differ; what else they are grouped
    by stays.
    """
    few = n_units < query.fold_below
    names = zip(query.offer_keys, group, strict=True)
    return tuple(OTHER if few and key in FOLDED_KEYS else name for key, name in names)


def length_of(query: ReportQuery, first: date | None, last: date | None) -> float | None:
    """Return the length of a filled query's period in days, an integer where it is of whole days.

    `first` and `last` are the local days of its first and last decision or order: its ends where
    the query leaves them open. None for an open period without facts.
    """
    since, until = _first(query.since, first), _first(query.until, last)
    if since is None or until is None:
        return None
    if isinstance(since, datetime) or isinstance(until, datetime):
        begin, end = starts_at(since, query.zone), ends_at(until, query.zone)
        return None if begin is None or end is None else (end - begin) / clock.MICROS_PER_DAY
    return (until - since).days + 1


def _flag(field: str, text: str | None) -> bool:
    if text is not None and text.lower() not in ("true", "false", "1", "0"):
        raise ConfigError(f"{field}: {shown(text)} is neither true nor false")
    return text is not None and text.lower() in ("true", "1")


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part for each in (text or "").split(",") if (part := each.strip()))


def _bound(field: str, text: str | None) -> date | datetime | None:
    if text is None:
        return None
    try:
        if len(text) <= len("2026-01-31"):
            return date.fromisoformat(text)
        # In an address a bare + is a space.
        return datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError as error:
        raise ConfigError(
            f"{field}: {shown(text)} is neither a day such as 2026-01-31 nor an instant such as"
            " 2026-01-31T12:00:00+01:00"
        ) from error


def _number(field: str, text: str, *, whole: bool = False) -> float:
    try:
        return int(text) if whole else float(text)
    except ValueError as error:
        wanted = "a whole number" if whole else "a number"
        raise ConfigError(f"{field}: {shown(text)} is not {wanted}") from error


_RANGES = {
    "attribution_window_days": ("window", 0, MAX_WINDOW_DAYS, f"0 to {MAX_WINDOW_DAYS} days"),
    "checkout_days": ("checkout_days", 1, MAX_CHECKOUT_DAYS, f"1 to {MAX_CHECKOUT_DAYS} days"),
    "holdout": ("holdout", 0, 1, "a share from 0 to 1"),
    "bot_decisions_per_hour": ("bot_decisions_per_hour", 0, math.inf, "0 or more"),
    "level": ("level", 0.5, 0.9999, "from 0.5 to 0.9999"),
}
"""Of fields: their names in messages, the least and the most they may be, and that in words."""


def _check(query: ReportQuery) -> None:
    _among("by", query.by, GROUP_KEYS)
    _among("kind", query.kinds, KINDS)
    if query.impressions is not None:
        _among("impressions", (query.impressions,), ("viewed", "served"))
    if query.count is not None:
        _among("count", (query.count,), ("vouched", "all"))
    if query.timezone is not None:
        zone_of(query.timezone)
    code = query.currency
    if code is not None and not money.is_currency(code):
        raise ConfigError(f"currency: {shown(code)} is not an ISO 4217 code such as NOK")
    for field, (name, least, most, wanted) in _RANGES.items():
        value = getattr(query, field)
        if value is not None and not least <= value <= most:
            raise ConfigError(f"{name}: must be {wanted}, not {value}")
    since, until = query.since, query.until
    if since is not None and until is not None and _day(since) > _day(until):
        raise ConfigError(f"from: {since} is after {until}")


def _among(field: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(
                f"{field}: {shown(name)} does not exist; there are {', '.join(known)}"
            )
    if len(set(given)) != len(given):
        raise ConfigError(f"{field}: {', '.join(given)} names one twice")


def _day(bound: date | datetime) -> date:
    return bound.date() if isinstance(bound, datetime) else bound


def _first(*values: Any) -> Any:
    return next((value for value in values if value not in (None, "")), None)
