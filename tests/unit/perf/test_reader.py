"""The benchmark's reader: it must not mistake a failure, or half an answer, for a whole one."""

from __future__ import annotations

import struct

import pytest
from tests.perf.reader import BadAnswer, HTTPReader, WebSocketReader

OPENING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _frame(payload: bytes, opcode: int = 0x1) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes([0x80 | opcode, size]) + payload
    return bytes([0x80 | opcode, 126]) + struct.pack("!H", size) + payload


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_is_whole_when_its_last_byte_came(size: int) -> None:
    reader, data = HTTPReader(), _answer(b'{"result":{}}')
    answers = [
        answer for at in range(0, len(data), size) for answer in reader.feed(data[at : at + size])
    ]
    assert [answer.events for answer in answers] == [1]


def test_a_stream_counts_its_events() -> None:
    reader = HTTPReader()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert reader.feed(head + _chunk(b"data: 1\n\n")) == []
    assert reader.feed(_chunk(b"data: 2\n\n")) == []
    assert reader.feed(b"0\r\n") == []
    assert [answer.events for answer in reader.feed(b"\r\n")] == [2]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        _answer(b'{"result":{"isError":true}}'),
        _answer(b'{"error":{"code":-32600}}'),
    ],
)
def test_a_failure_is_no_answer(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        HTTPReader().feed(data)


def test_frames_come_whole_and_in_pieces() -> None:
    reader = WebSocketReader()
    assert reader.feed(OPENING) == []
    assert reader.open
    data = _frame(b'{"result":1}') + _frame(b'{"result":"%b"}' % (b"x" * 300))
    answers = [answer for byte in data for answer in reader.feed(bytes([byte]))]
    assert [answer.events for answer in answers] == [1, 1]


def test_notifications_are_events_of_the_answer_that_follows() -> None:
    reader = WebSocketReader()
    notice = _frame(b'{"method":"notifications/progress"}')
    assert [a.events for a in reader.feed(OPENING + notice + notice + _frame(b"{}"))] == [3]


def test_a_ping_is_answered_and_a_close_is_a_failure() -> None:
    reader = WebSocketReader()
    assert reader.feed(OPENING + _frame(b"hi", opcode=0x9)) == []
    assert reader.control() == b"\x8a\x82\0\0\0\0hi"
    assert reader.control() == b""
    with pytest.raises(BadAnswer, match="closed"):
        reader.feed(_frame(b"\x03\xe9", opcode=0x8))


def test_a_refused_upgrade_is_a_failure() -> None:
    with pytest.raises(BadAnswer, match="401"):
        WebSocketReader().feed(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
