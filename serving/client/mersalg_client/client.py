"""`Client` and `AsyncClient`: each operation of the HTTP API is a method.

An operation is written once, in `_Operations`, as a function that builds a `Call`. The two clients
differ in how they send it and wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Self, TypedDict, TypeVar, Unpack, overload
from urllib.parse import quote

import httpx

from mersalg_client import models
from mersalg_client.calls import Call
from mersalg_client.errors import ServiceError

_CHECKOUTS = 64
"""Checkouts that may wait at once; while so many hang, further ones have no offers, in time."""

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class RatesQuery(TypedDict, total=False):
    """Parameters of `GET /v1/reports/rates`; `since` is its `from`."""

    since: str
    to: str
    by: str
    kind: str
    timezone: str
    currency: str
    impressions: str
    window: str
    level: str
    compare: str
    watched: str
    adjusted: str


class _Operation(Generic[P, T]):
    """A method that sends the call that `build` returns."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self.build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Client | AsyncClient | None, owner: type) -> object:
        if client is None:
            return self
        send = client.send

        def method(*args: P.args, **kwargs: P.kwargs) -> object:
            return send(self.build(*args, **kwargs))

        return update_wrapper(method, self.build)


class _Operations:
    """The operations of the HTTP API.

    Each raises `Refused` where the request is malformed or the key has not its scope, and
    `Unreachable` where no answer arrives in time.
    """

    @_Operation
    @staticmethod
    def suggest(cart: models.SuggestionRequest) -> Call[models.SuggestionResponse]:
        """Return offers for a cart."""
        return Call("POST", "/v1/suggestions", cart, timeout=None)

    @_Operation
    @staticmethod
    def record_events(
        events: Sequence[models.Event], *, attempts: int = 4
    ) -> Call[models.EventsAnswer]:
        """Record what became of offers; the facts are on disk when this returns.

        Each event needs an `event_id` of its own: by it a batch whose answer was lost is sent
        again, up to `attempts` times in all, and counts once. Refused means that the whole batch or
        each of its events was; single events are named in the answer's `rejected`.
        """
        body = {"events": list(events)}
        return Call("POST", "/v1/events", body, timeout=None, attempts=attempts)

    @_Operation
    @staticmethod
    def from_ga4(payload: Mapping[str, Any]) -> Call[models.EventsAnswer]:
        """Record events in the format of Google Analytics 4."""
        return Call("POST", "/v1/adapters/ga4", payload)

    @_Operation
    @staticmethod
    def from_segment(payload: Mapping[str, Any]) -> Call[models.EventsAnswer]:
        """Record events in the format of Segment."""
        return Call("POST", "/v1/adapters/segment", payload)

    @_Operation
    @staticmethod
    def from_shopify(body: bytes, *, signature: str, topic: str) -> Call[models.EventsAnswer]:
        """Pass on a webhook as it came: `signature` and `topic` are its headers' values."""
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Hmac-Sha256": signature,
            "X-Shopify-Topic": topic,
        }
        return Call("POST", "/v1/adapters/shopify", content=body, headers=headers)

    @_Operation
    @staticmethod
    def report_rates(**query: Unpack[RatesQuery]) -> Call[dict[str, Any]]:
        """Return the cross-sell rate and the upsell rate, in total and by group."""
        names = {("from" if name == "since" else name): value for name, value in query.items()}
        return Call("GET", "/v1/reports/rates", query=names)

    @_Operation
    @staticmethod
    def explain_decision(
        decision_id: str, *, rejected: int = 100
    ) -> Call[models.ExplainedDecision]:
        """Return a decision, its evidence, and up to `rejected` candidates that lost."""
        return Call("GET", _path("decisions", decision_id), query={"rejected": rejected})

    @_Operation
    @staticmethod
    def change_items(items: Sequence[models.BatchItem]) -> Call[models.EventsAnswer]:
        """Change up to a thousand items; an item in which nothing is newer is a duplicate."""
        return Call("POST", "/v1/items", {"items": list(items)})

    @_Operation
    @staticmethod
    def change_item(item_id: str, update: models.ItemUpdate) -> Call[models.ItemUpdated]:
        """Change or add an item; fields that are not named stay as they are."""
        return Call("PUT", _path("items", item_id), update)

    @_Operation
    @staticmethod
    def look_at_item(item_id: str) -> Call[models.Item]:
        """Return an item as it is offered now, and the reasons why it is not."""
        return Call("GET", _path("items", item_id))

    @_Operation
    @staticmethod
    def forget_item(item_id: str) -> Call[models.ItemUpdated]:
        """Return an item to what the model was trained with."""
        return Call("DELETE", _path("items", item_id))

    @_Operation
    @staticmethod
    def list_rules() -> Call[models.RuleList]:
        """Return the pins and blocks set by the API, then those of the shop file."""
        return Call("GET", "/v1/rules")

    @_Operation
    @staticmethod
    def set_rule(rule_id: str, rule: models.Rule) -> Call[models.RuleUpdated]:
        """Set a pin or a block, in place of an earlier one of its id."""
        return Call("PUT", _path("rules", rule_id), rule)

    @_Operation
    @staticmethod
    def end_rule(rule_id: str) -> Call[models.RuleUpdated]:
        """End a pin or a block."""
        return Call("DELETE", _path("rules", rule_id))

    @_Operation
    @staticmethod
    def list_models() -> Call[models.ModelList]:
        """Return the versions on disk, and which is published and which is served."""
        return Call("GET", "/v1/models")

    @_Operation
    @staticmethod
    def verify_model(version: str) -> Call[models.Verified]:
        """Check a version that was put into the models folder."""
        return Call("POST", "/v1/models", {"version": version})

    @_Operation
    @staticmethod
    def publish_model(version: str) -> Call[models.Published]:
        """Serve a version from now on; one that cannot answer is Refused."""
        return Call("POST", f"{_path('models', version)}/publish")

    @_Operation
    @staticmethod
    def roll_back() -> Call[models.Published]:
        """Serve the version that was published before."""
        return Call("POST", "/v1/models/rollback")

    @_Operation
    @staticmethod
    def export_customer(customer_id: str) -> Call[models.CustomerExport]:
        """Return what is stored about a customer."""
        return Call("GET", _path("customers", customer_id))

    @_Operation
    @staticmethod
    def erase_customer(customer_id: str) -> Call[models.CustomerErasure]:
        """Cut the tie between a customer and their facts."""
        return Call("DELETE", _path("customers", customer_id))

    @_Operation
    @staticmethod
    def list_actions(*, limit: int = 100) -> Call[models.AuditAnswer]:
        """Return what administrators did, the newest first."""
        return Call("GET", "/v1/audit", query={"limit": limit})

    @_Operation
    @staticmethod
    def healthz() -> Call[dict[str, Any]]:
        """Return whether the process is alive."""
        return Call("GET", "/healthz")

    @_Operation
    @staticmethod
    def readyz() -> Call[dict[str, Any]]:
        """Return whether the service can suggest; Refused with status 503 where it cannot."""
        return Call("GET", "/readyz")

    @_Operation
    @staticmethod
    def metrics() -> Call[str]:
        """Return the metrics in the text format of Prometheus."""
        return Call("GET", "/metrics", as_text=True)


class Client(_Operations):
    """A service, for programs that block; threads may share a client.

    It is closed by `close` or a `with` block.

    Parameters
    ----------
    url
        Address of the service, such as `https://offers.shop.example`.
    key
        API key whose scope covers the calls made; None where the service has no keys.
    timeout
        Seconds that a suggestion or a batch of events may take.
    transport
        Transport of httpx, in place of its default.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 2.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(transport=transport, **_settings(url, key, timeout))
        self._timeout = timeout
        self._checkouts = ThreadPoolExecutor(_CHECKOUTS, thread_name_prefix="mersalg")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, without waiting for calls under way."""
        self._checkouts.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    def suggest_or_nothing(self, cart: models.SuggestionRequest) -> models.SuggestionResponse:
        """Return offers for a cart, or an answer without offers.

        It has none where `suggest` fails for any reason, or takes longer than `timeout` in all.
        The reason is logged.
        """
        try:
            # In a thread, because a name that is looked up and an answer that trickles have no
            # other end.
            waiting = self._checkouts.submit(self.suggest, cart)
            try:
                return waiting.result(self._timeout)
            finally:
                waiting.cancel()
        except Exception as error:  # A checkout goes on, whatever was wrong.
            return _nothing(error)

    def send(self, call: Call[T]) -> T:
        """Return the answer to a call."""
        for attempt in range(1, call.attempts + 1):
            try:
                return call.answer(self._http.request(**call.request()))
            except (httpx.HTTPError, ServiceError) as error:
                wait = call.wait_after(error, attempt)
            time.sleep(wait)
        raise ValueError("attempts must be at least 1")


class AsyncClient(_Operations):
    """A service, for programs on asyncio; tasks may share a client.

    It is closed by `close` or an `async with` block. The parameters are those of `Client`.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 2.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(transport=transport, **_settings(url, key, timeout))
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def suggest_or_nothing(self, cart: models.SuggestionRequest) -> models.SuggestionResponse:
        """Return offers for a cart, or an answer without offers, as `Client` does."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self.suggest(cart)
        except Exception as error:  # A checkout goes on, whatever was wrong.
            return _nothing(error)

    async def send(self, call: Call[T]) -> T:
        """Return the answer to a call."""
        for attempt in range(1, call.attempts + 1):
            try:
                return call.answer(await self._http.request(**call.request()))
            except (httpx.HTTPError, ServiceError) as error:
                wait = call.wait_after(error, attempt)
            await asyncio.sleep(wait)
        raise ValueError("attempts must be at least 1")


def _settings(url: str, key: str | None, timeout: float) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {"base_url": url.rstrip("/"), "headers": headers, "timeout": timeout}


def _path(collection: str, name: str) -> str:
    return f"/v1/{collection}/{quote(name, safe='')}"


def _nothing(error: Exception) -> models.SuggestionResponse:
    _log.warning("no suggestions: %r", error)
    return {
        "decision_id": "",
        "arm": "treatment",
        "model_version": None,
        "tracking": "off",
        "offers": [],
    }
