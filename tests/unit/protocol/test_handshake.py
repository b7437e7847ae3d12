from __future__ import annotations

import pytest
from msgspec import Raw

from mcp_gateway.errors import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    InvalidMessage,
    UnknownMethod,
    UnsupportedProtocolVersion,
)
from mcp_gateway.protocol.event import Call
from mcp_gateway.protocol.handshake import METHODS, Session, over_frame, over_http, revision_of
from mcp_gateway.protocol.jsonrpc import Request
from mcp_gateway.protocol.params import read
from mcp_gateway.protocol.versions import HANDSHAKE_REVISIONS, Era, Revision

INITIALIZE = (
    b'{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}'
)


def http(method: str, raw: bytes = b"{}", header: bytes | None = None) -> Call:
    return over_http(Request(1, method, Raw(raw)), read(method, raw), header, wants_sse=True)


def frame(session: Session, method: str, raw: bytes = b"{}") -> Call:
    return over_frame(Request(1, method, Raw(raw)), read(method, raw), session)


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_the_header_says_the_revision_of_a_request(revision: Revision) -> None:
    call = http("ping", header=revision.encode())
    assert (call.era, call.version) == (Era.HANDSHAKE, revision)
    assert call.wants_sse


def test_without_a_header_the_revision_before_the_header_is_assumed() -> None:
    assert http("ping").version is Revision.R2025_03_26


@pytest.mark.parametrize("header", [b"", b"2026-07-28", b"1.0", b"2025-11-25, 2025-11-25", b"\xff"])
def test_an_unknown_revision_in_the_header_is_refused(header: bytes) -> None:
    with pytest.raises(UnsupportedProtocolVersion) as caught:
        http("ping", header=header)
    data = caught.value.data()
    assert data["requested"] == header.decode("latin-1")
    assert "2025-11-25" in data["supported"]  # type: ignore[operator]


def test_a_long_header_is_not_repeated_whole() -> None:
    with pytest.raises(UnsupportedProtocolVersion) as caught:
        revision_of(b"x" * 1000)
    assert caught.value.data()["requested"] == "x" * 32


def test_initialize_over_http_negotiates_and_is_not_remembered() -> None:
    call = http("initialize", INITIALIZE)
    assert call.version is Revision.R2025_06_18
    assert call.client_info is not None
    assert bytes(call.client_info) == b'{"name":"x","version":"1"}'
    assert http("tools/list").client_info is None


@pytest.mark.parametrize("asked", [b"2026-07-28", b"1.0"])
def test_initialize_offers_the_newest_handshake_for_an_unknown_revision(asked: bytes) -> None:
    call = http("initialize", b'{"protocolVersion":"%b"}' % asked)
    assert call.version is Revision.R2025_11_25
    assert call.client_info is None


def test_initialize_without_a_revision_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="protocolVersion") as caught:
        http("initialize")
    assert caught.value.rpc_code == INVALID_PARAMS


@pytest.mark.parametrize(
    "method",
    ["server/discover", "resources/list", "logging/setLevel", "subscriptions/listen", "Ping", ""],
)
def test_a_method_that_is_not_served_is_unknown(method: str) -> None:
    assert method not in METHODS
    with pytest.raises(UnknownMethod):
        http(method)
    with pytest.raises(UnknownMethod):
        frame(Session(Revision.R2025_11_25), method)


def test_initialize_on_a_connection_is_remembered() -> None:
    session = Session()
    assert frame(session, "initialize", INITIALIZE).version is Revision.R2025_06_18
    call = frame(session, "tools/call", b'{"name":"chat"}')
    assert call.version is Revision.R2025_06_18
    assert call.client_info is not None
    assert bytes(call.client_info) == b'{"name":"x","version":"1"}'
    assert not call.wants_sse


def test_a_second_initialize_counts_from_then_on() -> None:
    session = Session()
    frame(session, "initialize", INITIALIZE)
    frame(session, "initialize", b'{"protocolVersion":"2025-11-25"}')
    assert session == Session(Revision.R2025_11_25, None)


def test_a_failed_initialize_changes_nothing() -> None:
    session = Session()
    with pytest.raises(InvalidMessage):
        frame(session, "initialize")
    assert session == Session()


def test_a_ping_may_come_before_the_handshake() -> None:
    session = Session()
    assert frame(session, "ping").version is Revision.R2025_03_26
    assert session == Session()


@pytest.mark.parametrize("method", ["tools/list", "tools/call", "unheard/of"])
def test_nothing_else_may_come_before_the_handshake(method: str) -> None:
    with pytest.raises(InvalidMessage, match="initialize") as caught:
        frame(Session(), method)
    assert caught.value.rpc_code == INVALID_REQUEST
