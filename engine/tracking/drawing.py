"""The sample-ratio-mismatch test: were the arms drawn as designed?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.facts import Decision
from engine.tracking.counts import Drawing
from engine.tracking.intervals import chi2_p_value

MISMATCH = 0.001
"""Below this p-value no incremental figure is believed."""

WHOLE = 1_000_000
"""Shares are counted in parts of so many."""


def drawing_of(decisions: Iterable[Decision], units: Mapping[str, str], holdout: float) -> Drawing:
    """Each unit once, by its first decision; `holdout` stands in for an unknown control share.

    `decisions` in order of time; `units` gives the unit of each decision_id.
    """
    first: dict[str, Decision] = {}
    for decision in decisions:
        first.setdefault(units[decision.decision_id], decision)
    control = expected = variance = 0
    for decision in first.values():
        share = holdout if decision.control_share is None else decision.control_share
        share_ppm = round(share * WHOLE)
        control += decision.arm == "control"
        expected += share_ppm
        variance += share_ppm * (WHOLE - share_ppm)
    return Drawing(len(first), control, expected, variance)


def mismatch_p_value(drawing: Drawing) -> float | None:
    """Chi-square test with one degree of freedom; None without units.

    With one share p for all n units this is Pearson's sum over both arms, (O - n p)^2 / (n p
    (1 - p)); with several shares the variance is summed over units.
    """
    if not drawing.units:
        return None
    deviation = drawing.control * WHOLE - drawing.expected_ppm
    if not drawing.variance:
        return 1.0 if deviation == 0 else 0.0
    return chi2_p_value(deviation**2 / drawing.variance)


def mismatch_reason(drawing: Drawing) -> str | None:
    """Why incremental figures are blocked, and what to do; None where they are not."""
    p_value = mismatch_p_value(drawing)
    if p_value is None or p_value >= MISMATCH:
        return None
    return (
        f"the arms are not as drawn: of {drawing.units} units {drawing.expected_ppm / WHOLE:.1f}"
        f" were expected in the control arm, {drawing.control} were seen (p = {p_value:.1g});"
        " find what loses or moves units, or state the share they were drawn with by --holdout"
    )
