"""Alerts: a message to a webhook for each problem that needs a person, once while it lasts."""

from __future__ import annotations

import asyncio
import fcntl
import http.client
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, cast

import orjson

from mersalg.engine import clock
from mersalg.engine.config import AlertsSection, ShopSection
from mersalg.engine.errors import AlertNotSent, MersalgError
from mersalg.engine.facts import KINDS
from mersalg.engine.locales import language_of
from mersalg.engine.model import Model
from mersalg.engine.storage.store import Store
from mersalg.engine.tracking.query import ReportQuery
from mersalg.serving.guard import Guard
from mersalg.serving.presentation.glossary import glossary_of
from mersalg.serving.reports import Reports
from mersalg.serving.spool import Spool

_log = logging.getLogger("mersalg.alerts")

_TIMEOUT_SECONDS = 10
_HOUR = 3600
_SECOND = 1_000_000
_DAY = 24 * _HOUR * _SECOND
_HOURLY = ("blocked", "suggestions", "purchases")
_DAYS = 28
"""Of the report whose effects are looked at; facts older than that are not missed."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A problem that needs a person."""

    kind: str
    """`paused`, `asked`, `blocked`, `suggestions`, `purchases`, `spool`, `refused` or `trial`."""
    why: str = ""
    """The reason, where the text of the kind has one."""

    def message(self, shop: ShopSection) -> dict[str, str]:
        """Return the message in the language of the shop; `text` is all of it."""
        glossary = glossary_of(language_of(shop.locale))
        what = glossary.phrase(f"alert_{self.kind}", why=self.why.rstrip("."))
        advice = glossary.phrase(f"alert_{self.kind}_do")
        return {
            "text": f"{shop.name}: {what} {advice}",
            "alert": self.kind,
            "shop": shop.name,
            "what": what,
            "advice": advice,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def send(alert: Alert, shop: ShopSection, alerts: AlertsSection) -> bool:
    """Send an alert; return whether the shop has a webhook to send it to.

    Raises
    ------
    ConfigError
        The webhook is not an address, or names an environment variable that is not set.
    AlertNotSent
        It could not be reached within 10 seconds, or did not answer 2xx.
    """
    address = alerts.address()
    if address is None:
        return False
    request = urllib.request.Request(  # noqa: S310 - address() is http or https
        address,
        orjson.dumps(alert.message(shop)),
        {"Content-Type": "application/json", "User-Agent": "mersalg"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
            return True
    # An address may hold a secret, and some errors repeat it: none of them is handed on.
    except urllib.error.HTTPError as error:
        with error:  # it holds the connection
            reason = f"it answered {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = type(getattr(error, "reason", error)).__name__
    raise AlertNotSent(f"the webhook of [alerts] did not take the message: {reason}")


class Alerts:
    """Looks now and then at what people must hear of, in one of the workers of a machine.

    What has been sent is in a file beside the spool, which the workers share: it is there also
    while the database is not. Effects and missing facts are looked at once an hour, all else every
    `seconds`. `section` returns the `[alerts]` in force, None for those of the model.
    """

    def __init__(
        self,
        store: Store,
        guard: Guard,
        reports: Reports,
        spool: Spool,
        path: Path,
        *,
        served: Callable[[], Model | None],
        section: Callable[[], AlertsSection | None],
        seconds: float,
    ) -> None:
        self._store, self._guard, self._reports, self._spool = store, guard, reports, spool
        self._path, self._served, self._section, self._seconds = path, served, section, seconds

    async def watch(self) -> None:
        """Look and send until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            model = self._served()
            section = self._section() or (model and model.settings.alerts)
            if model is None or section is None or section.webhook is None:
                continue
            try:
                await self.look(model.settings.shop, section)
            except (MersalgError, OSError) as error:
                _log.warning("alerts could not be looked at or sent: %s", error)

    async def look(self, shop: ShopSection, section: AlertsSection) -> None:
        """Look once, and send what is new; nothing where another worker has just looked."""
        with _claimed(self._path, self._seconds) as state:
            if state is None:
                return
            alerts: dict[str, Alert] = {}
            if self._guard.paused is not None:
                alerts["paused"] = Alert("paused", self._guard.paused)
            elif self._guard.asked is not None:
                alerts["asked"] = Alert("asked", self._guard.asked)
            # A moment of a slow database mends itself: facts must wait at two looks.
            state["waits"], waited = self._spool.size() > 0, state.get("waits", False)
            if state["waits"] and waited:
                alerts["spool"] = Alert("spool")
            # An alert of the hour stays as it is until the next look.
            hourly = set(_HOURLY)
            if time.time() - state.get("hour", 0.0) >= min(_HOUR, 60 * self._seconds):
                alerts |= {alert.kind: alert async for alert in self._of_the_hour()}
                state["hour"] = time.time()
                hourly.clear()
            sent = {kind for kind in state.get("sent", ()) if kind in alerts or kind in hourly}
            state["sent"] = sorted(sent)
            for kind in alerts.keys() - sent:
                await asyncio.to_thread(send, alerts[kind], shop, section)
                _log.warning("sent the alert %s", kind)
                state["sent"] = sorted({*state["sent"], kind})

    async def _of_the_hour(self) -> AsyncIterator[Alert]:
        now = clock.now()
        first = datetime.fromtimestamp(now / _SECOND, UTC) - timedelta(days=_DAYS)
        report = await self._reports.rates(ReportQuery(since=first.date()))
        total = cast("dict[str, Any]", report["total"])
        for kind in KINDS:
            effect = total[kind]["incremental"]
            if effect["status"] == "blocked":
                yield Alert("blocked", effect["reason"] or "")
        for name, type_ in (("suggestions", "decision"), ("purchases", "purchase")):
            newest = await asyncio.to_thread(self._store.facts.newest, type_, now - _DAYS * _DAY)
            if newest is not None and newest < now - _DAY:
                yield Alert(name)


@contextmanager
def _claimed(path: Path, seconds: float) -> Generator[dict[str, Any] | None]:
    """Lend what is noted in a file to one worker at a time; None to others, and too soon again."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        state = _read(file)
        if 0 <= time.time() - state.get("at", 0.0) < seconds * 0.9:
            yield None
            return
        state["at"] = time.time()
        try:
            yield state
        finally:
            file.truncate(0)
            file.write(orjson.dumps(state))


def _read(file: IO[bytes]) -> dict[str, Any]:
    file.seek(0)
    try:
        state: object = orjson.loads(file.read())
    except orjson.JSONDecodeError:
        return {}
    return cast("dict[str, Any]", state) if isinstance(state, dict) else {}
