"""What the service logs: whole lines, both ids, and nobody's own id or key."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mersalg.engine.errors import ConfigError
from mersalg.serving import logs
from mersalg.serving.app import create_app
from mersalg.serving.settings import load_settings
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import eventually

KEYS = "storefront:sf-0123456789abcdef admin:ad-0123456789abcdef server:sv-0123456789abcdef"
CART = {
    "checkout_id": "ch_81",
    "session_id": "session-of-kari",
    "customer_id": "kari-nordmann",
    "lines": [{"item_id": "phone-64", "quantity": 1}],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("logs")
    publish_model(folder / "models")
    with running_server(
        folder,
        keys=KEYS,
        key="sv-0123456789abcdef",
        environment={
            "MERSALG_LOG_FORMAT": "json",
            "MERSALG_LOG_LEVEL": "debug",
            "MERSALG_ACCESS_LOG": "1",
        },
    ) as running:
        yield running


def lines_of(server: Server) -> list[dict[str, Any]]:
    """Every line of standard error is one JSON object."""
    return [json.loads(line) for line in server.said.splitlines()]


def test_a_line_carries_the_ids_of_request_and_decision(server: Server) -> None:
    with server.client() as client:
        answer = client.post("/v1/suggestions", json=CART, headers={"X-Request-Id": "shop-7.a:b_c"})
    assert answer.headers["X-Request-Id"] == "shop-7.a:b_c"
    # The line tells how long the answer took, so it is written after the answer.
    eventually(lambda: "shop-7.a:b_c" in server.said)
    (line,) = (each for each in lines_of(server) if each.get("request_id") == "shop-7.a:b_c")
    assert line["decision_id"] == answer.json()["decision_id"]
    assert (line["logger"], line["level"]) == ("mersalg.access", "info")
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/suggestions", 200)
    assert line["milliseconds"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])


@pytest.mark.parametrize("sent", [None, "", "two words", "x" * 129, "a\tb", "<script>"])
def test_an_id_that_is_missing_or_not_sane_is_made_here(server: Server, sent: str | None) -> None:
    headers = {} if sent is None else {"X-Request-Id": sent}
    with server.client() as client:
        made = [client.get("/healthz", headers=headers).headers["X-Request-Id"] for _ in range(2)]
    assert made[0] != made[1]
    for each in made:
        assert re.fullmatch(r"req_[0-9a-f]{16}_\d+", each)


def test_refusals_and_errors_are_named_too(server: Server) -> None:
    with server.client(key="wrong") as client:
        assert client.post("/v1/suggestions", json=CART).status_code == 401
    with server.client() as client:
        for answer in (
            client.post("/v1/suggestions", json=CART, headers={"Authorization": ""}),
            client.post("/v1/suggestions", json={}),
            client.get("/no/such/path"),
        ):
            assert answer.status_code >= 400
            assert answer.headers["X-Request-Id"].startswith("req_")


def test_nobodys_id_and_no_key_is_logged(server: Server) -> None:
    with server.client(key="ad-0123456789abcdef") as client:
        for call in (
            client.post("/v1/suggestions", json=CART),
            client.get("/v1/customers/kari-nordmann"),
            client.delete("/v1/customers/kari-nordmann"),
            client.get("/metrics?session_id=session-of-kari"),
        ):
            assert call.status_code < 500
        eventually(lambda: '"/metrics"' in server.said)
    said = server.said
    assert "/v1/customers/{customer_id:path}" in said
    for secret in ("kari-nordmann", "session-of-kari", *re.findall(r":(\S+)", KEYS)):
        assert secret not in said


def record(error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("mersalg.x", logging.ERROR, "", 0, "failed for kari", (), exc_info)
    logs.Belongs().filter(made)
    return made


@pytest.mark.parametrize("formatter", [logs.HumanLines(), logs.JsonLines()])
def test_an_error_repeats_no_id_of_its_request(formatter: logging.Formatter) -> None:
    logs.redact(lambda: ("kari", None, "s-1"))
    try:
        line = formatter.format(record(KeyError("kari")))
        other = formatter.format(record(KeyError("kari-anne and s-12")))
    finally:
        logs.redact(None)
    assert "kari" not in line
    assert "failed for [hidden]" in line
    assert "KeyError" in line
    assert "kari-anne and s-12" in other  # whole words alone


def test_lines_for_people_end_in_the_ids() -> None:
    logs.request_id.set("r1")
    logs.decision_id.set("d1")
    try:
        line = logs.HumanLines().format(record())
    finally:
        logs.request_id.set(None)
        logs.decision_id.set(None)
    assert line.endswith(" failed for kari request_id=r1 decision_id=d1")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}Z ERROR mersalg\.x \[\d+\] ", line)


def test_a_wrong_format_or_level_is_reported(tmp_path: Path) -> None:
    for name, value in (("MERSALG_LOG_FORMAT", "xml"), ("MERSALG_LOG_LEVEL", "loud")):
        with pytest.raises(ConfigError, match=name):
            load_settings({name: value})


def test_an_answer_to_an_error_of_ours_is_named_too(tmp_path: Path) -> None:
    app = create_app(load_settings({}, database=f"sqlite:///{tmp_path / 'facts.db'}"))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/broken", headers={"X-Request-Id": "shop-8"})

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert answer.headers.get_list("X-Request-Id") == ["shop-8"]
