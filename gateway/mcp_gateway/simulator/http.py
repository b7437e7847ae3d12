"""The bytes of HTTP answers."""

from __future__ import annotations

from http import HTTPStatus

LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_OK_JSON = _STATUS_LINES[200] + b"content-type: application/json\r\n"


def response(
    status: int, body: bytes, headers: bytes = b"", content_type: bytes = b"application/json"
) -> bytes:
    """A whole response. `headers` are lines, each with its line end."""
    if status == 200:
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (_OK_JSON, headers, len(body), body)
    return b"%bcontent-type: %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
        _STATUS_LINES[status],
        content_type,
        headers,
        len(body),
        body,
    )


def stream_head(headers: bytes, *, chunked: bool) -> bytes:
    """The head of an event stream; without chunks it ends with the connection."""
    framing = b"transfer-encoding: chunked\r\n" if chunked else b"connection: close\r\n"
    return b"%bcontent-type: text/event-stream\r\ncache-control: no-cache\r\n%b%b\r\n" % (
        _STATUS_LINES[200],
        framing,
        headers,
    )


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body. `data` must not be empty: that would be the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)
