"""From suggested to kept: what became of the checkouts that a suggestion was decided for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mersalg.serving.dashboard.shell import Visit
from mersalg.serving.presentation.charts import COLOURS, bars

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Funnel:
    """A kind's steps: name, chart, what checkouts with offers did, and those without."""

    kind: str
    rows: Sequence[tuple[str, Markup, Sequence[str], Sequence[str]]]


def arms_of(effect: Report) -> tuple[int, int]:
    """Return the eligible checkouts with offers, and those without."""
    return effect["treatment"]["denominator"], effect["control"]["denominator"]


def funnel_of(visit: Visit, kind: str, measured: Report) -> Funnel:
    """Return the steps of checkouts: those with offers, and those of the control arm."""
    figures, words = visit.figures, visit.words
    gross, net = measured["incremental"], measured["net_incremental"]
    (treated, control), shown = arms_of(gross), measured["checkout"]["denominator"]
    clicks = measured["click_through"]
    held_back = [words("held_back")]
    colour = COLOURS[kind]

    def step(name: str, of_treated: int, of_control: int | None) -> Any:
        shares = [(of_treated / treated if treated else 0.0, colour)]
        cells = [figures.percent(min(1.0, shares[0][0])), figures.count(of_treated)]
        other = held_back
        if of_control is not None:
            share = of_control / control if control else 0.0
            shares.append((share, COLOURS["control"]))
            other = [figures.percent(share), figures.count(of_control)]
        drawn = bars([(min(1.0, share), of) for share, of in shares])
        return (words(f"step_{name}"), drawn, cells, other)

    clicked = (
        words("step_clicked"),
        bars([(clicks["value"] or 0.0, colour)]),
        [
            figures.percent(clicks["value"]),
            words(
                "clicks_of_offers",
                part=figures.count(clicks["numerator"]),
                whole=figures.count(clicks["denominator"]),
            ),
        ],
        held_back,
    )
    return Funnel(
        kind,
        [
            step("decided", treated, control),
            step("shown", shown, None),
            clicked,
            step("bought", gross["treatment"]["numerator"], gross["control"]["numerator"]),
            step("kept", net["treatment"]["numerator"], net["control"]["numerator"]),
        ],
    )
