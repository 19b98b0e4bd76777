"""Traces: off and not even loaded by default; whole, linked and discreet where they are on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mersalg.engine.errors import ConfigError
from mersalg.serving import tracing
from mersalg.serving.app import create_app
from mersalg.serving.metrics import PARTS
from mersalg.serving.settings import load_settings
from tests.support.servers import DEADLINE_MS, publish_model, running_server

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CART = {
    "checkout_id": "c1",
    "session_id": "session-of-kari",
    "customer_id": "kari-nordmann",
    "lines": [{"item_id": "phone-64", "quantity": 1}],
}


@pytest.fixture
def spans(tmp_path: Path) -> list[ReadableSpan]:
    """Of one suggestion call that brings a `traceparent`, and of a customer's export."""
    publish_model(tmp_path / "models")
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    settings = load_settings(
        {},
        database=f"sqlite:///{tmp_path / 'facts.db'}",
        models=tmp_path / "models",
        database_deadline_ms=DEADLINE_MS,
    )

    async def ask() -> None:
        app = create_app(settings, tracing.Traces(provider))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-Id": "shop-9"}
            await client.post("/v1/suggestions?who=kari-nordmann", json=CART, headers=headers)
            await client.get("/v1/customers/kari-nordmann")

    asyncio.run(ask())
    return list(exporter.get_finished_spans())


def test_a_call_is_one_trace_with_its_parts(spans: list[ReadableSpan]) -> None:
    (call,) = (span for span in spans if span.name == "POST /v1/suggestions")
    assert call.context is not None
    assert format(call.context.trace_id, "032x") == TRACE
    assert call.parent is not None
    assert format(call.parent.span_id, "016x") == CALLER
    assert call.attributes is not None
    assert call.attributes["mersalg.request_id"] == "shop-9"
    assert call.attributes["http.response.status_code"] == 200
    parts = [span for span in spans if span.parent and span.parent.span_id == call.context.span_id]
    assert [span.name for span in parts] == list(PARTS)
    slack = 5_000_000  # two clocks, in nanoseconds
    assert call.start_time is not None
    assert call.end_time is not None
    for before, after in pairwise(parts):
        assert before.end_time is not None
        assert after.start_time is not None
        assert abs(after.start_time - before.end_time) < slack
    for part in parts:
        assert part.start_time is not None
        assert part.end_time is not None
        assert call.start_time - slack < part.start_time <= part.end_time < call.end_time + slack


def test_a_commit_is_linked_to_the_calls_whose_facts_it_writes(spans: list[ReadableSpan]) -> None:
    (call,) = (span for span in spans if span.name == "POST /v1/suggestions")
    (commit,) = (span for span in spans if span.name == "commit")
    assert commit.attributes is not None
    assert call.attributes is not None
    assert commit.attributes["mersalg.facts"] == 1
    assert commit.attributes["mersalg.decision_ids"] == (call.attributes["mersalg.decision_id"],)
    assert [link.context for link in commit.links] == [call.context]


def test_a_trace_names_nobody(spans: list[ReadableSpan]) -> None:
    assert "GET /v1/customers/{customer_id:path}" in {span.name for span in spans}
    for span in spans:
        assert "kari" not in span.to_json()


_OFF = """
import sys
from mersalg.serving.app import create_app
from mersalg.serving.settings import load_settings
create_app(load_settings({}))
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exp"))])
"""


def test_it_is_off_and_not_loaded_unless_asked_for() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _OFF], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_missing_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"mersalg\[otel\]"):
        tracing.Traces()


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A collector on loopback that takes OTLP over HTTP; its address and what it was sent."""
    received: list[ExportTraceServiceRequest] = []

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Take)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_service_sends_to_the_collector_that_the_environment_names(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    with collector() as (address, received):
        environment = {
            "MERSALG_TRACES": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
            "NO_PROXY": "127.0.0.1",
        }
        with running_server(tmp_path, environment=environment) as server:
            with server.client() as client:
                decision = client.post("/v1/suggestions", json=CART).json()["decision_id"]
            assert server.stop() == 0  # what waits is sent before the end
    resources = [each for request in received for each in request.resource_spans]
    spans = [span for each in resources for scope in each.scope_spans for span in scope.spans]
    assert {"POST /v1/suggestions", "commit", *PARTS} <= {span.name for span in spans}
    about = {each.key: each.value.string_value for each in resources[0].resource.attributes}
    assert about["service.name"] == "mersalg"
    assert about["deployment.environment"] == "test"
    named = {
        value.value.string_value
        for span in spans
        for value in span.attributes
        if value.key == "mersalg.decision_id"
    }
    assert decision in named
