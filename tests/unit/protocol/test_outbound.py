from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from msgspec import Raw

from mcp_gateway import __version__
from mcp_gateway.errors import (
    INVALID_PARAMS,
    InvalidArguments,
    InvalidMessage,
    PoolTimeout,
    UnsupportedProtocolVersion,
    UpstreamRefused,
)
from mcp_gateway.protocol import outbound
from mcp_gateway.protocol.jsonrpc import Id
from mcp_gateway.protocol.versions import Era, Revision

SERVER = f'{{"name":"mcp-gateway","title":"MCPGateway","version":"{__version__}"}}'
STATELESS = f'"_meta":{{"io.modelcontextprotocol/serverInfo":{SERVER}}},"resultType":"complete"'


def shown(message: bytes) -> str:
    """Return a message as text, with the long constants of a result by their names."""
    return message.decode().replace(STATELESS, "<stateless>").replace(SERVER, "<server>")


@dataclass
class Answer:
    content: str = "Hello"
    reasoning: str = ""
    finish_reason: str = "stop"
    tool_calls: Raw | None = None
    model: str = "kimi-k2"
    prompt_tokens: int = 9
    completion_tokens: int = 3


@dataclass
class Course:
    id: str = "0123456789abcdef0123456789abcdef"
    provider: str = "kimi"
    queued: float = 0.001
    upstream: float = 1.5
    first_token: float | None = None
    attempts: Sequence[object] = (1,)


@pytest.mark.parametrize(
    ("request_id", "text"),
    [(0, "0"), (-5, "-5"), (2**63 - 1, "9223372036854775807"), ("", '""'), ('a"b', '"a\\"b"')],
)
def test_a_result_carries_the_id_in_its_own_type(request_id: Id, text: str) -> None:
    written = outbound.result(request_id, Era.HANDSHAKE, b'{"a":1}')
    assert shown(written) == f'{{"jsonrpc":"2.0","id":{text},"result":{{"a":1}}}}'


def test_a_stateless_result_says_its_type_and_its_server() -> None:
    written = outbound.result(1, Era.STATELESS, b'{"a":1}')
    assert shown(written) == '{"jsonrpc":"2.0","id":1,"result":{<stateless>,"a":1}}'


def test_an_empty_result_is_empty() -> None:
    assert outbound.empty(1, Era.HANDSHAKE) == b'{"jsonrpc":"2.0","id":1,"result":{}}'
    written = outbound.empty(1, Era.STATELESS)
    assert shown(written) == '{"jsonrpc":"2.0","id":1,"result":{<stateless>}}'


def test_an_error_has_code_message_and_typed_data() -> None:
    error = PoolTimeout("no connection was free in 15 s", provider="kimi", retry_after=1.2345)
    assert shown(outbound.error("a", error)) == (
        '{"jsonrpc":"2.0","id":"a","error":{"code":504,"message":"no connection was free in 15 s",'
        '"data":{"reason":"PoolTimeout","provider":"kimi","retryAfter":1.234}}}'
    )


def test_an_error_without_a_readable_id_has_a_null_one() -> None:
    error = InvalidMessage("x", code=INVALID_PARAMS)
    assert shown(outbound.error(None, error)) == (
        '{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"x",'
        '"data":{"reason":"InvalidMessage"}}}'
    )


def test_the_details_of_an_error_are_in_its_data() -> None:
    error = UnsupportedProtocolVersion("x", details={"supported": ["a"], "requested": "b"})
    data = json.loads(outbound.error(1, error))["error"]["data"]
    assert data == {
        "reason": "UnsupportedProtocolVersion",
        "supported": ["a"],
        "requested": "b",
    }


def test_discover_lists_what_a_stateless_client_can_use() -> None:
    assert shown(outbound.discover(1, "Ask.")) == (
        '{"jsonrpc":"2.0","id":1,"result":{<stateless>,"supportedVersions":["2026-07-28"],'
        '"capabilities":{"tools":{}},"ttlMs":30000,"cacheScope":"private",'
        '"instructions":"Ask."}}'
    )


def test_without_instructions_there_is_no_such_member() -> None:
    assert b"instructions" not in outbound.discover(1, "")
    assert b"instructions" not in outbound.initialize(1, Revision.R2025_11_25, "")


def test_initialize_grants_the_negotiated_revision() -> None:
    assert shown(outbound.initialize(1, Revision.R2025_06_18, "Ask.")) == (
        '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18",'
        '"capabilities":{"tools":{}},"serverInfo":<server>,"instructions":"Ask."}}'
    )


def test_a_list_of_tools_is_passed_through() -> None:
    tools = b'[{"name":"chat"}]'
    assert shown(outbound.tools_list(1, Era.HANDSHAKE, tools)) == (
        '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"chat"}]}}'
    )
    assert shown(outbound.tools_list(1, Era.STATELESS, tools, ttl_ms=5)) == (
        '{"jsonrpc":"2.0","id":1,"result":{<stateless>,"tools":[{"name":"chat"}],'
        '"ttlMs":5,"cacheScope":"private"}}'
    )


@pytest.mark.parametrize(("token", "text"), [(5, "5"), ("t", '"t"')])
def test_progress_carries_the_token_in_its_own_type(token: Id, text: str) -> None:
    assert shown(outbound.progress(token, 3, 'a"世')) == (
        '{"jsonrpc":"2.0","method":"notifications/progress","params":'
        f'{{"progressToken":{text},"progress":3,"message":"a\\"世"}}}}'
    )


def test_reasoning_is_progress_that_nobody_takes_for_the_answer() -> None:
    assert json.loads(outbound.progress(1, 3, "", 'h"m'))["params"] == {
        "_meta": {"gateway.exai.dev/reasoning": 'h"m'},
        "progressToken": 1,
        "progress": 3,
    }
    both = json.loads(outbound.progress(1, 3, "So", "hm"))["params"]
    assert (both["message"], both["_meta"]) == ("So", {"gateway.exai.dev/reasoning": "hm"})


def test_a_chat_is_text_for_models_and_structure_for_programs() -> None:
    written = outbound.chat_result(1, Era.HANDSHAKE, Answer(), Course(), 1.6)
    assert shown(written) == (
        '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"Hello"}],'
        '"structuredContent":{"id":"0123456789abcdef0123456789abcdef","content":"Hello",'
        '"finish_reason":"stop","provider":"kimi","model":"kimi-k2","attempts":1,'
        '"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12},'
        '"timings":{"queue":0.001000,"upstream":1.500000,"total":1.600000}}}}'
    )


def structured(answer: Answer, course: Course) -> Any:
    written = outbound.chat_result(1, Era.STATELESS, answer, course, 2.0)
    return json.loads(written)["result"]["structuredContent"]


def test_reasoning_tool_calls_and_the_first_token_are_told_where_there_are_any() -> None:
    calls = Raw(b'[{"id":"1","type":"function"}]')
    answer = replace(Answer(), reasoning="Hm.", tool_calls=calls)
    told = structured(answer, replace(Course(), first_token=0.25))
    assert told["reasoning_content"] == "Hm."
    assert told["tool_calls"] == [{"id": "1", "type": "function"}]
    assert told["timings"]["first_token"] == 0.25
    told = structured(Answer(), Course())
    assert not {"reasoning_content", "tool_calls"} & set(told)
    assert "first_token" not in told["timings"]


def test_any_text_arrives_as_it_was() -> None:
    text = '"\\\n\u2028\0 世 😀 </script>'
    told = structured(replace(Answer(), content=text, model=text), replace(Course(), provider=text))
    assert told["content"] == told["model"] == told["provider"] == text


def test_structured_content_has_a_copy_as_text() -> None:
    written = outbound.structured_result(1, Era.HANDSHAKE, '{"a":"世"}'.encode())
    assert shown(written) == (
        '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\\"a\\":\\"世\\"}"}],'
        '"structuredContent":{"a":"世"}}}'
    )


def test_a_failed_call_is_a_result_that_says_so() -> None:
    written = outbound.tool_error(1, Era.HANDSHAKE, InvalidArguments("`model` is missing"), "e1")
    assert shown(written) == (
        '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text",'
        '"text":"InvalidArguments: `model` is missing"}],"structuredContent":{"id":"e1","error":'
        '{"code":"InvalidArguments","message":"`model` is missing"}},"isError":true}}'
    )


def test_a_failed_call_tells_the_provider_and_when_to_try_again() -> None:
    error = UpstreamRefused(
        "rate limited", status=429, kind="frequency", code="1302", provider="glm", retry_after=2.0
    )
    written = outbound.tool_error("x", Era.STATELESS, error, "e1")
    assert json.loads(written)["result"]["structuredContent"]["error"] == {
        "code": "UpstreamRefused",
        "message": "rate limited",
        "provider": "glm",
        "retryAfter": 2.0,
        "kind": "frequency",
        "status": 429,
        "providerCode": "1302",
    }
