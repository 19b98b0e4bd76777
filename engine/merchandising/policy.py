"""The pins and blocks of a model, ready for carts: which hold at a moment, which a cart meets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Self, TypeVar

import numpy as np

from mersalg.engine.arrays import Int32s
from mersalg.engine.eligibility import CartEligibility, Eligibility
from mersalg.engine.merchandising.reasons import Reason
from mersalg.engine.merchandising.sections import BlockSection, PinSection, Validity
from mersalg.engine.merchandising.targets import items_of, needed_of
from mersalg.engine.model import Model

_PERIODS_KEPT = 4
"""Periods whose marks are remembered: the present one, and those that explanations ask for."""

_Rule = TypeVar("_Rule", PinSection, BlockSection)


@dataclass(frozen=True, slots=True)
class Pin:
    """An offer the shop places: the first of `items` that can be had, at `position` (from 1)."""

    items: Int32s
    """One item, or all of a category, the most often added first."""
    position: int
    needed: frozenset[int]
    by_score: bool
    """Whether candidates among `items` come first, the best of them (a category)."""


@dataclass(frozen=True, slots=True)
class Block:
    """A rule that keeps items from being offered."""

    items: Int32s
    reason: Reason
    needed: frozenset[int]


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules of one period."""

    eligibility: Eligibility
    """That of the model, with everything marked that is blocked whatever the cart."""
    blocks: dict[int, list[Block]]
    """The other blocks, by one of the items they need in the cart."""
    pins: tuple[tuple[int, Pin], ...]
    """Those that ask nothing of the cart, by position and then as the shop file has them."""
    cart_pins: dict[int, list[tuple[int, Pin]]]
    """The other pins with their rank among all, by one of the items they need."""

    def block(self, eligibility: CartEligibility, cart: Collection[int]) -> None:
        """Mark what is blocked beside a cart of dense indices."""
        if not self.blocks:
            return
        for item in cart:
            for block in self.blocks.get(item, ()):
                if block.needed.issubset(cart):
                    eligibility.leave_out(block.items, block.reason)

    def pins_of(self, cart: Collection[int]) -> list[Pin]:
        """Return the pins a cart meets, by position and then in the order of the shop file."""
        if not self.cart_pins:
            return [pin for _, pin in self.pins]
        met = [
            ranked
            for item in cart
            for ranked in self.cart_pins.get(item, ())
            if ranked[1].needed.issubset(cart)
        ]
        return [pin for _, pin in sorted([*self.pins, *met], key=lambda ranked: ranked[0])]


@dataclass(frozen=True, slots=True)
class Policy:
    """All pins and blocks of a model; `turns` are the moments at which one begins or ends."""

    turns: tuple[int, ...]
    pinnable: Int32s
    """Every item that some pin may place."""
    period: Callable[[int], InForce]

    @classmethod
    def prepare(cls, model: Model, eligibility: Eligibility) -> Self:
        """Compile the pins and blocks of a model."""
        offers, added = model.settings.offers, model.affinity.n_added_of_item
        pins = [
            (
                validity,
                Pin(
                    items[np.argsort(-added[items], kind="stable")],
                    rule.position,
                    needed,
                    by_score=rule.category is not None,
                ),
            )
            for validity, rule, items, needed in _in_catalogue(model, offers.pins)
        ]
        blocks = [
            (validity, Block(items, _reason_of(rule), needed))
            for validity, rule, items, needed in _in_catalogue(model, offers.blocks)
        ]
        moments = {turn for validity, _ in (*pins, *blocks) for turn in validity.turns}
        turns = tuple(sorted(moments))
        placed = [pin.items for _, pin in pins]
        return cls(
            turns,
            np.unique(np.concatenate([np.zeros(0, dtype=np.int32), *placed])),
            lru_cache(_PERIODS_KEPT)(partial(_in_force, turns, pins, blocks, eligibility)),
        )

    def at(self, moment: int) -> InForce:
        """Return what holds at `moment`, microseconds since the epoch."""
        return self.period(self.period_of(moment))

    def period_of(self, moment: int) -> int:
        """Return which of the stretches of time, in each of which the same holds throughout."""
        return bisect_right(self.turns, moment)


def _in_force(
    turns: Sequence[int],
    pins: Sequence[tuple[Validity, Pin]],
    blocks: Sequence[tuple[Validity, Block]],
    eligibility: Eligibility,
    period: int,
) -> InForce:
    """Return the rules that hold between `turns[period - 1]` and `turns[period]`."""
    # Nothing begins or ends inside a period, so all its moments are alike.
    moment = turns[period - 1] if period else (turns[0] - 1 if turns else 0)
    held = [block for validity, block in blocks if moment in validity]
    by_item: dict[int, list[Block]] = {}
    for block in held:
        if block.needed:
            by_item.setdefault(min(block.needed), []).append(block)
    placed = sorted(
        (pin for validity, pin in pins if moment in validity), key=lambda pin: pin.position
    )
    cart_pins: dict[int, list[tuple[int, Pin]]] = {}
    for rank, pin in enumerate(placed):
        if pin.needed:
            cart_pins.setdefault(min(pin.needed), []).append((rank, pin))
    return InForce(
        eligibility.without([(block.items, block.reason) for block in held if not block.needed]),
        by_item,
        tuple((rank, pin) for rank, pin in enumerate(placed) if not pin.needed),
        cart_pins,
    )


def _in_catalogue(
    model: Model, rules: Iterable[_Rule]
) -> Iterator[tuple[Validity, _Rule, Int32s, frozenset[int]]]:
    """Yield rules that some cart can meet with when they hold, their items and those they need."""
    for rule in rules:
        items, needed = items_of(model.catalogue, rule), needed_of(model.catalogue, rule)
        if needed is not None and len(items):
            yield rule.validity(model.settings.shop.timezone), rule, items, needed


def _reason_of(rule: BlockSection) -> Reason:
    if rule.consequent is not None:
        return Reason.BLOCKED_RULE
    return Reason.BLOCKED_ITEM if rule.category is None else Reason.BLOCKED_CATEGORY
