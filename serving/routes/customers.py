"""`/v1/customers/{id}`: what is kept about one customer, and forgetting it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from mersalg.engine.customers import Remembered, erase_everywhere, remembered
from mersalg.engine.fact_bodies import pack
from mersalg.serving.security import Admin, audited
from mersalg.serving.service import Service, TheService

router = APIRouter(tags=["customers"])


@dataclass(frozen=True)
class CustomerExport:
    """All that an erasure touches; ids of people are the pseudonyms that are stored.

    `facts`, in the schema of events, name the customer or are of their sessions and name nobody;
    `remembered` are the orders that the model served knows of them, `units` the names under which
    roll-ups count them, `set_aside` records that could not be stored and name them.
    """

    customer_id: str
    facts: list[dict[str, object]]
    remembered: Remembered | None
    units: list[str]
    set_aside: list[str]


@dataclass(frozen=True)
class CustomerErasure:
    """`facts` counts the facts that no longer lead to the customer."""

    customer_id: str
    facts: int


@router.get("/v1/customers/{customer_id:path}", response_model=CustomerExport)
async def export_customer(service: TheService, caller: Admin, customer_id: str) -> Response:
    """Return the customer's facts, decisions with their evidence, and what the model remembers."""

    def collect() -> bytes:
        people = service.store.people
        export = CustomerExport(
            customer_id,
            [orjson.loads(pack(fact)) for fact in people.facts(customer_id)],
            remembered(customer_id, service.live.model),
            people.units(customer_id),
            service.intake.set_aside(customer_id),
        )
        return orjson.dumps(export)

    async with audited(service, caller, "export customer", await _named(service, customer_id)):
        await service.intake.settle()
        body = await asyncio.to_thread(collect)
    return Response(body, media_type="application/json")


@router.delete("/v1/customers/{customer_id:path}")
async def erase_customer(service: TheService, caller: Admin, customer_id: str) -> CustomerErasure:
    """Put the facts under a random pseudonym that nobody can derive, so that no rate changes.

    Facts that wait in the spool are written to the database before; 503 where that is not possible
    now. The models forget the customer: in this process at once, in others within seconds.
    """
    root = service.registry.root
    async with audited(service, caller, "erase customer", await _named(service, customer_id)):
        await service.intake.settle()
        touched = await asyncio.to_thread(erase_everywhere, customer_id, service.store, root)
        await asyncio.to_thread(service.intake.forget, customer_id)
    service.buyers.forget_purchases([customer_id])
    await service.live.reload()
    return CustomerErasure(customer_id, touched)


async def _named(service: Service, customer_id: str) -> str:
    """Return the customer's pseudonym, as facts name them."""
    return await asyncio.to_thread(service.store.people.pseudonym_of, customer_id)
