from __future__ import annotations

import json
from typing import Any

import pytest

from mcp_gateway.recording.redact import UNREADABLE
from mcp_gateway.recording.stream import assemble


def whole(*events: object) -> dict[str, Any]:
    data = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    answer: dict[str, Any] = json.loads(assemble(data))
    return answer


def piece(index: int = 0, finish: str | None = None, **delta: object) -> dict[str, object]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def test_texts_are_joined_and_facts_kept() -> None:
    answer = whole(
        {"id": "c1", "model": "kimi-k2", "created": 7, "object": "chat.completion.chunk"}
        | piece(role="assistant", content=""),
        piece(content="Hel", reasoning_content="hm"),
        piece(content="lo", finish="stop"),
        {"choices": [], "usage": {"total_tokens": 3}},
        b"[DONE]",
    )
    assert answer == {
        "object": "chat.completion",
        "id": "c1",
        "model": "kimi-k2",
        "created": 7,
        "usage": {"total_tokens": 3},
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello", "reasoning_content": "hm"},
            }
        ],
    }


def test_broken_stream_gives_what_had_arrived() -> None:
    answer = whole(piece(content="Hel"))
    assert answer["choices"] == [{"index": 0, "message": {"content": "Hel"}}]


def test_stream_without_events_gives_an_answer_without_choices() -> None:
    assert whole() == {"object": "chat.completion", "choices": []}


def test_choices_are_kept_apart() -> None:
    answer = whole(piece(1, content="b"), piece(0, content="a"), piece(1, content="c"))
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["a", "bc"]


def test_tool_calls_are_put_together_by_their_index() -> None:
    def call(index: int, **function: str) -> dict[str, object]:
        return {"index": index, "function": function}

    answer = whole(
        piece(tool_calls=[{"id": "t1", "type": "function"} | call(0, name="add", arguments="")]),
        piece(tool_calls=[call(0, arguments='{"a":')]),
        piece(tool_calls=[{"id": "t2"} | call(1, name="mul", arguments="{}")]),
        piece(tool_calls=[call(0, arguments="1}")]),
    )
    assert answer["choices"][0]["message"]["tool_calls"] == [
        {"id": "t1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
        {"id": "t2", "function": {"name": "mul", "arguments": "{}"}},
    ]


def test_what_cannot_be_read_is_kept_as_it_is() -> None:
    answer = whole(b"not json", b"[1]", piece(content="a"), b"\xff")
    assert answer["unread"] == ["not json", "[1]", "\ufffd"]


def test_hostile_shapes_are_put_up_with() -> None:
    answer = whole(
        {"choices": {"0": 1}},
        {"choices": [1, {"index": "x", "delta": 7}, {"delta": {"content": {"a": "b"}}}]},
        piece(content="text"),
        piece(content={"c": "d"}),
        piece(tool_calls=["x", {"index": "y", "function": "z"}]),
        piece(tool_calls={"a": 1}),
        piece(tool_calls=[{"function": {"name": "f"}}]),
    )
    assert answer["choices"][0]["message"]["content"] == {"c": "d"}


def test_what_cannot_be_read_costs_no_more_than_itself() -> None:
    nested = b"[" * 100_000
    answer = whole(piece(content="Hel"), b'{"x":"y', nested + b"]" * 100_000, b'"\xff"')
    assert answer["choices"] == [{"index": 0, "message": {"content": "Hel"}}]
    assert answer["unread"] == ['{"x":"y', UNREADABLE, '"\ufffd"']


def test_pieces_that_end_in_half_a_pair_are_joined() -> None:
    halves = (
        rb'{"choices":[{"delta":{"content":"a \ud83d"}}]}',
        rb'{"choices":[{"delta":{"content":"\ude00"}}]}',
    )
    assert whole(*halves)["choices"][0]["message"]["content"] == "a \U0001f600"
    assert whole(halves[0])["choices"][0]["message"]["content"] == "a \ufffd"


def test_chunk_nested_too_deep_to_be_put_together_is_said() -> None:
    with pytest.raises(RecursionError):
        whole(b'{"choices":[{"delta":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}]}")
