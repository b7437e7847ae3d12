from __future__ import annotations

import asyncio

import pytest
from tests.support.stand_in_engine import StandInEngine

from mcp_gateway.errors import InvalidMessage, RateLimited, Unauthenticated
from mcp_gateway.protocol.headers import Headers
from mcp_gateway.proxy.exchange import Exchange, Face
from mcp_gateway.server.intake import (
    MAX_TIMEOUT,
    answer_head,
    begin_http,
    credential_of,
    error_head,
    timeout_of,
)
from mcp_gateway.server.message import HTTPRequest

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], ""),
        ([(b"authorization", b"Bearer abc")], "abc"),
        ([(b"authorization", b"bearer   abc ")], "abc"),
        ([(b"authorization", b"Basic abc")], ""),
        ([(b"authorization", b"abc")], ""),
        ([(b"x-api-key", b"abc")], "abc"),
        ([(b"x-api-key", b"one"), (b"authorization", b"Bearer two")], "two"),
    ],
)
def test_the_credential_is_a_bearer_token_or_an_api_key(
    fields: list[tuple[bytes, bytes]], expected: str
) -> None:
    assert credential_of(Headers(fields)) == expected


def test_a_client_may_say_how_long_it_waits() -> None:
    assert timeout_of(Headers([])) is None
    assert timeout_of(Headers([(b"x-request-timeout", b"2.5")])) == 2.5
    assert timeout_of(Headers([(b"x-request-timeout", b"1e9")])) == MAX_TIMEOUT
    assert timeout_of(Headers([(b"x-request-timeout", b"inf")])) == MAX_TIMEOUT


@pytest.mark.parametrize("value", [b"soon", b"0", b"-1", b"nan", b""])
def test_a_timeout_that_is_none_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidMessage, match="x-request-timeout"):
        timeout_of(Headers([(b"x-request-timeout", value)]))


async def test_an_exchange_begins_with_what_the_request_says() -> None:
    loop = asyncio.get_running_loop()
    fields = [
        (b"authorization", b"Bearer k"),
        (b"traceparent", TRACE),
        (b"x-request-id", b"mine" * 100),
    ]
    request = HTTPRequest("POST", "/", b"", Headers(fields), b"", "192.0.2.1")
    exchange = begin_http(request, StandInEngine(), loop, face=Face.HTTP, method="m")
    assert (exchange.credential, exchange.peer, exchange.method) == ("k", "192.0.2.1", "m")
    assert exchange.traceparent == TRACE.decode()
    assert exchange.request_id == "mine" * 32
    assert exchange.started == loop.time()
    assert b"x-request-id: " + exchange.id.encode() in answer_head(exchange)


async def test_a_deadline_is_part_of_the_exchange_and_a_wrong_one_makes_it_invalid() -> None:
    loop = asyncio.get_running_loop()

    def begun(value: bytes) -> Exchange:
        headers = Headers([(b"x-request-timeout", value)])
        request = HTTPRequest("POST", "/", b"", headers, b"", "")
        return begin_http(request, StandInEngine(), loop, face=Face.HTTP, method="m")

    assert begun(b"2").deadline == loop.time() + 2.0
    assert isinstance(begun(b"soon").invalid, InvalidMessage)


async def test_a_malformed_trace_is_dropped() -> None:
    request = HTTPRequest("POST", "/", b"", Headers([(b"traceparent", b"x" * 300)]), b"", "")
    loop = asyncio.get_running_loop()
    exchange = begin_http(request, StandInEngine(), loop, face=Face.HTTP, method="m")
    assert exchange.traceparent == ""


async def test_an_error_says_when_to_come_again_and_how_to_say_who_one_is() -> None:
    request = HTTPRequest("POST", "/", b"", Headers([]), b"", "")
    loop = asyncio.get_running_loop()
    exchange = begin_http(request, StandInEngine(), loop, face=Face.HTTP, method="m")
    assert b"retry-after: 3\r\n" in error_head(exchange, RateLimited("slow", retry_after=2.1))
    assert b"retry-after: 1\r\n" in error_head(exchange, RateLimited("slow", retry_after=0.01))
    assert b"retry-after" not in error_head(exchange, RateLimited("slow"))
    assert b"www-authenticate: Bearer" in error_head(exchange, Unauthenticated("who"))
