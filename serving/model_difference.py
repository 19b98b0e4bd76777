"""Two versions side by side: rules, ladders, prices, and what they offer to the same carts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mersalg.engine.catalogue import UNKNOWN
from mersalg.engine.facts import CartLine
from mersalg.engine.model import Model
from mersalg.engine.slate import build_slate
from mersalg.serving.checkout import prepared_for

MAXIMUM_CARTS = 200
_EXAMPLES = 20

Rule = tuple[tuple[str, ...], str]
"""Item ids of a rule's antecedent, and of its consequent."""


@dataclass(frozen=True, slots=True)
class Repriced:
    """An item with another price; in minor units, None where it is not known."""

    item_id: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class OtherOffers:
    """A cart to which the versions offer different things; item ids."""

    cart: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelDifference:
    """Parts of a version that another has not; lists have examples, counts are of all.

    Rules are those in most orders first, prices the greatest change first. An item has `moved` that
    is on a ladder with other items, or on another tier of it. Of `n_carts` carts compared,
    something else is offered to `n_other`.
    """

    n_rules: tuple[int, int, int]
    """Of the first version, of the second, and those of both."""
    new_rules: Sequence[Rule]
    gone_rules: Sequence[Rule]
    n_ladders: tuple[int, int]
    moved: Sequence[str]
    n_moved: int
    repriced: Sequence[Repriced]
    n_repriced: int
    n_carts: int
    n_other: int
    other: Sequence[OtherOffers]


def compare_models(before: Model, after: Model) -> ModelDifference:
    """Return what changed from a version to another.

    Offers are compared on the `MAXIMUM_CARTS` items that most orders hold, each alone in a cart:
    the same carts for the same two versions.
    """
    rules, other_rules = _rules(before), _rules(after)
    new, gone = _by_orders(other_rules, rules), _by_orders(rules, other_rules)
    steps, other_steps = _steps(before), _steps(after)
    moved = sorted(
        item for item in steps.keys() & other_steps.keys() if steps[item] != other_steps[item]
    )
    prices, other_prices = _prices(before), _prices(after)
    repriced = [
        Repriced(item, prices[item], other_prices[item])
        for item in prices.keys() & other_prices.keys()
        if prices[item] != other_prices[item]
    ]
    repriced.sort(key=lambda each: (-abs((each.after or 0) - (each.before or 0)), each.item_id))
    carts = list(_carts(after))
    pairs = [OtherOffers((cart,), _offers(before, cart), _offers(after, cart)) for cart in carts]
    other = [pair for pair in pairs if pair.before != pair.after]
    return ModelDifference(
        (len(rules), len(other_rules), len(rules.keys() & other_rules.keys())),
        new[:_EXAMPLES],
        gone[:_EXAMPLES],
        (before.ladders.n_ladders, after.ladders.n_ladders),
        moved[:_EXAMPLES],
        len(moved),
        repriced[:_EXAMPLES],
        len(repriced),
        len(carts),
        len(other),
        other[:_EXAMPLES],
    )


def _rules(model: Model) -> dict[Rule, int]:
    """Return the rules of a version with the number of orders that hold all of their items."""
    table, ids = model.rules, model.catalogue.items
    return {
        (tuple(sorted(ids[item] for item in table.antecedents[rule].tolist())), ids[consequent]): n
        for rule, (consequent, n) in enumerate(
            zip(table.consequent.tolist(), table.n_joint.tolist(), strict=True)
        )
    }


def _by_orders(rules: dict[Rule, int], known: dict[Rule, int]) -> list[Rule]:
    return sorted(rules.keys() - known.keys(), key=lambda rule: (-rules[rule], rule))


def _steps(model: Model) -> dict[str, tuple[frozenset[str], int]]:
    """Return for each item on a ladder the items of the ladder, and its tier."""
    ladders, ids = model.ladders, model.catalogue.items
    steps: dict[str, tuple[frozenset[str], int]] = {}
    for ladder in range(ladders.n_ladders):
        items = ladders.members[ladder].tolist()
        names = frozenset(ids[item] for item in items)
        steps |= {ids[item]: (names, int(ladders.tier[item])) for item in items}
    return steps


def _prices(model: Model) -> dict[str, int | None]:
    catalogue = model.catalogue
    return {
        item_id: None if price == UNKNOWN else price
        for item_id, price in zip(catalogue.items.ids, catalogue.price_minor.tolist(), strict=True)
    }


def _carts(model: Model) -> Iterator[str]:
    """Yield the items that the most orders hold, as far as rules know them."""
    table = model.rules
    n_orders = np.zeros(len(model.catalogue), np.int64)
    single = table.lengths == 1
    first = table.antecedents.values[table.antecedents.indptr[:-1][single]]
    n_orders[first] = table.n_antecedent[single]
    np.maximum.at(n_orders, table.consequent, table.n_consequent)
    order = np.argsort(-n_orders, kind="stable")[:MAXIMUM_CARTS]
    for item in order.tolist():
        if n_orders[item]:
            yield model.catalogue.items[item]


def _offers(model: Model, item_id: str) -> tuple[str, ...]:
    offers, ids = model.settings.offers, model.catalogue.items
    slate = build_slate(
        prepared_for(model).recommenders,
        (CartLine(item_id, 1),),
        cross_sell=offers.cross_sell,
        upsell=offers.upsell,
    )
    return tuple(ids[each.item] for each in (*slate.cross_sell, *slate.upsell))
