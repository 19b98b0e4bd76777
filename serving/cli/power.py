"""`mersalg power`: how many checkouts a hold-out needs to show an effect."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mersalg.engine.errors import ConfigError
from mersalg.engine.words import counted
from mersalg.serving.cli import console
from mersalg.serving.cli.resources import existing_store

_EFFECTS = (0.0025, 0.005, 0.01, 0.02, 0.05)


def command(
    baseline: float | None = None,
    effect: float | None = None,
    holdout: float = 0.1,
    power: float = 0.8,
    level: float = 0.95,
    design_effect: float | None = None,
    watched: Annotated[bool, typer.Option("--watched")] = False,
    per_day: float | None = None,
    database: str | None = None,
    as_json: console.JsonFlag = False,
) -> None:
    """Compute how many checkouts a report needs to show an effect."""
    from mersalg.engine.tracking.power import checkouts_needed

    if (baseline is None) == (database is None):
        raise ConfigError("give either --baseline or --database")
    if per_day is not None and not per_day > 0:
        raise ConfigError(f"per_day: must be above 0, not {per_day}")
    if baseline is not None:
        cases = {"": (baseline, design_effect or 1.0)}
    else:
        cases = _measured(str(database), design_effect)
    rows: list[dict[str, Any]] = []
    for kind, (share, widened) in cases.items():
        for change in (effect,) if effect is not None else _EFFECTS:
            if effect is None and 0 < share < 1 and share + change >= 1:
                continue
            plan: dict[str, Any] = {"holdout": holdout, "power": power, "level": level}
            plan |= {"design_effect": widened, "watched": watched}
            needed = checkouts_needed(share, change, **plan)
            days = None if per_day is None else needed / per_day
            row = {"baseline": share, "effect": change, **plan, "checkouts": needed, "days": days}
            rows.append({"kind": kind, **row} if kind else row)
    if as_json:
        console.print_json({"needed": rows})
        return
    for row in rows:
        kind = f"{row['kind'].replace('_', '-')}: " if "kind" in row else ""
        days = "" if row["days"] is None else f", about {counted(round(row['days']), 'day')}"
        console.say(
            f"{kind}with {holdout * 100:g}% hold-out you need"
            f" {counted(row['checkouts'], 'checkout')} to see"
            f" {row['effect'] * 100:+g} points on {row['baseline'] * 100:.3g}%{days}"
        )


def _measured(database: str, design_effect: float | None) -> dict[str, tuple[float, float]]:
    """Return the baseline and design effect of each kind, from what the control arm did."""
    from mersalg.engine.tracking.report import ReportQuery, build_report

    with existing_store(database) as store:
        report: Any = build_report(store, ReportQuery.from_store(store))
    baselines: dict[str, tuple[float, float]] = {}
    for kind, measured in report["total"].items():
        entry = measured["incremental"]
        clustered = entry["clustered"]
        # Within strata of equal hold-out share, as the effect itself.
        share = clustered["control"] if clustered else entry["control"]["value"]
        if not share or share >= 1:
            continue
        widened = clustered["design_effect"] if clustered else 1.0
        baselines[kind] = (share, design_effect or widened)
    if not baselines:
        raise ConfigError("no control checkout has bought an offered item yet: give --baseline")
    return baselines
