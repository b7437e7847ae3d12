from __future__ import annotations

import pytest

from mcp_gateway.client.sse import EventReader
from mcp_gateway.errors import RemoteProtocolError

STREAM = b": ping\n\nevent: message\ndata: one\n\ndata:two\ndata: lines\nid: 3\n\n\n\n"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_events_are_the_same_however_they_are_cut(end: bytes, size: int) -> None:
    stream = STREAM.replace(b"\n", end) + b":\n"
    reader = EventReader(100)

    events = []
    for start in range(0, len(stream), size):
        events += reader.feed(stream[start : start + size])

    assert events == [b"one", b"two\nlines"]


def test_an_event_without_its_end_is_not_handed_out() -> None:
    assert EventReader(100).feed(b"data: half\n") == []


def test_data_without_end_is_refused_at_its_limit() -> None:
    reader = EventReader(100)

    reader.feed(b"data: 0123456789" * 6)
    with pytest.raises(RemoteProtocolError, match="more than 100 bytes"):
        reader.feed(b"0123456789")


def test_many_lines_of_one_event_are_refused_at_the_limit() -> None:
    reader = EventReader(100)

    reader.feed(b"data: 0123456789\n" * 9)
    with pytest.raises(RemoteProtocolError):
        reader.feed(b"data: 0123456789\n" * 2)


def test_any_number_of_events_under_the_limit_passes() -> None:
    reader = EventReader(20)

    assert sum(len(reader.feed(b"data: 0123456789\n\n")) for _ in range(1000)) == 1000


def test_lines_without_data_are_refused_at_the_limit_too() -> None:
    reader = EventReader(100)

    reader.feed(b"data:\n" * 100)
    with pytest.raises(RemoteProtocolError):
        reader.feed(b"data:\n")
