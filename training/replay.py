"""Many visits at once against one service, over HTTP or any other way."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from mersalg.engine.errors import ConfigError, ServiceFailed
from mersalg.engine.progress import Progress, Task
from mersalg.training.shoppers import Behaviour, Visit
from mersalg.training.simulation import Outcome, Service, play
from mersalg.training.truth import Truth

_VISITS_A_BATCH = 20
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay leaves: the truth, every outcome in the order of the visits, its length."""

    truth: Truth
    outcomes: list[Outcome]
    seconds: float


class HttpService:
    """The HTTP API of `mersalg serve`; a context manager, safe in several threads."""

    def __init__(self, base_url: str, *, key: str | None = None) -> None:
        """`key` is one of scope `server`, or None where the service has no keys.

        Raises
        ------
        ConfigError
            The HTTP client is not installed.
        """
        require_http_client()
        import httpx

        # A proxy of the user's has no part in calls to this machine.
        self._client = httpx.Client(
            base_url=base_url,
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )
        self._failures: tuple[type[Exception], ...] = (httpx.HTTPError,)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace
        self._client.close()

    def suggest(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer of `POST /v1/suggestions`."""
        answer = self._post("/v1/suggestions", request)
        if answer["tracking"] == "off":
            # What is not kept cannot be reported, and the truth would be that of other facts.
            raise ServiceFailed("the service could not keep a decision")
        return answer

    def record(self, events: list[dict[str, Any]]) -> None:
        """Record facts; raises where one is rejected."""
        result = self._post("/v1/events", {"events": events})
        if result["rejected"]:
            raise ServiceFailed(f"the service rejected facts: {result['rejected'][:3]}")

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            response = self._client.post(path, json=body)
        except self._failures as error:
            raise ServiceFailed(f"POST {path} failed: {type(error).__name__}: {error}") from error
        if response.status_code != 200:
            raise ServiceFailed(f"POST {path} answered {response.status_code}: {response.text}")
        return response.json()


def require_http_client() -> None:
    """Raise ConfigError where the HTTP client is not installed."""
    if importlib.util.find_spec("httpx") is None:
        raise ConfigError("simulated shoppers need httpx: pip install 'mersalg[demo]'")


def replay(
    visits: Sequence[Visit],
    service: Service,
    behaviour: Behaviour,
    progress: Progress,
    *,
    n_threads: int = 4,
) -> Replay:
    """Play `visits`, several at a time; the outcomes do not depend on how threads take turns.

    Raises
    ------
    ServiceFailed
        The service failed a call or rejected a fact; the replay stops there.
    """
    begun = datetime.now(UTC)
    with progress.task("Shoppers check out", total=len(visits)) as task:
        worker = _Worker(visits, service, behaviour, task)
        with ThreadPoolExecutor(n_threads) as pool, worker:
            for done in [pool.submit(worker.run) for _ in range(n_threads)]:
                done.result()
    outcomes = [outcome for outcome in worker.outcomes if outcome is not None]
    truth = sum((outcome.truth for outcome in outcomes), Truth())
    return Replay(truth, outcomes, (datetime.now(UTC) - begun).total_seconds())


class _Worker:
    """Threads take the next visit from one shared line until it is empty or the block is left."""

    def __init__(
        self, visits: Sequence[Visit], service: Service, behaviour: Behaviour, task: Task
    ) -> None:
        self.outcomes: list[Outcome | None] = [None] * len(visits)
        self._line: Iterator[tuple[int, Visit]] = iter(enumerate(visits))
        self._service, self._behaviour, self._task = service, behaviour, task
        self._lock, self._stopped = threading.Lock(), threading.Event()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """After a failure, or Ctrl-C, the other threads must not play the rest."""
        del kind, error, trace
        self._stopped.set()

    def run(self) -> None:
        try:
            self._run()
        except BaseException:
            self._stopped.set()
            raise

    def _run(self) -> None:
        waiting: list[dict[str, Any]] = []
        n_waiting = 0
        while not self._stopped.is_set():
            with self._lock:
                place, visit = next(self._line, (-1, None))
            if visit is None:
                break
            answer = self._service.suggest(visit.request())
            outcome = play(visit, answer, self._behaviour, datetime.now(UTC))
            self.outcomes[place] = outcome
            waiting += outcome.events
            n_waiting += 1
            if n_waiting == _VISITS_A_BATCH:
                self._service.record(waiting)
                waiting, n_waiting = [], 0
            with self._lock:
                self._task.advance()
        if waiting:
            self._service.record(waiting)
