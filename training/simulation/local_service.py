"""`mersalg serve` as a process of our own (started, watched, ended), and calls to it."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from mersalg.engine.errors import ConfigError, ServiceFailed
from mersalg.engine.progress import Progress

_START_SECONDS = 60
_STOP_SECONDS = 60
_TIMEOUT_SECONDS = 60.0


class HttpService:
    """The HTTP API of `mersalg serve`; a context manager, safe in several threads."""

    def __init__(self, base_url: str) -> None:
        import httpx

        # A proxy of the user's has no part in calls to this machine.
        self._client = httpx.Client(base_url=base_url, timeout=_TIMEOUT_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def suggest(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer of `POST /v1/suggestions`."""
        answer = self._call("POST", "/v1/suggestions", request)
        if answer["tracking"] == "off":
            # What is not kept cannot be reported, and the truth would be that of other facts.
            raise ServiceFailed("the service could not keep a decision")
        return answer

    def record(self, events: list[dict[str, Any]]) -> None:
        """Record facts; raises where one is rejected."""
        result = self._call("POST", "/v1/events", {"events": events})
        if result["rejected"]:
            raise ServiceFailed(f"the service rejected facts: {result['rejected'][:3]}")

    def get(self, path: str) -> dict[str, Any]:
        """Return the JSON answer of one GET; raises ServiceFailed."""
        return self._call("GET", path)

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        import httpx

        try:
            response = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            what = f"{method} {path} failed: {type(error).__name__}: {error}"
            raise ServiceFailed(what) from error
        if response.status_code != 200:
            raise ServiceFailed(f"{method} {path} answered {response.status_code}: {response.text}")
        return response.json()


def require_http_client() -> None:
    """Raise ConfigError where the HTTP client is not installed."""
    if importlib.util.find_spec("httpx") is None:
        raise ConfigError("simulated shoppers need httpx: pip install 'mersalg[demo]'")


class LocalService:
    """A service on loopback, without keys, with its facts and its log in `folder`.

    A context manager; leaving it ends the process. `url` is known once it is entered.
    """

    def __init__(self, models: Path, folder: Path, *, port: int, progress: Progress) -> None:
        """`port` 0 takes a free one."""
        self.url = ""
        self.log = folder / "serve.log"
        self._models, self._folder, self._port = models, folder, port
        self._progress = progress
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Raise ServiceFailed where it cannot start; the message ends with its last lines."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._progress.task("Starting the service"):
                self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        announced = self._folder / "serve.json"
        command = [
            # -P: a folder named `serving` in the current directory must not be imported instead.
            *(sys.executable, "-P", "-m", "mersalg.serving.cli.main", "serve", "--json"),
            *("--models", str(self._models.resolve())),
            *("--database", f"sqlite:///{(self._folder / 'facts.db').resolve()}"),
            *("--host", "127.0.0.1", "--port", str(self._port)),
            # Nobody waits at a till here, and every decision must be there when it is reported.
            *("--database-deadline-ms", "5000"),
        ]
        # Keys or a database of the user's own shop are none of the demo's business.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MERSALG_")
        }
        with announced.open("wb") as said, self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=log,
                env=environment,
                # Ctrl-C reaches the demo alone, which then ends the service in good order.
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready(announced):
            self.check()
            if time.monotonic() > deadline:
                raise ServiceFailed(
                    f"the service is not ready after {_START_SECONDS} s; its log: {self.log}"
                )
            time.sleep(0.05)

    def _ready(self, announced: Path) -> bool:
        if not self.url:
            try:
                self.url = str(json.loads(announced.read_bytes())["url"])
            except ValueError:
                return False
        try:
            self.get("/readyz")
        except ServiceFailed:
            return False
        return True

    def get(self, path: str) -> dict[str, Any]:
        """Return the JSON answer of one GET; raises ServiceFailed."""
        try:
            with HttpService(self.url) as http:
                return http.get(path)
        except ServiceFailed as error:
            raise ServiceFailed(f"{error}; log: {self.log}") from error

    def check(self) -> None:
        """Raise ServiceFailed where the process has ended."""
        if self._process is not None and self._process.poll() is not None:
            words = self.log.read_text("utf-8", "replace").strip().splitlines()[-3:]
            raise ServiceFailed(
                f"the service ended with exit code {self._process.returncode}; its log is "
                f"{self.log}" + (": " + " | ".join(words) if words else "")
            )

    def wait(self) -> None:
        """Until the process ends by itself, which is an error, or an interrupt comes."""
        while True:
            self.check()
            time.sleep(0.5)

    def stop(self) -> None:
        """Stop the process, in good order if it can."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Its workers are in its session, so the whole group goes.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
