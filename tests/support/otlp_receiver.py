"""A receiver of traces by OTLP/HTTP that decodes what comes, and can be told to be difficult."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE = 60.0


class Receiver:
    """What came, and what is answered.

    Attributes:
        url: to configure as `otlpEndpoint`.
        status: HTTP status of the answers.
        hangs: requests are read and not answered while it is set.
        spans: every span that was taken, as the protocol has it.
        resources: attributes of the resource of each request.
        paths, headers: of each request.
        bodies: each request as it came.
    """

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.hangs = threading.Event()
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self._changed = threading.Condition()

    def named(self, name: str) -> list[Span]:
        """The spans of one name, in the order they came."""
        with self._changed:
            return [span for span in self.spans if span.name == name]

    def wait(self, holds: Callable[[Receiver], bool]) -> None:
        """Return when `holds` is true of this receiver; it is asked when a request came.

        Raises:
            TimeoutError: it was not within `PATIENCE` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: holds(self), PATIENCE):
                names = [span.name for span in self.spans]
                raise TimeoutError(f"{len(self.paths)} requests came, with the spans {names}")

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Take one request in; the status of its answer."""
        with self._changed:
            self.paths.append(path)
            self.headers.append(headers)
            self.bodies.append(body)
            if self.status == 200:
                self._decode(body)
            self._changed.notify_all()
            return self.status

    def _decode(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(attributes(resource.resource))
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)


def attributes(of: Any) -> dict[str, Any]:
    """The attributes of a span, a resource or an event."""
    return {each.key: _value(each.value) for each in of.attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)


@contextlib.contextmanager
def otlp_receiver() -> Iterator[Receiver]:
    """Receive on loopback as long as the block, on a port that the system chooses."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.take(self.path, headers, body)
            until = time.monotonic() + PATIENCE
            while receiver.hangs.is_set() and time.monotonic() < until:
                time.sleep(0.01)
            answer = ExportTraceServiceResponse().SerializeToString()
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hangs.clear()
        server.shutdown()
        server.server_close()
        thread.join(5.0)
