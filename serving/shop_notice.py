"""What reports need to know about the shop, written where the reports will look for it."""

from __future__ import annotations

from collections.abc import Callable

from mersalg.engine.model import Model
from mersalg.engine.storage.store import Store
from mersalg.engine.tracking.query import report_settings


class ShopNotice:
    """Tells the database the settings of the model that is served, once for each version."""

    def __init__(self, store: Store, served: Callable[[], Model | None]) -> None:
        self._store, self._served = store, served
        self._told: str | None = None

    def give(self) -> None:
        """Store the settings of the served model for reports.

        Raises
        ------
        StorageError
            They could not be stored; call again.
        """
        model = self._served()
        if model is None or model.version == self._told:
            return
        settings = model.settings
        self._store.reports.save_settings(
            report_settings(settings.shop, settings.tracking, settings.experiment)
        )
        self._told = model.version
