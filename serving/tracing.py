"""OpenTelemetry traces, where they are asked for (`MERSALG_TRACES`); else nothing of it is loaded.

Spans: the request, the parts of a suggestion call, and each commit, linked to the requests whose
facts it wrote. Where they go is said by the standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, ...). No span holds a path or a query: they name people.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING

from starlette.types import Scope

from mersalg import __version__
from mersalg.engine.errors import ConfigError
from mersalg.engine.storage.fact_rows import FactRow
from mersalg.serving import logs
from mersalg.serving.recent import Recent

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanContext


_MAX_WAITING = 10_000
_MAX_LINKS = 128

_span: ContextVar[Span | None] = ContextVar("span", default=None)


def require_library() -> None:
    """Raise ConfigError where the extra `otel` is not installed."""
    for name in ("opentelemetry.sdk", "opentelemetry.exporter"):
        try:
            spec = find_spec(name)
        except ModuleNotFoundError:
            spec = None
        if spec is None:
            raise ConfigError("MERSALG_TRACES needs OpenTelemetry: pip install 'mersalg[otel]'")


class Traces:
    """Makes the spans of one application; they go to `provider`, by default to an OTLP collector.

    Raises ConfigError: the extra `otel` is not installed.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        require_library()
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider or _otlp()
        self._trace, self._incoming = trace, TraceContextTextMapPropagator()
        self._tracer = self._provider.get_tracer("mersalg")
        self._waiting: Recent[str, SpanContext] = Recent(_MAX_WAITING)

    def begin(self, scope: Scope) -> Span:
        """Begin the span of a request; a child of the one that `traceparent` names."""
        carrier = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in (b"traceparent", b"tracestate")
        }
        span = self._tracer.start_span(
            scope["method"],
            context=self._incoming.extract(carrier),
            kind=self._trace.SpanKind.SERVER,
            attributes={"http.request.method": scope["method"]},
        )
        _span.set(span)
        return span

    def end(self, span: Span, method: str, route: str, status: int) -> None:
        """End the span of a request."""
        _span.set(None)
        span.update_name(f"{method} {route}")
        span.set_attributes({"http.route": route, "http.response.status_code": status})
        for name, value in (
            ("mersalg.request_id", logs.request_id.get()),
            ("mersalg.decision_id", logs.decision_id.get()),
        ):
            if value is not None:
                span.set_attribute(name, value)
        if status >= 500:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def part(self, name: str, began: float, ended: float) -> None:
        """Make a span of a part of the running request, by `time.perf_counter`."""
        parent = _span.get()
        if parent is None:
            return
        offset = time.time_ns() - time.perf_counter_ns()
        span = self._tracer.start_span(
            name,
            context=self._trace.set_span_in_context(parent),
            start_time=offset + int(began * 1e9),
        )
        span.end(offset + int(ended * 1e9))
        decision_id = logs.decision_id.get()
        if name == "decide" and decision_id is not None:
            self._waiting[decision_id] = parent.get_span_context()

    def committing(self, facts: Sequence[FactRow]) -> AbstractContextManager[Span]:
        """Return a span around the transaction that writes these facts."""
        decisions = [fact.decision_id for fact in facts if fact.decision_id is not None]
        waiting = [self._waiting.pop(decision, None) for decision in decisions]
        links = [self._trace.Link(each) for each in waiting if each is not None]
        attributes = {
            "mersalg.facts": len(facts),
            "mersalg.decision_ids": decisions[:_MAX_LINKS],
        }
        return self._tracer.start_as_current_span(
            "commit", links=links[:_MAX_LINKS], attributes=attributes, record_exception=False
        )

    def close(self) -> None:
        """Send the spans that wait."""
        self._provider.shutdown()


def _otlp() -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    about = {"service.version": __version__}
    named = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in named:
        about["service.name"] = "mersalg"
    provider = TracerProvider(resource=Resource.create(about))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
