"""What holds of every slate, against a reference that goes through all items one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.engine.cross_sell.recommender import CrossSell
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.facts import CartLine
from mersalg.engine.merchandising.sections import OffersSection, PinSection
from mersalg.engine.model import Model
from mersalg.engine.slate import Recommenders, build_slate
from tests.support.models import TinyItem, TinyRule, tiny_model
from tests.support.repetitions import repetitions

DAYS = tuple(f"2026-06-{day:02d}" for day in range(1, 6))
MOMENTS = tuple(
    parse_instant(f"{day}T{time}+02:00") for day in DAYS for time in ("00:00:00", "23:59:59")
)


CATEGORIES = ("c", "c", "c", "c > d", "c > d", "cc", "")


def _rule(draw: Random, ids: Sequence[str], *, pin: bool) -> dict[str, Any]:
    rule: dict[str, Any] = {"position": draw.randint(1, 5)} if pin else {}
    if draw.random() < 0.5:
        first, last = sorted(draw.sample(range(len(DAYS)), 2))
        ends = {"from": DAYS[first], "until": DAYS[last]}
        rule |= {end: day for end, day in ends.items() if draw.random() < 0.7}
    item = draw.choice(ids)
    needed = [other for other in draw.sample(ids, draw.choice([0, 0, 1, 2])) if other != item]
    match draw.choice(["item", "item", "category", "rule"]):
        case "category":
            return {**rule, "category": draw.choice(["c", "c > d", "x"]), "when_cart_has": needed}
        case "rule" if needed:
            return {**rule, "antecedent": needed, "consequent": item}
        case _:
            return {**rule, "item": item, "when_cart_has": needed}


def random_shop(draw: Random) -> Model:
    """Twelve items of few categories, many rules between them, and many rules of the shop."""
    ids = [f"i{number}" for number in range(12)]
    items = [
        TinyItem(
            item_id,
            "Name",
            None if draw.random() < 0.1 else f"{draw.randint(1, 300) / 10:.2f}",
            draw.choice(CATEGORIES),
            draw.choice(["", "", "", "f0", "f1"]),
            {},
            tuple(draw.sample(ids, draw.choice([0, 0, 0, 0, 1, 2]))),
            draw.random() < 0.9,
            n_orders := draw.randint(100, 400),
            draw.randint(0, n_orders),
            draw.choice([None, None, "1.00", "20.00"]),
        )
        for item_id in ids
    ]
    by_id = {item.item_id: item for item in items}
    rules: dict[tuple[frozenset[str], str], TinyRule] = {}
    for _ in range(draw.choice([0, 60, 250])):
        antecedent, consequent = (
            frozenset(draw.sample(ids, draw.choice([1, 1, 2]))),
            draw.choice(ids),
        )
        n_antecedent = min(by_id[item_id].n_orders for item_id in antecedent)
        n_joint = draw.randint(1, min(n_antecedent, by_id[consequent].n_orders))
        if consequent not in antecedent:
            rules[antecedent, consequent] = TinyRule(
                tuple(sorted(antecedent)), consequent, n_joint, n_antecedent
            )
    offers = OffersSection.model_validate(
        {
            "pins": [_rule(draw, [*ids, "gone"], pin=True) for _ in range(draw.randint(0, 4))],
            "blocks": [
                _rule(draw, [*ids, "gone"], pin=False) for _ in range(draw.choice([0, 1, 2]))
            ],
            "max_per_category": draw.choice([None, None, None, 1, 2]),
            "min_margin": draw.choice([None, None, 0.3]),
            "max_price_to_cart_ratio": draw.choice([None, None, None, 0.5, 1.5]),
            "sensitive": draw.choice([[], [], ["CC"], ["c"], ["D", "cc"]]),
        }
    )
    return tiny_model(
        items=items,
        rules=list(rules.values()),
        repelled={item_id: draw.sample(ids, draw.choice([0, 0, 2])) for item_id in ids},
        combining_families=["f0", "c", "c > d"],
        n_orders=1000,
        offers=offers,
    )


def random_cart(draw: Random, model: Model) -> list[str]:
    return draw.sample([*model.catalogue.items.ids, "nobody-knows"], draw.choice([0, 1, 1, 2, 4]))


@dataclass
class _Reference:
    """The rules of the shop as sentences over one item at a time."""

    model: Model
    cart: set[int]
    moment: int
    excluded: set[str]
    worth: float | None
    others: bool = False
    """Whether the cart holds something nobody knows."""

    def index(self, item_id: str) -> int | None:
        return self.model.catalogue.items.index_of(item_id)

    def holds(self, rule: Any) -> bool:
        if self.moment not in rule.validity(self.model.settings.shop.timezone):
            return False
        return all(self.index(text) in self.cart for text in rule.needed_items)

    def spoken_of(self, rule: Any, item: int) -> bool:
        catalogue = self.model.catalogue
        if rule.category is None:
            return self.index(rule.item or rule.consequent) == item
        code = int(catalogue.category[item])
        path = " > ".join(rule.category)
        return code >= 0 and f"{catalogue.category_names[code]} > ".startswith(f"{path} > ")

    def binding(self, item: int) -> bool:
        """Whether nothing forbids `item` that even a pin must respect."""
        model, catalogue = self.model, self.model.catalogue
        needed = set(catalogue.compatible[item].tolist())
        blocked = any(
            self.holds(rule) and self.spoken_of(rule, item) for rule in model.settings.offers.blocks
        )
        return (
            item not in self.cart
            and catalogue.items[item] not in self.excluded
            and bool(catalogue.offerable[item])
            and not blocked
            and (not needed or bool(needed & self.cart))
            and not self.another_model(item)
        )

    def another_model(self, item: int) -> bool:
        """A sibling of what something in the cart fits, which it does not fit itself."""
        fitted = {
            int(other) for held in self.cart for other in self.model.catalogue.compatible[held]
        }
        ladder = self.model.ladders.family
        return (
            item not in fitted
            and ladder[item] >= 0
            and ladder[item] in {int(ladder[other]) for other in fitted}
        )

    def sensitive(self, item: int) -> set[str]:
        """Return the sensitive categories of an item."""
        code = int(self.model.catalogue.category[item])
        path = self.model.catalogue.category_names[code].lower().split(" > ") if code >= 0 else []
        names = self.model.settings.offers.sensitive
        return {name for name in names if name.lower() in path}

    def family(self, item: int) -> int:
        """Return the family of an item where its members exclude each other, else -1."""
        family = int(self.model.ladders.family[item])
        return family if family >= 0 and self.model.affinity.family_excludes[family] else -1

    def free(self, item: int, *, at_any_price: bool = False) -> bool:
        """Whether the model may offer `item` of itself."""
        model, offers = self.model, self.model.settings.offers
        price = int(model.catalogue.price_minor[item])
        cost = int(model.catalogue.cost_minor[item])
        least = 0 if offers.min_margin is None else offers.min_margin * price - 1e-6
        if offers.min_margin is not None and min(price, cost) >= 0 and price - cost < least:
            return False
        ratio = offers.max_price_to_cart_ratio
        capped = ratio is not None and self.worth is not None and not at_any_price
        if capped and price > ratio * self.worth:
            return False
        named = self.sensitive(item)
        alone = self.cart and not self.others
        if named and not (alone and all(named & self.sensitive(held) for held in self.cart)):
            return False
        substitute = self.family(item) in {self.family(held) for held in self.cart} - {-1}
        return self.binding(item) and not substitute

    def slate(self, limit: int) -> list[int]:
        recommender = CrossSell.prepare(self.model)
        offers, category = self.model.settings.offers, self.model.catalogue.category
        cart = np.array(sorted(self.cart), dtype=np.int32)
        items, scores = recommender.native.fire(cart)
        ranked = [int(items[place]) for place in np.argsort(-scores, kind="stable")]
        away = set(recommender.repelled_by(cart).tolist())
        popular = [item for item in recommender.popular.tolist() if item not in {*ranked, *away}]
        pinned = self.pinned(limit, ranked, set(recommender.popular.tolist()) & away - set(ranked))
        most, binds = offers.max_per_category, offers.max_per_category is not None
        if most is None:
            most = max(2, (limit + 1) // 2)
        held = [int(category[item]) for _, item in pinned]
        chosen: list[int] = []
        crowded: list[int] = []
        for source, capped in ((ranked, True), (crowded, binds), (popular, binds)):
            if source is crowded and binds:
                continue
            for item in source:
                taken = [*chosen, *(item for _, item in pinned)]
                if len(taken) == limit or item in taken or not self.free(item):
                    continue
                if self.family(item) in {self.family(other) for other in taken} - {-1}:
                    continue
                code = int(category[item])
                if capped and code >= 0 and held.count(code) >= most:
                    crowded.append(item)
                    continue
                held.append(code)
                chosen.append(item)
        arranged: list[int] = []
        while pinned or chosen:
            due = pinned and (pinned[0][0] <= len(arranged) + 1 or not chosen)
            arranged.append(pinned.pop(0)[1] if due else chosen.pop(0))
        return arranged

    def pinned(self, limit: int, ranked: list[int], away: set[int]) -> list[tuple[int, int]]:
        added = self.model.affinity.n_added_of_item
        found: list[tuple[int, int]] = []
        pins: list[PinSection] = sorted(
            self.model.settings.offers.pins, key=lambda pin: pin.position
        )
        for pin in pins:
            if pin.position > limit or len(found) == limit or not self.holds(pin):
                continue
            taken = {item for _, item in found}
            every = [item for item in range(len(added)) if self.spoken_of(pin, item)]
            if pin.category is None:
                fit = [item for item in every if self.binding(item)]
            else:
                best = sorted(set(every) - away, key=lambda item: (-added[item], item))
                first = [item for item in ranked if item in every]
                fit = [item for item in [*first, *best] if self.free(item, at_any_price=True)]
            found += [(pin.position, item) for item in fit if item not in taken][:1]
        return found


@settings(max_examples=repetitions(250))
@given(st.integers(0, 2**32))
def test_slates_are_those_of_the_reference(seed: int) -> None:
    draw = Random(seed)
    model = random_shop(draw)
    ids, excluded = random_cart(draw, model), random_cart(draw, model)[:2]
    moment, limit = draw.choice(MOMENTS), draw.choice([0, 1, 2, 3, 3, 5, 9])
    known = {item for text in ids if (item := model.catalogue.items.index_of(text)) is not None}
    prices = [
        -1
        if (item := model.catalogue.items.index_of(text)) is None
        else int(model.catalogue.price_minor[item])
        for text in ids
    ]
    worth = float(sum(prices)) if prices and min(prices) >= 0 and sum(prices) else None
    recommenders = Recommenders.prepare(model)
    slate, again = (
        build_slate(
            recommenders,
            [CartLine(item_id, 1) for item_id in ids],
            cross_sell=limit,
            upsell=0,
            at=moment,
            excluded_item_ids=excluded,
            explain=explain,
        )
        for explain in (False, True)
    )
    reference = _Reference(model, known, moment, set(excluded), worth, "nobody-knows" in ids)
    assert [chosen.item for chosen in slate.cross_sell] == reference.slate(limit)
    # Asking why changes nothing, and everything that is not offered has its reason.
    assert again.cross_sell == slate.cross_sell
    offered = {chosen.item for chosen in slate.cross_sell}
    assert offered.isdisjoint(each.item for each in again.rejected)
    assert len({(each.kind, each.item) for each in again.rejected}) == len(again.rejected)


@settings(max_examples=repetitions(150))
@given(st.integers(0, 2**32))
def test_promises_of_every_slate(seed: int) -> None:
    draw = Random(seed)
    model = random_shop(draw)
    ids, moment = random_cart(draw, model), draw.choice(MOMENTS)
    known = {item for text in ids if (item := model.catalogue.items.index_of(text)) is not None}
    limits = {"cross_sell": draw.randint(0, 5), "upsell": draw.randint(0, 3)}
    lines = [CartLine(item_id, 1) for item_id in ids]
    slate = build_slate(
        Recommenders.prepare(model), lines, at=moment, declined_item_ids=["i0"], **limits
    )
    reference = _Reference(model, known, moment, {"i0"}, None)
    offered = [chosen.item for chosen in (*slate.cross_sell, *slate.upsell)]
    assert len(set(offered)) == len(offered)
    blocks = model.settings.offers.blocks
    for item in offered:
        assert item not in known
        assert model.catalogue.offerable[item]
        assert model.catalogue.items[item] != "i0"
        assert not any(reference.holds(rule) and reference.spoken_of(rule, item) for rule in blocks)
    most = model.settings.offers.max_per_category
    if most is not None:
        codes = model.catalogue.category[
            [each.item for each in slate.cross_sell if not each.pinned]
        ]
        assert max(np.bincount(codes[codes >= 0]), default=0) <= most
    for place, chosen in enumerate(slate.cross_sell, start=1):
        if chosen.pinned:
            # Earlier than asked only where the list is too short to hold it there.
            positions = [
                pin.position
                for pin in model.settings.offers.pins
                if reference.holds(pin) and reference.spoken_of(pin, chosen.item)
            ]
            assert (
                place >= min(positions)
                or place == len(slate.cross_sell)
                or all(each.pinned for each in slate.cross_sell[place:])
            )
