from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mcp_gateway.server.http import MAX_FIELDS, RequestReader
from mcp_gateway.server.message import Bounds

HEAD = b"POST /mcp HTTP/1.1\r\nHost: h\r\n"


def reader(**bounds: Any) -> RequestReader:
    return RequestReader(Bounds(**bounds), "192.0.2.7")


def test_a_request_is_read_whole() -> None:
    read = reader()
    (request,) = read.feed(HEAD + b"Content-Length: 5 \t\r\nX-A: \t b \t\r\n\r\nhello")
    assert (request.method, request.path, request.body) == ("POST", "/mcp", b"hello")
    assert request.headers.get(b"x-a") == b"b"
    assert request.peer == "192.0.2.7"
    assert request.keep_alive
    assert not request.http_1_0
    assert not read.reading
    assert read.refusal is None


def test_a_request_cut_anywhere_reads_the_same() -> None:
    data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
    for size in (1, 2, 3, 7, 50):
        read = reader()
        found = [r for i in range(0, len(data), size) for r in read.feed(data[i : i + size])]
        assert [r.body for r in found] == [b"abcde"], size
        assert found[0].path == "/mcp"


def test_a_trailer_is_no_header() -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\nX-A: 1\r\n\r\n"
    (request,) = reader().feed(head + b"0\r\nX-A: 2\r\nAuthorization: Bearer k\r\n\r\n")
    assert request.headers.get(b"x-a") == b"1"
    assert b"authorization" not in request.headers


def test_pipelined_requests_come_in_order() -> None:
    data = b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % i for i in range(5))
    assert [r.path for r in reader().feed(data)] == ["/0", "/1", "/2", "/3", "/4"]


def test_what_follows_a_close_is_not_a_request() -> None:
    read = reader()
    close = b"GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    (request,) = read.feed(close + b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert request.path == "/1"
    assert not request.keep_alive
    assert read.refusal is None
    assert read.feed(b"garbage") == []


def test_http_1_0_closes_unless_it_asks_otherwise() -> None:
    (request,) = reader().feed(b"GET / HTTP/1.0\r\n\r\n")
    assert request.http_1_0
    assert not request.keep_alive
    (request,) = reader().feed(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert request.keep_alive


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        ("two lengths", HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400),
        ("two different lengths", HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nab", 400),
        (
            "length, then chunked",
            HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            "chunked, then length",
            HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
            400,
        ),
        ("a list of lengths", HEAD + b"Content-Length: 1, 1\r\n\r\na", 400),
        ("a negative length", HEAD + b"Content-Length: -1\r\n\r\n", 400),
        ("a signed length", HEAD + b"Content-Length: +1\r\n\r\na", 400),
        ("an empty length", HEAD + b"Content-Length: \r\n\r\n", 400),
        ("an overflowing length", HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
        (
            "an overflowing chunk",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff",
            400,
        ),
        ("a folded line", HEAD + b"A: b\r\n c\r\n\r\n", 400),
        ("a bare LF", HEAD + b"A: b\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("bare LF alone", b"GET / HTTP/1.1\nHost: h\n\n", 400),
        ("a bare CR", HEAD + b"A: b\rc\r\n\r\n", 400),
        ("a bare LF in a chunk", HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n", 400),
        ("NUL in a value", HEAD + b"A: b\0c\r\n\r\n", 400),
        ("NUL in the target", b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("a control character", HEAD + b"A: b\x01\r\n\r\n", 400),
        ("space before the colon", b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
        ("space before the first field", b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
        ("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
        ("two Hosts", HEAD + b"Host: h\r\n\r\n", 400),
        ("another host in the target", b"GET http://x/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("no method", b"\x16\x03\x01\x02\x00\x01\x00", 400),
        ("an unknown method", b"FETCH / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("HTTP/0.9", b"GET /\r\n\r\n", 505),
        ("HTTP/2 by name", b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("chunked in HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("gzip", HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (
            "gzip apart",
            HEAD + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
            501,
        ),
        ("chunked twice", HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
        ("another expectation", HEAD + b"Expect: miracles\r\n\r\n", 417),
        ("a tunnel", b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (
            "a body in a WebSocket upgrade",
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Content-Length: 2\r\n\r\nab",
            400,
        ),
    ],
)
def test_bad_input_is_refused(name: str, data: bytes, status: int) -> None:
    read = reader()
    assert read.feed(data) == [], name
    assert read.refusal is not None, name
    assert read.refusal[0] == status, (name, read.refusal)
    assert not read.reading
    assert read.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n") == []


def test_requests_before_a_bad_one_are_read() -> None:
    read = reader()
    found = read.feed(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
    assert [r.path for r in found] == ["/1"]
    assert read.refusal == (400, "HTTP/1.1 needs a Host header")


def test_a_stated_length_over_the_bound_is_refused_before_the_body() -> None:
    read = reader(max_body=10)
    read.feed(HEAD + b"Content-Length: 11\r\n\r\n")
    assert read.refusal == (413, "body over 10 bytes")


def test_a_chunked_body_over_the_bound_is_refused() -> None:
    read = reader(max_body=10)
    read.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n8\r\nabcdefgh\r\n")
    assert read.refusal is None
    read.feed(b"3\r\nabc\r\n")
    assert read.refusal == (413, "body over 10 bytes")


def test_a_body_of_many_tiny_chunks_is_one_body() -> None:
    read = reader()
    read.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(1000):
        assert read.feed(b"1\r\nx\r\n") == []
    (request,) = read.feed(b"0\r\n\r\n")
    assert request.body == b"x" * 1000


def test_a_long_head_is_refused_in_one_piece_and_in_many() -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"x" * 2000 + b"\r\n\r\n"
    whole = reader(max_header=1000)
    whole.feed(head)
    assert whole.refusal == (431, "header block over 1000 bytes")
    pieces = reader(max_header=1000)
    for start in range(0, 1200, 100):
        pieces.feed(head[start : start + 100])
    assert pieces.refusal == (431, "header block over 1000 bytes")


def test_a_small_head_with_a_large_body_is_fine() -> None:
    read = reader(max_header=100)
    (request,) = read.feed(HEAD + b"Content-Length: 500\r\n\r\n" + b"x" * 500)
    assert len(request.body) == 500


def test_many_small_fields_are_refused() -> None:
    read = reader()
    read.feed(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a:\r\n" * MAX_FIELDS + b"\r\n")
    assert read.refusal == (431, f"more than {MAX_FIELDS} header fields")


@pytest.mark.parametrize("endless", [b"x", b"1;" + b"e" * 20, b"0\r\nT: " + b"t" * 20])
def test_bytes_that_bring_no_body_are_bounded(endless: bytes) -> None:
    # A field, a chunk extension, a trailer that never ends.
    read = reader(max_header=200)
    start = (
        b"GET / HTTP/1.1\r\nA: "
        if endless == b"x"
        else HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    )
    read.feed(start)
    read.feed(endless)
    for _ in range(300):
        read.feed(b"y")
    assert read.refusal == (431, "header block over 200 bytes")


def test_a_head_can_be_refused_before_any_of_its_body() -> None:
    def admit(fields: Mapping[bytes, bytes]) -> tuple[int, str] | None:
        return None if fields.get(b"authorization") == b"yes" else (401, "no")

    allowed = RequestReader(Bounds(admit=admit), "")
    (request,) = allowed.feed(HEAD + b"Authorization: yes\r\nContent-Length: 2\r\n\r\nhi")
    assert request.body == b"hi"
    refused = RequestReader(Bounds(admit=admit), "")
    assert refused.feed(HEAD + b"Content-Length: 2\r\n\r\n") == []
    assert refused.refusal == (401, "no")
    assert refused.feed(b"hi") == []


def test_an_expectation_is_told() -> None:
    read = reader()
    read.feed(HEAD + b"Content-Length: 2\r\nExpect: 100-Continue\r\n\r\n")
    assert read.wants_continue
    assert read.reading
    (request,) = read.feed(b"ab")
    assert request.body == b"ab"


def test_an_upgrade_to_websocket_keeps_what_follows() -> None:
    read = reader()
    upgrade = b"GET /mcp HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
    (request,) = read.feed(upgrade + b"\x81\x00")
    assert request.websocket
    assert not request.keep_alive
    assert read.switching
    assert read.feed(b"more") == []
    assert read.rest == b"\x81\x00more"


def test_an_upgrade_nobody_speaks_is_ignored() -> None:
    # curl --http2 sends this; RFC 9110 §7.8 lets a server go on in HTTP/1.1.
    read = reader()
    first = HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab"
    found = read.feed(first + b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert [(r.path, r.body, r.websocket) for r in found] == [
        ("/mcp", b"ab", False),
        ("/2", b"", False),
    ]


def test_a_post_cannot_upgrade_to_websocket() -> None:
    (request,) = reader().feed(HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert not request.websocket


def test_many_ignored_upgrades_in_one_piece_are_read_one_by_one() -> None:
    one = b"GET /%d HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    found = reader().feed(b"".join(one % number for number in range(3000)))
    assert [r.path for r in found] == [f"/{number}" for number in range(3000)]


def test_a_chunked_body_after_an_ignored_upgrade_is_read() -> None:
    read = reader(max_body=5)
    head = HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read.feed(head) == []
    assert read.reading
    (request,) = read.feed(b"2\r\nab\r\n0\r\n\r\n")
    assert request.body == b"ab"
    read.feed(head + b"6\r\nabcdef\r\n")
    assert read.refusal == (413, "body over 5 bytes")


def test_an_idle_connection_holds_no_body() -> None:
    read = reader()
    body = b"x" * 100_000
    (request,) = read.feed(HEAD + b"Content-Length: 100000\r\n\r\n" + body)
    assert request.body == body
    assert read._body == b""  # what it keeps is what is tested
