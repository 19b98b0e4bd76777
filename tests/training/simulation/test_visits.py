"""Visits of simulated buyers are the shop's own baskets, parted into cart and mind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mersalg.engine.config import load_config
from mersalg.engine.progress import SilentProgress
from mersalg.engine.upsell.tiers import Ladders
from mersalg.training.model_fit import usual_prices
from mersalg.training.reading.dataset import Dataset, load_dataset
from mersalg.training.simulation.replay import Visits
from mersalg.training.simulation.shoppers import Behaviour, Visit
from mersalg.training.upsell.tiers import fit_ladders
from tests.scenarios.cafe.planted import PLAN as CAFE
from tests.scenarios.hotel.planted import PLAN as HOTEL
from tests.scenarios.planting import Plan, write_shop

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def load(plan: Plan, name: str, folder: Path) -> tuple[Dataset, Ladders]:
    shop_file = write_shop(plan, SCENARIOS / name / "shop.toml", folder)
    dataset = load_dataset(load_config(shop_file), folder, SilentProgress())
    ladders, _ = fit_ladders(dataset.catalogue, usual_prices(dataset), SilentProgress())
    return dataset, ladders


@pytest.fixture(scope="module")
def hotel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Ladders]:
    return load(HOTEL, "hotel", tmp_path_factory.mktemp("hotel"))


def baskets() -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for line in HOTEL.orders():
        found.setdefault(line["order_id"], {})[line["item_id"]] = line["quantity"]
    return found


# Rooms have a family; what has none is laddered by its category.
LADDERS = (
    ("rom-standard", "rom-superior", "rom-suite"),
    ("frokost", "parkering", "sen-utsjekk", "spa"),
    ("lunsj", "konferanse"),
)


def ladder(item_id: str) -> tuple[str, ...]:
    (found,) = (rungs for rungs in LADDERS if item_id in rungs)
    return found


def swap(visit: Visit) -> str | None:
    """What stood in the cart at first and is not bought in the end."""
    given_up = visit.cart.keys() - visit.intended.keys()
    assert len(given_up) <= 1
    return next(iter(given_up), None)


def test_a_visit_ends_in_the_basket_it_was_made_from(hotel: tuple[Dataset, Ladders]) -> None:
    visits = Visits(*hotel).plan(10_000)
    originals = baskets()
    assert len(visits) == sum(1 for basket in originals.values() if len(basket) >= 2)
    for visit in visits:
        order_id = visit.checkout_id.removeprefix("visit-")
        assert visit.intended == originals[order_id]
        # Something is left in mind: the cart never holds it all.
        assert 0 < len(visit.cart) < len(visit.intended)
        for item_id, units in visit.cart.items():
            if item_id != swap(visit):
                assert units == visit.intended[item_id]
        for item_id in {*visit.cart, *visit.intended}:
            assert visit.prices[item_id] == round(float(HOTEL.item(item_id).price) * 100)


def test_what_stands_on_a_ladder_goes_into_the_cart_first(hotel: tuple[Dataset, Ladders]) -> None:
    """Only rooms on a ladder: then a room is in every cart whose guest wants one."""
    dataset, ladders = hotel
    rooms = np.array([item_id.startswith("rom-") for item_id in dataset.catalogue.items.ids])
    only_rooms = replace(
        ladders,
        family=np.where(rooms, ladders.family, -1).astype(np.int32),
        tier=np.where(rooms, ladders.tier, -1).astype(np.int16),
    )
    n_with_room = 0
    for visit in Visits(dataset, only_rooms).plan(10_000):
        if any(item_id.startswith("rom-") for item_id in visit.intended):
            n_with_room += 1
            assert any(item_id.startswith("rom-") for item_id in visit.cart)
    assert n_with_room > 300


def test_some_trade_up_by_themselves(hotel: tuple[Dataset, Ladders]) -> None:
    visits = Visits(*hotel, Behaviour(trade_up_in_mind=1)).plan(10_000)
    did = [visit for visit in visits if swap(visit)]
    for visit in did:
        base = swap(visit)
        assert base is not None
        better = {
            item_id
            for item_id in visit.intended.keys() - visit.cart.keys()
            if item_id in ladder(base)
            and float(HOTEL.item(item_id).price) > float(HOTEL.item(base).price)
            and visit.intended[item_id] == visit.cart[base]
        }
        assert better, f"{base} gave way to nothing dearer of its kind"
    some = Visits(*hotel, Behaviour(trade_up_in_mind=0.3)).plan(10_000)
    n_some = sum(1 for visit in some if swap(visit))
    # Whoever could trade up does so with chance 0.3; four standard errors.
    assert abs(n_some - 0.3 * len(did)) < 4 * (0.3 * 0.7 * len(did)) ** 0.5
    nobody = Visits(*hotel, Behaviour(trade_up_in_mind=0)).plan(10_000)
    assert not any(swap(visit) for visit in nobody)


def test_the_seed_decides_and_time_orders(hotel: tuple[Dataset, Ladders]) -> None:
    first, again, other = (Visits(*hotel, seed=seed).plan(100) for seed in (1, 1, 2))
    assert first == again
    assert len(first) == len({visit.checkout_id for visit in first}) == 100
    assert {v.checkout_id for v in first} != {v.checkout_id for v in other}
    numbers = [int(visit.checkout_id.removeprefix("visit-o")) for visit in first]
    assert numbers == sorted(numbers)


def test_guests_have_a_session_alone(tmp_path: Path) -> None:
    visit = Visits(*load(CAFE, "cafe", tmp_path)).plan(1)[0]
    assert visit.customer_id is None
    request = visit.request()
    assert "customer_id" not in request
    assert request["session_id"] == visit.session_id
    # Yen have no decimals.
    assert all("." not in line["unit_price"] for line in request["lines"])
