"""Bytes of one HTTP/1.1 connection in, whole requests out.

The parser is httptools (llhttp in its strict mode): it refuses by itself a repeated
Content-Length, Content-Length beside Transfer-Encoding, folded header lines, bare LF or CR,
control characters, and numbers that overflow. What it lets through and HTTP does not is refused
here. No I/O and no clock: the connection's deadlines are its owner's.
"""

from __future__ import annotations

import httptools

from mcp_gateway.protocol.headers import Headers
from mcp_gateway.server.message import Bounds, HTTPRequest
from mcp_gateway.server.target import split_target

MAX_FIELDS = 200


def _count(fields: list[tuple[bytes, bytes]], wanted: bytes) -> int:
    return sum(name == wanted for name, _ in fields)


class _Refused(Exception):
    """Raised inside a parser callback to stop the parser; `refusal` says why."""


class RequestReader:
    """Reads requests, each whole.

    Attributes:
        reading: inside a request; the owner minds that it arrives in time.
        refusal: status and reason why nothing more is read; None while all is well.
        wants_continue: the request being read waits for `100 Continue`. The owner resets it.
        switching: the last request asks for WebSocket, and `rest` is what came after it.
    """

    __slots__ = (
        "_advanced",
        "_arrived",
        "_body",
        "_body_size",
        "_bounds",
        "_fed",
        "_fields",
        "_head",
        "_last",
        "_noted",
        "_parser",
        "_peer",
        "_stuck",
        "_url",
        "_version",
        "reading",
        "refusal",
        "rest",
        "switching",
        "wants_continue",
    )

    def __init__(self, bounds: Bounds, peer: str) -> None:
        self._bounds = bounds
        self._peer = peer
        self._parser = httptools.HttpRequestParser(self)
        self._arrived: list[HTTPRequest] = []
        self._advanced = False  # the bytes just fed brought a head, a body or an end
        self._fed = 0  # bytes since something advanced, with those being fed
        self._stuck = 0  # the same, before them
        self._last = False  # a request with `close` came
        self._url = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._head: list[tuple[bytes, bytes]] = []
        self._noted: dict[bytes, bytes] = {}
        self._version = ""
        self._body: bytes | bytearray = b""
        self._body_size = 0
        self.reading = False
        self.refusal: tuple[int, str] | None = None
        self.wants_continue = False
        self.switching = False
        self.rest = b""

    @property
    def held(self) -> int:
        """Bytes of a body that is not whole yet."""
        return len(self._body)

    @property
    def deaf(self) -> bool:
        """Nothing more is read from this client, or not by this reader."""
        return self._last or self.switching or self.refusal is not None

    def feed(self, data: bytes) -> list[HTTPRequest]:
        """Take in bytes and return the requests they complete. Look at `refusal` afterwards."""
        if self.deaf:
            if self.switching:
                self.rest += data
            return []
        self._advanced = False
        self._fed = self._stuck + len(data)
        self._feed(data)
        # One rule bounds heads, chunk extensions and trailers alike: so many bytes may pass
        # without a head, a piece of a body or an end of a request.
        self._stuck = 0 if self._advanced else self._fed
        if self._stuck > self._bounds.max_header and self.refusal is None:
            self.refusal = (431, f"header block over {self._bounds.max_header} bytes")
        if self.refusal is not None:
            self.reading = False
        arrived, self._arrived = self._arrived, []
        return arrived

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        """A request line begins."""
        self.reading = True
        self._url = b""
        self._fields = []
        self._body = b""
        self._body_size = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field; after the head these are trailers, which nobody here reads."""
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Judge the head before any of the body is taken."""
        self._advanced = True
        bounds = self._bounds
        self._head, self._fields = self._fields, []
        noted = self._noted = dict(self._head)
        if len(noted) != len(self._head) and _count(self._head, b"host") > 1:
            raise self._stop(400, "more than one Host header")
        version = self._version = self._parser.get_http_version()
        if version == "1.1":
            if b"host" not in noted:
                raise self._stop(400, "HTTP/1.1 needs a Host header")
        elif version != "1.0":
            raise self._stop(505, "HTTP/1.1 is spoken here")
        self._admit(noted)
        if len(self._head) > MAX_FIELDS:
            raise self._stop(431, f"more than {MAX_FIELDS} header fields")
        # Only bytes that could hold an overlong head make it worth adding up.
        if self._fed > bounds.max_header and self._head_size() > bounds.max_header:
            raise self._stop(431, f"header block over {bounds.max_header} bytes")
        if b"transfer-encoding" in noted:
            self._check_transfer_encoding(version, self._stated(b"transfer-encoding"))
        if b"expect" in noted:
            self._expect(version, self._stated(b"expect"))

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._advanced = True
        self._body_size += len(body)
        if self._body_size > self._bounds.max_body:
            raise self._stop(413, f"body over {self._bounds.max_body} bytes")
        if not self._body:
            self._body = body
        elif isinstance(self._body, bytearray):
            self._body += body
        else:
            # One growing buffer, not a list: a body of one-byte chunks costs no more than itself.
            self._body = bytearray(self._body) + body

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._advanced = True
        self.reading = False
        parser = self._parser
        method = parser.get_method().decode()
        try:
            path, query = split_target(method, self._url, self._stated(b"host"))
        except ValueError as exc:
            raise self._stop(400, str(exc)) from exc
        request = HTTPRequest(
            method, path, query, Headers(self._head), bytes(self._body), self._peer
        )
        # An idle connection must not hold on to its last body.
        self._body = b""
        request.keep_alive = parser.should_keep_alive()
        request.http_1_0 = self._version == "1.0"
        if parser.should_upgrade() and not self._upgraded(request):
            return
        # RFC 9112 §9.6: what follows a request with `close` is not a request.
        self._last = not request.keep_alive
        self._arrived.append(request)

    # Inside.

    def _feed(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while (upgrade_at := self._parse(view)) is not None:
                view = view[upgrade_at:]
                if self.switching:
                    self.rest = bytes(view)
                    return
                head = self._without_upgrade()
                self._parser = httptools.HttpRequestParser(self)
                self._parser.feed_data(head)
        except httptools.HttpParserError as exc:
            if self.refusal is None and not self._last:
                self.refusal = (400, f"malformed request: {exc}")

    def _parse(self, view: memoryview) -> int | None:
        """Feed the parser; where it stops at an upgrade, return how many bytes it took."""
        try:
            self._parser.feed_data(view)
        except httptools.HttpParserUpgrade as upgrade:
            return int(upgrade.args[0])
        return None

    def _admit(self, fields: dict[bytes, bytes]) -> None:
        bounds = self._bounds
        refused = None if bounds.admit is None else bounds.admit(fields)
        if refused is not None:
            raise self._stop(*refused)
        length = fields.get(b"content-length")
        if length is not None and int(length) > bounds.max_body:
            raise self._stop(413, f"body over {bounds.max_body} bytes")

    def _stop(self, status: int, message: str) -> _Refused:
        self.refusal = (status, message)
        return _Refused(message)

    def _stated(self, name: bytes) -> bytes:
        """A field of the head, empty where it is missing; of one that came twice, the last."""
        # RFC 9110 §5.5: whitespace around a value is no part of it; llhttp leaves what trails.
        return self._noted.get(name, b"").rstrip(b" \t")

    def _head_size(self) -> int:
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._head)

    def _check_transfer_encoding(self, version: str, encoding: bytes) -> None:
        # RFC 9112 §6.1: a coding that is not understood is 501; in HTTP/1.0 it is an attack.
        if version == "1.0":
            raise self._stop(400, "HTTP/1.0 has no Transfer-Encoding")
        # Two fields are one list (RFC 9110 §5.3), of which the first names another coding.
        if encoding.lower() != b"chunked" or _count(self._head, b"transfer-encoding") > 1:
            raise self._stop(501, "only the chunked transfer coding is understood")

    def _expect(self, version: str, expectation: bytes) -> None:
        if expectation.lower() != b"100-continue":
            raise self._stop(417, "only 100-continue can be expected")
        self.wants_continue = version == "1.1"

    def _upgraded(self, request: HTTPRequest) -> bool:
        """Whether the upgrade that a request asks for is one to decide on, which ends reading."""
        if request.method == "CONNECT":
            raise self._stop(405, "this is not a proxy")
        if request.method != "GET" or self._stated(b"upgrade").lower() != b"websocket":
            return False
        if self._stated(b"content-length") not in {b"", b"0"} or self._stated(b"transfer-encoding"):
            raise self._stop(400, "an upgrade to WebSocket has no body")
        # Until the upgrade is decided nothing can be read: the bytes have no protocol yet.
        request.websocket = True
        request.keep_alive = False
        self.switching = True
        return True

    def _without_upgrade(self) -> bytes:
        """The head just read, without its wish for an upgrade that nobody here speaks.

        RFC 9110 §7.8: such a wish (h2c: Java's client and curl send it) is ignored. llhttp stops
        at every upgrade and leaves the body unread, so the head is read again without it;
        going on behind it would take a body for the next request.
        """
        version = self._version.encode()
        lines = [b"%b %b HTTP/%b" % (self._parser.get_method(), self._url, version)]
        lines += [name + b": " + value for name, value in self._head if name != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"
