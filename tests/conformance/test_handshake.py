"""Revisions 2025-06-18 and 2025-11-25, and what all revisions share, as the server reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.conformance.manifest import meets
from tests.support.mcp_request import http_headers, message, stateless
from tests.support.mcp_schema import checked

from mcp_gateway.protocol.headers import Headers
from mcp_gateway.protocol.inbound import (
    Call,
    Event,
    Notified,
    Rejected,
    Replied,
    Session,
    receive_frame,
    receive_http,
)
from mcp_gateway.protocol.jsonrpc import MessageType
from mcp_gateway.protocol.versions import Era, Revision

VERSION = b"mcp-protocol-version"
CLIENT = {"name": "x", "version": "1"}


def both(body: bytes, headers: Headers | None = None) -> tuple[Event, Event]:
    """Read a message as a POST and as a frame of a connection with a handshake."""
    event = receive_http(headers or http_headers(), body)
    return event, receive_frame(Session(Revision.R2025_11_25), body)


def initialize(version: str) -> bytes:
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT}
    return message("initialize", params)


@meets("request:id:type")
@pytest.mark.parametrize("request_id", [None, True, 1.5, [], {}])
def test_an_id_that_is_neither_string_nor_integer_is_refused(request_id: Any) -> None:
    for body in (
        message("ping", id=request_id),
        stateless("tools/list").replace(b'"id":1', b'"id":' + json.dumps(request_id).encode()),
    ):
        for event in both(body):
            assert isinstance(event, Rejected)
            assert (event.error.rpc_code, event.status, event.id) == (-32600, 400, None)


@meets("batch:refused")
def test_a_batch_is_refused() -> None:
    for event in both(b"[" + message("ping") + b"]"):
        assert isinstance(event, Rejected)
        assert (event.error.rpc_code, event.status, event.id) == (-32600, 400, None)


@meets("initialize:negotiation")
@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1.0.0", "2025-11-25"),
    ],
)
def test_initialize_agrees_on_a_revision(asked: str, granted: str) -> None:
    checked("2025-11-25", "InitializeRequest", initialize(asked))
    for event in both(initialize(asked)):
        assert isinstance(event, Call)
        assert str(event.version) == granted


@meets("initialize:first")
def test_a_connection_begins_with_initialize_or_a_ping() -> None:
    session = Session()
    assert isinstance(receive_frame(session, message("ping")), Call)
    event = receive_frame(session, message("tools/list"))
    assert isinstance(event, Rejected)
    assert event.error.rpc_code == -32600
    assert isinstance(receive_frame(session, initialize("2025-11-25")), Call)
    assert isinstance(receive_frame(session, message("tools/list")), Call)


@meets("initialized:accepted", "notification:no-response")
def test_the_end_of_the_handshake_is_taken_in() -> None:
    for event in both(message("notifications/initialized", id=...)):
        assert event == Notified(method="notifications/initialized", era=Era.HANDSHAKE)


@meets("ping:answered")
def test_a_ping_is_served() -> None:
    for event in both(message("ping")):
        assert isinstance(event, Call)
        assert event.method == "ping"


@meets("cancel:notification")
@pytest.mark.parametrize("request_id", [7, "seven"])
def test_a_cancellation_names_the_request_to_stop(request_id: int | str) -> None:
    body = message("notifications/cancelled", {"requestId": request_id}, id=...)
    checked("2025-11-25", "CancelledNotification", body)
    for event in both(body):
        assert isinstance(event, Notified)
        assert event.cancels == request_id
        assert type(event.cancels) is type(request_id)


@meets("cancel:notification")
def test_a_malformed_cancellation_is_ignored() -> None:
    for event in both(message("notifications/cancelled", {"requestId": 1.5}, id=...)):
        assert isinstance(event, Notified)
        assert event.cancels is None


@meets("http:handshake:no-header", "http:handshake:session-less")
def test_a_request_without_headers_of_ours_and_without_a_history_is_served() -> None:
    event = receive_http(http_headers(), message("tools/list"))
    assert isinstance(event, Call)
    assert event.version is Revision.R2025_03_26


@meets("http:handshake:bad-header")
def test_an_unsupported_header_is_a_bad_request() -> None:
    event = receive_http(http_headers((VERSION, b"1900-01-01")), message("tools/list"))
    assert isinstance(event, Rejected)
    assert event.status == 400


@meets("http:handshake:response")
@pytest.mark.parametrize("member", ["result", "error"])
def test_a_posted_response_is_taken_in(member: str) -> None:
    for event in both(message(..., **{member: {}})):
        assert isinstance(event, Replied)
        assert event.type in {MessageType.RESPONSE, MessageType.ERROR}


@meets("tools:list:cursor")
@pytest.mark.parametrize("cursor", ["", "abc"])
def test_a_cursor_that_was_never_handed_out_is_refused(cursor: str) -> None:
    for event in both(message("tools/list", {"cursor": cursor})):
        assert isinstance(event, Rejected)
        assert event.error.rpc_code == -32602


@meets("tools:call:arguments")
@pytest.mark.parametrize(
    "params", [{}, {"name": 5}, {"name": ""}, {"name": "x", "arguments": []}, {"arguments": {}}]
)
def test_a_call_without_a_name_or_with_other_arguments_is_refused(params: Any) -> None:
    for event in both(message("tools/call", params)):
        assert isinstance(event, Rejected)
        assert event.error.rpc_code == -32602


@meets("tools:call:arguments")
def test_a_call_may_have_no_arguments() -> None:
    for event in both(message("tools/call", {"name": "models"})):
        assert isinstance(event, Call)
        assert (event.tool, bytes(event.arguments)) == ("models", b"{}")
