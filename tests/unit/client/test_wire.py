from __future__ import annotations

import json

import pytest

from mcp_gateway.client.wire import (
    Progress,
    Result,
    ToolCall,
    decode,
    encode_call,
    encode_cancelled,
    http_headers,
)
from mcp_gateway.errors import InvalidArguments, RateLimited, RemoteProtocolError

CALL = ToolCall(7, "chat", {"model": "m"})


def test_a_call_carries_its_own_metadata() -> None:
    message = json.loads(encode_call(CALL))

    meta = message["params"].pop("_meta")
    assert message == {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "tools/call",
        "params": {"name": "chat", "arguments": {"model": "m"}},
    }
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {}
    assert meta["io.modelcontextprotocol/clientInfo"]["name"] == "mcp-gateway-python"
    assert "progressToken" not in meta


def test_a_streamed_call_asks_for_progress_under_its_own_id() -> None:
    message = json.loads(encode_call(ToolCall(7, "chat", {}, stream=True)))

    assert message["params"]["_meta"]["progressToken"] == 7


@pytest.mark.parametrize("value", [object(), {(1, 2): 3}])
def test_what_json_cannot_hold_is_an_invalid_argument(value: object) -> None:
    with pytest.raises(InvalidArguments, match="cannot be written as JSON"):
        encode_call(ToolCall(1, "chat", {"messages": value}))


def test_arguments_nested_without_end_are_invalid() -> None:
    nested: list[object] = []
    nested.append(nested)

    with pytest.raises(InvalidArguments):
        encode_call(ToolCall(1, "chat", {"messages": nested}))


def test_cancelling_names_the_request() -> None:
    message = json.loads(encode_cancelled(7, "enough"))

    assert message["method"] == "notifications/cancelled"
    assert message["params"]["requestId"] == 7
    assert "id" not in message


def test_http_headers_say_what_the_body_says() -> None:
    assert http_headers(CALL) == {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "chat",
    }
    assert http_headers(ToolCall(1, "chat", {}, timeout=1.5))["X-Request-Timeout"] == "1.500"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("kimi_chat", "kimi_chat"),
        ("a b", "a b"),
        ("größe", "=?base64?Z3LDtsOfZQ==?="),
        (" edge", "=?base64?IGVkZ2U=?="),
        ("=?base64?x", "=?base64?PT9iYXNlNjQ/eA==?="),
    ],
)
def test_a_tools_name_is_coded_for_its_header_where_it_must_be(name: str, header: str) -> None:
    assert http_headers(ToolCall(1, name, {}))["Mcp-Name"] == header


def test_a_result_is_read() -> None:
    assert decode('{"jsonrpc":"2.0","id":7,"result":{"a":1}}') == Result(7, {"a": 1})


def test_an_error_becomes_its_class_again() -> None:
    result = decode(
        b'{"jsonrpc":"2.0","id":7,"error":{"code":429,"message":"slow down",'
        b'"data":{"reason":"RateLimited","retryAfter":2}}}'
    )

    assert isinstance(result, Result)
    assert result.id == 7
    assert isinstance(result.error, RateLimited)
    assert result.error.retry_after == 2.0


def test_an_error_about_a_message_nobody_could_read_has_no_id() -> None:
    result = decode(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"not JSON"}}')

    assert isinstance(result, Result)
    assert result.id is None
    assert result.error is not None


def test_progress_is_read() -> None:
    message = (
        b'{"jsonrpc":"2.0","method":"notifications/progress",'
        b'"params":{"progressToken":7,"progress":1,"message":"Hel"}}'
    )

    assert decode(message) == Progress(7, "Hel")


def test_reasoning_is_read_beside_the_text() -> None:
    message = (
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":'
        b'{"_meta":{"gateway.exai.dev/reasoning":"hm","x":1},"progressToken":7,"progress":1}}'
    )
    assert decode(message) == Progress(7, "", "hm")


@pytest.mark.parametrize(
    "message",
    [
        b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}',
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"theirs"}}',
    ],
)
def test_notifications_of_no_use_are_passed_over(message: bytes) -> None:
    assert decode(message) is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"nonsense",
        b"[]",
        b"\xff",
        b'{"jsonrpc":"2.0","id":7}',
        b'{"jsonrpc":"2.0","result":{}}',
        b'{"jsonrpc":"2.0","id":"x","result":{}}',
        b'{"jsonrpc":"2.0","id":7,"result":[]}',
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":[]}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_the_protocol_is_refused(message: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(message)
