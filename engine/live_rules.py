"""Pins and blocks that a shop sets and ends between trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from msgspec import Struct

from mersalg.engine.merchandising.sections import (
    BlockSection,
    OffersSection,
    PinSection,
    ShopRule,
    shop_rule,
)
from mersalg.engine.model import Model


class LiveRule(Struct, frozen=True):
    """`fields` are those of a pin or block of the shop file; None once the rule has ended."""

    action: str
    fields: dict[str, Any] | None
    updated_at: int

    @property
    def section(self) -> ShopRule:
        """The rule as the shop file would have it; raises ConfigError where it could not."""
        return shop_rule(self.action, self.fields or {})


def in_force(rules: Mapping[str, LiveRule]) -> dict[str, LiveRule]:
    """Return the rules that have not ended, by id."""
    return {key: rule for key, rule in sorted(rules.items()) if rule.fields is not None}


def with_rules(model: Model, rules: Mapping[str, LiveRule], offers: OffersSection | None) -> Model:
    """Return a model under more rules, which come before those of its shop file.

    Parameters
    ----------
    model
        As it was trained.
    rules
        By id.
    offers
        What the shop file says of offers now, None where that is what the model was trained with.
    """
    sections = [rule.section for rule in in_force(rules).values()]
    if not sections and offers is None:
        return model
    offers = offers or model.settings.offers
    pins = (*(each for each in sections if isinstance(each, PinSection)), *offers.pins)
    blocks = (*(each for each in sections if isinstance(each, BlockSection)), *offers.blocks)
    offers = offers.model_copy(update={"pins": pins, "blocks": blocks})
    return replace(model, settings=replace(model.settings, offers=offers))
