"""`/v1/items`: stock, prices and new items between trainings, on every worker within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from mersalg.engine import clock, money
from mersalg.engine.catalogue import PATH_SEPARATOR, UNKNOWN, Catalogue
from mersalg.engine.errors import FactRejected
from mersalg.engine.fact_values import is_id
from mersalg.engine.live_items import LiveItem, Stated, decode_item
from mersalg.engine.model import Model
from mersalg.engine.slate import reach_of
from mersalg.engine.storage.fact_rows import Rejection
from mersalg.serving import errors
from mersalg.serving.checkout import prepared_for
from mersalg.serving.request_body import read_body
from mersalg.serving.routes.events import EventsAnswer, answer_of, entries_of
from mersalg.serving.security import Reporter, Server
from mersalg.serving.service import Service, TheService

router = APIRouter(tags=["items"])


class _Items(msgspec.Struct):
    items: list[msgspec.Raw]


@dataclass(frozen=True)
class ItemUpdated:
    """`updated_at` is the newest instant as of which something is known of the item."""

    item_id: str
    updated_at: str


@dataclass(frozen=True)
class Offered:
    """Answer to whether an item can be offered at all, beside or instead of something in a cart."""

    cross_sell: bool
    upsell: bool


@dataclass(frozen=True)
class Item:
    """An item as it is offered now; a field is null where nothing is known."""

    item_id: str
    name: str | None
    price: str | None
    currency: str | None
    in_stock: bool
    active: bool
    category: list[str] | None
    family: str | None
    brand: str | None
    cost: str | None
    image_url: str | None
    attributes: dict[str, str]
    updated_at: str | None
    in_model: bool
    offered: Offered
    reasons: list[str]


@router.post("/v1/items", response_model=EventsAnswer)
async def change_items(request: Request, service: TheService, caller: Server) -> Response:
    """Change items; send again what was not answered, what is known already changes nothing.

    Each item is taken or rejected by itself (`invalid`, `out_of_bounds`). `duplicates` counts items
    of which nothing was newer than what is known.
    """
    del caller
    entries = entries_of(await read_body(request), _Items, service.settings.max_events)
    now = clock.now()
    stated: list[Stated] = []
    rejected: list[Rejection] = []
    for index, entry in enumerate(entries):
        try:
            stated.append(decode_item(entry, now))
        except FactRejected as error:
            rejected.append(Rejection(index, error.reason, error.message))
    taken = await take_items(service, stated)
    recorded = sum(item is not None for item in taken)
    return answer_of(EventsAnswer(recorded, len(taken) - recorded, rejected))


@router.put("/v1/items/{item_id:path}")
async def change_item(
    request: Request, service: TheService, caller: Server, item_id: str
) -> ItemUpdated:
    """Change the fields that are named; of each the newest instant counts, whatever comes last."""
    del caller
    try:
        stated = decode_item(await read_body(request), clock.now(), item_id)
    except FactRejected as error:
        raise errors.ApiError(422, error.reason, error.message) from error
    [item] = await take_items(service, [stated])
    if item is None:
        item = await asyncio.to_thread(service.store.live.item, item_id)
    return ItemUpdated(item_id, clock.to_iso(item.updated_at))


@router.get("/v1/items/{item_id:path}")
async def look_at_item(service: TheService, caller: Reporter, item_id: str) -> Item:
    """Return what is known of an item, whether it can be offered, where, and why not."""
    del caller
    stated, model = service.shop.items.get(item_id, LiveItem()), service.live.model
    index = None if model is None else model.catalogue.items.index_of(item_id)
    if index is None and not stated.fields:
        raise errors.ApiError(404, "not_found", "neither the model nor the shop knows the item")
    if model is None or index is None:
        return _unknown(item_id, stated)
    return _known(item_id, stated, model, index, is_paused=service.guard.paused is not None)


@router.delete("/v1/items/{item_id:path}")
async def forget_item(service: TheService, caller: Server, item_id: str) -> ItemUpdated:
    """Return to what the model was trained with; an item that it does not know disappears.

    What is stated as of an earlier instant changes nothing afterwards.
    """
    del caller
    now = clock.now()
    if not item_id or not is_id(item_id):
        raise errors.ApiError(422, "invalid", "item_id is no id of an item")
    await asyncio.to_thread(service.store.live.delete_item, item_id, now)
    await service.shop.follow()
    return ItemUpdated(item_id, clock.to_iso(now))


async def take_items(service: Service, stated: Sequence[Stated]) -> list[LiveItem | None]:
    """Keep what is stated of items; None for each of which nothing was newer."""
    if not stated:
        return []
    model = service.live.model
    prices = _prices(model.catalogue, stated) if model else {}
    taken = await asyncio.to_thread(service.store.live.take, stated, prices)
    await service.shop.follow()
    return taken


def _prices(catalogue: Catalogue, stated: Sequence[Stated]) -> dict[str, str]:
    """Return the present prices of the items of which another one is stated."""
    item_ids = {each.item_id for each in stated if "price" in each.fields}
    places = {item_id: catalogue.items.index_of(item_id) for item_id in item_ids}
    return {
        item_id: price
        for item_id, index in places.items()
        if index is not None
        and (price := _amount(catalogue, catalogue.price_minor.item(index))) is not None
    }


def _amount(catalogue: Catalogue, minor: int) -> str | None:
    return None if minor == UNKNOWN else money.to_text(minor, catalogue.currency)


def _unknown(item_id: str, stated: LiveItem) -> Item:
    """Return an item that no model knows yet."""
    names = ("name", "price", "category", "family", "brand", "cost", "image_url")
    return Item(
        item_id,
        **{name: stated.get(name) for name in names},
        currency=None,
        in_stock=stated.get("in_stock", True),
        active=stated.get("active", True),
        attributes={name: text for name, text in stated.attributes().items() if name != "brand"},
        updated_at=clock.to_iso(stated.updated_at),
        in_model=False,
        offered=Offered(False, False),
        reasons=["no_model"],
    )


def _known(item_id: str, stated: LiveItem, model: Model, place: int, *, is_paused: bool) -> Item:
    catalogue = model.catalogue
    is_sold_out = catalogue.sold_out is not None and bool(catalogue.sold_out[place])
    attributes = {
        name: text for name, table in catalogue.attributes.items() if (text := table[place])
    } | stated.attributes()
    brand = attributes.pop("brand", None)
    category, family = catalogue.category.item(place), catalogue.family.item(place)
    in_model = model.newcomers is None or place < model.newcomers.first
    reach = reach_of(prepared_for(model).recommenders, place, clock.now())
    return Item(
        item_id,
        catalogue.names[place],
        _amount(catalogue, catalogue.price_minor.item(place)),
        catalogue.currency,
        not is_sold_out,
        catalogue.offerable.item(place) or is_sold_out,
        None if category == UNKNOWN else catalogue.category_names[category].split(PATH_SEPARATOR),
        None if family == UNKNOWN else catalogue.family_names[family],
        brand,
        _amount(catalogue, catalogue.cost_minor.item(place)),
        catalogue.image_urls[place] or None if catalogue.image_urls else None,
        attributes,
        clock.to_iso(stated.updated_at) if stated.fields else None,
        in_model,
        Offered(reach.cross_sell and not is_paused, reach.upsell and not is_paused),
        reach.reasons + ["paused"] * is_paused,
    )
