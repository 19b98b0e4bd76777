"""The model being served: loaded in a thread, watched on disk, swapped in one step."""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from mersalg.engine.durable import Stamp, stamp_of
from mersalg.engine.errors import ModelCorrupt, ModelError, ModelNotFound
from mersalg.engine.forgotten import Forgotten
from mersalg.engine.model import Model
from mersalg.engine.registry import Registry
from mersalg.serving.answers import answer_json, display_of
from mersalg.serving.checkout import decide
from mersalg.serving.metrics import Metrics
from mersalg.serving.process import give_back, small_steps
from mersalg.serving.schemas import RequestLine, SuggestionRequest

_log = logging.getLogger("mersalg.model")

_CHECKED_ITEMS = 3
_REPORT_SECONDS = 1.0
_CHECKED_AFTER = 3
"""Failed calls after which the files of a model are looked at again."""
_Seen = tuple[Stamp, Stamp]
"""The pointer to the published version, and the list of erased customers."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """`version` is served (None: none yet); `problem` says why the published one is not."""

    version: str | None
    problem: str | None


class LiveModel:
    """Holds the reference that requests read; a version that fails leaves it as it was.

    `loaded` is called in a thread with each model once it is served, and waited for a second at
    most. `changed` returns a model with all that the shop has changed since its training.
    """

    def __init__(
        self,
        registry: Registry,
        metrics: Metrics,
        *,
        loaded: Callable[[Model], None],
        changed: Callable[[Model], Model] = lambda trained: trained,
    ) -> None:
        self._registry, self._metrics, self._loaded = registry, metrics, loaded
        self._changed, self._changing = changed, threading.Lock()
        self._trained: Model | None = None
        self._pointer = registry.root / "current.json"
        self._forgotten = Forgotten(registry.root)
        self._seen: _Seen = (None, None)
        self._reloading = asyncio.Lock()
        # Of its own: where the database hangs, so may every thread that others share.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mersalg-model")
        self._ready: tuple[Model, Stamp] | None = None
        self._failing = ""
        self._n_failed, self._logged = 0, set[tuple[str, int]]()
        self._checking: asyncio.Task[None] | None = None
        self.model: Model | None = None
        self.status = ModelStatus(None, "no model was published yet")

    async def publish(self, version: str) -> None:
        """Publish a version and serve it; it is read once for both.

        Raises ModelError: it cannot be served; what was published before stays.
        """
        await self._in_turn(partial(self._publish, version))
        await self.reload()

    async def reload(self) -> None:
        """Take the published version now, if it is another one than that served."""
        await self._tell(await self._in_turn(self._reload))

    async def _in_turn(self, work: Callable[[], Model | None]) -> Model | None:
        """Do one thing with versions at a time, in their thread."""
        async with self._reloading:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, work)

    async def _tell(self, taken: Model | None) -> None:
        if taken is None:
            return
        report = asyncio.get_running_loop().run_in_executor(None, self._loaded, taken)
        done, _ = await asyncio.wait((report,), timeout=_REPORT_SECONDS)
        if done:
            report.result()

    def note_failure(self, model: Model | None, error: Exception) -> None:
        """Note that a call to a model failed; after a few, its files are verified once.

        Each place that raises is logged once for a model; the metric counts every call.
        """
        version = model.version if model is not None else ""
        if version != self._failing:
            self._failing, self._n_failed = version, 0
            self._logged.clear()
        self._n_failed += 1
        innermost = traceback.extract_tb(error.__traceback__)[-1]
        raised_at = (innermost.filename, innermost.lineno or 0)
        if raised_at not in self._logged:
            self._logged.add(raised_at)
            _log.error("no suggestions could be made", exc_info=error)
        if model is not None and self._n_failed == _CHECKED_AFTER:
            self._checking = asyncio.create_task(self._check(model))

    async def _check(self, model: Model) -> None:
        await self._tell(await self._in_turn(partial(self._verified, model)))

    def _verified(self, model: Model) -> Model | None:
        """Return what is served instead of a model whose files were damaged in place, else None."""
        if self.model is None or model.version != self.model.version:
            return None
        try:
            self._registry.verify(model.version)
        except ModelError as error:
            self._metrics.model_failures.inc()
            self._serve(self._earlier())
            self._set_status(self.model, error.message)
            _log.error("%s; serving %s", error.message, self.status.version or "no model")
            return self.model
        _log.error("the files of model %s are as written; the fault is Mersalg's", model.version)
        return None

    async def watch(self, seconds: float) -> None:
        """Look at the files and reload where one changed, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            if self._look() == self._seen:
                continue
            try:
                await self.reload()
            except Exception:
                # Whatever a broken version does, the one being served goes on, and so does this.
                _log.exception("a published version could not be looked at")

    def close(self) -> None:
        """End the thread that reads versions, without waiting for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _publish(self, version: str) -> None:
        erased = stamp_of(self._forgotten.path)
        model = load_checked(self._registry, version)
        with small_steps():
            self._registry.publish(version)
        self._ready = (model, erased)

    def _look(self) -> _Seen:
        return stamp_of(self._pointer), stamp_of(self._forgotten.path)

    def _reload(self) -> Model | None:
        """Return the model that is served from now on; None where it is that of before."""
        before, self._seen = self._seen, self._look()
        ready, self._ready = self._ready, None
        try:
            version = self._registry.current()
            if version is None:
                raise ModelNotFound("no model was published yet")
            erased = before[1] != self._seen[1]
            if self.model is not None and self.model.version == version and not erased:
                self._set_status(self.model, None)
                return None
            problem = None
            if ready is not None and (ready[0].version, ready[1]) == (version, self._seen[1]):
                model = ready[0]
            else:
                model = load_checked(self._registry, version)
        except ModelError as error:
            problem = error.message
            if not isinstance(error, ModelNotFound):
                self._metrics.model_failures.inc()
            model = self._earlier() if self.model is None else None
            self._set_status(model or self.model, problem)
            _log.warning("%s; serving %s", problem, self.status.version or "no model")
            if model is None:
                return None
        self._serve(model)
        self._set_status(model, problem)
        self._metrics.serving(model.version)
        _log.info("serving model %s (%d items)", model.version, len(model.catalogue))
        return model

    @property
    def trained(self) -> Model | None:
        """The model that is served, as it was trained."""
        return self._trained

    def put_changes_on(self) -> None:
        """Serve what the shop changed since, of the version that is served."""
        with self._changing:
            if self._trained is not None:
                self.model = self._changed(self._trained)

    def _serve(self, trained: Model | None) -> None:
        with self._changing:
            self._trained = trained
            self.model = None if trained is None else self._changed(trained)

    def _set_status(self, served: Model | None, problem: str | None) -> None:
        """Say what is served, and why it is not all that was published."""
        if problem is None:
            try:
                self._forgotten.hashes()
            except ModelError as error:
                problem = f"no customer is remembered: {error.message}"
        self.status = ModelStatus(served.version if served else None, problem)
        self._metrics.model_problem.set(problem is not None)

    def _earlier(self) -> Model | None:
        """Return the last published version that can be served: a new process has no old model."""
        try:
            earlier = self._registry.earlier()
        except ModelError:
            return None
        for version in earlier:
            try:
                return load_checked(self._registry, version)
            except ModelError as error:
                _log.warning("nor can the one before be served: %s", error.message)
        return None


def load_checked(registry: Registry, version: str) -> Model:
    """Read a version and have it answer, without making other threads wait.

    Raises ModelError: as `Registry.load`, or it cannot answer.
    """
    with small_steps():
        model = registry.load(version)
        check_answers(model)
        give_back()  # what it took to read and check it
    return model


def check_answers(model: Model) -> None:
    """Answer a few carts as the API would, before a buyer's cart is the first.

    Raises ModelCorrupt: the model cannot answer.
    """
    ids = [
        model.catalogue.items[index] for index in range(min(_CHECKED_ITEMS, len(model.catalogue)))
    ]
    for lines in ((), tuple(RequestLine(item_id) for item_id in ids)):
        request = SuggestionRequest("self-check", lines=lines)
        try:
            decision = decide(model, request, holdout=False)
            answer_json(decision, "off", display_of(model, request, decision))
        except Exception as error:
            _log.exception("model %s failed its self-check", model.version)
            raise ModelCorrupt(f"model {model.version} failed its self-check: {error!r}") from error
