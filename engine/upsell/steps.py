"""What kind of step up a dearer sibling is: more of the same for less a unit, or a better thing."""

from __future__ import annotations

from mersalg.engine.facts import Step
from mersalg.engine.upsell.packs import Pack

_TOLERANCE = 1e-9
_IMPERIAL = frozenset({"oz", "floz", "lb", "pt", "qt", "ga", "ft", "yd"})


def step_of(
    base: Pack | None, better: Pack | None, base_price_minor: int, better_price_minor: int
) -> Step:
    """Return the step from one item to a dearer one, by their packs and prices."""
    if base is None or better is None:
        return "tier"
    base, better = base.beside(better), better.beside(base)
    if base.dimension != better.dimension:
        return "tier"
    if base.dimension == "span" or better.amount <= base.amount * (1 + _TOLERANCE):
        return "tier"
    cheaper = better_price_minor * base.amount < base_price_minor * better.amount * (1 - _TOLERANCE)
    return "size" if cheaper else "tier"


def unit_saving(
    base: Pack, better: Pack, base_price_minor: int, better_price_minor: int
) -> tuple[float, str]:
    """Return what share less one unit costs in the better pack, and what the unit is counted in.

    That is the imperial unit both packs state, else the dimension.
    """
    base, better = base.beside(better), better.beside(base)
    share = 1 - (better_price_minor * base.amount) / (base_price_minor * better.amount)
    imperial = base.unit == better.unit and base.unit in _IMPERIAL
    return share, base.unit if imperial else base.dimension
