"""How often one key or one address may call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.storage.audit import AuditEntry
from mersalg.serving.app import create_app
from mersalg.serving.audit import KeyGuesses
from mersalg.serving.metrics import Metrics
from mersalg.serving.rate_limits import RateLimits, TokenBuckets
from mersalg.serving.settings import ServeSettings, load_settings
from tests.support.servers import Server, publish_model, running_server


@given(
    st.lists(st.floats(0, 10), max_size=200),
    st.floats(0.1, 50),
    st.integers(1, 20),
)
def test_no_more_than_the_burst_and_what_came_back_gets_through(
    gaps: list[float], rate: float, burst: int
) -> None:
    buckets, now, taken = TokenBuckets(rate, burst), 0.0, 0
    for gap in gaps:
        now += gap
        waited = buckets.take("a", now)
        taken += waited == 0
        if waited:
            assert buckets.wait("a", now + waited + 1e-6) == 0
    assert taken <= burst + now * rate + 1e-6
    assert buckets.take("another", now) == 0


def test_callers_beyond_what_is_remembered_are_forgotten() -> None:
    buckets = TokenBuckets(1, 1, most=100)
    for number in range(10_000):
        assert buckets.take(number, 0.0) == 0
    assert len(buckets) == 100
    assert buckets.take(9_999, 0.0) > 0


def test_a_rate_of_nothing_sets_no_limit() -> None:
    buckets = TokenBuckets(0, 1)
    assert [buckets.take("a", 0.0) for _ in range(1_000)] == [0.0] * 1_000
    assert len(buckets) == 0


KEYS = "storefront:front-key server:server-key report:report-key"


def called(
    app: FastAPI, n: int, *, key: str, address: str = "192.0.2.9", **headers: str
) -> list[int]:
    """Statuses of `n` calls that end before they need anything of the service but its clocks."""

    async def run() -> list[int]:
        transport = httpx.ASGITransport(app, client=(address, 1), raise_app_exceptions=False)
        sent = {"Authorization": f"Bearer {key}", **headers}
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return [
                # Malformed on purpose: what is asked here is who is let in.
                (await client.post("/v1/suggestions", content=b"[", headers=sent)).status_code
                for _ in range(n)
            ]

    return asyncio.run(run())


def an_app(**settings: object) -> FastAPI:
    app = create_app(load_settings({"MERSALG_KEYS": KEYS}, **settings))
    noted: list[AuditEntry] = []

    async def note(entry: AuditEntry) -> None:
        noted.append(entry)

    guesses = KeyGuesses(note)
    app.state.service = SimpleNamespace(metrics=Metrics(), guesses=guesses, noted=noted)
    return app


def test_a_key_and_an_address_are_limited_apart() -> None:
    app = an_app(address_rate=2)
    statuses = called(app, 8, key="front-key")
    assert statuses[:4] == [422] * 4
    assert statuses[4:] == [429] * 4
    assert called(app, 4, key="front-key", address="192.0.2.10") == [422] * 4
    assert called(app, 20, key="server-key") == [422] * 20, "a shop's server stands for many"
    assert called(app, 20, key="front-key", address="127.0.0.1") == [422] * 20
    app = an_app(key_rate=2)
    assert 429 in called(app, 8, key="server-key")
    assert called(app, 2, key="front-key") == [422] * 2


def test_an_address_at_its_limit_leaves_the_key_to_others() -> None:
    app = an_app(address_rate=2, key_rate=20)
    assert called(app, 100, key="front-key").count(429) >= 90
    for number in range(10):
        assert called(app, 2, key="front-key", address=f"198.51.100.{number}") == [422] * 2


def test_a_network_of_ipv6_is_one_caller() -> None:
    app = an_app(address_rate=2)
    statuses = [
        called(app, 1, key="front-key", address=f"2001:db8:0:1::{number:x}")[0]
        for number in range(1, 20)
    ]
    assert statuses.count(429) >= 10
    assert called(app, 4, key="front-key", address="2001:db8:0:2::1") == [422] * 4


def test_proxies_that_are_named_have_no_limit_by_address() -> None:
    app = an_app(address_rate=2, trusted_proxies="10.0.0.0/8")
    assert called(app, 20, key="front-key", address="10.1.2.3") == [422] * 20
    from_one = {"X-Forwarded-For": "203.0.113.7"}
    assert 429 in called(app, 20, key="front-key", address="10.1.2.3", **from_one)


def test_who_guesses_keys_is_slowed_down_before_a_key_is_compared() -> None:
    app = an_app()
    assert called(app, 1, key="server-key") == [422]
    assert called(app, 100, key="unknown")[-1] == 429
    assert called(app, 1, key="report-key") == [429], "the right key, at last, but not so fast"
    assert called(app, 1, key="server-key") == [422], "the shop's server was here before"
    assert called(app, 1, key="front-key") == [422]
    assert called(app, 1, key="report-key", address="192.0.2.10") == [403]


def test_unknown_keys_are_noted_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    app = an_app(refusal_rate=0)
    called(app, 1_000, key="unknown")
    noted = [(entry.who, entry.outcome) for entry in app.state.service.noted]
    assert noted == [("address:192.0.2.9", f"{n} unknown") for n in (10, 100, 1_000)]
    assert "1000 unknown keys came from 192.0.2.9" in caplog.text


def test_notes_of_unknown_keys_are_bounded() -> None:
    app = an_app()
    guesses: KeyGuesses = app.state.service.guesses

    async def guess() -> None:
        for number in range(20_000):
            for _ in range(10):
                guesses.count(f"2001:db8:0:{number:x}::/64")
        await asyncio.sleep(0)

    asyncio.run(guess())
    assert len(app.state.service.noted) == 100


def test_strangers_are_refused_for_long_and_do_not_lock_out_their_neighbours() -> None:
    app = an_app()
    statuses = called(app, 100, key="unknown")
    assert statuses[:60] == [401] * 60
    assert set(statuses[65:]) == {429}
    assert called(app, 3, key="front-key") == [422] * 3


def request_from(address: str, forwarded: str) -> Any:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded.splitlines()]
    from fastapi import Request

    return Request({"type": "http", "client": (address, 1), "headers": headers})


@pytest.mark.parametrize(
    ("address", "forwarded", "found"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("198.51.100.1", "203.0.113.7", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1\n203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7:51234", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7, 10.0.0.2:443", "203.0.113.7"),
        ("10.0.0.1", "[2001:db8::7]:51234", "2001:db8::/64"),
        ("10.0.0.1", "2001:db8::7", "2001:db8::/64"),
        ("10.0.0.1", "unknown", "unknown"),
        ("10.0.0.1", "x" * 10_000, "x" * 64),
        ("10.1.1.1", "203.0.113.7", "203.0.113.7"),
    ],
)
def test_only_proxies_that_are_named_may_say_who_calls(
    address: str, forwarded: str, found: str
) -> None:
    request = request_from(address, forwarded)
    for trusted in ("10.0.0.0/8", "::ffff:10.0.0.0/104"):
        settings = ServeSettings(trusted_proxies=(trusted,))
        assert RateLimits(settings).caller_of(request) == found
    assert RateLimits(ServeSettings()).caller_of(request) == address.removeprefix("::ffff:")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("limited")
    publish_model(folder / "models")
    environment = {"MERSALG_KEY_RATE": "2", "MERSALG_REFUSAL_RATE": "0.1"}
    with running_server(folder, keys=KEYS, key="server-key", environment=environment) as server:
        yield server


@pytest.mark.parametrize("path", ["/v1/suggestions", "/v1/events"])
def test_every_door_says_when_to_try_again(server: Server, path: str) -> None:
    body = {"checkout_id": "k", "events": []}
    with server.client() as client:
        answers = [client.post(path, json=body) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert int(refused[-1].headers["retry-after"]) >= 1
    error = refused[-1].json()["error"]
    assert error["code"] == "too_many_requests"
    assert error["details"]["retry_after_seconds"] >= 1


def test_guessing_at_the_login_form_is_slowed_down(server: Server) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        statuses = [
            client.post("/dashboard/login", data={"key": f"guess-{n}"}).status_code
            for n in range(10)
        ]
        assert statuses[0] == 303
        assert statuses[-1] == 429
        right = client.post("/dashboard/login", data={"key": "report-key"})
        assert right.status_code == 429, "not even compared"
        bearer = {"Authorization": "Bearer report-key"}
        assert client.get("/dashboard", headers=bearer).status_code == 429
