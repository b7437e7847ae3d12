from __future__ import annotations

import random
import sys
from typing import Any

import pytest
from tests.support.mcp_request import http_headers, message, stateless, stateless_headers

from mcp_gateway.errors import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from mcp_gateway.protocol.headers import Headers
from mcp_gateway.protocol.inbound import (
    SERVED,
    Call,
    Event,
    Notified,
    Rejected,
    Replied,
    Session,
    receive_frame,
    receive_http,
)
from mcp_gateway.protocol.jsonrpc import Id, MessageType
from mcp_gateway.protocol.versions import Era, Revision

VERSION = b"mcp-protocol-version"
CHAT = {"name": "chat", "arguments": {"model": "m"}}
META_VERSION = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}


def rejected(event: Event) -> tuple[int, int, Id | None]:
    """Return the JSON-RPC code, the HTTP status and the id of a rejection."""
    assert isinstance(event, Rejected), event
    return event.error.rpc_code, event.status, event.id


def called(event: Event) -> Call:
    assert isinstance(event, Call), event
    return event


def test_a_stateless_request_is_a_call() -> None:
    call = called(
        receive_http(stateless_headers("tools/call", "chat"), stateless("tools/call", CHAT))
    )
    assert (call.era, call.method, call.tool) == (Era.STATELESS, "tools/call", "chat")
    assert call.wants_sse


def test_a_handshake_request_is_a_call() -> None:
    call = called(receive_http(http_headers(), message("tools/call", CHAT)))
    assert (call.era, call.version) == (Era.HANDSHAKE, Revision.R2025_03_26)
    assert call.wants_sse


def test_a_client_may_want_json_only() -> None:
    headers = Headers([(b"content-type", b"application/json"), (b"accept", b"application/json")])
    assert not called(receive_http(headers, message("ping"))).wants_sse


def test_a_missing_accept_accepts_everything() -> None:
    headers = Headers([(b"content-type", b"application/json")])
    assert called(receive_http(headers, message("ping"))).wants_sse


def test_methods_belong_to_eras() -> None:
    assert SERVED[Era.HANDSHAKE] == {"initialize", "ping", "tools/list", "tools/call"}
    assert SERVED[Era.STATELESS] == {"server/discover", "tools/list", "tools/call"}


# One request per rung of the ladder, each wrong in that rung and in all the later ones: the
# rejection must be of the first.
WRONG = stateless("unheard/of", protocolVersion="1900-01-01")
LADDER: list[tuple[str, Headers, bytes, tuple[int, int, Id | None]]] = [
    (
        "content type",
        Headers([(b"content-type", b"text/plain"), (b"accept", b"x/y")]),
        b"{",
        (INVALID_REQUEST, 400, None),
    ),
    (
        "accept",
        Headers([(b"content-type", b"application/json"), (b"accept", b"text/event-stream")]),
        b"{",
        (INVALID_REQUEST, 406, None),
    ),
    ("json", stateless_headers("x"), b'{"id":NaN}', (PARSE_ERROR, 400, None)),
    ("batch", stateless_headers("x"), b"[" + WRONG + b"]", (INVALID_REQUEST, 400, None)),
    (
        "envelope",
        stateless_headers("x"),
        WRONG.replace(b'"2.0"', b'"1.0"'),
        (INVALID_REQUEST, 400, 1),
    ),
    (
        "repeated header",
        Headers([*stateless_headers("x").items(), (b"mcp-method", b"y")]),
        stateless("unheard/of", clientCapabilities=...),
        (HEADER_MISMATCH, 400, 1),
    ),
    (
        "meta",
        stateless_headers("x"),
        stateless("unheard/of", protocolVersion="1", clientCapabilities=...),
        (INVALID_PARAMS, 400, 1),
    ),
    ("version header", stateless_headers("x"), WRONG, (HEADER_MISMATCH, 400, 1)),
    (
        "method header",
        stateless_headers("x", version="1900-01-01"),
        WRONG,
        (HEADER_MISMATCH, 400, 1),
    ),
    (
        "name header",
        stateless_headers("tools/call", "other", version="1900-01-01"),
        stateless("tools/call", CHAT, protocolVersion="1900-01-01"),
        (HEADER_MISMATCH, 400, 1),
    ),
    (
        "revision",
        stateless_headers("unheard/of", version="1900-01-01"),
        WRONG,
        (UNSUPPORTED_PROTOCOL_VERSION, 400, 1),
    ),
    (
        "method",
        stateless_headers("unheard/of"),
        stateless("unheard/of", logLevel="loud"),
        (METHOD_NOT_FOUND, 404, 1),
    ),
    (
        "parameters",
        stateless_headers("tools/list"),
        stateless("tools/list", {"cursor": "x"}),
        (INVALID_PARAMS, 400, 1),
    ),
]


@pytest.mark.parametrize(
    ("headers", "body", "rejection"),
    [pytest.param(*rung[1:], id=rung[0]) for rung in LADDER],
)
def test_the_first_thing_wrong_is_the_one_that_is_told(
    headers: Headers, body: bytes, rejection: tuple[int, int, Id | None]
) -> None:
    assert rejected(receive_http(headers, body)) == rejection


def test_a_body_with_a_version_is_stateless_even_without_its_header() -> None:
    event = receive_http(http_headers(), stateless("tools/list"))
    assert rejected(event) == (HEADER_MISMATCH, 400, 1)


def test_a_body_with_a_version_is_stateless_even_under_a_handshake_header() -> None:
    event = receive_http(http_headers((VERSION, b"2025-11-25")), stateless("tools/list"))
    assert rejected(event) == (HEADER_MISMATCH, 400, 1)


def test_a_stateless_header_makes_a_body_without_meta_incomplete() -> None:
    event = receive_http(stateless_headers("tools/list"), message("tools/list"))
    assert rejected(event) == (INVALID_PARAMS, 400, 1)
    event = receive_http(stateless_headers("initialize"), message("initialize"))
    assert rejected(event) == (INVALID_PARAMS, 400, 1)


def test_a_version_of_the_wrong_type_is_a_wrong_parameter() -> None:
    event = receive_http(
        stateless_headers("tools/list"), stateless("tools/list", protocolVersion=1)
    )
    assert rejected(event) == (INVALID_PARAMS, 400, 1)


def test_an_unknown_header_of_the_handshake_era_is_a_bad_request() -> None:
    event = receive_http(http_headers((VERSION, b"2099-01-01")), message("tools/list"))
    assert rejected(event) == (UNSUPPORTED_PROTOCOL_VERSION, 400, 1)


def test_an_unknown_method_of_the_handshake_era_is_answered_with_200() -> None:
    event = receive_http(http_headers(), message("resources/list"))
    assert rejected(event) == (METHOD_NOT_FOUND, 200, 1)


def test_wrong_parameters_of_the_handshake_era_are_answered_with_200() -> None:
    event = receive_http(http_headers(), message("tools/call", {"name": 5}))
    assert rejected(event) == (INVALID_PARAMS, 200, 1)


def test_a_session_id_is_ignored() -> None:
    headers = http_headers((b"mcp-session-id", b"abc"), (b"last-event-id", b"7"))
    assert called(receive_http(headers, message("tools/list"))).method == "tools/list"


@pytest.mark.parametrize("header", [None, b"2025-06-18", b"2025-11-25"])
def test_a_notification_over_http_is_taken_in(header: bytes | None) -> None:
    headers = http_headers() if header is None else http_headers((VERSION, header))
    event = receive_http(headers, message("notifications/initialized", id=...))
    assert event == Notified(method="notifications/initialized", era=Era.HANDSHAKE)


def test_a_notifications_name_is_kept_as_far_as_a_name_could_reach() -> None:
    event = receive_http(http_headers(), message("n" * 100_000, id=...))
    assert event == Notified(method="n" * 128, era=Era.HANDSHAKE)


def test_a_stateless_notification_needs_no_other_header() -> None:
    event = receive_http(http_headers((VERSION, b"2026-07-28")), message("x", id=...))
    assert event == Notified(method="x", era=Era.STATELESS)


def test_a_notification_of_an_unknown_revision_is_refused_without_an_id() -> None:
    event = receive_http(http_headers((VERSION, b"2099-01-01")), message("x", id=...))
    assert rejected(event) == (UNSUPPORTED_PROTOCOL_VERSION, 400, None)


@pytest.mark.parametrize("request_id", [0, 7, "", "a"])
def test_a_cancellation_names_its_request(request_id: Id) -> None:
    body = message("notifications/cancelled", {"requestId": request_id, "reason": "x"}, id=...)
    expected = Notified(method="notifications/cancelled", era=Era.HANDSHAKE, cancels=request_id)
    assert receive_http(http_headers(), body) == expected
    assert receive_frame(Session(), body) == expected


@pytest.mark.parametrize(
    "params",
    [None, {}, {"requestId": None}, {"requestId": 1.5}, {"requestId": "x" * 257}, {"_meta": 5}],
)
def test_a_malformed_cancellation_cancels_nothing(params: Any) -> None:
    event = receive_frame(Session(), message("notifications/cancelled", params, id=...))
    assert event == Notified(method="notifications/cancelled", era=Era.HANDSHAKE)


def test_another_notification_cancels_nothing() -> None:
    event = receive_frame(Session(), message("notifications/x", {"requestId": 1}, id=...))
    assert event == Notified(method="notifications/x", era=Era.HANDSHAKE)


@pytest.mark.parametrize("headers", [http_headers(), http_headers((VERSION, b"2026-07-28"))])
def test_a_stateless_cancellation_counts_on_a_connection_but_not_over_http(
    headers: Headers,
) -> None:
    params = {"requestId": 1, "_meta": META_VERSION}
    body = message("notifications/cancelled", params, id=...)
    event = Notified(method="notifications/cancelled", era=Era.STATELESS, cancels=1)
    assert receive_frame(Session(), body) == event
    event = Notified(method="notifications/cancelled", era=Era.STATELESS)
    assert receive_http(headers, body) == event


@pytest.mark.parametrize(("member", "kind"), [("result", "response"), ("error", "error")])
def test_a_reply_is_dropped(member: str, kind: str) -> None:
    body = message(..., **{member: {}})
    expected = Replied(id=1, type=MessageType(kind))
    assert receive_http(http_headers(), body) == expected
    assert receive_frame(Session(), body) == expected


def test_a_reply_cannot_be_posted_in_the_stateless_era() -> None:
    event = receive_http(http_headers((VERSION, b"2026-07-28")), message(..., result={}))
    assert rejected(event) == (INVALID_REQUEST, 400, None)


def test_a_reply_of_an_unknown_revision_is_refused() -> None:
    event = receive_http(http_headers((VERSION, b"x")), message(..., result={}))
    assert rejected(event) == (UNSUPPORTED_PROTOCOL_VERSION, 400, None)


def test_a_connection_speaks_both_eras_message_by_message() -> None:
    session = Session()
    assert called(receive_frame(session, stateless("tools/list"))).era is Era.STATELESS
    assert rejected(receive_frame(session, message("tools/list"))) == (INVALID_REQUEST, 400, 1)
    call = called(receive_frame(session, message("initialize", {"protocolVersion": "2025-06-18"})))
    assert call.version is session.version is Revision.R2025_06_18
    event = receive_frame(session, message("notifications/initialized", id=...))
    assert event == Notified(method="notifications/initialized", era=Era.HANDSHAKE)
    assert called(receive_frame(session, message("tools/list"))).era is Era.HANDSHAKE
    assert called(receive_frame(session, stateless("server/discover"))).era is Era.STATELESS


@pytest.mark.parametrize(
    ("body", "rejection"),
    [
        (b"{", (PARSE_ERROR, 400, None)),
        (b"[]", (INVALID_REQUEST, 400, None)),
        (stateless("x"), (METHOD_NOT_FOUND, 400, 1)),
        (stateless("tools/list", clientCapabilities=...), (INVALID_PARAMS, 400, 1)),
        (stateless("x", protocolVersion="1"), (UNSUPPORTED_PROTOCOL_VERSION, 400, 1)),
    ],
)
def test_a_frame_that_cannot_be_served_is_rejected(
    body: bytes, rejection: tuple[int, int, Id | None]
) -> None:
    assert rejected(receive_frame(Session(), body)) == rejection


def _mutated(draw: random.Random, text: bytes) -> bytes:
    at, size = draw.randrange(len(text)), draw.randrange(1, 9)
    piece = draw.choice([b"", bytes([draw.randrange(256)]), b"null", b'"', b"{", b"1e9", b":"])
    other = draw.randrange(len(text))
    return draw.choice(
        [text[:at] + piece + text[at + size :], text[:at] + text[other : other + size] + text[at:]]
    )


def test_no_mutated_request_raises_whatever_the_headers_say() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    draw = random.Random(seed)
    client = {"name": "x", "version": "1"}
    bodies = [
        stateless("tools/call", CHAT, clientInfo=client, progressToken="t"),
        message("tools/call", CHAT),
        message("initialize", {"protocolVersion": "2025-06-18", "clientInfo": client}),
        message("notifications/cancelled", {"requestId": 1}, id=...),
    ]
    session = Session()
    for _ in range(10_000):
        body = draw.choice(bodies)
        for _ in range(draw.randrange(4)):
            body = _mutated(draw, body) or body
        pairs = list(stateless_headers("tools/call", "chat").items())
        for _ in range(draw.randrange(4)):
            name, value = pairs[draw.randrange(len(pairs))]
            pairs.append((name, _mutated(draw, value or b"x")))
        for event in (receive_http(Headers(pairs), body), receive_frame(session, body)):
            assert isinstance(event, Call | Notified | Replied | Rejected)
            if isinstance(event, Rejected):
                assert event.status in {200, 400, 404, 406}
            if isinstance(event, Call):
                assert event.method in SERVED[event.era]
                assert bytes(event.params)[:1] == bytes(event.arguments)[:1] == b"{"


def test_nesting_near_the_limit_of_the_interpreter_never_raises() -> None:
    # Each decoding stands at another depth of the stack; only the first may meet the limit.
    bodies = [
        stateless("tools/call", {"name": "chat", "arguments": {"a": "X"}}),
        stateless("tools/call", {"name": "chat", "x": 1}, baggage="X"),
        message("notifications/cancelled", {"requestId": 1, "_meta": {"a": "X"}}, id=...),
        message("ping", {}, jsonrpc=1, x="X"),
        message("ping", {}, id="X"),
    ]
    headers = stateless_headers("tools/call", "chat")
    limit = sys.getrecursionlimit()
    for depth in (*range(limit - 150, limit + 10), 50_000):
        nested = b"[" * depth + b"]" * depth
        for body in bodies:
            text = body.replace(b'"X"', nested)
            assert receive_http(headers, text)
            assert receive_frame(Session(), text)
