"""Who is let in: browsers of strangers, dashboard sessions, the arms of sessions."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from engine.errors import StorageUnavailable
from engine.facts import Arm
from serving.app import create_app
from serving.dashboard import sessions
from serving.database_time import DatabaseTime
from serving.keys import SCOPES, parse_keys
from serving.secure_headers import SECURE_HEADERS, SecureHeaders
from serving.security import OnlyThisMachine, caller_with
from serving.session_arms import SessionArms
from serving.settings import ServeSettings, load_settings
from tests.support.waiting import WAIT_SECONDS


def fetch(headers: dict[str, str], allowed: tuple[str, ...] = ()) -> httpx.Response:
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("hello"))])
    guarded = SecureHeaders(OnlyThisMachine(app, allowed))

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(guarded)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/", headers=headers)

    return asyncio.run(send())


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000"])
def test_callers_on_this_machine_are_served(host: str) -> None:
    assert fetch({"Host": host}).status_code == 200
    assert fetch({"Host": host, "Origin": f"http://{host}"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example:8000"},
        {"Host": "["},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
    ],
)
def test_pages_of_strangers_are_refused(headers: dict[str, str]) -> None:
    refused = fetch(headers)
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "forbidden"
    assert "content-security-policy" in refused.headers


def test_named_origins_are_let_in() -> None:
    origin = {"Origin": "https://shop.example"}
    assert fetch(origin, ("https://shop.example",)).status_code == 200
    assert fetch(origin, ("https://other.example",)).status_code == 403


def settings_with(keys: str) -> ServeSettings:
    return ServeSettings(keys=parse_keys(keys, source="test"))


def test_what_each_scope_covers() -> None:
    settings = settings_with(" ".join(f"{scope}:{scope}-key" for scope in SCOPES))
    covered = {}
    for scope in SCOPES:
        caller = caller_with(settings, f"{scope}-key")
        assert caller is not None
        covered[scope] = {other for other in SCOPES if caller.may(other)}
    assert covered == {
        "storefront": {"storefront"},
        "server": {"storefront", "server"},
        "report": {"report"},
        "admin": {"report", "admin"},
    }
    assert caller_with(settings, "another") is None


def test_sessions_open_with_keys_that_may_look() -> None:
    settings = settings_with("storefront:one server:two report:three admin:four")
    for key in ("three", "four"):
        cookie = sessions.open_session(settings, key)
        assert cookie is not None
        assert key not in cookie
        assert sessions.is_open(settings, cookie)
    for key in ("one", "two", "", "nonsense"):
        assert sessions.open_session(settings, key) is None


def test_sessions_cannot_be_made_up_prolonged_or_kept_after_their_key() -> None:
    settings = settings_with("report:three")
    cookie = sessions.open_session(settings, "three")
    assert cookie is not None
    until, _, signature = cookie.partition(".")
    for forged in (
        None,
        "",
        ".",
        until,
        f"{int(until) + 1}.{signature}",
        f"{until}.{'0' * 64}",
        f"{until}.é",
        f"²{until[1:]}.{signature}",
        f"{'9' * 300}.{signature}",
    ):
        assert not sessions.is_open(settings, forged)
    other_secret = settings_with("report:three")
    assert not sessions.is_open(other_secret, cookie)
    without_key = settings.model_copy(update={"keys": parse_keys("report:new", source="test")})
    assert not sessions.is_open(without_key, cookie)


def test_sessions_end(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_with("report:three")
    cookie = sessions.open_session(settings, "three")
    later = time.time() + sessions.SECONDS + 1
    monkeypatch.setattr(sessions.time, "time", lambda: later)
    assert not sessions.is_open(settings, cookie)


def arms_over(look_up: Callable[[str], Arm | None]) -> SessionArms:
    def look_up_all(session_ids: Sequence[str]) -> dict[str, Arm]:
        found = {each: look_up(each) for each in session_ids}
        return {each: arm for each, arm in found.items() if arm is not None}

    return SessionArms(look_up_all)


def test_the_first_arm_of_a_session_is_kept() -> None:
    asked: list[str] = []

    def look_up(session_id: str) -> Arm | None:
        asked.append(session_id)
        return "control" if session_id == "known" else None

    arms, patience = arms_over(look_up), DatabaseTime(WAIT_SECONDS)

    async def run() -> None:
        assert await arms.known(None, patience) is None
        assert await arms.known("known", patience) == "control"
        assert await arms.known("new", patience) is None
        assert await arms.known("new", None) is None
        assert await arms.known("new", DatabaseTime(0)) is None
        arms.remember("new", "control")
        arms.remember("new", "treatment")  # too late
        assert await arms.known("new", patience) == "control"
        arms.remember(None, "control")

    asyncio.run(run())
    arms.close()
    assert asked == ["known", "new"]


def test_a_slow_or_lost_database_is_not_waited_for() -> None:
    gate = threading.Event()

    def slow(_session_id: str) -> Arm | None:
        assert gate.wait(WAIT_SECONDS)
        return "control"

    def lost(_session_id: str) -> Arm | None:
        raise StorageUnavailable("away")

    async def run() -> None:
        for arms, seconds in ((arms_over(slow), 0.05), (arms_over(lost), WAIT_SECONDS)):
            patience = DatabaseTime(seconds)
            assert await arms.known("s", patience) is None
            assert patience.is_over is (seconds == 0.05)
            arms.close()
        assert not gate.is_set()
        gate.set()

    asyncio.run(run())


def test_pages_of_the_shop_may_ask_before_they_call() -> None:
    settings = load_settings(
        {"MERSALG_KEYS": "storefront:one", "MERSALG_ALLOWED_ORIGINS": "https://shop.example"}
    )
    app = create_app(settings)

    async def preflight(origin: str) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        }
        async with httpx.AsyncClient(transport=transport, base_url="http://api.example") as client:
            return await client.options("/v1/suggestions", headers=headers)

    allowed = asyncio.run(preflight("https://shop.example"))
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    refused = asyncio.run(preflight("https://evil.example"))
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("path", ["/v1/suggestions", "/v1/events", "/v1/audit"])
def test_answers_to_errors_of_ours_are_strict_too(path: str) -> None:
    app = create_app(load_settings({}))  # not started: every call that needs the service fails

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            method = "GET" if path == "/v1/audit" else "POST"
            return await client.request(method, path)

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    for name, value in SECURE_HEADERS:
        assert answer.headers.get_list(name.decode()) == [value.decode()]
