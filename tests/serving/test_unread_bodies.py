"""Who is refused before their body was read is told that the connection ends."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.servers import Server, publish_model, running_server

CART = {"checkout_id": "c", "lines": [{"item_id": "phone-64", "quantity": 1}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("unread")
    publish_model(folder / "models")
    with running_server(
        folder,
        keys="server:server-key",
        key="server-key",
        environment={"MERSALG_REFUSAL_RATE": "0", "MERSALG_BODY_LIMIT_BYTES": "5000"},
    ) as running:
        yield running


@pytest.mark.parametrize("path", ["/v1/suggestions", "/v1/events", "/v1/adapters/ga4", "/no/such"])
def test_a_refused_caller_is_answered_and_can_go_on(server: Server, path: str) -> None:
    with server.client(key="a-wrong-key") as stranger:
        for _ in range(100):
            refused = stranger.post(path, json=CART)
            assert refused.status_code in (401, 404)
            assert refused.headers["connection"] == "close"


def test_one_who_sends_too_much_is_answered(server: Server) -> None:
    with server.client() as client:
        for content in (b"x" * 9_000, iter([b"x" * 4_000] * 9)):
            refused = client.post("/v1/suggestions", content=content)
            assert refused.status_code == 413
            assert refused.headers.get_list("connection") == ["close"]


def test_whose_body_was_read_keeps_the_connection(server: Server) -> None:
    def is_kept(answer: httpx.Response, status: int) -> bool:
        assert answer.status_code == status
        return "connection" not in answer.headers

    with server.client() as client:
        assert is_kept(client.post("/v1/suggestions", json=CART), 200)
        assert is_kept(client.post("/v1/suggestions", content=b"{"), 422)
        assert is_kept(client.post("/v1/events", json={"events": []}), 200)
        assert is_kept(client.get("/no/such"), 404)
