"""The HTTP service as an ASGI application."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from mersalg import __version__
from mersalg.serving import errors, openapi
from mersalg.serving.dashboard import integration, model_pages, offer_pages, pages, rule_changes
from mersalg.serving.http_layer import REQUEST_ID, HttpLayer
from mersalg.serving.keys import KeyRing, KeyWatch
from mersalg.serving.metrics import Metrics, RequestMeter
from mersalg.serving.rate_limits import RateLimits
from mersalg.serving.routes import (
    adapters,
    browser,
    customers,
    decisions,
    events,
    items,
    models,
    operation,
    reports,
    rules,
    suggestions,
)
from mersalg.serving.service import running
from mersalg.serving.settings import ServeSettings

if TYPE_CHECKING:
    from mersalg.serving.tracing import Traces

_API = (adapters, reports, decisions, models, customers, items, rules, operation, browser)
_PAGES = (offer_pages, rule_changes, model_pages, integration, pages)
"""The last one answers what no other page has."""

_YOUNG_OBJECTS = 10_000
"""After how many new objects the collector looks for cycles among them; a few hundred calls."""


def create_app(settings: ServeSettings, traces: Traces | None = None) -> FastAPI:
    """Return the application; database, model and threads are made in its lifespan.

    `traces` are closed with it; None for what the settings say.
    """
    metrics = Metrics()
    if traces is None and settings.traces:
        from mersalg.serving.tracing import Traces  # loads a library that few want

        traces = Traces()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with running(settings, metrics, traces) as service, _watching_keys(app):
            app.state.service = service
            # What lives as long as the process is not looked through for garbage again and again:
            # of a large model that held up all callers for a tenth of a second. Calls leave no
            # cycles behind, so what lives while they are answered is looked through seldom.
            gc.freeze()
            before = gc.get_threshold()
            gc.set_threshold(_YOUNG_OBJECTS, *before[1:])
            yield
            gc.set_threshold(*before)
            gc.unfreeze()
        if traces is not None:
            await asyncio.to_thread(traces.close)

    app = FastAPI(
        title="Mersalg",
        version=__version__,
        summary="Cross-sell and upsell at checkout, and the two rates that say what they earn.",
        lifespan=lifespan,
        docs_url=None,  # the stock page loads its script from a third party
        redoc_url=None,
        # What a generated client calls the operation.
        generate_unique_id_function=lambda route: route.name,
        # A redirect would lose the body of a suggestion call.
        redirect_slashes=False,
        responses={422: {"model": errors.ErrorAnswer}},  # of every operation: see `openapi`
        # The stock spans and logs hold paths, which name customers; `mersalg.serving.tracing` makes
        # ours.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.settings = settings
    app.state.limits = RateLimits(settings)
    app.openapi = openapi.describe(app)  # type: ignore[method-assign]
    errors.install(app)
    # As they are, and first: a router that is included looks each request up several times.
    app.router.routes.extend([*suggestions.router.routes, *events.router.routes])
    for module in (*_API, *_PAGES):
        app.include_router(module.router)
    # The last added is the first to see a request.
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", REQUEST_ID],
            expose_headers=[REQUEST_ID],
        )
    if traces is not None:
        metrics.part_listener = traces.part
    app.add_middleware(
        HttpLayer,
        meter=RequestMeter(metrics),
        local_only=not settings.keys,
        allowed_origins=settings.allowed_origins,
        access_log=settings.access_log,
        traces=traces,
    )
    return app


@asynccontextmanager
async def _watching_keys(app: FastAPI) -> AsyncGenerator[None]:
    """Give `app.state.settings`, by which requests are judged, the keys of a file that changed."""
    settings: ServeSettings = app.state.settings
    watch = KeyWatch(os.environ, settings.keys)
    if not (watch and settings.keys):
        yield
        return

    def take(ring: KeyRing) -> None:
        app.state.settings = app.state.settings.model_copy(update={"keys": ring})

    if watch.look():
        take(watch.ring)
    task = asyncio.create_task(watch.watch(settings.keys_poll_seconds, take))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
