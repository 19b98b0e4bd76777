"""Who is let in: browsers of strangers, dashboard sessions."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mersalg.serving.app import create_app
from mersalg.serving.dashboard import sessions
from mersalg.serving.http_layer import SECURE_HEADERS, HttpLayer
from mersalg.serving.keys import SCOPES, digest_of, parse_keys, with_digest
from mersalg.serving.metrics import Metrics, RequestMeter
from mersalg.serving.security import Caller, caller_of
from mersalg.serving.settings import ServeSettings, load_settings


def fetch(headers: dict[str, str], allowed: tuple[str, ...] = ()) -> httpx.Response:
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("hello"))])
    meter = RequestMeter(Metrics())
    guarded = HttpLayer(app, meter=meter, local_only=True, allowed_origins=allowed)

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

    def caller_with(key: str) -> Caller | None:
        return caller_of(with_digest(settings.keys.keys, digest_of(key)))

    covered = {}
    for scope in SCOPES:
        caller = caller_with(f"{scope}-key")
        assert caller is not None
        covered[scope] = {other for other in SCOPES if caller.may(other)}
    assert covered == {
        "storefront": {"storefront"},
        "server": {"storefront", "server"},
        "report": {"report"},
        "admin": {"report", "admin"},
    }
    assert caller_with("another") is None


def test_sessions_open_with_keys_that_may_look() -> None:
    settings = settings_with("storefront:one server:two report:three admin:four")
    for key in ("three", "four"):
        cookie = sessions.open_session(settings, key)
        assert cookie is not None
        assert key not in cookie
        caller = sessions.caller_of(settings, cookie)
        assert caller is not None
        assert caller.may("report")
        assert caller.may("admin") == (key == "four")
    for key in ("one", "two", "", "nonsense"):
        assert sessions.open_session(settings, key) is None


def test_a_key_of_both_scopes_opens_the_session_of_an_admin() -> None:
    settings = settings_with("report:three admin:three")
    cookie = sessions.open_session(settings, "three")
    assert cookie is not None
    caller = sessions.caller_of(settings, cookie)
    assert caller is not None
    assert caller.may("admin")


def test_forms_are_those_of_pages_of_the_session() -> None:
    settings = settings_with("admin:four")
    mine, other = (sessions.open_session(settings, "four") or "" for _ in range(2))
    token = sessions.form_token(settings, mine)
    assert sessions.is_form_token(settings, mine, token)
    for strange in ("", "é", token[:-1], sessions.form_token(settings, other)):
        assert not sessions.is_form_token(settings, mine, strange)
    assert not sessions.is_form_token(settings_with("admin:four"), mine, token)


def test_sessions_cannot_be_made_up_prolonged_or_kept_after_their_key() -> None:
    settings = settings_with("report:three")
    cookie = sessions.open_session(settings, "three")
    assert cookie is not None
    until, number, signature = cookie.split(".")
    for forged in (
        "",
        ".",
        until,
        f"{int(until) + 1}.{number}.{signature}",
        f"{until}.{number[1:]}0.{signature}",
        f"{until}.{number}.{'0' * 64}",
        f"{until}.{number}.é",
        f"²{until[1:]}.{number}.{signature}",
        f"{'9' * 300}.{number}.{signature}",
    ):
        assert sessions.caller_of(settings, forged) is None
    other_secret = settings_with("report:three")
    assert sessions.caller_of(other_secret, cookie) is None
    without_key = settings.model_copy(update={"keys": parse_keys("report:new", source="test")})
    assert sessions.caller_of(without_key, cookie) is None


def test_a_session_that_somebody_ended_is_over_for_every_worker(tmp_path: Path) -> None:
    settings = settings_with("report:three").model_copy(update={"stopping": tmp_path / "stopping"})
    ended, other = (sessions.open_session(settings, "three") or "" for _ in range(2))
    sessions.end_session(settings, "1.2.3")
    sessions.end_session(settings, ended)
    assert sessions.caller_of(settings, ended) is None
    assert sessions.caller_of(settings, f"0{ended}") is None, "the same session, spelt otherwise"
    assert sessions.caller_of(settings, other) is not None


def test_sessions_end(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_with("report:three")
    cookie = sessions.open_session(settings, "three") or ""
    later = time.time() + sessions.SECONDS + 1
    monkeypatch.setattr(sessions.time, "time", lambda: later)
    assert sessions.caller_of(settings, cookie) is None


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


def test_links_are_of_one_page_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now, address = int(time.time()), "/dashboard?from=2026-01-01&to=2026-01-28"
    secret = {"share_secret": b"s" * 16}
    settings = settings_with("report:three admin:four").model_copy(update=secret)
    reporter, other = settings.keys.keys
    until = now + 7 * 86_400
    token = sessions.share_token(settings, reporter.id, address, until)
    assert token is not None
    assert sessions.shared_until(settings, token, address) == until
    assert sessions.shared_until(settings, token, address.replace("28", "29")) is None
    key_id, _, signature = token.split(".")
    for forged in (
        *("", "1.2.3", "é.1.é", token[:-1], f"{other.id}.{until}.{signature}"),
        *(f"{key_id}.{until + 1}.{signature}", f"{key_id}.{'9' * 400}.{signature}"),
    ):
        assert sessions.shared_until(settings, forged, address) is None
    too_long = sessions.share_token(settings, reporter.id, address, now + 91 * 86_400)
    assert too_long is not None
    assert sessions.shared_until(settings, too_long, address) is None
    assert sessions.share_token(settings, "unknown", address, until) is None
    for update in (
        {"share_secret": b"t" * 16},
        {"share_secret": None},
        {"keys": settings_with("admin:four").keys},
    ):
        assert sessions.shared_until(settings.model_copy(update=update), token, address) is None
    monkeypatch.setattr(sessions.time, "time", lambda: until + 1)
    assert sessions.shared_until(settings, token, address) is None
