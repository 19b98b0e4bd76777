"""What hostile callers send over a socket: nobody else notices, and nothing of us is told."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import Request
from sqlalchemy import create_engine, inspect

from mersalg.engine import clock
from mersalg.engine.storage.tables import metadata
from mersalg.serving import request_body
from mersalg.serving.errors import ApiError
from mersalg.serving.settings import ServeSettings
from tests.support.commands import run
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import WAIT_SECONDS

SQL = "x'); drop table facts; --"
HTML = '"><script>alert(1)</script>'
LOOK_ALIKE = "phοne-64"  # with a Greek letter
TURNED = "\u202egnp.txt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("abused")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    publish_model(folder / "models", tiny_model(holdout=0.0))
    with running_server(folder, environment={"MERSALG_REPORT_CACHE_SECONDS": "0"}) as server:
        yield server
        assert "Traceback" not in server.said, "whatever was sent, it was no fault of ours"


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def memory_mib(server: Server) -> float:
    """Of the main process and its workers, resident."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            reported = path.read_text().rpartition(")")[2].split()
            if int(reported[2]) == server.process.pid:
                total += int((path.parent / "statm").read_text().split()[1])
        except (OSError, ValueError):
            continue
    return total * 4096 / 2**20


def spoken(server: Server, raw: bytes) -> bytes:
    """All that is answered to raw bytes, and to a last request that has the connection closed."""
    where = urlsplit(server.url)
    address = (where.hostname, where.port or 80)
    answer = b""
    with closing(socket.create_connection(address, WAIT_SECONDS)) as talk:
        with suppress(ConnectionError):  # closed before all was read, as it may be
            talk.sendall(raw + LAST)
        with suppress(ConnectionError):
            while part := talk.recv(65_536):
                answer += part
    return answer


HEAD = b"POST /v1/suggestions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"checkout_id": "k"}'
HIDDEN = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Content-Length: 20\r\nContent-Length: 5\r\n\r\n" + BODY + HIDDEN,
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + b"Content-Length: -1\r\n\r\n" + HIDDEN,
        HEAD + b"Content-Length: 20 20\r\n\r\n" + BODY + HIDDEN,
        HEAD + b"X-A: b\r\n folded: yes\r\nContent-Length: 20\r\n\r\n" + BODY,
        HEAD + b"X-A: b\x00c\r\nContent-Length: 20\r\n\r\n" + BODY,
        HEAD + b"X-A : b\r\nContent-Length: 20\r\n\r\n" + BODY,
        HEAD + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
    ],
    ids=lambda raw: repr(raw[80:120]),
)
def test_requests_that_could_be_read_two_ways_are_not_read_on(server: Server, raw: bytes) -> None:
    answer = spoken(server, raw)
    assert answer.count(b"HTTP/1.1 2") <= 1
    assert b'"versions"' not in answer, "what was hidden behind a request was answered"
    assert b"Traceback" not in answer
    with server.client() as client:
        assert client.get("/healthz").status_code == 200


def test_slow_callers_keep_nobody_waiting(server: Server, client: httpx.Client) -> None:
    where = urlsplit(server.url)
    before = memory_mib(server)
    address = (where.hostname, where.port or 80)
    slow = [socket.create_connection(address, WAIT_SECONDS) for _ in range(200)]
    try:
        for number, talk in enumerate(slow):
            # Half of them never end their headers, the others never their bodies.
            talk.sendall(HEAD if number % 2 else HEAD + b"Content-Length: 20\r\n\r\n{")
        for number in range(50):
            answer = client.post("/v1/suggestions", json={"checkout_id": f"k{number}"})
            assert answer.status_code == 200
            slow[number].sendall(b"X" if number % 2 else b" ")
        assert memory_mib(server) - before < 100
    finally:
        for talk in slow:
            talk.close()
    assert client.get("/healthz").status_code == 200


async def read_slowly(part: bytes, limit: int = 1024) -> None:
    """Reads a body of which only a part ever comes."""
    parts = iter([{"type": "http.request", "body": part, "more_body": True}])

    async def receive() -> Any:
        message = next(parts, None)
        return message if message is not None else await asyncio.Event().wait()

    settings = ServeSettings(body_limit_bytes=limit)
    app = SimpleNamespace(state=SimpleNamespace(settings=settings))
    scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")], "app": app}
    await request_body.read_body(Request(scope, receive))


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "_BODY_SECONDS", 0.05)
    with pytest.raises(ApiError, match="not there within") as refused:
        asyncio.run(read_slowly(b"{"))
    assert refused.value.status == 408


def test_bodies_that_are_half_here_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "_BODY_SECONDS", 0.2)

    async def ask(callers: int) -> list[int]:
        asked = [read_slowly(b" " * 1024) for _ in range(callers)]
        refused = await asyncio.gather(*asked, return_exceptions=True)
        return [each.status for each in refused if isinstance(each, ApiError)]

    for _ in range(2):  # who was refused, and who was not waited for, holds nothing any more
        assert asyncio.run(ask(100)) == [408] * 32 + [429] * 68


def test_carts_of_ten_thousand_lines_are_answered_in_bounded_memory(
    server: Server, client: httpx.Client
) -> None:
    lines = [{"item_id": f"i{number % 7000}", "quantity": 1} for number in range(9_998)]
    cart = {"checkout_id": "k", "lines": [*lines, {"item_id": "phone-64"}, {"item_id": "case-1"}]}
    before = memory_mib(server)
    for _ in range(10):
        answer = client.post("/v1/suggestions", json=cart)
        assert answer.status_code == 200
        assert answer.json()["offers"]
    assert memory_mib(server) - before < 150
    cart["lines"] = [*cart["lines"], {"item_id": "one too many"}]  # type: ignore[misc]
    refused = client.post("/v1/suggestions", json=cart)
    assert refused.status_code == 422
    assert len(refused.content) < 2_000


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"checkout_id": "k", "lines": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"checkout_id": "k", "lines": [{"item_id": "a", "quantity": NaN}]}',
        b'{"checkout_id": "k", "lines": [{"item_id": "a", "quantity": 1e999}]}',
        b'{"checkout_id": "k", "lines": [{"item_id": "a", "quantity": ' + b"9" * 100_000 + b"}]}",
        b'{"checkout_id": "k", "lines": [{"item_id": "a", "quantity": -1}]}',
        b'{"checkout_id": "k", "lines": [{"item_id": "a", "unit_price": "-0.01"}]}',
        b'{"checkout_id": "\xff\xfe"}',
        b'{"checkout_id": "\\ud800"}',
        b'{"checkout_id": "k\\u0000"}',
        b"{" + b'"a":' * 5,
        b"",
    ],
    ids=lambda body: repr(body[:60]),
)
def test_what_is_no_cart_is_refused_in_few_words(client: httpx.Client, body: bytes) -> None:
    for path in ("/v1/suggestions", "/v1/events", "/v1/adapters/ga4"):
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert set(answer.json()) == {"error"}
        assert len(answer.content) < 4_000
        assert b"Traceback" not in answer.content
        assert b".py" not in answer.content


@pytest.mark.parametrize("text", [SQL, HTML, LOOK_ALIKE, TURNED, "'" * 50, "%s%n{0}${x}"])
def test_whatever_a_text_says_it_stays_a_text(
    client: httpx.Client, folder: Path, text: str
) -> None:
    cart = {
        "checkout_id": text,
        "session_id": text,
        "customer_id": text,
        "placement": text,
        "store_id": text,
        "segment": text,
        "lines": [{"item_id": text}, {"item_id": "phone-64"}],
        "exclude_item_ids": [text],
    }
    answer = client.post("/v1/suggestions", json=cart).raise_for_status().json()
    reported = client.get(f"/v1/decisions/{answer['decision_id']}").raise_for_status().json()
    assert (reported["checkout_id"], reported["placement"], reported["segment"]) == (
        text,
        text,
        text,
    )
    assert reported["lines"][0]["item_id"] == text
    offer = answer["offers"][0]
    events = [
        {"type": "view_promotion", "event_id": f"v{text}", "offer_id": offer["offer_id"],
         "occurred_at": clock.to_iso(clock.now())},
        {"type": "purchase", "event_id": f"p{text}", "checkout_id": text, "transaction_id": text,
         "occurred_at": clock.to_iso(clock.now() + 60_000_000), "currency": "NOK",
         "items": [{"item_id": offer["item_id"], "price": "199.00"}, {"item_id": text}]},
    ]  # fmt: skip
    recorded = client.post("/v1/events", json={"events": events}).raise_for_status().json()
    assert recorded["recorded"] == 2
    query = {"by": "placement,segment", "from": "2020-01-01", "to": "2199-01-01"}
    groups = client.get("/v1/reports/rates", params=query).raise_for_status().json()["groups"]
    assert text in {group["key"]["placement"] for group in groups}
    database = folder / "facts.db"
    page = run(
        "report", "--database", database, "--by", "segment", "--format", "html",
        "--from", "2020-01-01", "--to", "2199-01-01",
    )  # fmt: skip
    assert "<script>alert" not in page
    if text == HTML:
        assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in client.get("/dashboard").text
    csv = run("report", "--database", database, "--by", "segment", "--format", "csv")
    assert csv
    engine = create_engine(f"sqlite:///{database}")
    assert {table.name for table in metadata.sorted_tables} - {"fact_ids"} <= {
        *inspect(engine).get_table_names()
    }
    engine.dispose()


def test_a_look_alike_is_another_item(client: httpx.Client) -> None:
    def offered(item_id: str) -> list[str]:
        cart = {"checkout_id": "k", "lines": [{"item_id": item_id}]}
        return [
            offer["kind"] for offer in client.post("/v1/suggestions", json=cart).json()["offers"]
        ]

    assert "upsell" in offered("phone-64")
    assert "upsell" not in offered(LOOK_ALIKE)


HUGE = (
    "1e999999",
    "-1e999999",
    "1e-999999",
    "1e99999999999999999999",
    "0." + "9" * 100_000,
    "9" * 4_000,
)
"""Numbers that no shop sends, as they are and as texts."""


@pytest.mark.parametrize("number", HUGE, ids=lambda number: number[:24])
def test_impossible_numbers_are_refused_in_every_field(client: httpx.Client, number: str) -> None:
    fraction = number == "1e-999999"  # nothing, which a price may be
    for value in (number, f'"{number}"'):
        for field in ("quantity", "unit_price", "discount"):
            cart = f'{{"checkout_id": "k", "lines": [{{"item_id": "a", "{field}": {value}}}]}}'
            answer = client.post("/v1/suggestions", content=cart)
            assert answer.status_code == (200 if fraction and field != "quantity" else 422)
            assert len(answer.content) < 2_000
        event = '{"type": "purchase", "event_id": "e%s", "occurred_at": "2026-03-02T10:00:00Z",'
        event += '"transaction_id": "t", "currency": "NOK", "items": [{"item_id": "a", %s}]}'
        fields = ("quantity", "price", "discount", "tax")
        sent = [event % (field, f'"{field}": {value}') for field in fields]
        answer = client.post("/v1/events", content=f'{{"events": [{", ".join(sent)}]}}')
        assert len(answer.json()["rejected"]) == (1 if fraction else 4)
        assert len(answer.content) < 4_000
        item = f'{{"item_id": "a", "price": {value}, "quantity": {value}}}'
        bought = f'[{{"name": "purchase", "params": {{"transaction_id": "t", "items": [{item}]}}}}]'
        ga4 = f'{{"client_id": "c", "timestamp_micros": {value}, "events": {bought}}}'
        assert client.post("/v1/adapters/ga4", content=ga4).status_code in (200, 422)
    for name in ("from", "level", "holdout", "window", "checkout_days", "bot_decisions_per_hour"):
        answer = client.get("/v1/reports/rates", params={name: number[:5_000]})
        assert answer.status_code in (200, 422), name
        assert len(answer.content) < 30_000


def test_ids_of_thousands_of_digits_are_refused(client: httpx.Client) -> None:
    for field in ("checkout_id", "customer_id", "session_id", "store_id", "segment", "placement"):
        cart = f'{{"checkout_id": "k", "{field}": {"9" * 4_000}}}'
        answer = client.post("/v1/suggestions", content=cart)
        assert answer.status_code == 422
        assert field in answer.json()["error"]["message"]


@pytest.mark.parametrize("field", ["segment", "store_id", "placement"])
@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "a\nb", "a\x7f", "\x9b31m", "z" * 101])
def test_words_a_terminal_would_obey_are_refused(
    client: httpx.Client, field: str, text: str
) -> None:
    answer = client.post("/v1/suggestions", json={"checkout_id": "k", field: text})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["where"] == field


def test_errors_repeat_little_of_what_was_sent(client: httpx.Client) -> None:
    long = "z" * 9_000
    event = {"type": "purchase", "event_id": "e", "transaction_id": "t", "currency": "NOK"}
    event |= {"occurred_at": "2026-03-02T10:00:00Z", "items": [{"item_id": "a", "price": "1"}]}
    answers = [
        client.post("/v1/events", json={"events": [{**event, field: value}]})
        for field, value in (
            ("occurred_at", long), ("type", long), ("event_id", long), ("currency", long),
            ("items", [{"item_id": "a", "price": long}]), ("items", [{"item_id": long}]),
        )
    ]  # fmt: skip
    answers += [
        client.post("/v1/suggestions", json={"checkout_id": "k", field: long})
        for field in ("checkout_id", "mode", "locale", "currency", "consent", "lines")
    ]
    answers += [
        client.get("/v1/reports/rates", params={name: long})
        for name in "from to by kind timezone currency compare watched level".split()
    ]
    answers += [client.get(f"/v1/{path}/{long}") for path in ("decisions", "nowhere")]
    answers += [
        client.post(f"/v1/models/{long}/publish"),
        client.post("/v1/adapters/ga4", json={"client_id": "c", "timestamp_micros": long}),
        client.post("/v1/adapters/segment", json={"type": long, "event": "Order Completed"}),
        client.post("/v1/adapters/segment", json={"type": "track", "event": long, "properties": 1}),
        *(
            client.put(f"/v1/items/{item}", json=body)
            for item, body in (
                *(("case-1", {name: 1}) for name in (long, f"{'y' * 300}{long}")),
                *(
                    ("case-1", {name: long})
                    for name in ("price", "in_stock", "category", "updated_at")
                ),
                ("case-1", {"attributes": {long: 1, "b": [long]}}),
                (long, {"price": "1"}),
            )
        ),
        client.post("/v1/items", json={"items": [{"item_id": long, "price": 1}, {long: 1}]}),
        *(
            client.put(f"/v1/rules/{rule}", json={"action": "pin", **body})
            for rule, body in (
                ("r", {long: 1}),
                ("r", {"item": long}),
                ("r", {"item": "case-1", "until": long}),
                (long, {"item": "case-1"}),
                ("r", {"category": long}),
                ("r", {"action": long}),
            )
        ),
        client.get("/healthz", headers={"Host": long}),
        client.request(long[:5_000].upper(), "/v1/suggestions"),
    ]
    for answer in answers:
        longest = max(map(len, re.findall("[zZ]+", answer.text)), default=0)
        assert longest <= 200, (answer.request.url.path[:40], answer.text[:300])
