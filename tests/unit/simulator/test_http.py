from __future__ import annotations

import pytest
from tests.unit.simulator.line import replies

from mcp_gateway.simulator import http


@pytest.mark.parametrize("status", [200, 400, 429, 503])
def test_a_response_is_framed_by_its_length(status: int) -> None:
    [reply] = replies(http.response(status, b"{}", b"x-a: 1\r\n"))
    assert (reply.status, reply.body) == (status, b"{}")
    assert reply.headers == {
        "content-type": "application/json",
        "x-a": "1",
        "content-length": "2",
    }


def test_a_page_has_its_type() -> None:
    [reply] = replies(http.response(502, b"<p>", content_type=b"text/html"))
    assert reply.headers["content-type"] == "text/html"


def test_a_stream_is_framed_in_chunks() -> None:
    data = http.stream_head(b"x-a: 1\r\n", chunked=True) + http.chunk(b"abc") + http.LAST_CHUNK
    [reply] = replies(data)
    assert reply.body == b"abc"
    assert reply.headers["content-type"] == "text/event-stream"


def test_without_chunks_the_end_of_the_connection_is_the_end() -> None:
    head = http.stream_head(b"", chunked=False)
    assert b"connection: close" in head
    assert b"transfer-encoding" not in head
