"""The sample-ratio-mismatch test: whether the arms have the sizes with which units were drawn.

A. Fabijan et al. (2019), "Diagnosing sample ratio mismatch in online controlled experiments".
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.tracking.intervals import chi2_p_value
from engine.tracking.rates import Drawing
from engine.tracking.strata import WHOLE, Stratum, share_of

MISMATCH = 0.001
"""Below this p-value of the sample-ratio-mismatch test every incremental figure is blocked."""


def drawing_of(units: Mapping[Stratum, int], holdout: float) -> Drawing:
    """Add up how units were assigned to arms.

    Parameters
    ----------
    units : mapping
        Number of units in each stratum, each unit once, by its first decision.
    holdout : float
        Control share where none is stated.
    """
    n = control = expected = variance = 0
    for (arm, stated), n_units in units.items():
        share = share_of(stated, holdout)
        n += n_units
        control += n_units if arm == "control" else 0
        expected += n_units * share
        variance += n_units * share * (WHOLE - share)
    return Drawing(n, control, expected, variance)


def mismatch_p_value(drawing: Drawing) -> float | None:
    """Return the p-value of the sample-ratio-mismatch test; None without units.

    A chi-square test with one degree of freedom. With one share p for all n units this is
    Pearson's sum over both arms, (O - n p)^2 / (n p (1 - p)); with several shares the variance is
    summed over units.
    """
    if not drawing.units:
        return None
    deviation = drawing.control * WHOLE - drawing.expected_ppm
    if not drawing.variance:
        return 1.0 if deviation == 0 else 0.0
    return chi2_p_value(deviation**2 / drawing.variance)


def mismatch_reason(drawing: Drawing) -> str | None:
    """Return why incremental figures are blocked, and what to do; None where they are not."""
    p_value = mismatch_p_value(drawing)
    if p_value is None or p_value >= MISMATCH:
        return None
    return (
        f"the arms are not as drawn: of {drawing.units} units {drawing.expected_ppm / WHOLE:.1f}"
        f" were expected in the control arm, {drawing.control} were seen (p = {p_value:.1g});"
        " find what loses or moves units, or state the share they were drawn with by --holdout"
    )
