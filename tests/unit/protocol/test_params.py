from __future__ import annotations

import pytest
from msgspec import UNSET

from mcp_gateway.errors import INVALID_PARAMS, InvalidMessage
from mcp_gateway.protocol.jsonrpc import MAX_ID_LENGTH
from mcp_gateway.protocol.params import NO_META, Meta, Params, read

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
VERSION = b'"io.modelcontextprotocol/protocolVersion":"2026-07-28"'


def refused(method: str, raw: bytes) -> str:
    with pytest.raises(InvalidMessage) as caught:
        read(method, raw)
    assert caught.value.rpc_code == INVALID_PARAMS
    return str(caught.value)


def call_meta(meta: bytes) -> bytes:
    return b'{"name":"chat","arguments":{"a":{"b":1}},"_meta":{' + meta + b"}}"


def test_no_parameters_are_all_absent() -> None:
    assert read("ping", b"{}") == Params()
    assert read("tools/call", b"{}") == Params()
    assert Params().meta is NO_META


def test_the_parameters_of_a_call_are_read_one_level_deep() -> None:
    params = read("tools/call", call_meta(VERSION + b',"progressToken":"a:b"'))
    assert params.name == "chat"
    assert params.arguments is not UNSET
    assert bytes(params.arguments) == b'{"a":{"b":1}}'
    assert params.meta == Meta(version="2026-07-28", progress_token="a:b")


def test_every_known_key_of_meta_is_read() -> None:
    meta = read(
        "tools/call",
        call_meta(
            VERSION + b',"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}},'
            b'"io.modelcontextprotocol/clientInfo":{"name":"x","websiteUrl":"https://x"},'
            b'"io.modelcontextprotocol/logLevel":"info","progressToken":5,'
            b'"traceparent":"p","tracestate":"s","baggage":"k=v","com.example/x":{"y":[1]}'
        ),
    ).meta
    assert meta.version == "2026-07-28"
    assert meta.capabilities is not UNSET
    assert list(meta.capabilities) == ["elicitation"]
    assert meta.client_info is not UNSET
    assert bytes(meta.client_info) == b'{"name":"x","websiteUrl":"https://x"}'
    assert (meta.log_level, meta.progress_token) == ("info", 5)
    assert (meta.traceparent, meta.tracestate) == ("p", "s")


def test_of_a_method_without_parameters_only_meta_is_read() -> None:
    raw = b'{"name":5,"arguments":7,"cursor":[],"_meta":{"progressToken":1}}'
    assert read("prompts/get", raw) == Params(Meta(progress_token=1))


def test_the_parameters_of_initialize_and_of_a_list_are_read() -> None:
    params = read("initialize", b'{"protocolVersion":"x","clientInfo":{},"capabilities":{}}')
    assert params.protocol_version == "x"
    assert params.client_info is not UNSET
    assert read("tools/list", b'{"cursor":""}').cursor == ""
    assert read("tools/list", b'{"cursor":null}').cursor is None


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("tools/call", b'{"name":5}'),
        ("tools/call", b'{"name":null}'),
        ("tools/list", b'{"cursor":5}'),
        ("initialize", b'{"protocolVersion":20251125}'),
        ("ping", b'{"_meta":[]}'),
        ("ping", b'{"_meta":null}'),
        ("ping", b'{"_meta":{"progressToken":1.5}}'),
        ("ping", b'{"_meta":{"progressToken":true}}'),
        ("ping", b'{"_meta":{"progressToken":null}}'),
        ("ping", b'{"_meta":{"progressToken":9999999999999999999}}'),
        ("ping", b'{"_meta":{"io.modelcontextprotocol/protocolVersion":null}}'),
        ("ping", b'{"_meta":{"io.modelcontextprotocol/protocolVersion":20260728}}'),
        ("ping", b'{"_meta":{"io.modelcontextprotocol/clientCapabilities":[]}}'),
        ("ping", b'{"_meta":{"io.modelcontextprotocol/logLevel":1}}'),
        ("ping", b'{"_meta":{"traceparent":1}}'),
    ],
)
def test_a_member_of_the_wrong_type_is_refused(method: str, raw: bytes) -> None:
    assert refused(method, raw)


def test_a_progress_token_has_the_bounds_of_an_id() -> None:
    longest = b"x" * MAX_ID_LENGTH
    assert read("ping", b'{"_meta":{"progressToken":"%b"}}' % longest)
    assert "progress token" in refused("ping", b'{"_meta":{"progressToken":"%bx"}}' % longest)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"name":"a","name":"b"}',
        b'{"name":"a","n\\u0061me":"b","arguments":{}}',
        b'{"name":"a","arguments":{},"arguments":{"x":1}}',
        b'{"name":"a","arguments":{"x":1},"arguments":{"x":1}}',
        b'{"name":"a","_meta":{},"_meta":{}}',
        b'{"name":"a","x":1,"x":2}',
        call_meta(VERSION + b"," + VERSION),
        call_meta(VERSION + b',"io.modelcontextprotocol\\/protocolVersion":"2025-11-25"'),
        call_meta(b'"progressToken":1,"progressToken":2'),
        call_meta(b'"baggage":"a","baggage":"b"'),
        call_meta(
            b'"io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/clientInfo":{}'
        ),
    ],
)
def test_a_repeated_member_is_refused(raw: bytes) -> None:
    assert "repeated" in refused("tools/call", raw)
    if b"_meta" in raw:
        assert "repeated" in refused("ping", raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"name":"a:b","arguments":{"a":":"}}',
        b'{"name":"a","arguments":null}',
        b'{"name":"a","arguments":{},"task":{"ttl":1},"x":":"}',
        b'{"arguments":{"name":1},"name":"a","_meta":{"x":{"name":1}}}',
        b'{"_meta":{"io.modelcontextprotocol/clientInfo":{"a":{"b":1}}},"name":"a"}',
        call_meta(b'"progressToken":"name:arguments"'),
    ],
)
def test_members_that_only_look_repeated_are_fine(raw: bytes) -> None:
    assert read("tools/call", raw)


@pytest.mark.parametrize(
    ("raw", "arguments"),
    [
        (b"{}", b"{}"),
        (b'{"arguments":null}', b"{}"),
        (b'{"arguments":{"a":1}}', b'{"a":1}'),
    ],
)
def test_arguments_default_to_an_empty_object(raw: bytes, arguments: bytes) -> None:
    assert bytes(read("tools/call", raw).arguments_object()) == arguments


@pytest.mark.parametrize("value", [b"[]", b'"x"', b"1", b"true"])
def test_arguments_of_another_type_are_refused(value: bytes) -> None:
    params = read("tools/call", b'{"arguments":' + value + b"}")
    with pytest.raises(InvalidMessage, match="`arguments` must be an object"):
        params.arguments_object()


@pytest.mark.parametrize(
    ("meta", "context"),
    [
        (Meta(), ("", "")),
        (Meta(traceparent=PARENT), (PARENT, "")),
        (Meta(traceparent=PARENT, tracestate="a=b"), (PARENT, "a=b")),
        (Meta(traceparent=PARENT, tracestate="a" * 513), (PARENT, "")),
        (Meta(tracestate="a=b"), ("", "")),
        (Meta(traceparent=PARENT.upper(), tracestate="a=b"), ("", "")),
        (Meta(traceparent=PARENT + "0"), ("", "")),
        (Meta(traceparent=PARENT + "\n"), ("", "")),
        (Meta(traceparent="ff" + PARENT[2:]), ("", "")),
        (Meta(traceparent="00-" + "0" * 32 + PARENT[35:]), ("", "")),
        (Meta(traceparent=PARENT[:36] + "0" * 16 + "-01"), ("", "")),
        (Meta(traceparent=""), ("", "")),
    ],
)
def test_a_trace_context_is_passed_on_only_when_well_formed(
    meta: Meta, context: tuple[str, str]
) -> None:
    assert meta.trace_context() == context
