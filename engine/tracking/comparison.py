"""Two periods side by side: what changed, where it can be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

from mersalg.engine.tracking.intervals import Interval, newcombe_of
from mersalg.engine.tracking.measures import bounds_of
from mersalg.engine.tracking.query import parse_query
from mersalg.engine.tracking.rates import RATES, ends_of, limits_of


def compared(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, object]:
    """Return the `comparison` entry of report `now`.

    Differences have Newcombe's interval for independent periods, from those of the
    rates: customers who are in both make it wider than necessary, never narrower. Rates per unit
    grow with the length of a period, so those of periods of unequal length, or that overlap, are
    not comparable.
    """
    unequal = _why_not_comparable(now, before)
    kinds = cast("Mapping[str, Mapping[str, Any]]", now["total"])
    return {
        "from": before["from"],
        "to": before["to"],
        "days": before["days"],
        "total": before["total"],
        "change": {
            kind: _change(measured, before["total"][kind], unequal)
            for kind, measured in kinds.items()
        },
    }


def _why_not_comparable(now: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    """Return why rates per unit of two reports cannot be compared; None where they can."""
    if now["days"] is not None and before["days"] is not None and now["days"] != before["days"]:
        return (
            f"the periods are {now['days']:g} and {before['days']:g} days long, and the share of"
            " customers who buy one grows with the days: compare periods of equal length"
        )
    bounds = [
        bounds_of(
            replace(
                parse_query({name: each[name] for name in ("from", "to")}), timezone=now["timezone"]
            )
        )
        for each in (now, before)
    ]
    if max(since or 0 for since, _ in bounds) < min(until or math.inf for _, until in bounds):
        return "the periods overlap, so that customers are in both: compare periods that do not"
    return None


def _change(
    now: Mapping[str, Any], before: Mapping[str, Any], unequal: str | None
) -> dict[str, object]:
    change: dict[str, object] = {}
    for name, rate in RATES.items():
        left, right = now[name], before[name]
        reason = (
            left.get("reason") or right.get("reason") or (unequal if rate.is_per_unit else None)
        )
        status = "no_data" if 0 in (left["denominator"], right["denominator"]) else "ok"
        if status == "ok" and reason:
            status = "not_comparable"
        own = plain = None
        if status == "ok":
            own = newcombe_of(_interval(left, left), _interval(right, right))
            plain = newcombe_of(*(_interval(each, each["unclustered"]) for each in (left, right)))
        change[name] = {
            **ends_of(own),
            "method": "newcombe_clustered",
            "status": status,
            "reason": reason if status == "not_comparable" else None,
            "unclustered": {**limits_of(plain), "method": "newcombe"},
        }
    for name in ("revenue", "net_revenue"):
        has_both = now[name] is not None and before[name] is not None
        change[name] = str(Decimal(now[name]) - Decimal(before[name])) if has_both else None
    return change


def _interval(rate: Mapping[str, Any], bounds: Mapping[str, Any]) -> Interval:
    return Interval(rate["value"], bounds["lower"], bounds["upper"])
