"""Small models built by hand: a phone shop whose every answer can be worked out on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.config import ExperimentSection, OffersSection, ShopSection, TrackingSection
from mersalg.engine.cross_sell.rules import Affinity, RuleTable
from mersalg.engine.fact_values import to_minor
from mersalg.engine.model import Model, Settings
from mersalg.engine.source_sections import AttributesSection
from mersalg.engine.upsell.tiers import Ladders
from mersalg.engine.vocabulary import StringTable, Vocabulary


@dataclass(frozen=True)
class TinyItem:
    """One item; `n_orders` of the model's orders hold it, `n_added` of them with something else."""

    item_id: str
    name: str
    price: str | None
    category: str = ""
    family: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    compatible_with: tuple[str, ...] = ()
    offerable: bool = True
    n_orders: int = 0
    n_added: int | None = None
    """Half of `n_orders` where not given."""
    cost: str | None = None
    sold_out: bool = False
    """Known to be out of stock; goes with `offerable=False`."""
    bundle_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class TinyRule:
    """Antecedent ids -> consequent id, with the orders that hold both and the antecedent."""

    antecedent: tuple[str, ...]
    consequent: str
    n_joint: int
    n_antecedent: int


PHONES = ("phone-64", "phone-128", "phone-256")

PHONE_SHOP_ITEMS = (
    TinyItem(
        "phone-64",
        "Phone 64 GB",
        "5990.00",
        "Phones",
        "phone",
        {"storage_gb": "64", "camera_mp": "12", "features": "dual SIM"},
        n_orders=1310,
    ),
    TinyItem(
        "phone-128",
        "Phone 128 GB",
        "6490.00",
        "Phones",
        "phone",
        {"storage_gb": "128", "camera_mp": "12", "features": "dual SIM"},
        n_orders=100,
    ),
    TinyItem(
        "phone-256",
        "Phone 256 GB",
        "6990.00",
        "Phones",
        "phone",
        {"storage_gb": "256", "camera_mp": "12", "features": "dual SIM"},
        n_orders=600,
    ),
    TinyItem(
        "phone-pro",
        "Phone Pro",
        "11990.00",
        "Phones",
        "phone",
        {"storage_gb": "512", "camera_mp": "48", "features": "dual SIM; wireless charging"},
        n_orders=200,
    ),
    TinyItem("case-1", "Case", "199.00", "Accessories", "case", {}, PHONES, n_orders=507),
    TinyItem(
        "case-pro", "Case Pro", "249.00", "Accessories", "case", {}, ("phone-pro",), n_orders=150
    ),
    TinyItem(
        "glass-1", "Screen protector", "99.00", "Accessories", "glass", {}, PHONES, n_orders=420
    ),
    TinyItem(
        "glass-pro",
        "Screen protector Pro",
        "129.00",
        "Accessories",
        "glass",
        {},
        ("phone-pro",),
        n_orders=90,
    ),
    TinyItem("buds", "Earbuds", "599.00", "Sound", "buds", n_orders=800, n_added=300),
    TinyItem("charger", "Charger", "249.00", "Accessories", "charger", n_orders=900, n_added=700),
    TinyItem(
        "mount", "Car mount", "199.00", "Accessories", "mount", offerable=False, n_orders=1000
    ),
    TinyItem("sim-pin", "SIM pin", None, "Accessories", "", n_orders=50, n_added=45),
)

PHONE_SHOP_RULES = (
    TinyRule(("phone-64",), "case-1", 412, 1310),
    TinyRule(("phone-64",), "glass-1", 300, 1310),
    TinyRule(("phone-64",), "mount", 400, 1310),
    TinyRule(("phone-64",), "case-pro", 60, 1310),
    TinyRule(("phone-256",), "case-1", 150, 600),
    TinyRule(("phone-256",), "buds", 120, 600),
    TinyRule(("phone-64", "case-1"), "glass-1", 206, 412),
    TinyRule(("phone-pro",), "case-pro", 90, 200),
    TinyRule(("phone-pro",), "glass-pro", 60, 200),
)

PHONE_SHOP_REPELLED = {"phone-64": ("buds",), "buds": ("phone-64",)}


def tiny_model(
    *,
    items: Sequence[TinyItem] = PHONE_SHOP_ITEMS,
    rules: Sequence[TinyRule] = PHONE_SHOP_RULES,
    repelled: Mapping[str, Sequence[str]] = PHONE_SHOP_REPELLED,
    combining_families: Sequence[str] = (),
    n_orders: int = 10_000,
    version: str = "tiny-1",
    shop_name: str = "Phone shop",
    currency: str = "NOK",
    timezone: str = "Europe/Oslo",
    locale: str = "en",
    holdout: float = 0.1,
    salt: str = "tiny",
    offers: OffersSection | None = None,
    tracking: TrackingSection | None = None,
    attributes: AttributesSection | None = None,
) -> Model:
    """A model of `items` and `rules`; without arguments the phone shop.

    Ladders are the families (or categories) with at least two priced items; each distinct price is
    a tier. Every ladder excludes its members from cross-sell beside each other, but those named in
    `combining_families`. A rule's `n_consequent` is the `n_orders` of its consequent.
    """
    catalogue = _catalogue(items, currency)
    ladders, ladder_names = _ladders(items, catalogue)
    table = _rules(items, rules, n_orders)
    return Model(
        version=version,
        settings=Settings(
            shop=ShopSection(name=shop_name, currency=currency, timezone=timezone, locale=locale),
            offers=offers or OffersSection(),
            experiment=ExperimentSection(holdout=holdout, salt=salt),
            tracking=tracking or TrackingSection(),
            attributes=attributes or AttributesSection(),
        ),
        catalogue=catalogue,
        rules=table,
        affinity=_affinity(items, repelled, catalogue, n_orders, ladder_names, combining_families),
        ladders=ladders,
    )


def _codes(texts: Sequence[str]) -> tuple[np.ndarray, StringTable]:
    names = sorted({text for text in texts if text})
    codes = [names.index(text) if text else UNKNOWN for text in texts]
    return np.array(codes, dtype=np.int32), StringTable.from_texts(names)


def _catalogue(items: Sequence[TinyItem], currency: str) -> Catalogue:
    ids = Vocabulary.from_ids([item.item_id for item in items])
    category, category_names = _codes([item.category for item in items])
    family, family_names = _codes([item.family for item in items])
    attribute_names = list(dict.fromkeys(name for item in items for name in item.attributes))
    known = [
        sorted(index for index in map(ids.index_of, item.compatible_with) if index is not None)
        for item in items
    ]
    bundles = None
    if any(item.bundle_of for item in items):
        parts = [[ids.index_of(part) for part in item.bundle_of] for item in items]
        bundles = Ragged.of_rows(
            [[part for part in row if part is not None] for row in parts], np.int32
        )
    prices, costs = (
        [UNKNOWN if amount is None else to_minor(amount, currency) for amount in amounts]
        for amounts in ([item.price for item in items], [item.cost for item in items])
    )
    return Catalogue(
        items=ids,
        names=StringTable.from_texts([item.name for item in items]),
        price_minor=np.array(prices, dtype=np.int64),
        cost_minor=np.array(costs, dtype=np.int64),
        category=category,
        category_names=category_names,
        family=family,
        family_names=family_names,
        offerable=np.array([item.offerable for item in items], dtype=np.bool_),
        attributes={
            name: StringTable.from_texts([item.attributes.get(name, "") for item in items])
            for name in attribute_names
        },
        compatible=Ragged.of_rows(known, np.int32),
        currency=currency,
        sold_out=np.array([item.sold_out for item in items], dtype=np.bool_),
        bundles=bundles,
    )


def _ladders(items: Sequence[TinyItem], catalogue: Catalogue) -> tuple[Ladders, list[str]]:
    members: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        if (item.family or item.category) and item.price is not None:
            members.setdefault(item.family or item.category, []).append(index)
    names = sorted(name for name, group in members.items() if len(group) > 1)
    family = np.full(len(items), -1, dtype=np.int32)
    tier = np.full(len(items), -1, dtype=np.int16)
    rows: list[list[int]] = []
    for ladder, name in enumerate(names):
        rows.append(sorted(members[name], key=lambda index: (catalogue.price_minor[index], index)))
        prices = np.unique(catalogue.price_minor[rows[-1]])
        family[rows[-1]] = ladder
        tier[rows[-1]] = np.searchsorted(prices, catalogue.price_minor[rows[-1]])
    return Ladders(family, tier, Ragged.of_rows(rows, np.int32)), names


def _rules(items: Sequence[TinyItem], rules: Sequence[TinyRule], n_orders: int) -> RuleTable:
    index = {item.item_id: place for place, item in enumerate(items)}
    antecedents = [sorted(index[text] for text in rule.antecedent) for rule in rules]
    consequent = np.array([index[rule.consequent] for rule in rules], dtype=np.int32)
    orders_of = np.array([item.n_orders for item in items], dtype=np.int64)
    return RuleTable(
        Ragged.of_rows(antecedents, np.int32),
        consequent,
        np.array([rule.n_joint for rule in rules], dtype=np.int64),
        np.array([rule.n_antecedent for rule in rules], dtype=np.int64),
        orders_of[consequent],
        n_orders,
    ).sorted()


def _affinity(
    items: Sequence[TinyItem],
    repelled: Mapping[str, Sequence[str]],
    catalogue: Catalogue,
    n_orders: int,
    ladder_names: Sequence[str],
    combining_families: Sequence[str],
) -> Affinity:
    rows = [
        sorted(
            place
            for other in repelled.get(item.item_id, ())
            if (place := catalogue.items.index_of(other)) is not None
        )
        for item in items
    ]
    added = [item.n_orders // 2 if item.n_added is None else item.n_added for item in items]
    return Affinity(
        n_orders_of_item=np.array([item.n_orders for item in items], dtype=np.int64),
        n_added_of_item=np.array(added, dtype=np.int64),
        n_orders=n_orders,
        repelled=Ragged.of_rows(rows, np.int32),
        family_excludes=np.array(
            [name not in combining_families for name in ladder_names], dtype=np.bool_
        ),
    )
