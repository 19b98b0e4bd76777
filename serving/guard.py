"""Pause offers where they cost checkouts: judged now and then, seen by all workers in seconds."""

from __future__ import annotations

import asyncio
import logging
import time

from mersalg.engine import clock
from mersalg.engine.errors import MersalgError
from mersalg.engine.model import Model
from mersalg.engine.storage.store import Store
from mersalg.engine.tracking import guardrail
from mersalg.serving.live_model import LiveModel
from mersalg.serving.metrics import Metrics
from mersalg.serving.reports import Judgement, Reporter

_log = logging.getLogger("mersalg.guard")

_FIRST_SECONDS = 20.0
NOT_VOUCHED = (
    "vouched checkouts alone do not show it, and anybody can make others;"
    " `mersalg guardrail pause` pauses them"
)


class Guard:
    """Judge every `check_seconds`, and look every `poll_seconds` at what others found or decided.

    `paused` says why nothing is offered, or is None; a lost database leaves it as it is. `asked`
    says what a person should look at, or is None.
    """

    def __init__(
        self,
        store: Store,
        live: LiveModel,
        metrics: Metrics,
        *,
        check_seconds: float,
        poll_seconds: float,
    ) -> None:
        self._store, self._live, self._metrics = store, live, metrics
        self._check_seconds, self._poll_seconds = check_seconds, poll_seconds
        self._reporter: Reporter | None = None
        self.paused: str | None = None
        self.asked: str | None = None

    def close(self) -> None:
        """End a judgement under way and wait until its process has ended.

        A process that is just starting would print a traceback if its service ended meanwhile.
        """
        reporter = self._reporter
        if reporter is not None:
            reporter.close()

    async def watch(self) -> None:
        """Judge and follow the state of the guardrail until cancelled."""
        # A judgement takes a core for a while, which a service that starts needs for its buyers.
        first = min(self._check_seconds, _FIRST_SECONDS)
        judged_at = time.monotonic() + first - self._check_seconds
        while True:
            model = self._live.model
            due = time.monotonic() - judged_at >= self._check_seconds
            try:
                if due and model is not None and model.settings.experiment.guardrail:
                    judged_at = time.monotonic()
                    await asyncio.to_thread(self._judge, model)
                self.take(await asyncio.to_thread(guardrail.state_of, self._store))
            except MersalgError as error:
                _log.warning("the guardrail could not be looked at: %s", error.message)
            except Exception:
                # Whatever is wrong with a report, checkouts go on as they did.
                _log.exception("the guardrail could not be looked at")
            await asyncio.sleep(self._poll_seconds)

    def _judge(self, model: Model) -> None:
        experiment = model.settings.experiment
        limits = guardrail.Limits(experiment.max_completion_drop, experiment.guardrail_checkouts)
        address = self._store.address
        if address is None:
            guardrail.check(self._store, model.version, limits, clock.now())
            return
        # It may read all that happened since the model was published.
        reporter = self._reporter = Reporter(address)
        try:
            reporter.judge(Judgement(model.version, limits, clock.now()))
        finally:
            reporter.close()
            self._reporter = None

    def take(self, state: guardrail.State | None) -> None:
        """Have this process follow the stored state."""
        paused = state.paused if state is not None else None
        if paused != self.paused:
            if paused is None:
                _log.warning("offers are made again")
            else:
                _log.error("offers are paused: %s", paused)
        self.paused = paused
        self._metrics.paused.set(paused is not None)
        asked = state.asked if state is not None else None
        if asked is not None and self.asked is None:
            _log.error("offers are not paused, but look at them: %s; %s", asked, NOT_VOUCHED)
        self.asked = asked
        self._metrics.asked.set(asked is not None)
