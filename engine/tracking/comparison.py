"""One period beside another: the change of every rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from engine.errors import ConfigError
from engine.tracking.intervals import newcombe
from engine.tracking.query import ReportQuery, parse_query
from engine.tracking.rates import RATES

PREVIOUS = "previous"


def other_period(query: ReportQuery) -> ReportQuery:
    """Return the query of the period to compare with: `FROM..TO`, or the days just before.

    Raises
    ------
    ConfigError
        The query does not say which period is meant.
    """
    text = query.compare or ""
    alone = replace(query, by=(), compare=None)
    if text != PREVIOUS:
        first, dots, last = text.partition("..")
        if not (dots and first and last):
            raise ConfigError(f"compare: {text!r} is neither previous nor FROM..TO")
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


def compared(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, object]:
    """Return the `comparison` entry of report `now`.

    Differences have Newcombe's interval for independent periods: customers who are in both make
    it wider than necessary, never narrower.
    """
    kinds = cast("Mapping[str, Mapping[str, Any]]", now["total"])
    return {
        "from": before["from"],
        "to": before["to"],
        "total": before["total"],
        "change": {
            kind: _change(measured, before["total"][kind], float(now["level"]))
            for kind, measured in kinds.items()
        },
    }


def _change(now: Mapping[str, Any], before: Mapping[str, Any], level: float) -> dict[str, object]:
    found: dict[str, object] = {}
    for rate in RATES:
        left, right = now[rate], before[rate]
        interval = newcombe(
            left["numerator"], left["denominator"], right["numerator"], right["denominator"], level
        )
        found[rate] = {
            "value": interval.value if interval else None,
            "lower": interval.lower if interval else None,
            "upper": interval.upper if interval else None,
            "method": "newcombe",
            "status": "ok" if interval else "no_data",
        }
    for name in ("revenue", "net_revenue"):
        known = now[name] is not None and before[name] is not None
        found[name] = str(Decimal(now[name]) - Decimal(before[name])) if known else None
    return found
