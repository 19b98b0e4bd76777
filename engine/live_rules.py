"""Pins and blocks that a shop sets and ends between trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from msgspec import Struct

from engine.merchandising.sections import BlockSection, PinSection
from engine.model import Model

ACTIONS: dict[str, type[PinSection | BlockSection]] = {"pin": PinSection, "block": BlockSection}
"""What a rule is by its action."""


class LiveRule(Struct, frozen=True):
    """`fields` are those of a pin or block of the shop file; None once the rule has ended."""

    action: str
    fields: dict[str, Any] | None
    updated_at: int

    @property
    def section(self) -> PinSection | BlockSection:
        """The rule as the shop file would have it; raises pydantic's ValidationError."""
        return ACTIONS[self.action].model_validate(self.fields)


def with_rules(model: Model, rules: Mapping[str, LiveRule]) -> Model:
    """Return a model under more rules of the shop, which come before those of its shop file."""
    sections = [rule.section for _, rule in sorted(rules.items()) if rule.fields is not None]
    if not sections:
        return model
    offers = model.settings.offers
    pins = (*(each for each in sections if isinstance(each, PinSection)), *offers.pins)
    blocks = (*(each for each in sections if isinstance(each, BlockSection)), *offers.blocks)
    offers = offers.model_copy(update={"pins": pins, "blocks": blocks})
    return replace(model, settings=replace(model.settings, offers=offers))
