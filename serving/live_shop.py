"""Items and rules of the shop as they are now, followed by each worker and put on its model."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mersalg.engine.config import AlertsSection, load_config
from mersalg.engine.durable import Stamp, stamp_of
from mersalg.engine.errors import ConfigError, StorageError
from mersalg.engine.live_catalogue import LiveCatalogue, LiveRule, with_catalogue, with_rules
from mersalg.engine.live_items import LiveItem
from mersalg.engine.merchandising.sections import OffersSection
from mersalg.engine.model import Model
from mersalg.engine.storage.store import Store
from mersalg.serving.process import small_steps

_log = logging.getLogger("mersalg.live")


class LiveShop:
    """Changes since the training, as one process has them.

    `changed` is called in a thread after changes were taken. The `[offers]` and `[alerts]` of a
    `shop_file` are in force whatever the model was trained with; without one, the model's are.
    """

    def __init__(
        self, store: Store, changed: Callable[[], object], shop_file: Path | None = None
    ) -> None:
        self._store, self._changed, self._shop_file = store, changed, shop_file
        self._seen: Stamp = None
        # Of its own: where the database hangs, so may every thread that others share.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mersalg-live")
        self._revision, self._is_away = -1, False
        self._lock = threading.Lock()
        self._on: tuple[Model, LiveCatalogue] | None = None
        self.items: dict[str, LiveItem] = {}
        self.rules: dict[str, LiveRule] = {}
        self.offers: OffersSection | None = None
        self.alerts: AlertsSection | None = None

    async def watch(self, seconds: float) -> None:
        """Take what others changed, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.follow()
            except Exception:
                # Whatever an item says, the model that is served goes on, and so does this.
                _log.exception("changed items and rules could not be taken")

    async def follow(self) -> None:
        """Take what changed; a database that is away is looked at again later."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._follow)

    def close(self) -> None:
        """End the thread that looks, without waiting for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _follow(self) -> None:
        with small_steps():
            if self.look():
                self._changed()

    def look(self) -> bool:
        """Read what changed; return whether anything did."""
        is_other = self._look_at_file()
        return self._look_at_database() or is_other

    def _look_at_file(self) -> bool:
        if self._shop_file is None:
            return False
        stamp = stamp_of(self._shop_file)
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            shop = load_config(self._shop_file)
        except ConfigError as error:
            _log.error("the offers stay as they are: %s", error)
            return False
        self.offers, self.alerts = shop.offers, shop.alerts
        _log.info("offers are made as %s says", self._shop_file)
        return True

    def _look_at_database(self) -> bool:
        try:
            changes = self._store.live.since(self._revision)
        except StorageError as error:
            if not self._is_away:
                _log.warning("items and rules stay as they are: %s", error.message)
            self._is_away = True
            return False
        self._is_away = False
        if changes.revision == self._revision:
            return False
        with self._lock:
            if changes.whole:
                self.items, self.rules, self._on = {}, {}, None
            self.items |= changes.items
            self.rules |= changes.rules
            if self._on is not None:
                self._on[1].take(changes.items)
        self._revision = changes.revision
        return True

    def put_on(self, trained: Model) -> Model:
        """Return a trained model as it is to be served now."""
        with self._lock:
            model = with_rules(trained, self.rules, self.offers)
            if not self.items:
                return model
            if self._on is None or self._on[0] is not trained:
                live = LiveCatalogue(trained.catalogue)
                live.take(self.items)
                self._on = trained, live
            return with_catalogue(model, self._on[1].catalogue())
