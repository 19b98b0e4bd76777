"""Put on a model what a shop states between trainings: its catalogue, its pins and blocks.

An item that was trained keeps its place; one that is new comes after all trained ones. Nothing is
known of a new item but what the shop says, so it goes by its siblings, the trained items of its
family (else of its category): it complements what they complement, and comes after those of them
that are on sale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mersalg.engine.arrays import Int32s, Ragged
from mersalg.engine.catalogue import PATH_SEPARATOR, UNKNOWN, Catalogue
from mersalg.engine.cross_sell.newcomers import Newcomers
from mersalg.engine.fact_values import to_minor
from mersalg.engine.live_items import LiveItem
from mersalg.engine.merchandising.sections import (
    BlockSection,
    OffersSection,
    PinSection,
    ShopRule,
    shop_rule,
)
from mersalg.engine.model import Model
from mersalg.engine.vocabulary import StringTable, Vocabulary

_Number = TypeVar("_Number", bound=np.generic)


class LiveCatalogue:
    """A trained catalogue, and what is stated of its items; `catalogue` puts both together."""

    def __init__(self, trained: Catalogue) -> None:
        self._trained, self._new = trained, dict[str, LiveItem]()
        self._price, self._cost = trained.price_minor.copy(), trained.cost_minor.copy()
        sold_out = trained.sold_out
        self._sold_out = np.zeros(len(trained), np.bool_) if sold_out is None else sold_out.copy()
        self._offerable = trained.offerable.copy()
        self._groups = {
            "category": _Groups(trained.category, trained.category_names),
            "family": _Groups(trained.family, trained.family_names),
        }
        self._names = _Texts(trained.names)
        nothing = StringTable.from_texts([""] * len(trained))
        self._images = _Texts(trained.image_urls or nothing)
        self._attributes = {name: _Texts(table) for name, table in trained.attributes.items()}
        self._items, self._new_ids = trained.items, list[str]()

    def take(self, items: Mapping[str, LiveItem]) -> None:
        """Take what is stated of items now, in place of all that was stated of them before."""
        for item_id, item in items.items():
            index = self._trained.items.index_of(item_id)
            if index is not None:
                self._set(index, item)
            elif item.fields:
                self._new[item_id] = item
            else:
                self._new.pop(item_id, None)

    def _set(self, index: int, item: LiveItem) -> None:
        trained, get = self._trained, item.get
        self._price[index] = _minor(get("price"), trained, trained.price_minor.item(index))
        self._cost[index] = _minor(get("cost"), trained, trained.cost_minor.item(index))
        was_sold_out = trained.sold_out is not None and trained.sold_out.item(index)
        is_active = get("active", trained.offerable.item(index) or was_sold_out)
        is_in_stock = get("in_stock", not was_sold_out)
        self._offerable[index] = is_active and is_in_stock
        self._sold_out[index] = is_active and not is_in_stock
        self._groups["category"].set(index, _path(get("category")))
        self._groups["family"].set(index, get("family"))
        self._names.set(index, get("name") or None)
        self._images.set(index, get("image_url"))
        stated = item.attributes()
        for name, texts in self._attributes.items():
            texts.set(index, stated.get(name))

    def catalogue(self) -> Catalogue:
        """Return all items as they are now, those that are new behind the others."""
        trained, new = self._trained, list(self._new.values())
        n_new, ids = len(new), list(self._new)
        if ids != self._new_ids:
            self._items, self._new_ids = Vocabulary.from_ids([*trained.items.ids, *ids]), ids
        category, category_names = self._groups["category"].with_new(
            [_path(update.get("category")) for update in new]
        )
        family, family_names = self._groups["family"].with_new(
            [update.get("family") for update in new]
        )
        states = [(update.get("active", True), update.get("in_stock", True)) for update in new]
        attributes = [update.attributes() for update in new]
        names = [each.get("name") or key for key, each in self._new.items()]
        rows = {
            name: _more_rows(rows, n_new)
            for name in ("compatible", "bundles", "upgrades")
            if (rows := getattr(trained, name)) is not None
        }
        tier = trained.given_tier
        return replace(
            trained,
            items=self._items,
            names=self._names.with_new(names),
            price_minor=_more(
                self._price, (_minor(update.get("price"), trained) for update in new)
            ),
            cost_minor=_more(self._cost, (_minor(update.get("cost"), trained) for update in new)),
            category=category,
            category_names=category_names,
            family=family,
            family_names=family_names,
            offerable=_more(self._offerable, (active and stocked for active, stocked in states)),
            attributes={
                name: texts.with_new([attribute.get(name, "") for attribute in attributes])
                for name, texts in self._attributes.items()
            },
            sold_out=_more(self._sold_out, (active and not stocked for active, stocked in states)),
            given_tier=None if tier is None else _more(tier, [UNKNOWN] * n_new),
            image_urls=self._images.with_new([update.get("image_url", "") for update in new]),
            **rows,
        )


def with_catalogue(trained: Model, catalogue: Catalogue) -> Model:
    """Return a trained model that offers from a `LiveCatalogue` of its catalogue."""
    n_new = len(catalogue) - len(trained.catalogue)
    if not n_new:
        return replace(trained, catalogue=catalogue)
    nothing, affinity, recency = [0] * n_new, trained.affinity, trained.recency
    return replace(
        trained,
        catalogue=catalogue,
        newcomers=Newcomers.of(catalogue, trained.ladders.family, affinity.n_orders_of_item),
        affinity=replace(
            affinity,
            n_orders_of_item=_more(affinity.n_orders_of_item, nothing),
            n_added_of_item=_more(affinity.n_added_of_item, nothing),
        ),
        recency=None
        if recency is None
        else replace(recency, n_added_of_item=_more(recency.n_added_of_item, nothing)),
    )


class _Texts:
    """Texts of a table, some of them in place of others."""

    def __init__(self, trained: StringTable) -> None:
        self._trained, self._changed = trained, dict[int, str]()
        self._made: tuple[list[str], StringTable] | None = ([], trained)

    def set(self, index: int, text: str | None) -> None:
        """Put a text in place of the trained one, None to put that back."""
        stated = None if text == self._trained[index] else text
        if stated != self._changed.get(index):
            self._made = None
            if stated is None:
                del self._changed[index]
            else:
                self._changed[index] = stated

    def with_new(self, new: list[str]) -> StringTable:
        """Return all, with more behind them."""
        if self._made is None or self._made[0] != new:
            texts = [*self._trained, *new]
            for index, text in self._changed.items():
                texts[index] = text
            self._made = (new, StringTable.from_texts(texts))
        return self._made[1]


class _Groups:
    """Codes of items into the names of their groups, which grow."""

    def __init__(self, codes: Int32s, names: StringTable) -> None:
        self._trained, self._codes, self._table = codes, codes.copy(), names
        self._names = {name: code for code, name in enumerate(names)}

    def set(self, index: int, name: str | None) -> None:
        """Put an item into a group, None for its own."""
        self._codes[index] = self._trained[index] if name is None else self._code(name)

    def with_new(self, names: list[str | None]) -> tuple[Int32s, StringTable]:
        """Return the codes, with those of new items behind them, and the names of all groups."""
        codes = _more(self._codes, map(self._code, names))
        if len(self._table) < len(self._names):
            self._table = StringTable.from_texts(list(self._names))
        return codes, self._table

    def _code(self, name: str | None) -> int:
        return self._names.setdefault(name, len(self._names)) if name else UNKNOWN


def _path(category: list[str] | None) -> str | None:
    return None if category is None else PATH_SEPARATOR.join(filter(None, category))


def _minor(amount: str | None, catalogue: Catalogue, otherwise: int = UNKNOWN) -> int:
    return otherwise if amount is None else to_minor(amount, catalogue.currency)


def _more(values: NDArray[_Number], new: Iterable[Any]) -> NDArray[_Number]:
    """Return a copy, with values of new items behind it."""
    return np.append(values, np.array([*new], dtype=values.dtype))


def _more_rows(rows: Ragged[_Number], n_new: int) -> Ragged[_Number]:
    return Ragged(_more(rows.indptr, [rows.indptr[-1]] * n_new), rows.values)


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
    """Return a model as it was trained under more rules, which come before those of its shop file.

    `offers` is what the shop file says of them now, None where the model was trained with it.
    """
    sections = [rule.section for rule in in_force(rules).values()]
    if not sections and offers is None:
        return model
    offers = offers or model.settings.offers
    pins = (*(section for section in sections if isinstance(section, PinSection)), *offers.pins)
    blocks = (
        *(section for section in sections if isinstance(section, BlockSection)),
        *offers.blocks,
    )
    offers = offers.model_copy(update={"pins": pins, "blocks": blocks})
    return replace(model, settings=replace(model.settings, offers=offers))


@dataclass(frozen=True, slots=True)
class InForce:
    """A pin or block; `rule_id` is None for one of the shop file."""

    rule_id: str | None
    section: ShopRule

    @property
    def state(self) -> str:
        """What is the case with the item that it is of."""
        return "pinned" if isinstance(self.section, PinSection) else "stopped"


def rules_at(
    instant: int, rules: Mapping[str, LiveRule], offers: OffersSection, timezone: str
) -> list[InForce]:
    """Return the pins and blocks of an instant: those set since, and those of the shop file."""
    set_here = [(key, rule.section) for key, rule in in_force(rules).items()]
    every = (*set_here, *((None, each) for each in (*offers.pins, *offers.blocks)))
    return [InForce(rule_id, rule) for rule_id, rule in every if instant in rule.validity(timezone)]


def rule_of(rules: Sequence[InForce], antecedent: Sequence[str], item_id: str) -> InForce | None:
    """Return the rule of exactly an item, or of an item beside others; a block is stronger."""
    own = [
        rule
        for rule in rules
        if rule.section.offered_item == item_id
        and set(rule.section.needed_items) == set(antecedent)
    ]
    return min(own, key=lambda each: each.state != "stopped", default=None)
