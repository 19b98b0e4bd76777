"""`/v1/models`: the versions on disk, which one is published, and going back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fastapi import APIRouter, Request

from mersalg.engine.registry import Registry
from mersalg.serving.live_model import load_checked
from mersalg.serving.request_body import decode, read_body
from mersalg.serving.schemas import ModelReference
from mersalg.serving.security import Admin, audited
from mersalg.serving.service import Service, TheService

router = APIRouter(tags=["models"])


@dataclass(frozen=True)
class ModelList:
    """Versions on disk, and which of them is in use.

    `published` is what `models/current.json` names, `serving` the version that answers; `problem`
    says why the two differ.
    """

    published: str | None
    serving: str | None
    problem: str | None
    versions: list[dict[str, object]]


@dataclass(frozen=True)
class Verified:
    """A version on disk that was read, checked against its manifest, and can answer."""

    version: str
    manifest: dict[str, object]


@dataclass(frozen=True)
class Published:
    """Versions that are published and served now; other workers follow within a second."""

    published: str | None
    serving: str | None


@router.get("/v1/models")
async def list_models(service: TheService, caller: Admin) -> ModelList:
    """Return the versions on disk: immutable folders. Publishing one moves a pointer."""
    del caller
    registry, status = service.registry, service.live.status
    versions = await asyncio.to_thread(registry.versions)
    manifests = [manifest.to_json() for manifest in versions]
    return ModelList(registry.current(), status.version, status.problem, manifests)


@router.post("/v1/models")
async def verify_model(request: Request, service: TheService, caller: Admin) -> Verified:
    """Read a version, check every file's SHA-256, and have it answer test carts.

    Trained versions arrive as files: by `mersalg train`, or as a copy of another machine's folder.
    This does not publish one.
    """
    del caller
    version = decode(await read_body(request), ModelReference).version
    return await asyncio.to_thread(_verify, service.registry, version)


@router.post("/v1/models/rollback")
async def roll_back(service: TheService, caller: Admin) -> Published:
    """Go one step back each time; versions that are no longer on disk are skipped."""
    async with audited(service, caller, "roll back"):
        await asyncio.to_thread(service.registry.rollback)
    await service.live.reload()
    return _state(service)


@router.post("/v1/models/{version}/publish")
async def publish_model(service: TheService, caller: Admin, version: str) -> Published:
    """Verify a version and serve it; one that cannot answer is never published."""
    async with audited(service, caller, "publish", version):
        await service.live.publish(version)
    return _state(service)


def _verify(registry: Registry, version: str) -> Verified:
    load_checked(registry, version)
    return Verified(version, registry.manifest(version).to_json())


def _state(service: Service) -> Published:
    return Published(service.registry.current(), service.live.status.version)
