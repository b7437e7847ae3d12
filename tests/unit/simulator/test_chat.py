from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.simulator.line import chat

from mcp_gateway.providers.completion import StreamAssembly, decode_completion
from mcp_gateway.simulator.chat import REASONING, Answer, InvalidChat, decode
from mcp_gateway.simulator.wire import WIRES

TOOLS = [
    {"type": "function", "function": {"name": "clock", "parameters": {}}},
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": "integer"},
                    "heat": {"type": "number"},
                    "rain": {"type": "boolean"},
                    "more": {"type": "object"},
                },
            },
        },
    },
]


def answer(wire: str = "kimi", *, length: int = 30, **fields: Any) -> Answer:
    return Answer(
        decode(json.dumps(chat(**fields)).encode()),
        number=7,
        wire=WIRES[wire],
        prompt_tokens=5,
        length=length,
        created=1_790_000_000.5,
    )


def events(made: Answer) -> list[bytes]:
    return [event.removeprefix(b"data: ").removesuffix(b"\n\n") for event in made.events()]


@pytest.mark.parametrize("wire", ["kimi", "glm"])
def test_a_whole_answer_is_the_wires(wire: str) -> None:
    made = answer(wire)
    body = json.loads(made.body())
    assert body["object"] == "chat.completion"
    assert (body["model"], body["created"]) == ("kimi-k2.6", 1_790_000_000)
    assert body["usage"] == {"prompt_tokens": 5, "completion_tokens": 30, "total_tokens": 35}
    assert body["choices"][0]["finish_reason"] == "stop"
    text = body["choices"][0]["message"]["content"]
    assert text.startswith("You said: “Hello!”. That much")
    assert text.endswith(".")


@pytest.mark.parametrize("wire", ["kimi", "glm"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"thinking": {"type": "enabled"}},
        {"max_tokens": 4},
        {"tools": TOOLS, "tool_choice": "required"},
    ],
)
def test_a_stream_says_the_same_as_a_whole_answer(wire: str, fields: dict[str, Any]) -> None:
    whole = decode_completion(answer(wire, **fields).body())
    assembly = StreamAssembly()
    for data in events(answer(wire, **fields)):
        assembly.add(data)
    streamed = assembly.answer()
    assert whole is not None
    assert assembly.done
    assert streamed.content == whole.content
    assert streamed.reasoning == whole.reasoning
    assert streamed.finish_reason == whole.finish_reason
    assert streamed.model == whole.model
    assert streamed.completion_tokens == whole.completion_tokens
    tools = [json.loads(bytes(one.tool_calls or b"null")) for one in (streamed, whole)]
    assert tools[0] == tools[1]


def test_kimi_puts_the_usage_in_the_choice_and_glm_beside_it() -> None:
    kimi = json.loads(events(answer("kimi"))[-2])
    assert kimi["choices"][0]["usage"]["prompt_tokens"] == 5
    assert "usage" not in kimi
    glm = json.loads(events(answer("glm"))[-2])
    assert glm["usage"]["prompt_tokens"] == 5
    assert "usage" not in glm["choices"][0]


def test_usage_that_was_asked_for_has_an_event_of_its_own() -> None:
    made = events(answer("kimi", stream_options={"include_usage": True}))
    last = json.loads(made[-2])
    assert (last["choices"], last["usage"]["prompt_tokens"]) == ([], 5)
    assert made[-1] == b"[DONE]"


def test_a_limit_cuts_the_answer_and_says_so() -> None:
    for field in ("max_tokens", "max_completion_tokens"):
        fields: dict[str, Any] = {field: 3}
        body = json.loads(answer(**fields).body())
        assert body["choices"][0]["finish_reason"] == "length"
        assert body["usage"]["completion_tokens"] == 3
    assert json.loads(answer(max_tokens=99).body())["choices"][0]["finish_reason"] == "stop"


def test_thinking_has_its_reasoning() -> None:
    message = json.loads(answer(thinking={"type": "enabled"}).body())["choices"][0]["message"]
    assert message["reasoning_content"] == REASONING
    quiet = json.loads(answer(thinking={"type": "disabled"}).body())["choices"][0]["message"]
    assert "reasoning_content" not in quiet


def test_reasoning_is_wanted_back_beside_tool_calls() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "1", "tool_call_id": "c"},
    ]
    body = {"model": "m", "messages": messages, "thinking": {"type": "enabled"}}
    with pytest.raises(InvalidChat, match="call message at index 1"):
        decode(json.dumps(body).encode())
    messages[1]["reasoning_content"] = "Hm"
    decode(json.dumps(body).encode())
    decode(json.dumps({**body, "thinking": None}).encode())


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("required", "clock"),
        ({"type": "function", "function": {"name": "weather"}}, "weather"),
        ({"type": "function", "function": {"name": "other"}}, None),
        ("auto", None),
        (None, None),
        ({"function": 7}, None),
    ],
)
def test_a_tool_is_called_when_one_must_be(choice: object, name: str | None) -> None:
    body = json.loads(answer(tools=TOOLS, tool_choice=choice).body())["choices"][0]
    if name is None:
        assert "tool_calls" not in body["message"]
        return
    assert body["finish_reason"] == "tool_calls"
    [call] = body["message"]["tool_calls"]
    assert call["function"]["name"] == name


def test_a_tools_arguments_fit_its_schema() -> None:
    choice = {"type": "function", "function": {"name": "weather"}}
    body = json.loads(answer(text="Paris", tools=TOOLS, tool_choice=choice).body())
    [call] = body["choices"][0]["message"]["tool_calls"]
    arguments = json.loads(call["function"]["arguments"])
    assert arguments == {"city": "Paris", "days": 1, "heat": 1.5, "rain": True}


def test_content_in_parts_is_heard() -> None:
    parts = [{"type": "text", "text": "What is"}, {"type": "image_url"}, {"text": "this?"}, "x"]
    chatted = decode(
        json.dumps({"model": "m", "messages": [{"role": "user", "content": parts}]}).encode()
    )
    assert chatted.prompt.split() == ["What", "is", "this?", "x"]
    silent = decode(b'{"model":"m","messages":[{"role":"user","content":null}]}')
    assert silent.prompt == ""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"model":"m"}',
        b'{"model":"m","messages":[]}',
        b'{"model":"m","messages":"x"}',
        b'{"model":7,"messages":[{"role":"user"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"m","messages":[{"role":"user"}],"max_tokens":-1}',
        b'{"model":"m","messages":[{"role":"user"}],"stream":"yes"}',
    ],
)
def test_what_is_no_chat_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidChat):
        decode(body)
