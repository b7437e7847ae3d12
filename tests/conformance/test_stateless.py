"""Revision 2026-07-28: what a request must carry, and what it is told if it does not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.manifest import meets
from tests.support.mcp_request import http_headers, message, stateless, stateless_headers
from tests.support.mcp_schema import checked

from mcp_gateway.protocol import outbound
from mcp_gateway.protocol.headers import Headers
from mcp_gateway.protocol.inbound import (
    Call,
    Event,
    Notified,
    Rejected,
    Session,
    receive_frame,
    receive_http,
)
from mcp_gateway.protocol.versions import Era

REVISION = "2026-07-28"
VERSION = b"mcp-protocol-version"
CHAT = {"name": "chat", "arguments": {"model": "m"}}


def refused(event: Event, code: int, status: int) -> dict[str, Any]:
    """Return the error of the answer, once its code, status and form are as expected."""
    assert isinstance(event, Rejected), event
    assert (event.error.rpc_code, event.status) == (code, status)
    answer = checked(REVISION, "JSONRPCErrorResponse", outbound.error(event.id, event.error))
    assert answer["id"] == 1
    said: dict[str, Any] = answer["error"]
    return said


def served(event: Event) -> Call:
    assert isinstance(event, Call), event
    assert event.era is Era.STATELESS
    return event


def without(headers: Headers, name: bytes) -> Headers:
    return Headers([pair for pair in headers.items() if pair[0] != name])


def with_value(headers: Headers, name: bytes, value: bytes) -> Headers:
    return Headers([*without(headers, name).items(), (name, value)])


@meets("meta:version:required", "meta:capabilities:required")
@pytest.mark.parametrize("key", ["protocolVersion", "clientCapabilities"])
def test_a_request_without_a_required_key_is_malformed(key: str) -> None:
    missing: dict[str, Any] = {key: ...}
    body = stateless("tools/list", None, **missing)
    said = refused(receive_http(stateless_headers("tools/list"), body), -32602, 400)
    assert key in said["message"]


@meets("meta:client-info:optional")
def test_a_request_need_not_name_its_client() -> None:
    assert served(receive_frame(Session(), stateless("tools/list"))).client_info is None


@meets("meta:log-level:known")
def test_an_unknown_log_level_is_a_wrong_parameter() -> None:
    body = stateless("tools/list", logLevel="chatty")
    refused(receive_http(stateless_headers("tools/list"), body), -32602, 400)


@meets("meta:trace-context")
def test_the_trace_context_is_read_from_meta() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
    body = stateless("tools/list", traceparent=parent, tracestate="a=b")
    call = served(receive_frame(Session(), body))
    assert (call.meta_traceparent, call.meta_tracestate) == (parent, "a=b")


@meets("version:unsupported")
@pytest.mark.parametrize("version", ["1900-01-01", "2025-11-25", "2099-12-31"])
def test_an_unserved_revision_is_told_the_served_ones(version: str) -> None:
    headers = stateless_headers("tools/list", version=version)
    event = receive_http(headers, stateless("tools/list", protocolVersion=version))
    said = refused(event, -32022, 400)
    assert said["data"]["supported"] == [REVISION]
    assert said["data"]["requested"] == version


@meets("version:dual-era")
def test_both_eras_are_served_side_by_side() -> None:
    served(receive_http(stateless_headers("tools/list"), stateless("tools/list")))
    event = receive_http(http_headers(), message("initialize", {"protocolVersion": "2025-11-25"}))
    assert isinstance(event, Call)
    assert event.era is Era.HANDSHAKE
    session = Session()
    served(receive_frame(session, stateless("tools/list")))
    event = receive_frame(session, message("initialize", {"protocolVersion": "2025-11-25"}))
    assert isinstance(event, Call)
    assert event.era is Era.HANDSHAKE
    served(receive_frame(session, stateless("tools/list")))


@meets("discover:served")
def test_discover_needs_no_parameters_but_meta() -> None:
    body = stateless("server/discover")
    checked(REVISION, "DiscoverRequest", body)
    assert served(receive_http(stateless_headers("server/discover"), body))


@meets("http:accept")
@pytest.mark.parametrize(
    ("accept", "wants_sse"),
    [
        (b"application/json, text/event-stream", True),
        (b"*/*", True),
        (b"application/json", False),
    ],
)
def test_a_client_that_accepts_json_is_served(accept: bytes, wants_sse: bool) -> None:
    headers = with_value(stateless_headers("tools/list"), b"accept", accept)
    assert served(receive_http(headers, stateless("tools/list"))).wants_sse is wants_sse


@meets("http:accept")
@pytest.mark.parametrize("accept", [b"text/event-stream", b"text/html"])
def test_a_client_that_does_not_accept_json_is_406(accept: bytes) -> None:
    headers = with_value(stateless_headers("tools/list"), b"accept", accept)
    event = receive_http(headers, stateless("tools/list"))
    assert isinstance(event, Rejected)
    assert event.status == 406


@meets("http:notification:accepted", "notification:no-response")
def test_a_notification_is_taken_in_whatever_it_says() -> None:
    for method in ("notifications/cancelled", "notifications/initialized", "notifications/x"):
        event = receive_http(http_headers((VERSION, REVISION.encode())), message(method, id=...))
        assert event == Notified(method=method, era=Era.STATELESS)


@meets("http:notification:unsupported")
def test_a_notification_of_an_unknown_revision_is_refused() -> None:
    event = receive_http(http_headers((VERSION, b"1900-01-01")), message("x", id=...))
    assert isinstance(event, Rejected)
    assert (event.status, event.id) == (400, None)


@meets("http:response:refused")
def test_a_posted_response_is_refused() -> None:
    event = receive_http(http_headers((VERSION, REVISION.encode())), message(..., result={}))
    assert isinstance(event, Rejected)
    assert (event.error.rpc_code, event.status) == (-32600, 400)


@meets("http:cancel:by-closing")
def test_a_posted_cancellation_stops_nothing() -> None:
    body = message("notifications/cancelled", {"requestId": 1}, id=...)
    event = receive_http(http_headers((VERSION, REVISION.encode())), body)
    assert isinstance(event, Notified)
    assert event.cancels is None


@meets("http:version-header", "http:method-header", "http:name-header")
@pytest.mark.parametrize("name", [b"mcp-protocol-version", b"mcp-method", b"mcp-name"])
def test_a_routing_header_is_there_and_says_what_the_body_says(name: bytes) -> None:
    body = stateless("tools/call", CHAT)
    headers = stateless_headers("tools/call", "chat")
    assert served(receive_http(headers, body)).tool == "chat"
    for wrong in (without(headers, name), with_value(headers, name, b"other")):
        said = refused(receive_http(wrong, body), -32020, 400)
        checked(REVISION, "HeaderMismatchError", outbound.error(1, _error(wrong, body)))
        assert name.decode().split("-")[-1] in said["message"].lower()


def _error(headers: Headers, body: bytes) -> Any:
    event = receive_http(headers, body)
    assert isinstance(event, Rejected)
    return event.error


@meets("http:name-header:encoded")
@pytest.mark.parametrize(
    ("tool", "header"),
    [("chat", b"=?base64?Y2hhdA==?="), ("世界", b"=?base64?5LiW55WM?=")],
)
def test_an_encoded_name_is_decoded_before_it_is_compared(tool: str, header: bytes) -> None:
    headers = with_value(stateless_headers("tools/call"), b"mcp-name", header)
    assert served(receive_http(headers, stateless("tools/call", {"name": tool}))).tool == tool
    refused(receive_http(headers, stateless("tools/call", {"name": "other"})), -32020, 400)


@meets("http:headers:white-space")
@pytest.mark.parametrize("name", [b"mcp-protocol-version", b"mcp-method", b"mcp-name"])
def test_white_space_around_a_header_is_accepted(name: bytes) -> None:
    headers = stateless_headers("tools/call", "chat")
    padded = with_value(headers, name, b" \t" + (headers.get(name) or b"") + b"\t ")
    assert served(receive_http(padded, stateless("tools/call", CHAT))).tool == "chat"


@meets("http:headers:case")
def test_header_values_are_case_sensitive() -> None:
    for name, value in ((b"mcp-method", b"Tools/Call"), (b"mcp-name", b"Chat")):
        headers = with_value(stateless_headers("tools/call", "chat"), name, value)
        refused(receive_http(headers, stateless("tools/call", CHAT)), -32020, 400)


@meets("http:headers:custom")
def test_a_parameter_header_that_no_tool_declares_is_ignored() -> None:
    headers = with_value(stateless_headers("tools/call", "chat"), b"mcp-param-model", b"\xff")
    assert served(receive_http(headers, stateless("tools/call", CHAT))).tool == "chat"


@meets("http:unknown-method", "http:removed-methods")
@pytest.mark.parametrize(
    "method",
    [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "tasks/list",
        "subscriptions/listen",
        "no/such/method",
    ],
)
def test_a_method_that_is_not_served_is_404(method: str) -> None:
    event = receive_http(stateless_headers(method), stateless(method))
    refused(event, -32601, 404)


@meets("http:session-id:ignored")
def test_a_session_id_changes_nothing() -> None:
    headers = with_value(stateless_headers("tools/list"), b"mcp-session-id", b"abc")
    assert served(receive_http(headers, stateless("tools/list")))
