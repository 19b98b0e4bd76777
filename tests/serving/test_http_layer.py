"""Every answer is named, strict and counted, whatever its route and whoever calls."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from mersalg.serving.http_layer import HttpLayer
from mersalg.serving.ids import new_id
from mersalg.serving.metrics import Metrics, RequestMeter
from tests.support.metrics import metric
from tests.support.servers import publish_model, running_server
from tests.support.waiting import WAIT_SECONDS

CART = {"checkout_id": "k", "lines": [{"item_id": "phone-64"}]}
KEYS = "storefront:front-key-k3y,report:report-key-k3y"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("hot")
    publish_model(folder / "models")
    with running_server(folder) as server, server.client() as client:
        yield client


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/suggestions", CART),
        ("/v1/suggestions", {"lines": []}),
        ("/v1/suggestions", [1]),
        ("/v1/events", {"events": []}),
        ("/v1/events", {"events": 1}),
        ("/no/such", {}),
    ],
)
def test_pages_of_this_machine_are_answered_as_programs_are(
    shop: httpx.Client, path: str, body: object
) -> None:
    program = shop.post(path, json=body)
    page = shop.post(path, json=body, headers={"Origin": "http://localhost"})
    assert program.status_code == page.status_code
    changing = {"date", "x-request-id", "content-length"}
    kept = [
        {name: text for name, text in each.headers.items() if name not in changing}
        for each in (program, page)
    ]
    assert kept[0] == kept[1]
    assert kept[0]["x-content-type-options"] == "nosniff"
    assert program.headers["x-request-id"] != page.headers["x-request-id"]
    assert program.json().keys() == page.json().keys()
    if not program.is_success:
        assert program.json() == page.json()


@pytest.mark.parametrize(
    ("header", "goes_on"),
    [
        ((b"content-length", b"2"), [True, False]),
        ((b"content-length", b"3"), [True, True]),
        ((b"transfer-encoding", b"chunked"), [True, True]),
    ],
)
def test_a_body_ends_with_the_last_byte_that_was_announced(
    header: tuple[bytes, bytes], goes_on: list[bool]
) -> None:
    """The server says so only when it is asked for more, which takes as long as the body."""
    sent: list[Message] = []
    seen: list[bool] = []
    parts = [b"{", b"}"]

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([(await receive())["more_body"] for _ in range(len(parts))])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        return {"type": "http.request", "body": parts.pop(0), "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    layer = HttpLayer(app, meter=RequestMeter(Metrics()), local_only=False)
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [header]}
    asyncio.run(layer(scope, receive, send))
    assert seen == goes_on
    assert ((b"connection", b"close") in sent[0]["headers"]) is goes_on[-1]


@pytest.mark.parametrize("path", ["/v1/suggestions", "/v1/events", "/healthz", "/no/such"])
def test_strangers_are_refused_on_every_route(shop: httpx.Client, path: str) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        [("Host", "localhost"), ("Origin", "http://localhost"), ("Origin", "https://evil.example")],
    ):
        refused = shop.post(path, json=CART, headers=headers)
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "forbidden"
        assert refused.headers["x-frame-options"] == "DENY"


def _counted(shop: httpx.Client, status: int) -> float:
    route = {"method": "POST", "route": "/v1/suggestions"}
    return metric(shop, "mersalg_requests_total", **route, status=str(status))


def test_answers_are_counted_by_route_and_status(shop: httpx.Client) -> None:
    before = _counted(shop, 422), _counted(shop, 200)
    for headers in ({}, {"Origin": "http://localhost"}):
        shop.post("/v1/suggestions", content=b"{", headers=headers)
        shop.post("/v1/suggestions", json=CART, headers=headers)
    assert (_counted(shop, 422), _counted(shop, 200)) == (before[0] + 2, before[1] + 2)


def test_refusals_for_keys_are_strict_too(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    with running_server(tmp_path, keys=KEYS, key="front-key-k3y") as server:
        with server.client() as front:
            assert front.post("/v1/suggestions", json=CART).status_code == 200
        with server.client(key="nobody-knows-this") as stranger:
            refused = stranger.post("/v1/suggestions", json=CART)
        with server.client(key="report-key-k3y") as reporter:
            forbidden = reporter.post("/v1/events", json={"events": []})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.headers["x-frame-options"] == "DENY"
    assert forbidden.status_code == 403


def test_ids_are_drawn_anew_beyond_those_drawn_together() -> None:
    assert len({new_id("off_") for _ in range(1_000)}) == 1_000


def test_methods_nobody_knows_are_one_series(shop: httpx.Client) -> None:
    for number in range(30):
        assert shop.request(f"METHOD{number}", "/v1/suggestions").status_code == 405
        assert shop.request(f"METHOD{number}", f"/no/such/{number}").status_code == 404
    said = shop.get("/metrics").text
    assert "METHOD" not in said
    assert metric(shop, "mersalg_requests_total", method="OTHER", route="/v1/suggestions") == 30


@pytest.mark.parametrize("second", ["localhost", "shop.example", "localhost:1"])
def test_two_hosts_are_refused(shop: httpx.Client, second: str) -> None:
    address = (shop.base_url.host, shop.base_url.port or 80)
    hosts = f"Host: localhost\r\nHost: {second}\r\n"
    asked = f"GET /healthz HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n"
    with socket.create_connection(address, WAIT_SECONDS) as talk:
        talk.sendall(asked.encode())
        answer = b"".join(iter(lambda: talk.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"several Host headers" in answer
