from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.mcp_request import stateless, stateless_headers

from mcp_gateway.errors import (
    GatewayError,
    HeaderMismatch,
    InvalidMessage,
    UnknownMethod,
    UnsupportedProtocolVersion,
)
from mcp_gateway.protocol.event import Call
from mcp_gateway.protocol.headers import Headers
from mcp_gateway.protocol.jsonrpc import Request, decode
from mcp_gateway.protocol.params import LOG_LEVELS, read
from mcp_gateway.protocol.stateless import METHODS, over_frame, over_http
from mcp_gateway.protocol.versions import Era, Revision

CHAT: dict[str, Any] = {"name": "chat", "arguments": {"model": "m"}}


def http(headers: Headers, body: bytes) -> Call:
    request = decode(body)
    assert isinstance(request, Request)
    params = read(request.method, bytes(request.params))
    return over_http(request, params, headers, wants_sse=True)


def frame(body: bytes) -> Call:
    request = decode(body)
    assert isinstance(request, Request)
    return over_frame(request, read(request.method, bytes(request.params)))


def test_a_request_whose_headers_and_body_agree_is_a_call() -> None:
    client = {"name": "x", "version": "1"}
    body = stateless("tools/call", CHAT, clientInfo=client, logLevel="info", progressToken=5)
    call = http(stateless_headers("tools/call", "chat"), body)
    assert (call.era, call.version) == (Era.STATELESS, Revision.R2026_07_28)
    assert (call.tool, bytes(call.arguments)) == ("chat", b'{"model":"m"}')
    assert (call.log_level, call.progress_token, call.wants_sse) == ("info", 5, True)
    assert call.client_info is not None
    assert json.loads(bytes(call.client_info)) == client


@pytest.mark.parametrize("method", ["server/discover", "tools/list"])
def test_a_method_without_a_name_needs_no_name_header(method: str) -> None:
    assert http(stateless_headers(method), stateless(method)).method == method
    assert http(stateless_headers(method, "ignored"), stateless(method)).method == method


def test_a_frame_has_no_headers_to_compare() -> None:
    call = frame(stateless("tools/call", CHAT))
    assert (call.tool, call.wants_sse, call.client_info, call.log_level) == (
        "chat",
        False,
        None,
        "",
    )


@pytest.mark.parametrize("name", [b"mcp-protocol-version", b"mcp-method", b"mcp-name"])
def test_each_routing_header_is_required_once_and_equal(name: bytes) -> None:
    body = stateless("tools/call", CHAT)
    good = list(stateless_headers("tools/call", "chat").items())
    value = dict(good)[name]
    wrong = [
        [pair for pair in good if pair[0] != name],
        [*good, (name, value)],
        [pair if pair[0] != name else (name, value + b"x") for pair in good],
        [pair if pair[0] != name else (name, value.upper() + b"\xff") for pair in good],
        [pair if pair[0] != name else (name, b"") for pair in good],
    ]
    for headers in wrong:
        with pytest.raises(HeaderMismatch, match=name.decode().title().split("-")[-1]):
            http(Headers(headers), body)
    padded = [pair if pair[0] != name else (name, b" " + value + b"\t ") for pair in good]
    assert http(Headers(padded), body).tool == "chat"


def test_another_repeated_header_is_no_matter() -> None:
    headers = Headers([*stateless_headers("tools/list").items(), (b"via", b"a"), (b"via", b"b")])
    assert http(headers, stateless("tools/list")).method == "tools/list"


@pytest.mark.parametrize(
    "header", [b"CHAT", b"=?base64?Q0hBVA==?=", b"=?base64?Y2hhdA?=", b"ch\xe4t"]
)
def test_the_name_header_is_compared_decoded(header: bytes) -> None:
    pairs = [*stateless_headers("tools/call").items(), (b"mcp-name", header)]
    with pytest.raises(HeaderMismatch):
        http(Headers(pairs), stateless("tools/call", CHAT))


@pytest.mark.parametrize(
    ("name", "header"), [("chat", "=?base64?Y2hhdA==?="), ("世", "=?base64?5LiW?=")]
)
def test_an_encoded_name_header_is_the_name(name: str, header: str) -> None:
    call = http(stateless_headers("tools/call", header), stateless("tools/call", {"name": name}))
    assert call.tool == name


@pytest.mark.parametrize("key", ["protocolVersion", "clientCapabilities"])
def test_meta_without_a_required_key_is_refused_before_the_headers(key: str) -> None:
    missing: dict[str, Any] = {key: ...}
    body = stateless("tools/list", None, **missing)
    with pytest.raises(InvalidMessage, match=key):
        http(stateless_headers("wrong/method"), body)
    with pytest.raises(InvalidMessage, match=key):
        frame(body)


def test_a_repeated_routing_header_is_refused_before_meta() -> None:
    headers = Headers([*stateless_headers("tools/list").items(), (b"mcp-method", b"tools/list")])
    with pytest.raises(HeaderMismatch):
        http(headers, stateless("tools/list", clientCapabilities=...))


@pytest.mark.parametrize("version", ["2025-11-25", "2027-01-01", ""])
def test_an_unserved_revision_is_refused_after_the_headers_agreed(version: str) -> None:
    body = stateless("unheard/of", protocolVersion=version)
    with pytest.raises(UnsupportedProtocolVersion) as caught:
        http(stateless_headers("unheard/of", version=version), body)
    data = caught.value.data()
    assert (data["supported"], data["requested"]) == (["2026-07-28"], version)
    with pytest.raises(HeaderMismatch):
        http(stateless_headers("unheard/of"), body)
    with pytest.raises(UnsupportedProtocolVersion):
        frame(body)


def test_a_long_revision_is_not_repeated_whole() -> None:
    with pytest.raises(UnsupportedProtocolVersion) as caught:
        frame(stateless("tools/list", protocolVersion="x" * 1000))
    assert caught.value.data()["requested"] == "x" * 32


@pytest.mark.parametrize(
    "method", ["ping", "logging/setLevel", "resources/subscribe", "subscriptions/listen", "x"]
)
def test_a_method_that_is_not_served_is_unknown(method: str) -> None:
    assert method not in METHODS
    with pytest.raises(UnknownMethod) as caught:
        http(stateless_headers(method), stateless(method))
    assert "supported" not in caught.value.data()


def test_initialize_is_unknown_and_told_what_is_served() -> None:
    with pytest.raises(UnknownMethod) as caught:
        frame(stateless("initialize"))
    assert "2026-07-28" in caught.value.data()["supported"]  # type: ignore[operator]


@pytest.mark.parametrize("level", sorted(LOG_LEVELS))
def test_every_log_level_of_the_specification_is_taken(level: str) -> None:
    assert frame(stateless("tools/list", logLevel=level)).log_level == level


@pytest.mark.parametrize("level", ["trace", "INFO", "x" * 1000])
def test_any_other_log_level_is_refused(level: str) -> None:
    with pytest.raises(InvalidMessage, match="logLevel"):
        frame(stateless("tools/list", logLevel=level))


def test_a_call_without_a_name_is_told_so_and_not_about_its_header() -> None:
    with pytest.raises(InvalidMessage, match="`name`"):
        http(stateless_headers("tools/call"), stateless("tools/call", {"arguments": {}}))


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (stateless_headers("tools/call", "chat"), stateless("tools/list")),
        (stateless_headers("tools/call", "other"), stateless("tools/call", CHAT)),
        (stateless_headers("x"), stateless("x", protocolVersion="1")),
    ],
)
def test_no_message_repeats_what_the_peer_sent_at_length(headers: Headers, body: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        http(headers, body)
    assert len(str(caught.value)) < 200
