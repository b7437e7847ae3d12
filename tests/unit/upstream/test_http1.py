from __future__ import annotations

import pytest

from mcp_gateway.errors import RemoteProtocolError
from mcp_gateway.upstream.http1 import ResponseParser

HEAD = b"HTTP/1.1 200 OK\r\n"


def parsed(*pieces: bytes, max_head: int = 1024, max_body: int = 1024) -> ResponseParser:
    parser = ResponseParser(max_head=max_head, max_body=max_body)
    for piece in pieces:
        parser.feed(piece)
    return parser


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


LENGTH = HEAD + b"Content-Length: 5\r\nX-A: b\r\n\r\nhello"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: r\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + LENGTH


@pytest.mark.parametrize("wire", [LENGTH, CHUNKED, INTERIM])
@pytest.mark.parametrize("split", [False, True])
def test_a_response_is_read_however_it_arrives(wire: bytes, split: bool) -> None:
    parser = parsed(*(bytewise(wire) if split else [wire]))
    assert parser.complete
    assert parser.status == 200
    assert parser.take_body() == b"hello"
    assert parser.take_body() == b""
    assert parser.keep_alive
    assert not parser.surplus
    assert b"link" not in parser.headers
    assert b"t" not in parser.headers


def test_header_names_are_lower_case_and_repeated_values_joined() -> None:
    parser = parsed(HEAD + b"X-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n")
    assert parser.headers == {b"x-a": b"1, 2", b"content-length": b"0"}


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
        HEAD + b"Content-Length: 0\r\n\r\n",
    ],
)
def test_some_answers_have_no_body(wire: bytes) -> None:
    parser = parsed(wire)
    assert parser.complete
    assert parser.take_body() == b""
    assert parser.keep_alive


def test_without_framing_the_end_of_the_connection_is_the_end_of_the_body() -> None:
    parser = parsed(HEAD + b"\r\nhel", b"lo")
    assert parser.head_complete
    assert not parser.complete
    assert not parser.keep_alive
    assert parser.feed_eof()
    assert parser.take_body() == b"hello"


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"HTTP/1.1 200",
        HEAD + b"X: y\r\n",
        HEAD + b"Content-Length: 5\r\n\r\nhell",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_an_end_in_the_middle_is_no_end(wire: bytes) -> None:
    assert not parsed(wire).feed_eof()


def test_an_end_after_the_end_is_fine() -> None:
    assert parsed(LENGTH).feed_eof()


@pytest.mark.parametrize(
    ("wire", "keep_alive"),
    [
        (HEAD + b"Connection: close\r\nContent-Length: 0\r\n\r\n", False),
        (HEAD + b"Connection: keep-alive\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", True),
    ],
)
def test_the_provider_says_whether_the_connection_lives_on(wire: bytes, keep_alive: bool) -> None:
    assert parsed(wire).keep_alive == keep_alive


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 99 Odd\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Bad Name: x\r\n\r\n",
        HEAD + b"A: b\r\n folded\r\n\r\n",
        HEAD + b"A: \x00\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(wire: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parsed(wire)


@pytest.mark.parametrize("what", [LENGTH, b"garbage", b"\x00"])
def test_bytes_after_the_answer_spoil_the_connection_and_not_the_answer(what: bytes) -> None:
    parser = parsed(LENGTH + what)
    assert parser.complete
    assert parser.surplus
    assert parser.take_body() == b"hello"
    assert parser.headers[b"x-a"] == b"b"


@pytest.mark.parametrize(
    "flood",
    [
        HEAD + b"X: " + b"a" * 2000,
        HEAD + b"".join(b"X-%d: y\r\n" % i for i in range(300)),
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: r\r\n" * 400,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 2000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
        b"HTTP/1.1 200 " + b"O" * 2000,
    ],
)
@pytest.mark.parametrize("size", [1, 500])
def test_what_is_neither_body_nor_end_of_head_is_bounded(flood: bytes, size: int) -> None:
    with pytest.raises(RemoteProtocolError, match="1024 bytes"):
        parsed(*(flood[i : i + size] for i in range(0, len(flood), size)))


def test_a_body_is_bounded() -> None:
    head = HEAD + b"Content-Length: 2000\r\n\r\n"
    assert parsed(head, b"x" * 1024).take_body() == b"x" * 1024
    with pytest.raises(RemoteProtocolError, match="at most 1024"):
        parsed(head, b"x" * 1025)


def test_a_streamed_body_has_no_bound_for_it_is_taken_away() -> None:
    parser = ResponseParser(max_head=1024, max_body=1024)
    parser.start(stream=True)
    parser.feed(HEAD + b"Content-Length: 100000\r\n\r\n")
    total = 0
    for _ in range(100):
        parser.feed(b"x" * 1000)
        total += len(parser.take_body())
    assert total == 100_000
    assert parser.complete


def test_one_parser_reads_one_response_after_the_other() -> None:
    parser = parsed(LENGTH)
    first = parser.headers
    parser.start()
    assert not parser.complete
    parser.feed(b"HTTP/1.1 429 Slow\r\nContent-Length: 2\r\n\r\nno")
    assert (parser.status, parser.take_body()) == (429, b"no")
    assert first[b"content-length"] == b"5"
