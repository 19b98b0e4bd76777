"""The service a demo starts: ready when entered, gone when left, clear when it fails."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from mersalg.engine.errors import ServiceFailed
from mersalg.engine.progress import SilentProgress
from mersalg.engine.registry import Registry
from mersalg.training.simulation.local_service import HttpService, LocalService
from tests.support.models import tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    registry = Registry(tmp_path_factory.mktemp("models"))
    registry.publish(registry.write(tiny_model(), {}))
    return registry.root


def local(models: Path, folder: Path, port: int = 0) -> LocalService:
    return LocalService(models, folder, port=port, progress=SilentProgress())


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_it_serves_while_the_block_lasts(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the user set for a shop and a network of their own must not reach it.
    monkeypatch.setenv("MERSALG_KEYS", "server:secret")
    monkeypatch.setenv("MERSALG_DATABASE", "postgresql://nowhere.invalid/shop")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with local(models, tmp_path) as service:
        assert service.get("/readyz")["status"] == "ready"
        with HttpService(service.url) as http:
            answer = http.suggest(
                {"checkout_id": "c", "lines": [{"item_id": "phone-64", "quantity": 1}]}
            )
            with pytest.raises(ServiceFailed, match="invalid"):
                http.record([{"type": "view_promotion", "event_id": "e"}])
            with pytest.raises(ServiceFailed, match="422"):
                http.suggest({"lines": []})
        assert answer["tracking"] == "recorded"
        with pytest.raises(ServiceFailed, match="404"):
            service.get("/nowhere")
    assert not answers(service.url)


def test_a_taken_port_is_reported(models: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceFailed, match=f"port {port}") as failure:
            local(models, tmp_path, port).__enter__()
        assert "serve.log" in str(failure.value)


def test_a_service_that_dies_is_an_error_with_its_log(models: Path, tmp_path: Path) -> None:
    with local(models, tmp_path) as service:
        assert service._process is not None
        os.killpg(service._process.pid, signal.SIGKILL)
        with pytest.raises(ServiceFailed, match=r"exit code -9.*serve\.log"):
            service.wait()
        with (
            HttpService(service.url) as http,
            pytest.raises(ServiceFailed, match="POST /v1/suggestions failed"),
        ):
            http.suggest({"checkout_id": "c", "lines": []})
