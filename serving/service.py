"""Everything the endpoints share, made when the service starts and ended when it stops."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from mersalg.engine.errors import StorageError, StorageUnavailable
from mersalg.engine.model import Model
from mersalg.engine.registry import Registry
from mersalg.engine.storage.questions import BuyerQuery
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.tracking.query import report_settings
from mersalg.serving.addresses import CallerAddresses
from mersalg.serving.alerts import Alerts
from mersalg.serving.audit import KeyGuesses, keep
from mersalg.serving.connections import Connections
from mersalg.serving.explanations import Explainer
from mersalg.serving.graceful_shutdown import end_of
from mersalg.serving.guard import Guard
from mersalg.serving.intake import Deadlines, Intake
from mersalg.serving.known_buyers import KnownBuyers
from mersalg.serving.live_model import LiveModel
from mersalg.serving.live_shop import LiveShop
from mersalg.serving.metrics import Metrics
from mersalg.serving.rate_limits import Labels
from mersalg.serving.reports import Reports
from mersalg.serving.salt import Salt
from mersalg.serving.settings import ServeSettings
from mersalg.serving.spool import Spool
from mersalg.serving.watchdog import HealthCheck, Watchdog

if TYPE_CHECKING:
    from mersalg.serving.tracing import Traces

_log = logging.getLogger("mersalg.service")

_SERVES_AFTER_SECONDS = 0.5
"""Granian has begun to serve so long after the start of the application is over."""
_NOBODY = BuyerQuery("", arm_session_id="")


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running service."""

    settings: ServeSettings
    metrics: Metrics
    store: Store
    registry: Registry
    live: LiveModel
    shop: LiveShop
    intake: Intake
    health_check: HealthCheck
    buyers: KnownBuyers
    reports: Reports
    explainer: Explainer
    guard: Guard
    watchdog: Watchdog
    guesses: KeyGuesses
    labels: Labels
    long_carts: asyncio.Semaphore
    """Held while one is worked on, in a thread: others are answered meanwhile."""
    salt: Salt


def service_of(request: Request) -> Service:
    """Return the service that a request was sent to."""
    return request.app.state.service


async def _service_of(request: Request) -> Service:
    return service_of(request)


TheService = Annotated[Service, Depends(_service_of)]


@asynccontextmanager
async def running(
    settings: ServeSettings, metrics: Metrics, traces: Traces | None = None
) -> AsyncGenerator[Service]:
    """Run the service for as long as the block lasts; leaving it writes all that waits."""
    committing = nullcontext if traces is None else traces.committing
    store = await asyncio.to_thread(open_store, settings.database, committing=committing)
    registry = Registry(settings.models)
    notice = _ShopNotice(store, lambda: live.model)
    spool = Spool(settings.spool_folder, settings.spool_limit_bytes)
    salt = Salt(store, Path(f"{settings.spool_folder}.salt"))
    intake = Intake(
        store,
        spool,
        metrics,
        deadlines=Deadlines(
            database=settings.database_deadline_ms / 1000,
            spool=settings.spool_deadline_ms / 1000,
            events=settings.events_deadline_ms / 1000,
        ),
        batch_facts=settings.batch_facts,
        mended=lambda: (salt.read(), notice.store()),
    )
    shop = LiveShop(store, lambda: live.put_changes_on(), settings.config)
    live = LiveModel(
        registry,
        metrics,
        loaded=lambda _model: _store_settings(notice, intake),
        changed=shop.put_on,
    )
    health_check = HealthCheck(store.ping)
    buyers = KnownBuyers(store.questions.known_buyers)
    reports = Reports(store, settings.report_cache_seconds, store.address)
    explainer = Explainer(
        registry, lambda: live.model, partial(store.questions.known_buyers, trusted=True)
    )
    guard = Guard(
        store,
        live,
        metrics,
        check_seconds=settings.guardrail_seconds,
        poll_seconds=settings.guardrail_poll_seconds,
    )
    watchdog = Watchdog(
        metrics,
        registry,
        live,
        intake,
        spool,
        stuck_seconds=settings.stuck_seconds,
        stopping=settings.stopping,
    )
    alerts = Alerts(
        store,
        guard,
        reports,
        spool,
        Path(f"{settings.spool_folder}.alerts"),
        served=lambda: live.model,
        section=lambda: shop.alerts,
        seconds=settings.alert_seconds,
    )
    connections = Connections(
        settings.port,
        CallerAddresses(settings.trusted_proxies).is_limited,
        metrics,
        maximum=settings.connections,
        of_address=settings.address_connections,
    )
    service = Service(
        settings,
        metrics,
        store,
        registry,
        live,
        shop,
        intake,
        health_check,
        buyers,
        reports,
        explainer,
        guard,
        watchdog,
        KeyGuesses(partial(keep, store, intake)),
        Labels(settings.storefront_labels),
        asyncio.Semaphore(),
        salt,
    )
    available = await asyncio.to_thread(_prepare_database, store, salt, shop)
    await live.reload()
    intake.start(available=available)
    tasks = [
        asyncio.create_task(live.watch(settings.model_poll_seconds)),
        asyncio.create_task(shop.watch(settings.live_poll_seconds)),
        asyncio.create_task(guard.watch()),
        asyncio.create_task(alerts.watch()),
        asyncio.create_task(watchdog.watch()),
        asyncio.create_task(connections.watch()),
    ]
    serves, is_left = threading.Event(), threading.Event()
    asyncio.get_running_loop().call_later(_SERVES_AFTER_SECONDS, serves.set)
    if settings.parent is not None:
        watch = partial(_end_with, settings.parent, settings.stopping, serves, is_left)
        threading.Thread(target=watch, name="mersalg-end", daemon=True).start()
    try:
        yield service
    finally:
        is_left.set()
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(intake.close)
        live.close()
        shop.close()
        health_check.close()
        buyers.close()
        await asyncio.to_thread(guard.close)
        await asyncio.to_thread(reports.close)
        store.close()


def _prepare_database(store: Store, salt: Salt, shop: LiveShop) -> bool:
    """Migrate the schema; return whether the database is there, or to be waited for later."""
    try:
        store.migrate(serving=True)
        salt.read()
        shop.look()
        store.questions.known_buyers([_NOBODY])  # opens a connection before a buyer waits for it
    except StorageUnavailable as error:
        _log.warning("starting without a database: %s", error.message)
        salt.recall()
        return False
    return True


class _ShopNotice:
    """The settings of the served model, stored for reports once for each version."""

    def __init__(self, store: Store, served: Callable[[], Model | None]) -> None:
        self._store, self._served = store, served
        self._stored: str | None = None

    def store(self) -> None:
        """Store the settings; raise StorageError where they must be stored again later."""
        model = self._served()
        if model is None or model.version == self._stored:
            return
        settings = model.settings
        self._store.reports.save_settings(
            report_settings(settings.shop, settings.tracking, settings.experiment)
        )
        self._stored = model.version


def _store_settings(notice: _ShopNotice, intake: Intake) -> None:
    try:
        notice.store()
    except StorageError as error:
        _log.warning("the shop's settings could not be stored yet: %s", error.message)
        intake.replay_soon()


def _end_with(
    parent: int, stopping: Path | None, serves: threading.Event, is_left: threading.Event
) -> None:
    """End this worker if its main process was killed, because it must free the port they share.

    It also ends where the service is to end, but the signal of the main process came while the
    worker was being started. Runs in a thread of its own.
    """
    while not is_left.wait(1):
        if os.getppid() != parent:
            _log.warning("the main process is gone; this worker ends")
        elif stopping is None or not end_of(stopping).exists():
            continue
        if not serves.is_set():
            # Granian waits for ever in a signal that comes before it serves.
            os._exit(0)
        os.kill(os.getpid(), signal.SIGTERM)
        return
