from __future__ import annotations

import random

import pytest

from mcp_gateway.errors import RemoteProtocolError
from mcp_gateway.protocol.sse import SSEDecoder, encode, encode_plain


def test_a_message_is_one_event_with_one_data_line() -> None:
    assert encode(b'{"id":1}') == b'event: message\ndata: {"id":1}\n\n'


@pytest.mark.parametrize("data", [b'{\n"id":1}', b'{\r"id":1}'])
def test_line_breaks_between_tokens_become_spaces(data: bytes) -> None:
    assert encode(data) == b'event: message\ndata: { "id":1}\n\n'


@pytest.mark.parametrize("data", [b"[DONE]", b'{"a":1}', b"two\nlines", b""])
def test_what_is_passed_on_is_read_as_it_was(data: bytes) -> None:
    assert encode_plain(b"x") == b"data: x\n\n"
    assert SSEDecoder().feed(encode_plain(data)) == [data]


def test_a_keep_alive_is_a_comment() -> None:
    assert SSEDecoder().feed(b": ping\n\n") == []


def test_what_is_encoded_is_decoded() -> None:
    assert SSEDecoder().feed(encode(b"1") + encode(b"2")) == [b"1", b"2"]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data\n\n", [b""]),
        (b"data: a:b\n\n", [b"a:b"]),
        (b"event: x\nid: 1\nretry: 5\n: comment\ndata: a\n\n", [b"a"]),
        (b"event: x\n\n", []),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\n\rdata: b\r\n\n", [b"a", b"b"]),
        (b"Data: a\n\n", []),
        (b"data: a\n", []),
    ],
)
def test_a_stream_is_cut_into_the_same_events_however_it_arrives(
    stream: bytes, events: list[bytes]
) -> None:
    assert SSEDecoder().feed(stream) == events
    for size in range(1, len(stream)):
        decoder = SSEDecoder()
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [event for chunk in chunks for event in decoder.feed(chunk)] == events


def test_the_end_of_the_stream_completes_an_event_without_its_blank_line() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\n\ndata: [DONE]") == [b"a"]
    assert decoder.close() == [b"[DONE]"]
    assert decoder.close() == []


def test_an_event_up_to_the_bound_is_taken() -> None:
    assert SSEDecoder(max_event=16).feed(b"data: 0123456789\n\n") == [b"0123456789"]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([b"data: 0123456789012"], id="one line"),
        pytest.param([b"data: 0123\n", b"data: 4567\n", b"data: 89"], id="several lines"),
        pytest.param([b": ", b"a comment that does not end"], id="a comment"),
    ],
)
def test_an_event_over_the_bound_is_refused(chunks: list[bytes]) -> None:
    decoder = SSEDecoder(max_event=16)
    for chunk in chunks[:-1]:
        decoder.feed(chunk)
    with pytest.raises(RemoteProtocolError, match="longer than 16 bytes"):
        decoder.feed(chunks[-1])


def test_random_events_survive_random_cuts() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    draw = random.Random(seed)
    for _ in range(300):
        events = [bytes(draw.choices(b"ab: \xc3\xa9", k=draw.randrange(8))) for _ in range(5)]
        end = draw.choice([b"\n", b"\r\n", b"\r"])
        stream = b"".join(b"data: " + event + end + end for event in events)
        decoder, found = SSEDecoder(), []
        while stream:
            size = draw.randrange(1, 10)
            found += decoder.feed(stream[:size])
            stream = stream[size:]
        assert found == events


def test_a_long_line_may_come_byte_by_byte() -> None:
    decoder = SSEDecoder()
    # Put together again for each byte, this would take minutes.
    for _ in range(500_000):
        decoder.feed(b"x")
    assert decoder.feed(b"\ndata: last\n\n") == [b"last"]
