"""Carts and words of any length: what pages may send is bounded, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import convert

from mersalg.engine.fact_bodies import pack
from mersalg.engine.fact_json import unpack
from mersalg.serving.checkout import decide
from mersalg.serving.rate_limits import Labels
from mersalg.serving.schemas import SuggestionRequest
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server

KEYS = "storefront:front-key server:server-key report:report-key admin:admin-key"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("long")
    publish_model(folder / "models", tiny_model(holdout=0.0))
    environment = {"MERSALG_STOREFRONT_LABELS": "5", "MERSALG_REPORT_CACHE_SECONDS": "0"}
    with running_server(folder, keys=KEYS, environment=environment) as server:
        yield server


def cart(n: int, **fields: object) -> dict[str, Any]:
    lines = [{"item_id": f"i{number % 7_000}", "quantity": 1} for number in range(n - 1)]
    return {"checkout_id": "k", "lines": [*lines, {"item_id": "phone-64"}], **fields}


def asked(server: Server, key: str, body: dict[str, Any]) -> httpx.Response:
    with server.client(key=key) as client:
        return client.post("/v1/suggestions", json=body)


def test_a_page_sends_few_hundred_lines(server: Server) -> None:
    assert asked(server, "front-key", cart(300)).json()["offers"]
    for body in (
        cart(301),
        cart(200, exclude_item_ids=["a"] * 101),
        cart(200, declined_item_ids=["a"] * 101),
    ):
        refused = asked(server, "front-key", body)
        assert refused.status_code == 422
        assert "at most 300 entries" in refused.json()["error"]["message"]
        assert asked(server, "server-key", body).json()["offers"]


@pytest.mark.parametrize("path", ["/v1/suggestions", "/v1/events", "/v1/adapters/ga4"])
def test_a_page_sends_few_bytes(server: Server, path: str) -> None:
    body = b'{"checkout_id": "k", "events": [], "client_id": "' + b"x" * 262_144 + b'"}'
    for key, status in (("front-key", 413), ("server-key", 200)):
        with server.client(key=key) as client:
            answer = client.post(path, content=body)
        assert answer.status_code == status, answer.text[:200]


def test_others_are_answered_beside_long_carts(server: Server) -> None:
    long = [cart(10_000) for _ in range(8)]
    with ThreadPoolExecutor(8) as callers:
        waiting = [callers.submit(asked, server, "server-key", body) for body in long]
        with server.client(key="front-key") as client:
            for number in range(50):
                answer = client.post("/v1/suggestions", json={"checkout_id": f"s{number}"})
                assert answer.status_code == 200
        for answer in (each.result() for each in waiting):
            assert answer.json()["offers"]


def test_a_long_cart_is_recorded_cut(server: Server) -> None:
    decision = asked(server, "server-key", cart(10_000)).raise_for_status().json()
    with server.client(key="admin-key") as client:
        kept = client.get(f"/v1/decisions/{decision['decision_id']}").raise_for_status().json()
    replaced = {offer["replaces"]["item_id"] for offer in kept["offers"] if "replaces" in offer}
    assert replaced == {"phone-64"}
    assert len(kept["lines"]) == 301
    assert kept["lines"][-1]["item_id"] == "phone-64", "what an upsell would replace is kept"
    assert kept["lines_omitted"] == 9_699


def test_what_was_left_out_of_a_cart_is_part_of_the_fact() -> None:
    model = tiny_model(holdout=0.0)
    decision = decide(model, convert(cart(1_000), SuggestionRequest))
    assert decision.lines_omitted == 699
    assert unpack(pack(decision)).lines_omitted == 699  # type: ignore[union-attr]
    assert b"lines_omitted" not in pack(decide(model, convert(cart(300), SuggestionRequest)))


def test_words_of_strangers_beyond_a_few_are_other(server: Server) -> None:
    for number in range(3):
        answer = asked(server, "server-key", cart(1, store_id=f"shop-{number}"))
        assert answer.status_code == 200
    for number in range(20):
        answer = asked(server, "front-key", cart(1, store_id=f"junk-{number}"))
        assert answer.status_code == 200
    assert asked(server, "front-key", cart(1, store_id="shop-2")).status_code == 200
    with server.client(key="admin-key") as client:
        report = client.get("/v1/reports/rates", params={"by": "store"}).raise_for_status().json()
    stores = {group["key"]["store"] for group in report["groups"]} - {"unknown"}
    known = {f"shop-{number}" for number in range(3)}
    assert stores == known | {"other"} | {f"junk-{number}" for number in range(5)}


def test_words_are_bounded_in_memory_and_field_by_field() -> None:
    labels = Labels(10)

    def taken(by_server: bool, **fields: str) -> SuggestionRequest:
        request = convert({"checkout_id": "k", **fields}, SuggestionRequest)
        labels.bound(request, by_server=by_server)
        return request

    for number in range(10):
        assert taken(False, segment=f"s{number}").segment == f"s{number}"
    assert taken(False, segment="one more").segment == "other"
    assert taken(False, segment="s3", placement="one more").placement == "one more"
    for number in range(20_000):
        assert taken(True, segment=f"ours{number}").segment == f"ours{number}"
    assert taken(False, segment="ours19999").segment == "ours19999"
    assert taken(False, segment="ours0").segment == "other", "long ago, and one of very many"
    assert taken(False).segment is None
