"""Everything the endpoints share, made when the service starts and ended when it stops."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext, suppress
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


class Service:
    """The parts of a service, made here and started by `running`."""

    def __init__(self, settings: ServeSettings, metrics: Metrics, store: Store) -> None:
        self.settings, self.metrics, self.store = settings, metrics, store
        self.registry = Registry(settings.models)
        self.spool = Spool(settings.spool_folder, settings.spool_limit_bytes)
        self.salt = Salt(store, Path(f"{settings.spool_folder}.salt"))
        self.intake = Intake(
            store,
            self.spool,
            metrics,
            deadlines=Deadlines(
                database=settings.database_deadline_ms / 1000,
                spool=settings.spool_deadline_ms / 1000,
                events=settings.events_deadline_ms / 1000,
            ),
            batch_facts=settings.batch_facts,
            mended=lambda: (self.salt.read(), self._store_settings()),
        )
        self.shop = LiveShop(store, lambda: self.live.put_changes_on(), settings.config)
        self.live = LiveModel(
            self.registry, metrics, loaded=self._model_loaded, changed=self.shop.put_on
        )
        self.health_check = HealthCheck(store.ping)
        self.buyers = KnownBuyers(store.questions.known_buyers)
        self.reports = Reports(store, settings.report_cache_seconds, store.address)
        self.explainer = Explainer(
            self.registry,
            lambda: self.live.model,
            partial(store.questions.known_buyers, trusted=True),
        )
        self.guard = Guard(
            store,
            self.live,
            metrics,
            check_seconds=settings.guardrail_seconds,
            poll_seconds=settings.guardrail_poll_seconds,
        )
        self.watchdog = Watchdog(
            metrics,
            self.registry,
            self.live,
            self.intake,
            self.spool,
            stuck_seconds=settings.stuck_seconds,
            stopping=settings.stopping,
        )
        self.alerts = Alerts(
            store,
            self.guard,
            self.reports,
            self.spool,
            Path(f"{settings.spool_folder}.alerts"),
            served=lambda: self.live.model,
            section=lambda: self.shop.alerts,
            seconds=settings.alert_seconds,
        )
        self.connections = Connections(
            settings.port,
            CallerAddresses(settings.trusted_proxies).is_limited,
            metrics,
            maximum=settings.connections,
            of_address=settings.address_connections,
        )
        self.guesses = KeyGuesses(partial(keep, store, self.intake))
        self.labels = Labels(settings.storefront_labels)
        self.long_carts = asyncio.Semaphore()
        """Held while one is worked on, in a thread: others are answered meanwhile."""
        self._settings_of: str | None = None
        """Version whose settings are stored for reports."""

    def prepare_database(self) -> bool:
        """Migrate the schema; return whether the database is there, or to be waited for later."""
        try:
            self.store.migrate(serving=True)
            self.salt.read()
            self.shop.look()
            # Opens a connection before a buyer waits for it.
            self.store.questions.known_buyers([_NOBODY])
        except StorageUnavailable as error:
            _log.warning("starting without a database: %s", error.message)
            self.salt.recall()
            return False
        return True

    def _store_settings(self) -> None:
        """Store the settings of the served model, once; StorageError: they must be stored later."""
        model = self.live.model
        if model is None or model.version == self._settings_of:
            return
        settings = model.settings
        self.store.reports.save_settings(
            report_settings(settings.shop, settings.tracking, settings.experiment)
        )
        self._settings_of = model.version

    def _model_loaded(self, _model: Model) -> None:
        try:
            self._store_settings()
        except StorageError as error:
            _log.warning("the shop's settings could not be stored yet: %s", error.message)
            self.intake.replay_soon()


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
    service = Service(settings, metrics, store)
    available = await asyncio.to_thread(service.prepare_database)
    await service.live.reload()
    service.intake.start(available=available)
    watching = (
        service.live.watch(settings.model_poll_seconds),
        service.shop.watch(settings.live_poll_seconds),
        service.guard.watch(),
        service.alerts.watch(),
        service.watchdog.watch(),
        service.connections.watch(),
    )
    tasks = [asyncio.create_task(each) for each in watching]
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
        await asyncio.to_thread(service.intake.close)
        for part in (service.live, service.shop, service.health_check, service.buyers):
            part.close()
        await asyncio.to_thread(service.guard.close)
        await asyncio.to_thread(service.reports.close)
        store.close()


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
