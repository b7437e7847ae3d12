from __future__ import annotations

import pytest
from msgspec import Raw

from mcp_gateway.errors import INVALID_PARAMS, InvalidMessage
from mcp_gateway.protocol.event import Call
from mcp_gateway.protocol.jsonrpc import Request
from mcp_gateway.protocol.params import MAX_TOOL_NAME, read
from mcp_gateway.protocol.request import build_call, unknown_method
from mcp_gateway.protocol.versions import Era, Revision


def built(method: str, raw: bytes) -> Call:
    return build_call(
        Request(1, method, Raw(raw)),
        read(method, raw),
        Era.HANDSHAKE,
        Revision.R2025_11_25,
        client_info=None,
        wants_sse=False,
    )


def test_a_call_has_its_tool_and_its_arguments() -> None:
    call = built("tools/call", b'{"name":"chat","arguments":{"a":1}}')
    assert call.tool == "chat"
    assert bytes(call.arguments) == b'{"a":1}'
    assert bytes(call.params) == b'{"name":"chat","arguments":{"a":1}}'


@pytest.mark.parametrize(
    "raw", [b"{}", b'{"name":""}', b'{"name":"%b"}' % (b"x" * (MAX_TOOL_NAME + 1))]
)
def test_a_call_names_a_tool(raw: bytes) -> None:
    with pytest.raises(InvalidMessage, match="`name`") as caught:
        built("tools/call", raw)
    assert caught.value.rpc_code == INVALID_PARAMS


def test_the_longest_name_is_a_name() -> None:
    assert built("tools/call", b'{"name":"%b"}' % (b"x" * MAX_TOOL_NAME)).tool


@pytest.mark.parametrize("raw", [b"{}", b'{"cursor":null}'])
def test_a_list_starts_at_its_beginning(raw: bytes) -> None:
    assert built("tools/list", raw).tool == ""


@pytest.mark.parametrize("cursor", [b'""', b'"abc"'])
def test_no_cursor_is_one_of_ours(cursor: bytes) -> None:
    with pytest.raises(InvalidMessage, match="cursor") as caught:
        built("tools/list", b'{"cursor":' + cursor + b"}")
    assert caught.value.rpc_code == INVALID_PARAMS


@pytest.mark.parametrize("token", [0, 5, "", "abc"])
def test_a_progress_token_of_any_value_is_one(token: int | str) -> None:
    text = f'"{token}"' if isinstance(token, str) else str(token)
    call = built("ping", b'{"_meta":{"progressToken":%b}}' % text.encode())
    assert call.progress_token == token


def test_without_a_token_no_progress_is_wanted() -> None:
    assert built("ping", b"{}").progress_token is None


def test_the_trace_context_of_the_message_is_kept() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    raw = b'{"_meta":{"traceparent":"%b","tracestate":"a=b"}}' % parent.encode()
    call = built("ping", raw)
    assert (call.meta_traceparent, call.meta_tracestate) == (parent, "a=b")
    call = built("ping", b"{}")
    assert (call.meta_traceparent, call.meta_tracestate) == ("", "")


def test_an_unknown_method_is_named_but_not_at_any_length() -> None:
    assert str(unknown_method("a/b")) == "method not found: a/b"
    assert len(str(unknown_method("x" * 10_000))) < 200
    assert unknown_method("a", supported=["b"]).data()["supported"] == ["b"]
