from __future__ import annotations

import json
from typing import Any

import pytest

from mcp_gateway.errors import RemoteProtocolError
from mcp_gateway.providers import completion
from mcp_gateway.providers.base import ChatAnswer, StreamEvent


def answer_of(message: dict[str, Any], **rest: Any) -> ChatAnswer:
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    decoded = completion.decode_completion(json.dumps({"choices": [choice], **rest}).encode())
    assert decoded is not None
    return decoded


def chunk(
    delta: dict[str, Any] | None, *, choice: dict[str, Any] | None = None, **rest: Any
) -> bytes:
    one = {"index": 0, "delta": delta, "finish_reason": None, **(choice or {})}
    return json.dumps({"choices": [one], **rest}).encode()


def test_a_whole_answer_is_read() -> None:
    answer = answer_of(
        {"role": "assistant", "content": "Hi", "reasoning_content": "Hm"},
        model="kimi-k2.6",
        usage={"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
    )
    assert (answer.content, answer.reasoning, answer.finish_reason) == ("Hi", "Hm", "stop")
    assert (answer.model, answer.prompt_tokens, answer.completion_tokens) == ("kimi-k2.6", 3, 5)
    assert answer.tool_calls is None
    assert json.loads(answer.body)["model"] == "kimi-k2.6"


def test_tool_calls_stay_as_they_came() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "x": 1}]
    answer = answer_of({"content": None, "tool_calls": calls})
    assert answer.content == ""
    assert answer.tool_calls is not None
    assert json.loads(bytes(answer.tool_calls)) == calls


def test_content_in_parts_is_joined() -> None:
    assert (
        answer_of({"content": [{"type": "text", "text": "a"}, {"text": "b"}, {}]}).content == "ab"
    )


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}])
def test_missing_usage_counts_as_zero(usage: object) -> None:
    answer = answer_of({"content": "x"}, usage=usage)
    assert (answer.prompt_tokens, answer.completion_tokens) == (0, 0)


def test_an_error_object_under_status_200_is_no_answer() -> None:
    assert completion.decode_completion(b'{"error":{"code":"1301"}}') is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":[{}]}',
        b'{"choices":7}',
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        b'{"choices":[{"message":{"content":5}}]}',
    ],
)
def test_what_is_not_an_answer_is_the_remote_sides_fault(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        completion.decode_completion(body)


def test_model_lists_are_read() -> None:
    assert completion.decode_models(b'{"data":[{"id":"a","object":"model"},{"id":"b"}]}') == [
        "a",
        "b",
    ]
    with pytest.raises(RemoteProtocolError):
        completion.decode_models(b'{"data":["a"]}')


def test_a_stream_becomes_one_answer() -> None:
    assembly = completion.StreamAssembly()
    events = [
        assembly.add(chunk({"role": "assistant", "content": ""}, model="glm-5")),
        assembly.add(chunk({"reasoning_content": "Hm"})),
        assembly.add(chunk({"content": "Hel"})),
        assembly.add(chunk({"content": "lo"})),
        assembly.add(chunk({}, choice={"finish_reason": "stop"})),
    ]
    assert [event.content for event in events] == ["", "", "Hel", "lo", ""]
    assert [event.reasoning for event in events] == ["", "Hm", "", "", ""]
    assert assembly.finished
    assert not assembly.done
    assert assembly.add(b"[DONE]") == StreamEvent(b"[DONE]")
    assert assembly.done
    answer = assembly.answer()
    assert (answer.content, answer.reasoning, answer.finish_reason) == ("Hello", "Hm", "stop")
    assert (answer.model, answer.body) == ("glm-5", b"")


@pytest.mark.parametrize(
    "last",
    [
        chunk({}, usage={"prompt_tokens": 7, "completion_tokens": 9}),
        chunk({}, choice={"usage": {"prompt_tokens": 7, "completion_tokens": 9}}),
        b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9}}',
    ],
)
def test_usage_is_found_beside_and_inside_the_choice(last: bytes) -> None:
    assembly = completion.StreamAssembly()
    assembly.add(chunk({"content": "x"}, usage=None))
    assembly.add(last)
    answer = assembly.answer()
    assert (answer.prompt_tokens, answer.completion_tokens) == (7, 9)


def test_only_the_first_alternative_is_read() -> None:
    assembly = completion.StreamAssembly()
    event = assembly.add(chunk({"content": "other"}, choice={"index": 1, "finish_reason": "stop"}))
    assert event.content == ""
    assert not assembly.finished


def test_streamed_tool_calls_are_put_together() -> None:
    assembly = completion.StreamAssembly()
    first = {"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}}
    second = {"index": 1, "id": "c1", "function": {"name": "g", "arguments": "{}"}}
    assembly.add(chunk({"tool_calls": [first]}))
    assembly.add(chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}))
    assembly.add(chunk({"tool_calls": [second, {"index": 0, "function": {"arguments": ":1}"}}]}))
    calls = assembly.answer().tool_calls
    assert calls is not None
    assert json.loads(bytes(calls)) == [
        {"id": "c0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "c1", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_tool_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    assembly = completion.StreamAssembly()
    for piece in (
        {"id": "a", "function": {"name": "f", "arguments": "{"}},
        {"function": {"arguments": "}"}},
        {"id": "b", "function": {"name": "g", "arguments": "[]"}},
    ):
        assembly.add(chunk({"tool_calls": [piece]}))
    calls = assembly.answer().tool_calls
    assert calls is not None
    read = [(call["id"], call["function"]["arguments"]) for call in json.loads(bytes(calls))]
    assert read == [("a", "{}"), ("b", "[]")]


def test_an_error_event_is_told_from_a_broken_one() -> None:
    assembly = completion.StreamAssembly()
    with pytest.raises(completion.StreamError) as caught:
        assembly.add(b'{"error":{"message":"x"}}')
    assert caught.value.body == b'{"error":{"message":"x"}}'
    for broken in (b"{", b"7", b'{"choices":[{"delta":{"content":7}}]}'):
        with pytest.raises(RemoteProtocolError):
            assembly.add(broken)


def test_an_endless_stream_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "STREAM_LIMIT", 100)
    assembly = completion.StreamAssembly()
    event = chunk({"content": "x"})
    assembly.add(event)
    with pytest.raises(RemoteProtocolError, match="at most 100 bytes"):
        assembly.add(event)


def test_an_event_with_nothing_but_usage_is_recognised() -> None:
    assembly = completion.StreamAssembly()
    assert completion.usage_only(assembly.add(b'{"choices":[],"usage":{"prompt_tokens":1}}'))
    for other in (chunk({"content": "x"}), chunk({}, choice={"finish_reason": "stop"}), b"[DONE]"):
        assert not completion.usage_only(assembly.add(other))


def test_endless_nesting_is_the_remote_sides_fault() -> None:
    nested = b"[" * 100_000 + b"]" * 100_000
    for read in (completion.decode_completion, completion.decode_models):
        with pytest.raises(RemoteProtocolError):
            read(b'{"x":%b,"choices":[],"data":[]}' % nested)
    with pytest.raises(RemoteProtocolError):
        completion.StreamAssembly().add(b'{"x":%b}' % nested)


def test_what_is_passed_on_undecoded_is_text() -> None:
    body = b'{"choices":[{"message":{"tool_calls":[{"id":"\xff"}]}}]}'
    with pytest.raises(RemoteProtocolError, match="UTF-8"):
        completion.decode_completion(body)
