"""Reads HTTP/1.1 responses, without I/O.

Bytes go in, and after each `feed` the attributes say what is there. httptools (llhttp) does the
parsing and is strict about framing; this adds the bounds, skips interim answers (RFC 9110 §15.2),
and knows when the end of the connection is the end of the body (RFC 9112 §6.3).
"""

from __future__ import annotations

import httptools

from mcp_gateway.errors import RemoteProtocolError

MAX_HEAD = 64 * 1024
"""Bytes of status line and headers that are always accepted. One read more may pass."""

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a body that is collected in memory."""

_UNBOUNDED = 1 << 62


class _Surplus(Exception):
    """A second answer began although one was asked for."""


def by_name(fields: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Header fields by name in lower case; values of one name joined by `, ` (RFC 9110 §5.3)."""
    headers: dict[bytes, bytes] = {}
    for name, value in fields:
        key = name.lower()
        headers[key] = headers[key] + b", " + value if key in headers else value
    return headers


class ResponseParser:
    """The parser of one connection; `start` prepares it for each response.

    Attributes:
        status: the status code.
        fields: the header fields as they came.
        head_complete: `status` and `headers` are there.
        complete: the whole response is there.
        keep_alive: the connection may carry another one.
        surplus: bytes came that belong to no response that was asked for.
    """

    __slots__ = (
        "_body_limit",
        "_chunks",
        "_max_body",
        "_max_head",
        "_parser",
        "_silent",
        "_size",
        "complete",
        "fields",
        "head_complete",
        "keep_alive",
        "status",
        "surplus",
    )

    def __init__(self, *, max_head: int = MAX_HEAD, max_body: int = MAX_BODY) -> None:
        self._max_head = max_head
        self._max_body = max_body
        self._parser = httptools.HttpResponseParser(self)
        self.surplus = False
        self.start()

    def start(self, *, stream: bool = False) -> None:
        """Expect a response. With `stream` the body has no bound, for it is taken away."""
        self.status = 0
        self.fields: list[tuple[bytes, bytes]] = []
        self.head_complete = False
        self.complete = False
        self.keep_alive = False
        self._chunks: list[bytes] = []
        self._size = 0
        # Bytes that came since the last part of a body or end of a head. It bounds a head,
        # trailers, chunk extensions and floods of interim answers alike.
        self._silent = 0
        self._body_limit = _UNBOUNDED if stream else self._max_body

    @property
    def headers(self) -> dict[bytes, bytes]:
        """See `by_name`."""
        return by_name(self.fields)

    def feed(self, data: bytes) -> None:
        """Read `data`.

        Raises:
            RemoteProtocolError: it is not HTTP/1.1, or over a bound.
        """
        self._silent += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            raise RemoteProtocolError("expected an answer, got a change of protocol") from exc
        except httptools.HttpParserError as exc:
            if self.complete:  # the answer stands; what follows it spoils the connection only
                self.surplus = True
                return
            raise RemoteProtocolError(f"expected HTTP/1.1: {exc}"[:200]) from exc
        if self._size > self._body_limit:
            raise RemoteProtocolError(f"expected a body of at most {self._body_limit} bytes")
        if self._silent > self._max_head and not self.complete:
            raise RemoteProtocolError(f"expected a header block of at most {self._max_head} bytes")

    def feed_eof(self) -> bool:
        """The peer will send nothing more. Returns whether the response is complete."""
        if self.head_complete and not self.complete and not self._framed():
            self.complete = True
        return self.complete

    def take_body(self) -> bytes:
        """Return the part of the body that came since the last call."""
        chunks = self._chunks
        if len(chunks) == 1:
            body = chunks[0]
        elif not chunks:
            return b""
        else:
            body = b"".join(chunks)
        self._chunks = []
        return body

    def _framed(self) -> bool:
        headers = self.headers
        if b"content-length" in headers:
            return True
        coding = headers.get(b"transfer-encoding", b"")
        return coding.rpartition(b",")[2].strip().lower() == b"chunked"

    # Callbacks of httptools.

    def on_message_begin(self) -> None:
        """A status line begins: the first, or the one after an interim answer."""
        if self.complete:
            raise _Surplus
        self.fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one trailer, which nothing here reads."""
        if not self.head_complete:
            self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there; interim answers are passed over."""
        parser = self._parser
        status = parser.get_status_code()
        if status >= 200:
            self.status = status
            self.keep_alive = parser.should_keep_alive()
            self.head_complete = True
            self._silent = 0

    def on_body(self, body: bytes) -> None:
        """A part of the body, without its framing."""
        self._chunks.append(body)
        self._size += len(body)
        self._silent = 0

    def on_message_complete(self) -> None:
        """A response, or an interim answer, ended."""
        if self.head_complete:
            self.complete = True
