"""`Mersalg`: every call of the HTTP API as a method, with the types of the OpenAPI document.

Needs `pip install 'mersalg[client]'`; imports nothing of the server.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote

import httpx

from mersalg.serving.checkout_token import make_token
from mersalg.serving.client.errors import Refused, Unreachable
from mersalg.serving.client.models import (
    AuditAnswer,
    BatchItem,
    CustomerErasure,
    CustomerExport,
    Event,
    EventsAnswer,
    ExplainedDecision,
    Item,
    ItemUpdate,
    ItemUpdated,
    ModelList,
    Published,
    RuleList,
    RuleUpdated,
    SuggestionRequest,
    SuggestionResponse,
    Verified,
)

_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})
_FIRST_WAIT = 0.2
_SLOW_CALLS = 60.0
"""Seconds for calls that nobody's checkout waits for."""
_LONGEST_WAIT = 10.0
"""Seconds between two attempts, whatever the service asks for."""
_CHECKOUTS = 64
"""Checkouts that may wait at once; while so many hang, the others get nothing, in time."""

_log = logging.getLogger(__name__)


class Mersalg:
    """One service; may be shared by threads, and is closed by `close` or a `with` block.

    In asyncio, `await asyncio.to_thread(client.suggest_or_nothing, cart)`.

    Parameters
    ----------
    url
        Of the service, `https://offers.shop.example`.
    key
        An API key whose scope covers the calls made; none where the service asks for none.
    timeout
        Seconds a suggestion or a batch of events may take.
    transport
        Httpx's own, for those who need another one.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 2.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers=headers, timeout=timeout, transport=transport
        )
        self._timeout = timeout
        self._checkouts = ThreadPoolExecutor(_CHECKOUTS, thread_name_prefix="mersalg")

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """End all connections, without waiting for calls under way."""
        self._checkouts.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    @staticmethod
    def checkout_token(secret: bytes, checkout_id: str, customer_id: str | None = None) -> str:
        """Return a `checkout_token`, with which a page's calls count as those of the shop.

        Make it on the shop's server, where it renders the page; it is valid for 24 hours.
        `secret` is the service's `MERSALG_CHECKOUT_SECRET`.
        """
        return make_token(secret, checkout_id, customer_id)

    def suggest(self, cart: SuggestionRequest) -> SuggestionResponse:
        """Offers for a cart.

        Raises
        ------
        Refused
            The request is malformed, or the key is not let in.
        Unreachable
            No answer, or nothing heard for as long as `timeout`.
        """
        answer = self._json("POST", "/v1/suggestions", body=cart)
        if not isinstance(answer.get("offers"), list):
            raise Unreachable("POST /v1/suggestions: what answered is not the service")
        return cast(SuggestionResponse, answer)

    def suggest_or_nothing(self, cart: SuggestionRequest) -> SuggestionResponse:
        """Return offers for a cart, or an answer without offers.

        It has none where `suggest` fails, for whatever reason, or takes longer than `timeout` in
        all. The reason is in the log.
        """
        try:
            # A thread of its own: looking up a name or an answer that trickles has no other end.
            asked = self._checkouts.submit(self.suggest, cart)
            try:
                return asked.result(self._timeout)
            finally:
                asked.cancel()
        except Exception as error:  # A checkout goes on, whatever was wrong.
            _log.warning("no suggestions: %r", error)
            return {
                "decision_id": "",
                "arm": "treatment",
                "model_version": None,
                "tracking": "off",
                "offers": [],
            }

    def record_events(self, events: Sequence[Event], *, attempts: int = 4) -> EventsAnswer:
        """Tell what became of offers; on disk when this returns.

        Each event needs an `event_id` of its own: it is what lets a batch be sent again after a
        lost answer, which is done up to `attempts` times, and count once.

        Raises
        ------
        Refused
            The batch as a whole, or each of its events, as `details` say; single events are named
            in the answer's `rejected`.
        Unreachable
            No answer to any of the attempts; try later, with the same events.
        """
        body, wait = {"events": list(events)}, _FIRST_WAIT
        for left in range(attempts - 1, -1, -1):
            asked_for = 0.0
            try:
                return cast(EventsAnswer, self._json("POST", "/v1/events", body=body))
            except Unreachable:
                if not left:
                    raise
            except Refused as refusal:
                if not left or refusal.status not in _TRY_AGAIN:
                    raise
                asked_for = refusal.retry_after
            # Many shops that lost their service at once must not come back at once.
            jitter = random.uniform(0.5, 1.5)  # noqa: S311 - no secret hangs on it
            time.sleep(min(asked_for + wait * jitter, _LONGEST_WAIT))
            wait *= 2
        raise ValueError("attempts must be at least 1")

    def from_ga4(self, payload: Mapping[str, Any]) -> EventsAnswer:
        """Events in the words of Google Analytics 4."""
        return cast(EventsAnswer, self._json("POST", "/v1/adapters/ga4", body=payload))

    def from_segment(self, payload: Mapping[str, Any]) -> EventsAnswer:
        """Events in the words of Segment."""
        return cast(EventsAnswer, self._json("POST", "/v1/adapters/segment", body=payload))

    def from_shopify(self, body: bytes, *, signature: str, topic: str) -> EventsAnswer:
        """Pass on a webhook as it came: `signature` and `topic` are its headers' values."""
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Hmac-Sha256": signature,
            "X-Shopify-Topic": topic,
        }
        path = "/v1/adapters/shopify"
        return cast(EventsAnswer, self._json("POST", path, content=body, headers=headers))

    def report_rates(self, **asked: str) -> dict[str, Any]:
        """Both rates; `asked` as the parameters of `GET /v1/reports/rates` (`from` is `since`)."""
        if "since" in asked:
            asked["from"] = asked.pop("since")
        return self._json("GET", "/v1/reports/rates", query=asked)

    def explain_decision(self, decision_id: str, *, rejected: int = 100) -> ExplainedDecision:
        """One decision, its evidence, and up to `rejected` candidates that were not offered."""
        path = f"/v1/decisions/{quote(decision_id, safe='')}"
        return cast(ExplainedDecision, self._json("GET", path, query={"rejected": rejected}))

    def change_items(self, items: Sequence[BatchItem]) -> EventsAnswer:
        """Change up to a thousand items; what is known already changes nothing."""
        return cast(EventsAnswer, self._json("POST", "/v1/items", body={"items": items}))

    def change_item(self, item_id: str, update: ItemUpdate) -> ItemUpdated:
        """Change or add an item; fields that are not named stay as they are."""
        return cast(ItemUpdated, self._json("PUT", _path("items", item_id), body=update))

    def look_at_item(self, item_id: str) -> Item:
        """Return an item as it is offered now, and why it is not."""
        return cast(Item, self._json("GET", _path("items", item_id)))

    def forget_item(self, item_id: str) -> ItemUpdated:
        """Return to what the model was trained with."""
        return cast(ItemUpdated, self._json("DELETE", _path("items", item_id)))

    def list_rules(self) -> RuleList:
        """Return the pins and blocks set here, then those of the shop file."""
        return cast(RuleList, self._json("GET", "/v1/rules"))

    def set_rule(self, rule_id: str, rule: Mapping[str, Any]) -> RuleUpdated:
        """Set a pin or a block, in place of an earlier one of its id."""
        return cast(RuleUpdated, self._json("PUT", _path("rules", rule_id), body=rule))

    def end_rule(self, rule_id: str) -> RuleUpdated:
        """End a pin or a block."""
        return cast(RuleUpdated, self._json("DELETE", _path("rules", rule_id)))

    def list_models(self) -> ModelList:
        """Return the versions on disk, which is published and which is served."""
        return cast(ModelList, self._json("GET", "/v1/models"))

    def verify_model(self, version: str) -> Verified:
        """Check a version that was put into the models folder."""
        return cast(Verified, self._json("POST", "/v1/models", body={"version": version}))

    def publish_model(self, version: str) -> Published:
        """Serve a version from now on; one that cannot answer is Refused."""
        path = f"/v1/models/{quote(version, safe='')}/publish"
        return cast(Published, self._json("POST", path))

    def roll_back(self) -> Published:
        """Serve what was published before."""
        return cast(Published, self._json("POST", "/v1/models/rollback"))

    def export_customer(self, customer_id: str) -> CustomerExport:
        """Return what is stored about one customer."""
        return cast(CustomerExport, self._json("GET", _path("customers", customer_id)))

    def erase_customer(self, customer_id: str) -> CustomerErasure:
        """Cut the tie between a customer and their facts."""
        return cast(CustomerErasure, self._json("DELETE", _path("customers", customer_id)))

    def list_actions(self, *, limit: int = 100) -> AuditAnswer:
        """Return what administrators did, the newest first."""
        return cast(AuditAnswer, self._json("GET", "/v1/audit", query={"limit": limit}))

    def healthz(self) -> dict[str, Any]:
        """Whether the process is alive."""
        return self._json("GET", "/healthz")

    def readyz(self) -> dict[str, Any]:
        """Whether it can suggest; Refused with status 503 where it cannot."""
        return self._json("GET", "/readyz")

    def metrics(self) -> str:
        """In the text format of Prometheus."""
        return self._send("GET", "/metrics", timeout=_SLOW_CALLS).text

    def _json(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        waited = {} if path in ("/v1/suggestions", "/v1/events") else {"timeout": _SLOW_CALLS}
        answer = self._send(method, path, json=body, params=query, **waited, **more)
        try:
            body = answer.json()
        except ValueError as error:
            raise Unreachable(f"{method} {path}: what answered is not the service") from error
        if not isinstance(body, dict):
            raise Unreachable(f"{method} {path}: what answered is not the service")
        return cast(dict[str, Any], body)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise Unreachable(f"{method} {path}: {error!r}") from error
        if answer.is_success:
            return answer
        status, wait = answer.status_code, _seconds(answer.headers.get("Retry-After", ""))
        try:
            error = answer.json()["error"]
            code, message, details = error["code"], error["message"], error["details"]
        except (ValueError, KeyError, TypeError):
            # The answer is not from the service: a proxy in between.
            code, message, details = "unknown", answer.text[:200], None
        raise Refused(status, code, message, details, retry_after=wait)


def _path(things: str, name: str) -> str:
    return f"/v1/{things}/{quote(name, safe='')}"


def _seconds(text: str) -> float:
    """Of a `Retry-After`; 0 where it says none, or a date."""
    return float(text) if text.isascii() and text.isdigit() else 0.0
