"""`/v1/rules`: pins and blocks of the shop between trainings, on every worker within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from fastapi import APIRouter, Request

from mersalg.engine import clock
from mersalg.engine.errors import ConfigError
from mersalg.engine.fact_values import LONGEST_ID, is_id
from mersalg.engine.live_catalogue import LiveRule, in_force
from mersalg.engine.merchandising.sections import OffersSection, PinSection, ShopRule, shop_rule
from mersalg.engine.merchandising.targets import unknown_names
from mersalg.serving import errors
from mersalg.serving.request_body import read_json
from mersalg.serving.security import Admin, Caller, audited
from mersalg.serving.service import Service, TheService

router = APIRouter(tags=["rules"])

_OF_SHOP_FILE = "shop_file/"
"""Begin of the ids of the shop file's rules."""


@dataclass(frozen=True)
class RuleUpdated:
    """`warnings` name items and categories that the model does not know."""

    rule_id: str
    updated_at: str
    warnings: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class RuleList:
    """All rules, those that come first in force before the others."""

    rules: list[dict[str, object]]


@router.get("/v1/rules")
async def list_rules(service: TheService, caller: Admin) -> RuleList:
    """Return the rules set here, then those of the shop file, which only it changes."""
    del caller
    await service.shop.follow()
    live = in_force(service.shop.rules)
    own = [
        _shown(rule_id, rule.action, rule.section, "api", rule.updated_at)
        for rule_id, rule in live.items()
    ]
    return RuleList([*own, *_of_shop_file(service)])


@router.put("/v1/rules/{rule_id:path}")
async def set_rule(
    request: Request, service: TheService, caller: Admin, rule_id: str
) -> RuleUpdated:
    """Set a rule in place of an earlier one of its id.

    Blocks go before pins, pins before the model; of pins of one position those set here go before
    the shop file's.
    """
    body = await read_json(request)
    given = cast("dict[str, object]", body) if isinstance(body, dict) else {}
    return await put_rule(service, caller, rule_id, given)


async def put_rule(
    service: Service, caller: Caller, rule_id: str, given: dict[str, object]
) -> RuleUpdated:
    """Set a rule from the fields of a body; raises ApiError."""
    _check(rule_id)
    now, action = clock.now(), given.pop("action", None)
    try:
        section = shop_rule(action, given)
    except ConfigError as error:
        problems = cast("list[errors.Problem]", error.details["problems"])
        raise errors.invalid(problems) from error
    fields = section.model_dump(mode="json", exclude_none=True)
    async with audited(service, caller, "set rule", rule_id):
        rule = LiveRule(str(action), fields, now)
        await asyncio.to_thread(service.store.live.put_rule, rule_id, rule)
    await service.shop.follow()
    return RuleUpdated(rule_id, clock.to_iso(now), _warnings(service, section))


@router.delete("/v1/rules/{rule_id:path}")
async def end_rule(service: TheService, caller: Admin, rule_id: str) -> RuleUpdated:
    """End a rule that was set here; those of the shop file end there."""
    _check(rule_id)
    now = clock.now()
    await service.shop.follow()
    if rule_id not in in_force(service.shop.rules):
        raise errors.ApiError(404, "not_found", "no rule of this id is set")
    async with audited(service, caller, "end rule", rule_id):
        ended = LiveRule("", None, now)
        await asyncio.to_thread(service.store.live.put_rule, rule_id, ended)
    await service.shop.follow()
    return RuleUpdated(rule_id, clock.to_iso(now))


def _check(rule_id: str) -> None:
    if not rule_id or not is_id(rule_id):
        problem = f"must be text of at most {LONGEST_ID} characters"
        raise errors.invalid([{"where": "rule_id", "message": problem}])
    if rule_id.startswith(_OF_SHOP_FILE):
        raise errors.ApiError(409, "of_shop_file", "rules of the shop file are changed in it")


def _of_shop_file(service: Service) -> Iterator[dict[str, object]]:
    trained = service.live.trained
    offers = service.shop.offers or (trained.settings.offers if trained else OffersSection())
    for name, rules in (("pin", offers.pins), ("block", offers.blocks)):
        for index, rule in enumerate(rules):
            yield _shown(f"{_OF_SHOP_FILE}{name}s/{index}", name, rule, "shop_file", None)


def _shown(
    rule_id: str, action: str, section: ShopRule, source: str, updated_at: int | None
) -> dict[str, object]:
    fields = section.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    at = None if updated_at is None else clock.to_iso(updated_at)
    return {"rule_id": rule_id, "action": action, **fields, "source": source, "updated_at": at}


def _warnings(service: Service, section: ShopRule) -> list[str]:
    model = service.live.model
    if model is None:
        return []
    is_pin = isinstance(section, PinSection)
    alone = OffersSection(pins=(section,)) if is_pin else OffersSection(blocks=(section,))
    return unknown_names(model.catalogue, alone)
