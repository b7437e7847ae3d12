r"""What a listener hands to an application and what it gets back, as values.

Header blocks of responses are ready bytes (`b"name: value\r\n"` repeated): nothing is
formatted per response that could be formatted once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from mcp_gateway.protocol.headers import Headers

if TYPE_CHECKING:
    from mcp_gateway.server.responder import Responder

STATUS_LINES: dict[int, bytes] = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
} | {499: b"HTTP/1.1 499 Client Closed Request\r\n"}

JSON = b"content-type: application/json\r\n"
TEXT = b"content-type: text/plain; charset=utf-8\r\n"
HTML = b"content-type: text/html; charset=utf-8\r\n"
EVENT_STREAM = (
    b"content-type: text/event-stream\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one listener lets a client do. Sizes are bytes, times seconds.

    Attributes:
        max_body: longest request body.
        max_frame: longest WebSocket message, all its fragments together.
        max_header: longest request head, and longest run of bytes that brings no body
            (chunk extensions, trailers).
        max_arriving: bodies of all connections together that no application was handed yet;
            who sends beyond it is told 503.
        max_connections: open connections; one more is told 503 and closed.
        makes_room: instead, the oldest connection without a request in work gives way to it.
        max_in_flight: requests of one WebSocket at a time, and pipelined requests that wait.
        request_timeout: a request must have arrived so long after its first byte, and a
            client that reads nothing for so long is cut off.
        idle_timeout: a connection without a request is closed after this.
        admit: judges a head, by its fields, before any of its body is taken; status and reason
            where the request is refused. Without it every head passes.
    """

    max_body: int = 4 << 20
    max_frame: int = 4 << 20
    max_header: int = 32 << 10
    max_arriving: int = 128 << 20
    max_connections: int = 10_000
    makes_room: bool = False
    max_in_flight: int = 128
    request_timeout: float = 30.0
    idle_timeout: float = 120.0
    admit: Callable[[Mapping[bytes, bytes]], tuple[int, str] | None] | None = None


class HTTPRequest(msgspec.Struct):
    """One whole request.

    Attributes:
        method: upper-case method.
        path: target without query, percent-encoding left alone.
        query: what follows the question mark, raw.
        headers: fields with lower-case names and values without surrounding whitespace.
        body: the whole body, de-chunked.
        peer: the client's address, without its port.
        websocket: it asks for an upgrade to WebSocket.
        keep_alive: the client lets the connection live after the response.
        http_1_0: the client speaks HTTP/1.0.
    """

    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    peer: str
    websocket: bool = False
    keep_alive: bool = True
    http_1_0: bool = False


App = Callable[[HTTPRequest, "Responder"], Coroutine[Any, Any, None]]
"""An application: is called once per request and must answer through the responder."""


def error_body(message: str, kind: str, code: str | None = None) -> bytes:
    """An error in the shape OpenAI's clients read; any other program can read it as well."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return msgspec.json.encode({"error": error})
