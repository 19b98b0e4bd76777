"""The typed Python client: written from the OpenAPI document, and driven against a real server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import math
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeAlias

import httpx
import pytest

from mersalg.serving.app import create_app
from mersalg.serving.settings import ServeSettings
from mersalg_client import AsyncClient, Client, RatesQuery, Refused, ServiceError, Unreachable
from mersalg_client.models import Event, SuggestionRequest
from tests.support.client_models import CLIENT, MODELS, client_models
from tests.support.models import tiny_model
from tests.support.postgres import free_port
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import WAIT_SECONDS

KEYS = "server:server-key report:report-key admin:admin-key"
SECRET = "what Shopify signs with"
CART: SuggestionRequest = {
    "checkout_id": "k",
    "session_id": "s",
    "lines": [{"item_id": "phone-64", "quantity": 1}],
}


def view(event_id: str, offer_id: str) -> Event:
    return {
        "type": "view_promotion",
        "event_id": event_id,
        "occurred_at": "2026-03-02T10:00:00+01:00",
        "offer_id": offer_id,
    }


def test_the_types_are_those_of_the_document() -> None:
    assert MODELS.read_text() == client_models(), "run: make client"


def test_every_operation_has_its_method() -> None:
    document = create_app(ServeSettings()).openapi()
    operations = {
        operation["operationId"]: operation
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    more = {"suggest_or_nothing", "close", "send"}
    for kind in (Client, AsyncClient):
        names = {name for name in dir(kind) if not name.startswith("_")}
        assert names - more == set(operations)
    parameters = {each["name"] for each in operations["report_rates"]["parameters"]}
    assert {*RatesQuery.__annotations__, "from"} - {"since"} == parameters


class Waiting:
    """An `AsyncClient` whose methods wait, so that one test serves both clients."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*args, **kwargs)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


Kind: TypeAlias = type[Client]


@pytest.fixture(scope="module", params=[Client, Waiting], ids=["blocking", "asyncio"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, kind: Kind) -> Iterator[Server]:
    del kind  # each client has a service without facts
    folder = tmp_path_factory.mktemp("client")
    publish_model(folder / "models", tiny_model(holdout=0.0))
    environment = {"MERSALG_SHOPIFY_SECRET": SECRET}
    with running_server(folder, keys=KEYS, environment=environment) as server:
        yield server


@pytest.fixture
def shop(server: Server, kind: Kind) -> Iterator[Client]:
    with kind(server.url, "server-key", timeout=WAIT_SECONDS) as client:
        yield client


@pytest.fixture
def admin(server: Server, kind: Kind) -> Iterator[Client]:
    with kind(server.url + "/", "admin-key", timeout=WAIT_SECONDS) as client:
        yield client


def test_a_shop_sells_through_it(shop: Client, admin: Client) -> None:
    answer = shop.suggest(CART)
    assert answer["tracking"] == "recorded"
    offer = next(each for each in answer["offers"] if each["kind"] == "cross_sell")
    assert shop.suggest_or_nothing(CART)["offers"]
    events: list[Event] = [
        view("v", offer["offer_id"]),
        {
            "type": "purchase",
            "event_id": "p",
            "occurred_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
            "checkout_id": "k",
            "transaction_id": "t",
            "currency": "NOK",
            "items": [{"item_id": offer["item_id"], "quantity": 1, "price": "199.00"}],
        },
    ]
    assert shop.record_events(events) == {"recorded": 2, "duplicates": 0, "rejected": []}
    assert shop.record_events(events)["duplicates"] == 2
    rates = admin.report_rates(since="2020-01-01", kind="cross_sell")
    assert rates["from"] == "2020-01-01"
    assert rates["total"]["cross_sell"]["offer"]["numerator"] == 1
    explained = admin.explain_decision(answer["decision_id"], rejected=1)
    assert explained["decision_id"] == answer["decision_id"]
    assert len(explained["explanation"]["rejected"]) <= 1


def test_items_and_rules_are_changed_through_it(shop: Client, admin: Client) -> None:
    assert shop.change_item("glass/1", {"price": "5.00", "family": "glass"})["item_id"] == "glass/1"
    assert admin.look_at_item("glass/1")["price"] == "5.00"
    answer = shop.change_items([{"item_id": "glass/1", "in_stock": False}])
    assert (answer["recorded"], answer["rejected"]) == (1, [])
    assert admin.look_at_item("glass/1")["reasons"] == ["out_of_stock"]
    shop.forget_item("glass/1")
    with pytest.raises(Refused):
        admin.look_at_item("glass/1")
    assert admin.set_rule("a/b", {"action": "block", "item": "buds"})["warnings"] == []
    assert [rule["rule_id"] for rule in admin.list_rules()["rules"]] == ["a/b"]
    assert admin.end_rule("a/b")["rule_id"] == "a/b"
    assert admin.list_rules()["rules"] == []


def test_events_of_other_systems_are_passed_on(shop: Client) -> None:
    ga4 = {"name": "view_promotion", "params": {"promotion_id": "o"}}
    assert shop.from_ga4({"client_id": "1", "events": [ga4]})["recorded"] == 1
    seen = {"type": "track", "event": "Promotion Viewed", "messageId": "m",
            "timestamp": "2026-03-02T10:00:00Z", "properties": {"promotion_id": "o"}}  # fmt: skip
    assert shop.from_segment(seen)["recorded"] == 1
    body = json.dumps({"id": 1}).encode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    assert shop.from_shopify(body, signature=signature, topic="carts/update")["recorded"] == 0
    with pytest.raises(Refused) as refused:
        shop.from_shopify(body, signature="no", topic="orders/paid")
    assert refused.value.code == "unauthorized"


def test_administrators_work_through_it(admin: Client) -> None:
    models = admin.list_models()
    version = models["published"]
    assert version is not None
    assert version == models["serving"]
    assert admin.verify_model(version)["version"] == version
    assert admin.publish_model(version)["serving"] == version
    with pytest.raises(Refused) as refused:
        admin.roll_back()
    assert refused.value.status == 404
    with pytest.raises(Refused):
        admin.publish_model("../models")
    assert admin.export_customer("kåre/øst")["customer_id"] == "kåre/øst"
    assert admin.erase_customer("kåre/øst")["facts"] == 0
    assert admin.list_actions(limit=1)["entries"][0]["action"] == "erase customer"
    assert admin.healthz()["status"] == "ok"
    assert admin.readyz()["model_version"] == version
    assert "mersalg_requests_total" in admin.metrics()


def test_refusals_say_what_the_service_said(server: Server, shop: Client, kind: Kind) -> None:
    with kind(server.url, "unknown") as stranger, pytest.raises(Refused) as refused:
        stranger.suggest(CART)
    assert (refused.value.status, refused.value.code) == (401, "unauthorized")
    with pytest.raises(Refused) as refused:
        shop.suggest({"checkout_id": ""})
    assert refused.value.code == "invalid"
    assert refused.value.details


def test_a_service_that_is_away_or_slow_never_breaks_a_checkout(kind: Kind) -> None:
    with kind(f"http://127.0.0.1:{free_port()}", timeout=WAIT_SECONDS) as client:
        assert client.suggest_or_nothing(CART)["offers"] == []
        with pytest.raises(Unreachable):
            client.suggest(CART)

    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("too slow", request=request)

    with kind("http://x", transport=httpx.MockTransport(slow)) as client:
        assert client.suggest_or_nothing(CART)["tracking"] == "off"


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {}, b"<html>Log in to this network</html>"),
        (200, {}, b'["offers"]'),
        (200, {}, b'{"offers": null}'),
        (302, {"Location": "http://x/"}, b""),
        (200, {"Content-Encoding": "gzip"}, b"x"),
    ],
    ids=["a page", "a list", "no offers", "elsewhere", "broken"],
)
def test_an_answer_of_another_server_offers_nothing(
    status: int, headers: dict[str, str], body: bytes, kind: Kind
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(body)
        return httpx.Response(status, headers=headers, stream=stream, request=request)

    with kind("http://x", transport=httpx.MockTransport(answer)) as client:
        assert client.suggest_or_nothing(CART)["offers"] == []
        with pytest.raises(ServiceError):
            client.suggest(CART)


def test_an_answer_that_trickles_is_not_waited_for(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        enough = threading.Event()

        def trickle() -> None:
            talk, _ = listener.accept()
            with talk, suppress(OSError):
                talk.sendall(b"HTTP/1.1 200 OK\r\nX-Filler: ")
                for _ in range(int(10 * WAIT_SECONDS)):
                    talk.sendall(b"a")
                    if enough.wait(0.1):
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with kind(url, timeout=0.5) as client:
            assert client.suggest_or_nothing(CART)["offers"] == []
            assert thread.is_alive(), "it ended by itself"
            enough.set()
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()


def test_a_cart_that_is_none_breaks_no_checkout(
    caplog: pytest.LogCaptureFixture, kind: Kind
) -> None:
    cart: SuggestionRequest = {
        "checkout_id": "k",
        "lines": [{"item_id": "a", "quantity": math.nan}],
    }
    with kind("http://x") as client:
        assert client.suggest_or_nothing(cart)["offers"] == []
    assert "no suggestions" in caplog.text


def test_it_waits_as_long_as_the_service_asks(monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    answers = [httpx.Response(429, headers={"Retry-After": "3"}), httpx.Response(503)]

    def busy(request: httpx.Request) -> httpx.Response:
        del request
        return answers.pop(0) if answers else httpx.Response(200, json={"recorded": 1})

    with kind("http://x", transport=httpx.MockTransport(busy)) as client:
        assert client.record_events([view("a", "o")])["recorded"] == 1
    assert 3 < slept[0] < 4
    assert slept[1] < 1


def test_events_are_sent_again_until_they_are_answered(server: Server, kind: Kind) -> None:
    arrived: list[bytes] = []
    inner = httpx.HTTPTransport()

    def lossy(request: httpx.Request) -> httpx.Response:
        arrived.append(request.read())
        if len(arrived) == 1:
            return httpx.Response(503, json={})
        answer = inner.handle_request(request)
        answer.read()
        if len(arrived) == 2:
            raise httpx.ReadError("the answer is lost", request=request)
        return httpx.Response(answer.status_code, content=answer.content)

    transport = httpx.MockTransport(lossy)
    sending = kind(server.url, "server-key", timeout=WAIT_SECONDS, transport=transport)
    with inner, sending as client:
        answer = client.record_events([view("lost", "o")])
    assert answer == {"recorded": 0, "duplicates": 1, "rejected": []}
    assert len(arrived) == 3
    assert len(set(arrived)) == 1, "the same events, with the same ids"

    def refusing(request: httpx.Request) -> httpx.Response:
        arrived.append(request.read())
        return httpx.Response(422, text="<html>a proxy's own page</html>")

    arrived.clear()
    transport = httpx.MockTransport(refusing)
    with kind("http://x", transport=transport) as client, pytest.raises(Refused) as refused:
        client.record_events([view("a", "o")])
    assert refused.value.code == "unknown"
    assert len(arrived) == 1, "what is malformed is not sent again"


PROGRAM = """
from mersalg_client import AsyncClient, Client
from mersalg_client.models import SuggestionRequest

cart: SuggestionRequest = {"checkout_id": "k", "lines": [{"item_id": "a"}]}
with Client("http://localhost:8000", "key") as client:
    for offer in client.suggest_or_nothing(cart)["offers"]:
        text: str = offer["text"]
        if offer["kind"] == "upsell":
            base: str = offer["replaces"]["item_id"]
    client.record_events([])

async def count() -> int:
    async with AsyncClient("http://localhost:8000", "key") as client:
        offers = (await client.suggest(cart))["offers"]
        recorded: int = (await client.record_events([], attempts=2))["recorded"]
        return len(offers) + recorded
"""
WRONG = PROGRAM.replace('"item_id": "a"', '"item": "a"')


def test_programs_that_use_it_are_checked_by_its_types(tmp_path: Path) -> None:
    for name, text in (("right", PROGRAM), ("wrong", WRONG)):
        (tmp_path / f"{name}.py").write_text(text)
    settings = {"strict": ["."], "extraPaths": [str(CLIENT)], "pythonVersion": "3.11"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    reported = json.loads(done.stdout)["generalDiagnostics"]
    assert {Path(each["file"]).name for each in reported} == {"wrong.py"}


def test_it_loads_nothing_of_the_server() -> None:
    code = (
        "import sys, mersalg_client;"
        "print({'mersalg', 'fastapi', 'numpy', 'pydantic'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CLIENT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
