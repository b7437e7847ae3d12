"""Sends spans by OTLP over HTTP, with OpenTelemetry's own exporter.

Loaded only where a document asks for traces. The spans are made here, in the sender's thread, out
of what an exchange noted: OpenTelemetry's tracer would have to be called on the request path.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

from mcp_gateway import __version__
from mcp_gateway.telemetry.tracing import THREAD, Kind, Span

TIMEOUT = 10.0
"""Seconds a batch may take with all its tries. OTLP's own default."""

TRACES_PATH = "/v1/traces"

_KINDS = {
    Kind.SERVER: SpanKind.SERVER,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.INTERNAL: SpanKind.INTERNAL,
}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_FAILED = Status(StatusCode.ERROR)
_UNSET = Status(StatusCode.UNSET)
# Each try that failed, and each value of a client's that OTLP has no form for.
_TALKATIVE = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.common._internal",
    "opentelemetry.trace.span",
)
_SCOPE = InstrumentationScope("mcp_gateway", __version__)


def traces_url(endpoint: str) -> str:
    """The address of the receiver's traces: OTLP's path below the endpoint, unless it is there."""
    parts = urlsplit(endpoint)
    path = parts.path.rstrip("/")
    if not path.endswith(TRACES_PATH):
        path += TRACES_PATH
    return urlunsplit(parts._replace(path=path))


class OTLPExporter:
    """See `tracing.Exporter`.

    Headers for the receiver, its certificate and compression come from the environment, by
    OpenTelemetry's names: `OTEL_EXPORTER_OTLP_HEADERS` and its like. So may what the resource is
    called: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`.
    """

    def __init__(self, endpoint: str, *, gateway: str) -> None:
        self.endpoint = endpoint
        self._resource = _resource(gateway)
        session = requests.Session()
        # A proxy for the world outside must not get in the way to a receiver inside.
        session.trust_env = False
        self._overheard = _Overheard()
        self._exporter = OTLPSpanExporter(
            endpoint=traces_url(endpoint), timeout=TIMEOUT, session=session
        )
        self._closing = threading.Lock()
        self._closed = False

    def export(self, spans: Sequence[Span]) -> str:
        """See `tracing.Exporter.export`."""
        self._overheard.problem = ""
        try:
            result = self._exporter.export([self._span(span) for span in spans])
        except Exception as exc:
            return f"{type(exc).__name__}: {exc}"
        if result is SpanExportResult.SUCCESS:
            return ""
        return self._overheard.problem or "the receiver did not take them"

    def abort(self) -> None:
        """See `tracing.Exporter.abort`."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._overheard.stop()
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _span(self, span: Span) -> ReadableSpan:
        trace_id = int(span.trace_id, 16)
        state = TraceState.from_header([span.state]) if span.state else None
        parent = None
        if span.parent_id:
            parent_id = int(span.parent_id, 16)
            parent = SpanContext(trace_id, parent_id, span.remote_parent, _SAMPLED, state)
        return ReadableSpan(
            name=span.name,
            context=SpanContext(trace_id, int(span.span_id, 16), False, _SAMPLED, state),
            parent=parent,
            resource=self._resource,
            attributes=span.attributes,
            events=[Event(name, timestamp=_nanoseconds(at)) for name, at in span.events],
            kind=_KINDS[span.kind],
            status=_FAILED if span.failed else _UNSET,
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
            instrumentation_scope=_SCOPE,
        )


def _resource(gateway: str) -> Resource:
    own = Resource.create(
        {
            "service.name": gateway,
            "service.version": __version__,
            "service.instance.id": socket.gethostname(),
        }
    )
    return own.merge(OTELResourceDetector().detect())


def _nanoseconds(seconds: float) -> int:
    # By microseconds: a time of day in float nanoseconds would end in noise.
    return round(seconds * 1e6) * 1000


class _Overheard(logging.Filter):
    """Takes the library's own log lines, of which there are many, for the one we write.

    Only those of our thread: a program around the gateway may use the same library.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problem = ""
        self._loggers = [logging.getLogger(name) for name in _TALKATIVE]
        for logger in self._loggers:
            logger.addFilter(self)

    def stop(self) -> None:
        """Let the lines through again."""
        for logger in self._loggers:
            logger.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the message, and stop the line."""
        if record.threadName != THREAD:
            return True
        self.problem = record.getMessage()
        return False
